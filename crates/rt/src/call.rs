//! Into native code and out of it, by its end or by a trap.

use core::arch::naked_asm;
use core::ffi::c_void;
use core::ptr;

use crate::abi::FunctionRecord;
use crate::store::{Activation, Store};
use crate::trap::Trap;

/// Calls a function with the arguments in slots of 8 bytes (a vector takes two), where the results are left.
///
/// # Safety
/// The function belongs to an instance of the store, which lives; the slots are as many as its type's parameters or
/// results need, whichever are more.
pub unsafe fn call(store: *mut Store, function: &FunctionRecord, slots: *mut u64) -> Result<(), Trap> {
    // SAFETY: the caller promises that all of this lives; what native code leaves by a trap owns nothing.
    unsafe {
        let mut activation = Activation { stack: 0, store };
        let platform = (*store).platform;
        let (outer, outer_limit) = ((*store).activation, (*store).stack_limit);
        let here = ptr::from_ref(&activation) as usize;
        let limit = here.saturating_sub((*store).limits.stack_bytes_max);
        (*store).stack_limit = if outer.is_null() { limit } else { outer_limit };
        (*store).activation = &mut activation;
        let outer_of_thread = platform.activate(&mut activation);
        let code = enter(&mut activation, function.enter, function.code, function.instance, slots);
        platform.activate(outer_of_thread);
        (*store).activation = outer;
        (*store).stack_limit = outer_limit;
        Trap::from_code(code).map_or(Ok(()), Err)
    }
}

/// Saves what a callee must keep and the stack pointer, then does `by(code, instance, slots)`; 0 if that returned.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn enter(
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
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Returns from the `enter` of an activation with a code, from anywhere inside.
///
/// # Safety
/// The activation has not ended, is of this thread, and no frame inside it owns anything.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn leave(activation: *mut Activation, code: u32) -> ! {
    naked_asm!(
        "mov rsp, [rdi]",
        "mov eax, esi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}
