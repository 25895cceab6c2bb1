//! RISC-V.

use libc::{REG_A0, REG_PC, REG_RA, REG_S0, REG_SP, mcontext_t};

pub(crate) fn program_counter(of: &mcontext_t) -> usize {
    of.__gregs[REG_PC] as usize
}

pub(crate) fn stack(of: &mcontext_t) -> usize {
    of.__gregs[REG_SP] as usize
}

pub(crate) fn frame(of: &mcontext_t) -> usize {
    of.__gregs[REG_S0] as usize
}

pub(crate) fn link(of: &mcontext_t) -> usize {
    of.__gregs[REG_RA] as usize
}

/// Makes the thread go on in a function.
pub(crate) fn call(of: &mut mcontext_t, function: usize, args: [usize; 2]) {
    for (register, value) in [(REG_PC, function), (REG_A0, args[0]), (REG_A0 + 1, args[1])] {
        of.__gregs[register] = value as u64;
    }
}
