//! Innermost loops are written twice: once as they are, and once for as many turns as surely stay inside of memory.
//!
//! Where a loop's indices are sums of locals that move by constants, it is known when the loop begins how many turns
//! can be made before an access could leave the memory or an index wrap. So many the copy makes: its accesses need no
//! check, cannot fault, and their addresses are numbers of 64 bits that never wrap. The loop itself makes all others.

use std::collections::{BTreeMap, HashMap};

use super::linear::{Linear, Locals, Turn};
use super::{Emitter, Value};
use crate::Error;
use crate::bounds::{self, Access};
use crate::limits::{COPY_OPERATORS_MAX, COPY_REACH_BYTES_MAX, COPY_STEP_BYTES_MAX, COPY_STREAMS_MAX};
use crate::module::Type;
use wasmparser::{BlockType, Operator, OperatorsReader};

/// More turns than any loop makes.
const TURNS_MAX: u64 = 1 << 62;

/// What is found out about a loop while it is written, and used while its copy is.
#[derive(Default)]
pub(super) struct Loop {
    /// How many frames are around it.
    pub(super) depth: usize,
    /// How many branches begin another turn, and when the last one of them does not.
    turns: usize,
    until: Option<Until>,
    /// How many accesses it has, and those whose index is a sum of locals.
    count: usize,
    accesses: Vec<Seen>,
    /// What is known of the copy's accesses; none while the loop itself is written.
    streams: Vec<Stream>,
    /// Nothing in the copy faults. Its stores need not stay among what may: they may be held back until it is left.
    is_quiet: bool,
    is_fenced: bool,
    /// Of a loop with one branch to another turn.
    counter: Option<Counter>,
}

/// What ends the turns of a copy.
#[derive(Clone)]
struct Counter {
    /// Where it is kept how many turns were made, and how many are to be made.
    made: Value,
    turns: Value,
    /// Where a turn begins.
    header: u32,
    /// Where the loop itself makes more turns; `None` if the copy makes all.
    more: Option<u32>,
}

/// The number that ends a loop when it becomes 0: what it is in the first turn, and by what it changes in each.
struct Until {
    locals: Locals,
    first: i32,
    step: i32,
}

/// An access whose index is a sum of locals.
struct Seen {
    position: usize,
    memory: u32,
    locals: Locals,
    constant: i32,
    /// Where it ends, from where its index points to.
    end: u64,
}

/// Accesses whose indices differ by constants only.
struct Stream {
    memory: u32,
    locals: Locals,
    /// The lowest of the constants. From there up to `reach` the accesses go.
    least: i32,
    reach: u64,
    /// How far it moves in one turn at most.
    down: u64,
    up: u64,
    /// The accesses, by where they stand in the module, and how far each is from the lowest.
    distances: HashMap<usize, u64>,
    /// Where it begins, in the copy.
    start: Option<Value>,
}

/// Whether a loop, whose body this reads, may be written twice: it is short, and no loop or call is in it.
pub(super) fn may_be_copied(mut body: OperatorsReader<'_>) -> Result<bool, Error> {
    let mut depth = 0_u32;
    for _ in 0..COPY_OPERATORS_MAX {
        use Operator as O;
        match body.read().map_err(Error::Invalid)? {
            O::Block { .. } | O::If { .. } => depth += 1,
            O::End if depth == 0 => return Ok(true),
            O::End => depth -= 1,
            O::Loop { .. }
            | O::BrTable { .. }
            | O::Call { .. }
            | O::CallIndirect { .. }
            | O::ReturnCall { .. }
            | O::ReturnCallIndirect { .. }
            | O::MemoryGrow { .. }
            | O::MemoryFill { .. }
            | O::MemoryCopy { .. }
            | O::MemoryInit { .. }
            | O::TableGrow { .. }
            | O::TableFill { .. }
            | O::TableCopy { .. }
            | O::TableInit { .. } => return Ok(false),
            _ => {}
        }
    }
    Ok(false)
}

