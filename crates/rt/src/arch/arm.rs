//! Thumb-2 with a unit for floating point, as the ABI for hard floats has it.

use core::arch::naked_asm;
use core::ffi::c_void;

use crate::abi::Header;
use crate::builtins;
use crate::store::Activation;

/// Gives back what `enter` saved, and returns.
macro_rules! restore {
    () => {
        concat!("vpop {{d8-d15}}\n", "pop {{r3-r11, pc}}\n")
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
        // The assembler does not hear of the target's features.
        ".fpu fpv4-sp-d16",
        "push {{r3-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r12, sp",
        "str r12, [r0]",
        "mov r12, r1",
        "mov r0, r2",
        "mov r1, r3",
        "ldr r2, [sp, #104]",
        "blx r12",
        "movs r0, #0",
        restore!()
    )
}

/// Returns from the `enter` of an activation with a code, from anywhere inside.
///
/// # Safety
/// The activation has not ended, is of this thread, and no frame inside it owns anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(activation: *mut Activation, code: u32) -> ! {
    naked_asm!("ldr r2, [r0]", "mov sp, r2", "mov r0, r1", restore!())
}

/// How native code traps: [`builtins::trap`] with what a caller's frame is found by.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap(header: *mut Header, code: u32) -> ! {
    naked_asm!("push {{r7, lr}}", "mov r2, sp", "bl {}", "udf #1", sym builtins::trap)
}
