//! RISC-V of 64 bits with double precision, as the ABI `lp64d` has it.

use core::arch::naked_asm;
use core::ffi::c_void;

use crate::abi::Header;
use crate::builtins;
use crate::store::Activation;

/// Gives back what `enter` saved, and returns.
macro_rules! restore {
    () => {
        concat!(
            "ld ra, 0(sp)\n",
            "ld s0, 8(sp)\n",
            "ld s1, 16(sp)\n",
            "ld s2, 24(sp)\n",
            "ld s3, 32(sp)\n",
            "ld s4, 40(sp)\n",
            "ld s5, 48(sp)\n",
            "ld s6, 56(sp)\n",
            "ld s7, 64(sp)\n",
            "ld s8, 72(sp)\n",
            "ld s9, 80(sp)\n",
            "ld s10, 88(sp)\n",
            "ld s11, 96(sp)\n",
            "fld fs0, 104(sp)\n",
            "fld fs1, 112(sp)\n",
            "fld fs2, 120(sp)\n",
            "fld fs3, 128(sp)\n",
            "fld fs4, 136(sp)\n",
            "fld fs5, 144(sp)\n",
            "fld fs6, 152(sp)\n",
            "fld fs7, 160(sp)\n",
            "fld fs8, 168(sp)\n",
            "fld fs9, 176(sp)\n",
            "fld fs10, 184(sp)\n",
            "fld fs11, 192(sp)\n",
            "addi sp, sp, 208\n",
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
        // The assembler does not hear of the target's features.
        ".option push",
        ".option arch, +d",
        "addi sp, sp, -208",
        "sd ra, 0(sp)",
        "sd s0, 8(sp)",
        "sd s1, 16(sp)",
        "sd s2, 24(sp)",
        "sd s3, 32(sp)",
        "sd s4, 40(sp)",
        "sd s5, 48(sp)",
        "sd s6, 56(sp)",
        "sd s7, 64(sp)",
        "sd s8, 72(sp)",
        "sd s9, 80(sp)",
        "sd s10, 88(sp)",
        "sd s11, 96(sp)",
        "fsd fs0, 104(sp)",
        "fsd fs1, 112(sp)",
        "fsd fs2, 120(sp)",
        "fsd fs3, 128(sp)",
        "fsd fs4, 136(sp)",
        "fsd fs5, 144(sp)",
        "fsd fs6, 152(sp)",
        "fsd fs7, 160(sp)",
        "fsd fs8, 168(sp)",
        "fsd fs9, 176(sp)",
        "fsd fs10, 184(sp)",
        "fsd fs11, 192(sp)",
        "sd sp, 0(a0)",
        "mv t0, a1",
        "mv a0, a2",
        "mv a1, a3",
        "mv a2, a4",
        "jalr t0",
        "li a0, 0",
        restore!(),
        ".option pop",
    )
}

/// Returns from the `enter` of an activation with a code, from anywhere inside.
///
/// # Safety
/// The activation has not ended, is of this thread, and no frame inside it owns anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(activation: *mut Activation, code: u32) -> ! {
    naked_asm!(".option push", ".option arch, +d", "ld sp, 0(a0)", "mv a0, a1", restore!(), ".option pop",)
}

/// How native code traps: [`builtins::trap`] with what a caller's frame is found by.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap(header: *mut Header, code: u32) -> ! {
    naked_asm!("addi sp, sp, -16", "sd s0, 0(sp)", "sd ra, 8(sp)", "mv a2, sp", "call {}", "unimp", sym builtins::trap)
}