impl Turn {
    /// How a number becomes 0 by which a loop ends, if its locals move the same in each turn.
    fn until(&self, number: &Linear) -> Option<Until> {
        let locals = number.locals();
        let mut step = 0_i32;
        for (local, factor) in &locals {
            let of_local = self.step(*local).filter(|step| !step.is_partial)?;
            step = step.wrapping_add(((of_local.up + of_local.down) as i32).wrapping_mul(*factor));
        }
        (step != 0).then(|| Until { locals, first: number.first(), step })
    }
}

impl Emitter<'_, '_> {
    /// Writes a loop, and its copy if that is of use. The reader stands before its body, and is left behind its end.
    pub(super) fn loop_twice(
        &mut self,
        ty: BlockType,
        reader: &mut OperatorsReader<'_>,
    ) -> Result<(), Error> {
        let first = self.number();
        let again = self.begin_loop(ty, Some(first));
        let mut body = reader.clone();
        let depth = self.frames.len() - 1;
        self.turn = Some(Turn::default());
        self.copied = Some(Loop { depth, ..Loop::default() });
        self.body(reader)?;
        self.end_turns();
        let is_left = self.reachable;
        let turn = self.turn.take().unwrap_or_default();
        let mut seen = self.copied.take().unwrap_or_default();
        let until = seen.until.take().filter(|_| seen.turns == 1);
        let copy = self.streams(&turn, seen);
        self.label(first);
        // Where an access is checked by no code, it is no gain to count turns that end for another reason.
        let is_gain = until.is_some() || copy.streams.iter().any(|of| bounds::has_code(self, of.memory));
        match copy.turns > 0 && is_gain && !copy.streams.is_empty() {
            false => self.line(format_args!("br label %b{again}")),
            true => {
                self.begin_copy(copy, until, again);
                self.body(&mut body)?;
                if self.reachable {
                    self.fence();
                }
                self.end_turns();
            }
        }
        (self.turn, self.copied) = (None, None);
        self.end_loop(is_left);
        Ok(())
    }

    /// Writes a body, up to its end.
    fn body(&mut self, reader: &mut OperatorsReader<'_>) -> Result<(), Error> {
        let mut depth = 0_u32;
        loop {
            self.position = reader.original_position();
            let operator = reader.read().map_err(Error::Invalid)?;
            match operator {
                Operator::Block { .. } | Operator::If { .. } => depth += 1,
                Operator::End if depth == 0 => return Ok(()),
                Operator::End => depth -= 1,
                _ => {}
            }
            self.operator(&operator);
            if self.is_too_large() {
                return Err(Error::TooLarge);
            }
        }
    }

    /// The streams of a loop's accesses, of which `turn` says how their locals move.
    fn streams(&self, turn: &Turn, seen: Loop) -> Loop {
        let mut streams: BTreeMap<(u32, Locals), Vec<Seen>> = BTreeMap::new();
        for access in seen.accesses {
            streams.entry((access.memory, access.locals.clone())).or_default().push(access);
        }
        let streams = streams.into_iter().filter_map(|((memory, locals), accesses)| {
            let (mut down, mut up) = (0_i64, 0_i64);
            for (local, factor) in &locals {
                let step = turn.step(*local)?;
                let one = step.down.checked_mul((*factor).into())?;
                let other = step.up.checked_mul((*factor).into())?;
                down = down.checked_add(one.min(other).min(0))?;
                up = up.checked_add(one.max(other).max(0))?;
            }
            let (down, up) = (down.unsigned_abs(), up.unsigned_abs());
            let least = accesses.iter().map(|access| access.constant).min()?;
            let distance = |access: &Seen| i64::from(access.constant).abs_diff(least.into());
            let reach = accesses.iter().map(|access| distance(access) + access.end).max()?;
            let distances = accesses.iter().map(|access| (access.position, distance(access))).collect();
            let is_short = down.max(up) <= COPY_STEP_BYTES_MAX && reach <= COPY_REACH_BYTES_MAX;
            is_short.then_some(Stream { memory, locals, least, reach, down, up, distances, start: None })
        });
        let streams: Vec<Stream> = streams.take(COPY_STREAMS_MAX).collect();
        let is_quiet = streams.iter().map(|stream| stream.distances.len()).sum::<usize>() == seen.count;
        let is_fenced = is_quiet && streams.iter().any(|stream| bounds::is_volatile(self, stream.memory));
        Loop { depth: seen.depth, turns: seen.turns, streams, is_quiet, is_fenced, ..Loop::default() }
    }

