//! Where the machine code of a program's functions lies.

use std::ops::Range;

use crate::{Compiled, Program};

/// The code of the functions that a program defines, without the trampolines around them. It holds the program, so that
/// the addresses stay what they are.
pub(crate) struct Code {
    /// Addresses, in order; functions that follow each other are one range.
    ranges: Box<[Range<usize>]>,
    _program: Program,
}

impl Code {
    pub(crate) fn of(program: &Program) -> Self {
        let (text, mut ranges): (_, Vec<_>) = match program.compiled() {
            Compiled::Module(module) => {
                (module.text(), module.functions().map(|function| (function.offset, function.len)).collect())
            }
            Compiled::Component(component) => (
                component.text(),
                component.functions().map(|function| (function.offset, function.len)).collect(),
            ),
        };
        ranges.sort_unstable();
        let base = text.as_ptr().addr();
        let mut merged: Vec<Range<usize>> = Vec::new();
        for (offset, len) in ranges {
            let start = base + offset;
            match merged.last_mut() {
                // What lies between two functions is only there to align the second.
                Some(last) if start - last.end < ALIGNMENT => last.end = start + len,
                _ => merged.push(start..start + len),
            }
        }
        Self { ranges: merged.into(), _program: program.clone() }
    }

    /// Whether a program counter is in a function of the program. Safe to ask in a signal handler.
    pub(crate) fn contains(&self, counter: usize) -> bool {
        let after = self.ranges.partition_point(|range| range.end <= counter);
        self.ranges.get(after).is_some_and(|range| range.contains(&counter))
    }
}

/// Functions begin at multiples of this; a trampoline is longer than what it takes to get to one.
const ALIGNMENT: usize = 16;
