//! What was checked is not checked again: a memory never becomes smaller, so that an index which once reached so far will
//! reach as far wherever that check was passed on the way.
//!
//! It is known by the value of LLVM, which never changes, and of locals that hold it for as long as they are not set.

use super::{Emitter, Value};
use crate::bounds::{self, Access};
use crate::limits::{HELD_LOCALS_MAX, REACHED_INDICES_MAX};
use crate::module::Type;

/// What is known where code is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    held: Vec<Held>,
    reached: Vec<Reached>,
}

/// A local and its value.
#[derive(Clone, Debug)]
struct Held {
    local: u32,
    value: Value,
    /// How many sets of locals had been written then.
    since: usize,
}

/// An index that was checked.
#[derive(Clone, Debug)]
struct Reached {
    memory: u32,
    index: String,
    /// Where the furthest access ended, from the index.
    end: u64,
    /// The same index, which is harmless where a processor guesses.
    harmless: Value,
}

/// When each local was set last, counted in sets.
#[derive(Debug, Default)]
pub(super) struct Sets {
    count: usize,
    last: Vec<usize>,
}

impl Emitter<'_, '_> {
    /// Whether it is of use. A loop that may be copied has its own knowledge, and is left alone.
    fn remembers(&self) -> bool {
        self.turn.is_none() && !self.module.memories.is_empty() && bounds::is_compared(self, 0)
    }

    /// The value of a local, if it is at hand.
    pub(super) fn held(&self, local: u32) -> Option<Value> {
        let set = self.sets.last.get(local as usize).copied().unwrap_or(0);
        let held = self.known.held.iter().rev().find(|held| held.local == local)?;
        (self.remembers() && held.since >= set).then(|| held.value.clone())
    }

    /// Notes that a local has a value, which was read from it or, if it `is_set`, is put into it.
    pub(super) fn note_held(&mut self, local: u32, value: &Value, is_set: bool) {
        if is_set {
            self.sets.count += 1;
            self.sets.last.resize(self.locals.len(), 0);
            self.sets.last[local as usize] = self.sets.count;
        }
        if self.remembers() && [Type::I32, Type::I64].contains(&value.ty) {
            self.known.held.retain(|held| held.local != local);
            if self.known.held.len() == HELD_LOCALS_MAX {
                self.known.held.remove(0);
            }
            self.known.held.push(Held { local, value: value.clone(), since: self.sets.count });
        }
    }

    /// The index of an access in 64 bits, if one with it went as far.
    pub(crate) fn reached(&self, access: &Access<'_>) -> Option<Value> {
        let end = access.offset.checked_add(access.bytes)?;
        let same = |of: &&Reached| of.memory == access.memory && of.index == access.index.text();
        let reached = self.known.reached.iter().find(same)?;
        (end <= reached.end && self.remembers()).then(|| reached.harmless.clone())
    }

    /// Notes that from here on an access is inside. What it comes to in 64 bits is `harmless`.
    pub(crate) fn note_reached(&mut self, access: &Access<'_>, harmless: &Value) {
        if !self.remembers() || access.index.constant().is_some() {
            return;
        }
        let (memory, index) = (access.memory, access.index.text().to_owned());
        let end = access.offset + access.bytes;
        self.known.reached.retain(|of| of.memory != memory || of.index != index);
        if self.known.reached.len() == REACHED_INDICES_MAX {
            self.known.reached.remove(0);
        }
        self.known.reached.push(Reached { memory, index, end, harmless: harmless.clone() });
    }
}
