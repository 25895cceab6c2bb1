//! AArch64, as its procedure call standard has it.

use core::arch::naked_asm;
use core::ffi::c_void;

use crate::abi::Header;
use crate::builtins;
use crate::store::Activation;

/// Gives back what `enter` saved, and returns.
macro_rules! restore {
    () => {
        concat!(
            "ldp x19, x20, [sp, #16]\n",
            "ldp x21, x22, [sp, #32]\n",
            "ldp x23, x24, [sp, #48]\n",
            "ldp x25, x26, [sp, #64]\n",
            "ldp x27, x28, [sp, #80]\n",
            "ldp d8, d9, [sp, #96]\n",
            "ldp d10, d11, [sp, #112]\n",
            "ldp d12, d13, [sp, #128]\n",
            "ldp d14, d15, [sp, #144]\n",
            "ldp x29, x30, [sp], #160\n",
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
        "stp x29, x30, [sp, #-160]!",
        "mov x29, sp",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "mov x9, sp",
        "str x9, [x0]",
        "mov x9, x1",
        "mov x0, x2",
        "mov x1, x3",
        "mov x2, x4",
        "blr x9",
        "mov w0, #0",
        restore!()
    )
}

/// Returns from the `enter` of an activation with a code, from anywhere inside.
///
/// # Safety
/// The activation has not ended, is of this thread, and no frame inside it owns anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(activation: *mut Activation, code: u32) -> ! {
    naked_asm!("ldr x9, [x0]", "mov sp, x9", "mov w0, w1", restore!())
}

/// How native code traps: [`builtins::trap`] with what a caller's frame is found by.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap(header: *mut Header, code: u32) -> ! {
    naked_asm!("stp x29, x30, [sp, #-16]!", "mov x2, sp", "bl {}", "brk #1", sym builtins::trap)
}
