//! AArch64.

use libc::mcontext_t;

pub(crate) fn program_counter(of: &mcontext_t) -> usize {
    of.pc as usize
}

pub(crate) fn stack(of: &mcontext_t) -> usize {
    of.sp as usize
}

pub(crate) fn frame(of: &mcontext_t) -> usize {
    of.regs[29] as usize
}

pub(crate) fn link(of: &mcontext_t) -> usize {
    of.regs[30] as usize
}

/// Makes the thread go on in a function.
pub(crate) fn call(of: &mut mcontext_t, function: usize, args: [usize; 2]) {
    of.pc = function as u64;
    of.regs[0] = args[0] as u64;
    of.regs[1] = args[1] as u64;
}
