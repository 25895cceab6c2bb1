//! RISC-V of 32 bits without floating point, as the ABI `ilp32` has it.

use core::arch::naked_asm;
use core::ffi::c_void;

use crate::abi::Header;
use crate::builtins;
use crate::store::Activation;

/// Gives back what `enter` saved, and returns.
macro_rules! restore {
    () => {
        concat!(
            "lw ra, 0(sp)\n",
            "lw s0, 4(sp)\n",
            "lw s1, 8(sp)\n",
            "lw s2, 12(sp)\n",
            "lw s3, 16(sp)\n",
            "lw s4, 20(sp)\n",
            "lw s5, 24(sp)\n",
            "lw s6, 28(sp)\n",
            "lw s7, 32(sp)\n",
            "lw s8, 36(sp)\n",
            "lw s9, 40(sp)\n",
            "lw s10, 44(sp)\n",
            "lw s11, 48(sp)\n",
            "addi sp, sp, 64\n",
            "ret\n"
        )
    };
}

/// Saves what a callee must keep and the stack pointer, then does `by(code, instance, slots)`; 0 if that returned.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn enter(
    activation: *mut Activation,
    by: *const c_void,
    code: *const c_void,
    instance: *mut c_void,
    slots: *mut u64,
) -> u32 {
    naked_asm!(
        "addi sp, sp, -64",
        "sw ra, 0(sp)",
        "sw s0, 4(sp)",
        "sw s1, 8(sp)",
        "sw s2, 12(sp)",
        "sw s3, 16(sp)",
        "sw s4, 20(sp)",
        "sw s5, 24(sp)",
        "sw s6, 28(sp)",
        "sw s7, 32(sp)",
        "sw s8, 36(sp)",
        "sw s9, 40(sp)",
        "sw s10, 44(sp)",
        "sw s11, 48(sp)",
        "sw sp, 0(a0)",
        "mv t0, a1",
        "mv a0, a2",
        "mv a1, a3",
        "mv a2, a4",
        "jalr t0",
        "li a0, 0",
        restore!()
    )
}

/// Returns from the `enter` of an activation with a code, from anywhere inside.
///
/// # Safety
/// The activation has not ended, is of this thread, and no frame inside it owns anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(activation: *mut Activation, code: u32) -> ! {
    naked_asm!("lw sp, 0(a0)", "mv a0, a1", restore!())
}

/// How native code traps: [`builtins::trap`] with what a caller's frame is found by.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap(header: *mut Header, code: u32) -> ! {
    naked_asm!("addi sp, sp, -16", "sw s0, 8(sp)", "sw ra, 12(sp)", "addi a2, sp, 8", "call {}", "unimp", sym builtins::trap)
}
