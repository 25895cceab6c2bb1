//! The call that a program makes without knowing: everything is saved, the host is called, everything is restored.

use std::arch::naked_asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::atomic::Ordering;

use super::{STACK_BYTES_CALL, current, native};

/// Bytes below the stack pointer that a function may use without moving it (System V ABI, 3.2.2).
const RED_ZONE: usize = 128;

/// The parts of the processor's extended state that a program can use: x87, SSE, AVX and the three of AVX-512.
const STATE: u32 = 0b1110_0111;

/// Room for them, as `xsave` lays them out.
const STATE_BYTES: usize = 2_688;

/// Whether the processor can save its state, and there is room for it.
pub(super) fn is_supported() -> bool {
    if !is_x86_feature_detected!("xsave") {
        return false;
    }
    let end = |part| {
        let leaf = __cpuid_count(0xD, part);
        (leaf.eax + leaf.ebx) as usize
    };
    (2..32).filter(|part| STATE >> part & 1 == 1).all(|part| end(part) <= STATE_BYTES)
}

/// Lays a frame below `stack`, in which the program stood at `counter`, as if it had just made a call. It begins at a
/// multiple of 16, as all frames do, wherever the program was: at one place of two below the red zone.
///
/// # Safety
/// The stack must have room.
pub(super) unsafe fn interrupt(counter: usize, stack: usize, base: usize) -> usize {
    let frame = ((stack - RED_ZONE - 2 * size_of::<usize>()) & !15) as *mut usize;
    // SAFETY: there is room, and nothing lives below the red zone.
    unsafe {
        frame.add(1).write(counter);
        frame.write(base);
        frame.sub(1).write(stack);
    }
    frame.addr()
}

/// Where a program goes on that was interrupted, once its frame is laid.
pub(super) fn interrupted_at() -> usize {
    interrupted as unsafe extern "C" fn() as usize
}

/// Where the host returns to instead of to the program.
pub(super) fn returned_at() -> usize {
    returned as unsafe extern "C" fn() as usize
}

/// What the program calls, and with what; nothing where there is nothing to call.
#[repr(C)]
struct Call {
    function: usize,
    instance: usize,
}

/// Called before the host is, with every register saved. `frame` holds the program's frame pointer and, above it, where
/// it goes on: for a return that was diverted, that is put there now.
extern "C" fn begin(frame: &mut [usize; 2]) -> Call {
    if let Some(native) = native() {
        return Call { function: native.pause as usize, instance: native.data.addr() };
    }
    let Some(target) = current() else {
        // The call that was diverted goes on unwatched, against the rule of `Interruptible::watch`. Nobody knows where.
        std::process::abort()
    };
    if frame[1] == 0 {
        frame[1] = target.returns_to.swap(0, Ordering::Relaxed);
    }
    target.move_stack_limit(-(STACK_BYTES_CALL as isize));
    Call { function: target.tick, instance: target.instance }
}

/// Called after the host was.
extern "C" fn end() {
    if native().is_none()
        && let Some(target) = current()
    {
        target.move_stack_limit(STACK_BYTES_CALL as isize);
    }
}

/// Goes on in [`interrupted`] with a frame that has no place to go on yet.
#[unsafe(naked)]
unsafe extern "C" fn returned() {
    naked_asm!(
        "lea rsp, [rsp - {red_zone}]",
        "push 0",
        "push rbp",
        "mov rbp, rsp",
        // The stack pointer was at a multiple of 16.
        "push 0",
        "jmp {interrupted}",
        red_zone = const RED_ZONE,
        interrupted = sym interrupted,
    )
}

/// Entered with the frame pointer at a frame of [`interrupt`], the stack pointer a word below, where the program's own
/// stack pointer is kept, and all else as the program left it.
#[unsafe(naked)]
unsafe extern "C" fn interrupted() {
    naked_asm!(
        "pushfq",
        "push rax",
        "push rcx",
        "push rdx",
        "push rbx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "cld",
        "mov rbx, rsp",
        // The state is laid on a multiple of 64; what is not written of its head must be zero.
        "sub rsp, {state_bytes} + 8",
        "and rsp, -64",
        "xor eax, eax",
        "mov qword ptr [rsp + 512], rax",
        "mov qword ptr [rsp + 520], rax",
        "mov qword ptr [rsp + 528], rax",
        "mov qword ptr [rsp + 536], rax",
        "mov qword ptr [rsp + 544], rax",
        "mov qword ptr [rsp + 552], rax",
        "mov qword ptr [rsp + 560], rax",
        "mov qword ptr [rsp + 568], rax",
        "mov eax, {state}",
        "xor edx, edx",
        "xsave64 [rsp]",
        // Its address is kept just below the registers: WebAssembly's own calls keep nothing but the frame pointer.
        "mov qword ptr [rbx - 8], rsp",
        "mov rdi, rbp",
        "call {begin}",
        "mov rdi, rdx",
        "mov rsi, rdx",
        "call rax",
        "call {end}",
        "mov rsp, qword ptr [rbp - {registers} - 8]",
        "mov eax, {state}",
        "xor edx, edx",
        "xrstor64 [rsp]",
        "lea rsp, [rbp - {registers}]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rbx",
        "pop rdx",
        "pop rcx",
        "pop rax",
        // The frame lies right below the red zone, or a word further.
        "test byte ptr [rbp - 8], 8",
        "jnz 2f",
        "popfq",
        "mov rsp, rbp",
        "pop rbp",
        "ret {red_zone}",
        "2:",
        "popfq",
        "mov rsp, rbp",
        "pop rbp",
        "ret {red_zone} + 8",
        state_bytes = const STATE_BYTES,
        state = const STATE,
        registers = const 16 * size_of::<usize>(),
        red_zone = const RED_ZONE,
        begin = sym begin,
        end = sym end,
    )
}