    /// Writes what finds out how many turns the copy makes, and all of the copy but its body. `again` is the loop
    /// itself, which makes the other turns.
    fn begin_copy(&mut self, mut copy: Loop, until: Option<Until>, again: u32) {
        let starts: Vec<Value> = copy.streams.iter().map(|stream| self.start(stream)).collect();
        let (entered, next, last, header) = (self.number(), self.number(), self.number(), self.number());
        let more = until.is_none().then_some(last);
        let (turns, none) = match until {
            Some(until) => self.all_turns(&until, &copy.streams, &starts),
            None => self.safe_turns(&copy.streams, &starts),
        };
        self.line(format_args!("br i1 {none}, label %b{again}, label %b{entered}"));
        self.label(entered);
        let made = self.alloca("i64");
        self.line(format_args!("store i64 0, ptr {made}"));
        let mut turn = Turn::default();
        for (stream, start) in copy.streams.iter_mut().zip(&starts) {
            let start = bounds::inside(self, stream.memory, start);
            let base = self.memory_base(stream.memory);
            // It is not behind the memory's end, or no turn would be made.
            let start = format!("getelementptr inbounds i8, ptr {base}, i64 {start}");
            stream.start = Some(self.pointer(format_args!("{start}")));
            for (local, _) in &stream.locals {
                if !turn.moved.contains_key(local) {
                    let slot = self.alloca("i64");
                    self.line(format_args!("store i64 0, ptr {slot}"));
                    turn.moved.insert(*local, slot);
                }
            }
        }
        self.line(format_args!("br label %b{header}"));
        let counter = Counter { made, turns, header, more };
        (self.turn, self.copied) = (Some(turn), Some(copy));
        if more.is_some() {
            self.label(next);
            let some = self.some_left(&counter);
            self.line(format_args!("br i1 {some}, label %b{header}, label %b{last}"));
            self.label(last);
            self.fence();
            self.line(format_args!("br label %b{again}"));
        }
        // Of several branches, each would count.
        if let Some(copied) = self.copied.as_mut().filter(|copied| copied.turns == 1) {
            copied.counter = Some(counter);
        }
        self.begin_turns(header, next);
    }

    /// Counts a turn. Whether another one is to be made.
    fn some_left(&mut self, counter: &Counter) -> Value {
        let Counter { made, turns, .. } = counter;
        let before = self.value(Type::I64, format_args!("load i64, ptr {made}"));
        let after = self.value(Type::I64, format_args!("add nuw nsw i64 {before}, 1"));
        self.line(format_args!("store i64 {after}, ptr {made}"));
        self.bit(format_args!("icmp ne i64 {after}, {turns}"))
    }

    /// Notes a branch, which may begin another turn.
    pub(super) fn note_turn(&mut self, depth: u32, condition: Option<Value>) {
        let target = self.frames.len() - 1 - depth as usize;
        let (Some(turn), Some(copied)) = (&self.turn, &mut self.copied) else { return };
        if copied.depth == target {
            copied.turns += 1;
            // In an inner block it is not known whether each turn gets there. What is set behind it is set once, when the
            // loop has ended.
            let condition = condition.filter(|_| depth == 0);
            copied.until = condition.and_then(|value| turn.until(&turn.zero(&value)?));
        }
    }

