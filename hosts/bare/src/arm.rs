//! Thumb: where the machine begins, and semihosting.

use core::arch::{asm, naked_asm};

/// Gives `main` a stack.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.start")]
unsafe extern "C" fn start() -> ! {
    naked_asm!("ldr r0, =stack_top", "mov sp, r0", "bl {main}", main = sym crate::main)
}

/// Asks the debugger for something: as an emulator of programs takes it. That of a board takes `bkpt #0xab`.
pub(crate) unsafe fn ask(operation: usize, argument: usize) {
    // SAFETY: the caller gives what the operation needs.
    unsafe { asm!("svc #0xab", inout("r0") operation => _, in("r1") argument) };
}
