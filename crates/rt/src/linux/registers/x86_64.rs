//! x86-64.

use libc::{REG_RBP, REG_RDI, REG_RIP, REG_RSI, REG_RSP, mcontext_t};

pub(crate) fn program_counter(of: &mcontext_t) -> usize {
    of.gregs[REG_RIP as usize] as usize
}

pub(crate) fn stack(of: &mcontext_t) -> usize {
    of.gregs[REG_RSP as usize] as usize
}

pub(crate) fn frame(of: &mcontext_t) -> usize {
    of.gregs[REG_RBP as usize] as usize
}

/// The architecture has none.
pub(crate) fn link(_: &mcontext_t) -> usize {
    0
}

/// Makes the thread go on in a function.
pub(crate) fn call(of: &mut mcontext_t, function: usize, args: [usize; 2]) {
    for (register, value) in [(REG_RIP, function), (REG_RDI, args[0]), (REG_RSI, args[1])] {
        of.gregs[register as usize] = value as i64;
    }
}
