//! Faults of native code become traps; those of everybody else go to whoever handled them before.

use core::cell::Cell;
use core::{mem, ptr};
use std::sync::OnceLock;
use std::thread_local;

use crate::abi::Header;
use crate::call;
use crate::instance::Instance;
use crate::store::{Activation, Store};
use crate::trap::Trap;

/// What a fault is, and who handled it before.
struct Before {
    segv: libc::sigaction,
    bus: libc::sigaction,
}

static BEFORE: OnceLock<Before> = OnceLock::new();

/// A stack that overflows does so within this many bytes of its pointer: code touches large frames page by page.
const STACK_REACH_BYTES: usize = 64 << 10;

/// Room for the handler and for those that it passes a fault to.
const SIGNAL_STACK_BYTES: usize = 64 << 10;

thread_local! {
    static ACTIVATION: Cell<*mut Activation> = const { Cell::new(ptr::null_mut()) };
    static SIGNAL_STACK: Cell<bool> = const { Cell::new(false) };
}

pub(super) fn activate(activation: *mut Activation) -> *mut Activation {
    if !SIGNAL_STACK.replace(true) {
        ensure_signal_stack();
    }
    ACTIVATION.replace(activation)
}

pub(super) fn install() {
    // SAFETY: the handler lives as long as the process, and does only what a handler of signals may.
    BEFORE.get_or_init(|| unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        libc::sigemptyset(&mut action.sa_mask);
        let mut before = Before { segv: mem::zeroed(), bus: mem::zeroed() };
        libc::sigaction(libc::SIGSEGV, &action, &mut before.segv);
        libc::sigaction(libc::SIGBUS, &action, &mut before.bus);
        before
    });
}

/// A full stack has no room for a handler, so that each thread needs another one. Threads of Rust have a small one.
fn ensure_signal_stack() {
    // SAFETY: the new stack is never given back; a thread that ends leaves 64 KiB of address space behind.
    unsafe {
        let mut stack: libc::stack_t = mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut stack);
        if stack.ss_flags & libc::SS_DISABLE == 0 {
            return;
        }
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let start = libc::mmap(ptr::null_mut(), SIGNAL_STACK_BYTES, protection, flags, -1, 0);
        if start != libc::MAP_FAILED {
            stack = libc::stack_t { ss_sp: start, ss_flags: 0, ss_size: SIGNAL_STACK_BYTES };
            libc::sigaltstack(&stack, ptr::null_mut());
        }
    }
}

unsafe extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let activation = ACTIVATION.get();
    // SAFETY: the kernel gives a valid context; an activation of this thread has not ended, and while its thread
    // runs native code nobody changes its store.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let address = (*info).si_addr() as usize;
        let program_counter = registers[libc::REG_RIP as usize] as usize;
        let stack = registers[libc::REG_RSP as usize] as usize;
        match (!activation.is_null()).then(|| trap((*activation).store, program_counter, address, stack)) {
            Some(Some(trap)) => {
                registers[libc::REG_RIP as usize] = call::leave as *const () as i64;
                registers[libc::REG_RDI as usize] = activation as i64;
                registers[libc::REG_RSI as usize] = trap as i64;
            }
            _ => pass_on(signal, info, context),
        }
    }
}

/// The trap that a fault is, if it is native code's.
unsafe fn trap(store: *mut Store, program_counter: usize, address: usize, stack: usize) -> Option<Trap> {
    // SAFETY: the instances of a store live as long as it does.
    unsafe {
        let mut header: *mut Header = (*store).instances;
        let (mut is_native, mut in_memory) = (false, false);
        while !header.is_null() {
            let module = &*(*header).module;
            is_native |= (module.text_start as usize..module.text_end as usize).contains(&program_counter);
            let instance = Instance::from_header(header);
            let memories = 0..module.memories.get().len();
            in_memory |= memories.into_iter().any(|index| (*instance.memory(index)).reserves(address));
            header = (*header).next;
        }
        match is_native {
            true if in_memory => Some(Trap::MemoryOutOfBounds),
            true if address.abs_diff(stack) < STACK_REACH_BYTES => Some(Trap::StackOverflow),
            _ => None,
        }
    }
}

/// Does what would have been done without this handler.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(before) = BEFORE.get() else { return };
    let before = if signal == libc::SIGSEGV { &before.segv } else { &before.bus };
    // SAFETY: what was installed before is a handler of the kind that its flags say.
    unsafe {
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => {
                // Once it has returned, the access faults again, and ends the process.
                libc::sigaction(signal, before, ptr::null_mut());
            }
            by if before.sa_flags & libc::SA_SIGINFO != 0 => {
                let by: unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    mem::transmute(by);
                by(signal, info, context);
            }
            by => {
                let by: unsafe extern "C" fn(libc::c_int) = mem::transmute(by);
                by(signal);
            }
        }
    }
}
