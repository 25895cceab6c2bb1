//! Blocks and branches.

use super::reached::Known;
use super::{Emitter, Value};
use crate::module::Type;
use rt::Trap;
use wasmparser::{BlockType, Operator};

/// A block that has been begun.
pub(super) struct Frame {
    kind: Kind,
    /// Where a branch to it goes.
    label: u32,
    /// What lies on the stack below it.
    height: usize,
    /// Where branches leave what the label takes: types and slots.
    target: Vec<(Type, Value)>,
    /// Where its results are when it ends; of all but loops the same as `target`.
    results: Vec<(Type, Value)>,
    is_target: bool,
    /// What was known where it began, and is where it ends.
    known: Known,
}

enum Kind {
    Body,
    Block,
    Loop {
        end: u32,
    },
    /// With the label of what is not yet written, and what it begins with.
    If {
        otherwise: u32,
        params: Vec<Value>,
    },
}

impl Emitter<'_, '_> {
    /// The frame of the function itself.
    pub(super) fn begin_body(&mut self, results: Vec<Type>) {
        self.begin(Kind::Body, Vec::new(), results);
    }

    fn begin(&mut self, kind: Kind, params: Vec<Type>, results: Vec<Type>) {
        let slot = |emitter: &mut Self, ty: Type| (ty, emitter.alloca(ty.ir()));
        let results: Vec<_> = results.into_iter().map(|ty| slot(self, ty)).collect();
        let is_loop = matches!(kind, Kind::Loop { .. });
        let target = match is_loop {
            true => params.into_iter().map(|ty| slot(self, ty)).collect(),
            false => results.clone(),
        };
        let label = self.number();
        let height = self.stack.len();
        let known = self.known.clone();
        if is_loop {
            // What is set in one turn is known in none.
            self.known = Known::default();
        }
        self.frames.push(Frame { kind, label, height, target, results, is_target: false, known });
    }