    /// Begins another turn of a copied loop if the condition holds, and the branch is one that does so.
    pub(super) fn turn_in_copy(&mut self, condition: &Value, depth: u32) -> bool {
        let target = self.frames.len() - 1 - depth as usize;
        let copied = self.copied.as_ref().filter(|copied| copied.depth == target);
        let Some(counter) = copied.and_then(|copied| copied.counter.clone()) else { return false };
        let some = self.some_left(&counter);
        let (ended, next, header) = (self.number(), self.number(), counter.header);
        match counter.more {
            // One branch for the loop's own condition and the counter: LLVM then knows how many turns there are.
            Some(more) => {
                let both = self.bit(format_args!("and i1 {condition}, {some}"));
                self.line(format_args!("br i1 {both}, label %b{header}, label %b{ended}"));
                self.label(ended);
                self.line(format_args!("br i1 {condition}, label %b{more}, label %b{next}"));
            }
            // The condition holds if and only if turns are left: so their number was found.
            None => {
                self.line(format_args!("br i1 {some}, label %b{header}, label %b{ended}"));
                self.label(ended);
                self.line(format_args!("br label %b{next}"));
            }
        }
        self.label(next);
        true
    }

    /// The index of a stream's lowest byte before the first turn, in 64 bits.
    fn start(&mut self, stream: &Stream) -> Value {
        let sum = self.sum(&stream.locals, stream.least);
        self.widen(&sum)
    }

    /// A sum of locals as they are now.
    fn sum(&mut self, locals: &Locals, constant: i32) -> Value {
        let mut sum = Value::i32(constant);
        for (local, factor) in locals {
            let value = self.value(Type::I32, format_args!("load i32, ptr %l{local}"));
            let product = self.value(Type::I32, format_args!("mul i32 {value}, {factor}"));
            sum = self.value(Type::I32, format_args!("add i32 {product}, {sum}"));
        }
        sum
    }

    /// How many turns the loop makes, and whether not all of them stay inside of memory.
    fn all_turns(&mut self, until: &Until, streams: &[Stream], starts: &[Value]) -> (Value, Value) {
        let first = self.sum(&until.locals, until.first);
        // Steps lead from there to 0, or to where it wraps.
        let way = match until.step {
            ..0 => first,
            _ => self.value(Type::I32, format_args!("sub i32 0, {first}")),
        };
        let (way, step) = (self.widen(&way), until.step.unsigned_abs());
        // If no number of steps does, the loop does not end so soon.
        let rest = self.value(Type::I64, format_args!("urem i64 {way}, {step}"));
        let mut outside = self.bit(format_args!("icmp ne i64 {rest}, 0"));
        let steps = self.value(Type::I64, format_args!("udiv i64 {way}, {step}"));
        let turns = self.value(Type::I64, format_args!("add nuw nsw i64 {steps}, 1"));
        for (stream, start) in streams.iter().zip(starts) {
            let bytes = bounds::room(self, stream.memory);
            // Less than 2^63 each: turns are at most 2^32, steps 2^31.
            let up = self.value(Type::I64, format_args!("mul nuw i64 {turns}, {}", stream.up));
            let most = self.value(Type::I64, format_args!("add nuw i64 {start}, {up}"));
            let end = self.value(Type::I64, format_args!("add nuw i64 {most}, {}", stream.reach));
            let above = self.bit(format_args!("icmp ugt i64 {end}, {bytes}"));
            outside = self.bit(format_args!("or i1 {outside}, {above}"));
            if stream.down > 0 {
                let down = self.value(Type::I64, format_args!("mul nuw i64 {turns}, {}", stream.down));
                let below = self.bit(format_args!("icmp ugt i64 {down}, {start}"));
                outside = self.bit(format_args!("or i1 {outside}, {below}"));
            }
        }
        (turns, outside)
    }

