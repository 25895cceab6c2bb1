//! RISC-V: where the machine begins, and semihosting.

use core::arch::{asm, naked_asm};

/// Gives `main` a stack.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.start")]
unsafe extern "C" fn start() -> ! {
    naked_asm!("la sp, stack_top", "call {main}", main = sym crate::main)
}

/// Asks the debugger for something.
pub(crate) unsafe fn ask(operation: usize, argument: usize) {
    // SAFETY: the caller gives what the operation needs. The three instructions must not be compressed.
    unsafe {
        asm!(
            ".balign 16",
            ".option push",
            ".option norvc",
            "slli x0, x0, 0x1f",
            "ebreak",
            "srai x0, x0, 7",
            ".option pop",
            inout("a0") operation => _,
            in("a1") argument,
        );
    }
}
