//! x86-64, as the System V ABI has it.

use core::arch::naked_asm;
use core::ffi::c_void;

use crate::abi::Header;
use crate::builtins;
use crate::store::Activation;

/// Gives back what `enter` saved, and returns.
macro_rules! restore {
    () => {
        concat!("pop r15\n", "pop r14\n", "pop r13\n", "pop r12\n", "pop rbx\n", "pop rbp\n", "ret\n")
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
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "sub rsp, 8",
        "mov rax, rsi",
        "mov rdi, rdx",
        "mov rsi, rcx",
        "mov rdx, r8",
        "call rax",
        "add rsp, 8",
        "xor eax, eax",
        restore!()
    )
}

/// Returns from the `enter` of an activation with a code, from anywhere inside.
///
/// # Safety
/// The activation has not ended, is of this thread, and no frame inside it owns anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(activation: *mut Activation, code: u32) -> ! {
    naked_asm!("mov rsp, [rdi]", "mov eax, esi", restore!())
}

/// How native code traps: [`builtins::trap`] with what a caller's frame is found by.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap(header: *mut Header, code: u32) -> ! {
    naked_asm!("push rbp", "mov rdx, rsp", "call {}", "ud2", sym builtins::trap)
}