    /// How many turns can be made before a stream leaves its memory, and whether there are none.
    fn safe_turns(&mut self, streams: &[Stream], starts: &[Value]) -> (Value, Value) {
        // The least room that what moves by so much has: one division for all of it.
        let mut rooms: BTreeMap<u64, Value> = BTreeMap::new();
        for (stream, start) in streams.iter().zip(starts) {
            let bytes = bounds::room(self, stream.memory);
            let fit = self.wide_of_two("usub.sat", &bytes, &Value::i64(stream.reach as i64));
            // 0 also if the stream begins outside, so that no turn is made then.
            let above = self.wide_of_two("usub.sat", &fit, start);
            self.least_room(&mut rooms, stream.up, above);
            if stream.down > 0 {
                self.least_room(&mut rooms, stream.down, start.clone());
            }
        }
        let mut turns = Value::i64(TURNS_MAX as i64);
        for (step, room) in rooms {
            let of_step = match step {
                0 => {
                    let none = self.bit(format_args!("icmp eq i64 {room}, 0"));
                    self.value(Type::I64, format_args!("select i1 {none}, i64 0, i64 {TURNS_MAX}"))
                }
                step => self.value(Type::I64, format_args!("udiv i64 {room}, {step}")),
            };
            turns = self.wide_of_two("umin", &turns, &of_step);
        }
        let none = self.bit(format_args!("icmp eq i64 {turns}, 0"));
        (turns, none)
    }

    fn least_room(&mut self, rooms: &mut BTreeMap<u64, Value>, step: u64, room: Value) {
        let least = match rooms.get(&step) {
            Some(other) => self.wide_of_two("umin", &other.clone(), &room),
            None => room,
        };
        rooms.insert(step, least);
    }

    fn wide_of_two(&mut self, intrinsic: &str, a: &Value, b: &Value) -> Value {
        self.value(Type::I64, format_args!("call i64 @llvm.{intrinsic}.i64(i64 {a}, i64 {b})"))
    }

    /// The address of an access that the copy of a loop need not check; notes the access while the loop is written.
    pub(super) fn known_place(&mut self, access: &Access<'_>) -> Option<Value> {
        let position = self.position;
        let (turn, copied) = (self.turn.as_ref()?, self.copied.as_mut()?);
        copied.count += 1;
        let linear = turn.linear(access.index)?;
        let locals = linear.locals();
        let of_access =
            |stream: &&Stream| stream.locals == locals && stream.distances.contains_key(&position);
        let stream = copied.streams.iter().find(of_access);
        let known =
            stream.and_then(|stream| Some((stream.start.clone()?, *stream.distances.get(&position)?)));
        let Some((start, distance)) = known else {
            let (memory, constant, end) = (access.memory, linear.constant, access.offset + access.bytes);
            copied.accesses.push(Seen { position, memory, locals, constant, end });
            return None;
        };
        // None of this wraps or leaves the memory: the copy makes no turn in which it would.
        let mut moves: Option<Value> = None;
        for (moved, factor) in linear.moved() {
            let by = match factor {
                1 => moved.clone(),
                factor => self.value(Type::I64, format_args!("mul nsw i64 {moved}, {factor}")),
            };
            moves = Some(match moves {
                Some(sum) => self.value(Type::I64, format_args!("add nsw i64 {sum}, {by}")),
                None => by,
            });
        }
        let at = match moves {
            Some(by) => self.pointer(format_args!("getelementptr inbounds i8, ptr {start}, i64 {by}")),
            None => start,
        };
        match distance + access.offset {
            0 => Some(at),
            offset => Some(self.pointer(format_args!("getelementptr inbounds i8, ptr {at}, i64 {offset}"))),
        }
    }

    /// Whether what is written is a copy in which nothing faults.
    pub(super) fn is_quiet(&self) -> bool {
        self.copied.as_ref().is_some_and(|copied| copied.is_quiet)
    }

    /// Whether a branch leaves a copy whose stores must be done then.
    pub(super) fn leaves_fenced(&self, depth: u32) -> bool {
        let target = self.frames.len() - 1 - depth as usize;
        self.copied.as_ref().is_some_and(|copied| copied.is_fenced && target < copied.depth)
    }

    /// What faults after a copy must find all of its stores done. For the compiler only: the processor keeps the order.
    pub(super) fn fence(&mut self) {
        if self.copied.as_ref().is_some_and(|copied| copied.is_fenced) {
            self.line(format_args!("fence syncscope(\"singlethread\") seq_cst"));
        }
    }
}