    pub(super) fn control(&mut self, operator: &Operator<'_>) -> bool {
        match operator {
            Operator::Unreachable => {
                self.traps.insert(Trap::Unreachable as u32);
                self.line(format_args!("br label %trap{}", Trap::Unreachable as u32));
                self.reachable = false;
            }
            Operator::Block { blockty } => {
                let (params, results) = self.block_type(*blockty);
                let params = self.pop_many(params.len());
                self.begin(Kind::Block, Vec::new(), results);
                self.stack.extend(params);
            }
            Operator::Loop { blockty } => {
                self.begin_loop(*blockty, None);
            }
            Operator::If { blockty } => {
                let condition = self.condition();
                let (params, results) = self.block_type(*blockty);
                let params = self.pop_many(params.len());
                let (then, otherwise) = (self.number(), self.number());
                self.line(format_args!("br i1 {condition}, label %b{then}, label %b{otherwise}"));
                self.label(then);
                self.begin(Kind::If { otherwise, params: params.clone() }, Vec::new(), results);
                self.stack.extend(params);
            }
            Operator::Else => self.otherwise(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth);
                self.reachable = false;
            }
            Operator::BrIf { relative_depth } => {
                self.note_turn(*relative_depth, self.stack.last().cloned());
                let condition = self.condition();
                self.leave_values(*relative_depth);
                if self.turn_in_copy(&condition, *relative_depth) {
                    return true;
                }
                let (label, next) = (self.target_label(*relative_depth), self.number());
                if self.leaves_fenced(*relative_depth) {
                    let last = self.number();
                    self.line(format_args!("br i1 {condition}, label %b{last}, label %b{next}"));
                    self.label(last);
                    self.fence();
                    self.line(format_args!("br label %b{label}"));
                } else {
                    self.line(format_args!("br i1 {condition}, label %b{label}, label %b{next}"));
                }
                self.label(next);
            }
            Operator::BrTable { targets } => {
                let index = self.pop();
                let depths: Vec<u32> =
                    targets.targets().map(|depth| depth.expect("it was validated")).collect();
                for depth in depths.iter().chain([&targets.default()]) {
                    self.leave_values(*depth);
                }
                let default = self.target_label(targets.default());
                let cases: Vec<String> = depths
                    .iter()
                    .enumerate()
                    .map(|(case, depth)| format!("i32 {case}, label %b{}", self.target_label(*depth)))
                    .collect();
                let cases = cases.join(" ");
                self.line(format_args!("switch i32 {index}, label %b{default} [{cases}]"));
                self.reachable = false;
            }
            Operator::Return => {
                self.branch(self.frames.len() as u32 - 1);
                self.reachable = false;
            }
            _ => return false,
        }
        true
    }

    /// Passes over an operator that is never reached; blocks in such code end unseen.
    pub(super) fn skip(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => self.skipped += 1,
            Operator::End if self.skipped > 0 => self.skipped -= 1,
            Operator::Else if self.skipped == 0 => self.otherwise(),
            Operator::End => self.end(),
            _ => {}
        }
    }

    fn block_type(&self, of: BlockType) -> (Vec<Type>, Vec<Type>) {
        match of {
            BlockType::Empty => (Vec::new(), Vec::new()),
            BlockType::Type(ty) => (Vec::new(), vec![Type::new(ty)]),
            BlockType::FuncType(index) => {
                let signature = &self.module.signatures[self.module.types[index as usize]];
                (signature.params.clone(), signature.results.clone())
            }
        }
    }

    fn frame(&mut self, depth: u32) -> &mut Frame {
        let index = self.frames.len() - 1 - depth as usize;
        &mut self.frames[index]
    }

    fn target_label(&mut self, depth: u32) -> u32 {
        let frame = self.frame(depth);
        frame.is_target = true;
        frame.label
    }

    /// Stores what a branch takes where its target finds it. They stay on the stack, for a branch that is not taken.
    fn leave_values(&mut self, depth: u32) {
        let target = self.frame(depth).target.clone();
        self.store_values(&target);
    }

    fn store_values(&mut self, slots: &[(Type, Value)]) {
        let first = self.stack.len() - slots.len();
        for (index, (_, slot)) in slots.iter().enumerate() {
            let value = self.stack[first + index].typed();
            self.line(format_args!("store {value}, ptr {slot}"));
        }
    }

    fn branch(&mut self, depth: u32) {
        self.note_turn(depth, None);
        self.leave_values(depth);
        if self.leaves_fenced(depth) {
            self.fence();
        }
        let label = self.target_label(depth);
        self.line(format_args!("br label %b{label}"));
    }

    /// Begins a loop, which is entered at its own label or at `first`. Gives its label.
    pub(super) fn begin_loop(&mut self, ty: BlockType, first: Option<u32>) -> u32 {
        let (params, results) = self.block_type(ty);
        let values = self.pop_many(params.len());
        let end = self.number();
        self.begin(Kind::Loop { end }, params, results);
        self.stack.extend(values);
        self.leave_values(0);
        let label = self.frame(0).label;
        self.line(format_args!("br label %b{}", first.unwrap_or(label)));
        self.begin_label();
        label
    }

    /// Begins the innermost loop once more at `first`; what branches to it goes to `next` from now on.
    pub(super) fn begin_turns(&mut self, first: u32, next: u32) {
        self.frame(0).label = first;
        self.begin_label();
        self.frame(0).label = next;
        self.reachable = true;
    }

    /// The body of the innermost loop ends, by leaving the loop if that is reached.
    pub(super) fn end_turns(&mut self) {
        let frame = self.frame(0);
        let Kind::Loop { end } = frame.kind else { unreachable!("the loop has not ended") };
        if self.reachable {
            let results = self.frame(0).results.clone();
            self.store_values(&results);
            self.line(format_args!("br label %b{end}"));
        }
    }

    /// Ends the innermost loop, of which all turns have been written.
    pub(super) fn end_loop(&mut self, is_left: bool) {
        let frame = self.frames.pop().expect("the module was validated");
        let Kind::Loop { end } = frame.kind else { unreachable!("the loop has not ended") };
        self.stack.truncate(frame.height);
        self.known = frame.known;
        self.reachable = is_left;
        if is_left {
            self.label(end);
            self.load_values(&frame.results);
        }
    }

    /// Begins the code of the innermost loop, with what branches to it left.
    fn begin_label(&mut self) {
        let frame = self.frame(0);
        let (label, target, height) = (frame.label, frame.target.clone(), frame.height);
        self.label(label);
        self.stack.truncate(height);
        self.load_values(&target);
    }

    fn load_values(&mut self, slots: &[(Type, Value)]) {
        for (ty, slot) in slots {
            let value = self.value(*ty, format_args!("load {}, ptr {slot}", ty.ir()));
            self.push(value);
        }
    }

    fn otherwise(&mut self) {
        if self.reachable {
            self.branch(0);
        }
        let frame = self.frame(0);
        let kind = std::mem::replace(&mut frame.kind, Kind::Block);
        let Kind::If { otherwise, params } = kind else { unreachable!("the module was validated") };
        let (height, known) = (frame.height, frame.known.clone());
        self.label(otherwise);
        self.meet();
        self.known = known;
        self.stack.truncate(height);
        self.stack.extend(params);
        self.reachable = true;
    }

    fn end(&mut self) {
        if matches!(self.frame(0).kind, Kind::If { .. }) {
            // Without an `else`, what is not done leaves the parameters as results.
            self.otherwise();
        }
        let reached = self.reachable;
        if let Kind::Loop { end } = self.frame(0).kind {
            // Branches go back to a loop: its end is reached from inside only.
            let frame = self.frame(0);
            (frame.label, frame.target, frame.is_target) = (end, frame.results.clone(), false);
        }
        if reached {
            self.branch(0);
        }
        let frame = self.frames.pop().expect("the module was validated");
        self.stack.truncate(frame.height);
        self.known = frame.known;
        self.reachable = frame.is_target;
        if self.reachable {
            self.label(frame.label);
            self.meet();
            self.load_values(&frame.results);
            if matches!(frame.kind, Kind::Body) {
                let values = self.pop_many(frame.results.len());
                self.give_back(values);
            }
        }
    }

    /// Returns from the function.
    pub(super) fn give_back(&mut self, values: Vec<Value>) {
        match &values[..] {
            [] => self.line(format_args!("ret void")),
            [value] => self.line(format_args!("ret {}", value.typed())),
            [first, second] => {
                let ty = format!("{{ {}, {} }}", first.ty.ir(), second.ty.ir());
                let (first, second) = (first.typed(), second.typed());
                let pair = self.pointer(format_args!("insertvalue {ty} poison, {first}, 0"));
                let pair = self.pointer(format_args!("insertvalue {ty} {pair}, {second}, 1"));
                self.line(format_args!("ret {ty} {pair}"));
            }
            _ => {
                self.store_slots("%results", &values);
                self.line(format_args!("ret void"));
            }
        }
    }

    /// Stores values in slots of 8 bytes.
    pub(super) fn store_slots(&mut self, slots: &str, values: &[Value]) {
        let mut offset = 0;
        for value in values {
            let at = self.pointer(format_args!("getelementptr inbounds i8, ptr {slots}, i64 {offset}"));
            self.line(format_args!("store {}, ptr {at}, align 8", value.typed()));
            offset += value.ty.slots() * 8;
        }
    }

    /// Loads values from slots of 8 bytes.
    pub(super) fn load_slots(&mut self, slots: &str, types: &[Type]) -> Vec<Value> {
        let mut offset = 0;
        let mut load = |ty: &Type| {
            let at = self.pointer(format_args!("getelementptr inbounds i8, ptr {slots}, i64 {offset}"));
            offset += ty.slots() * 8;
            self.value(*ty, format_args!("load {}, ptr {at}, align 8", ty.ir()))
        };
        types.iter().map(&mut load).collect()
    }

    /// The operand as a condition.
    pub(super) fn condition(&mut self) -> Value {
        let value = self.pop();
        self.bit(format_args!("icmp ne i32 {value}, 0"))
    }

    /// Pushes one bit as WebAssembly has it.
    pub(super) fn push_bit(&mut self, bit: &Value) {
        let value = self.value(Type::I32, format_args!("zext i1 {bit} to i32"));
        self.push(value);
    }
}
