//! Signals: faults of native code become traps, and what asks it to stop ends it; those of everybody else go to whoever
//! handled them before.

use core::cell::UnsafeCell;
use core::mem::{self, MaybeUninit};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use super::{registers, thread};
use crate::abi::Header;
use crate::arch;
use crate::instance::Instance;
use crate::store::Store;
use crate::trap::Trap;

/// Asks a thread to look whether its native code is to stop.
pub(super) const INTERRUPT: libc::c_int = libc::SIGURG;

/// Who handled the signals before.
struct Before {
    segv: libc::sigaction,
    bus: libc::sigaction,
    interrupt: libc::sigaction,
}

/// What is written once, before [`STATE`] says so.
struct Once(UnsafeCell<MaybeUninit<Before>>);

// SAFETY: it is only read once it was written.
unsafe impl Sync for Once {}

static BEFORE: Once = Once(UnsafeCell::new(MaybeUninit::uninit()));

/// How far the handlers are installed.
static STATE: AtomicU32 = AtomicU32::new(NOT_YET);
const NOT_YET: u32 = 0;
const AT_IT: u32 = 1;
const INSTALLED: u32 = 2;

/// A stack that overflows does so within this many bytes of its pointer: code touches large frames page by page.
const STACK_REACH_BYTES: usize = 64 << 10;

/// Installs the handlers, once in a process. (There is no standard library here: a product in C has none of Rust's.)
pub(super) fn install() {
    while STATE.load(Ordering::Acquire) != INSTALLED {
        if STATE.compare_exchange(NOT_YET, AT_IT, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            thread::prepare();
            // SAFETY: nobody else gets here, and nobody reads before the state says that it is written.
            unsafe { (*BEFORE.0.get()).write(take_over()) };
            STATE.store(INSTALLED, Ordering::Release);
        } else {
            // SAFETY: the call has no conditions.
            unsafe { libc::sched_yield() };
        }
    }
}

fn take_over() -> Before {
    // SAFETY: the handler lives as long as the process, and does only what a handler of signals may.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // The stack of signals may have room for one only.
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaddset(&mut action.sa_mask, INTERRUPT);
        let mut before = Before { segv: mem::zeroed(), bus: mem::zeroed(), interrupt: mem::zeroed() };
        libc::sigaction(libc::SIGSEGV, &action, &mut before.segv);
        libc::sigaction(libc::SIGBUS, &action, &mut before.bus);
        // One at a time: many that nest would fill the stack of signals.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigaction(INTERRUPT, &action, &mut before.interrupt);
        before
    }
}

unsafe extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let activation = thread::activation();
    // SAFETY: the kernel gives a valid context; an activation of this thread has not ended, and while its thread
    // runs native code nobody changes its store.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let address = (*info).si_addr() as usize;
        let (program_counter, stack) = (registers::program_counter(registers), registers::stack(registers));
        let found = match (activation.as_ref(), signal) {
            (None, _) => None,
            (Some(activation), INTERRUPT) => interruption(activation.store, program_counter),
            (Some(activation), _) => trap(activation.store, program_counter, address, stack),
        };
        match found {
            Some(trap) => {
                let (frame, link) = (registers::frame(registers), registers::link(registers));
                (*(*activation).store).stopped(program_counter, stack, frame, link);
                let leave = arch::leave as *const () as usize;
                registers::call(registers, leave, [activation as usize, trap as usize]);
            }
            None => pass_on(signal, info, context),
        }
    }
}

/// That native code is to stop, if it is, and it is native code that runs. What runs instead, because it was called by
/// native code, looks for itself when it is done.
unsafe fn interruption(store: *mut Store, program_counter: usize) -> Option<Trap> {
    // SAFETY: the store of an activation lives.
    unsafe {
        let wanted = (*store).is_interrupted();
        let runs = || instances(store).any(|header| is_native(header, program_counter));
        (wanted && runs()).then_some(Trap::Interrupted)
    }
}

/// The trap that a fault is, if it is native code's.
unsafe fn trap(store: *mut Store, program_counter: usize, address: usize, stack: usize) -> Option<Trap> {
    // SAFETY: the instances of a store live as long as it does.
    unsafe {
        let reserved = |header: *mut Header| {
            let (module, instance) = (&*(*header).module, Instance::from_header(header));
            (0..module.memories.get().len()).any(|index| (*instance.memory(index)).reserves(address))
        };
        let runs = instances(store).any(|header| is_native(header, program_counter));
        let in_memory = instances(store).any(reserved);
        match runs {
            true if in_memory => Some(Trap::MemoryOutOfBounds),
            true if address.abs_diff(stack) < STACK_REACH_BYTES => Some(Trap::StackOverflow),
            _ => None,
        }
    }
}

unsafe fn instances(store: *mut Store) -> impl Iterator<Item = *mut Header> {
    // SAFETY: the instances of a store live as long as it does.
    let listed = |header: *mut Header| (!header.is_null()).then_some(header);
    // SAFETY: as above.
    unsafe { core::iter::successors(listed((*store).instances), move |header| listed((**header).next)) }
}

/// Whether the program counter is in code of WebAssembly functions of the instance's object.
unsafe fn is_native(header: *mut Header, program_counter: usize) -> bool {
    // SAFETY: the module of an instance lives as long as it does.
    let module = unsafe { &*(*header).module };
    (module.text_start as usize..module.text_end as usize).contains(&program_counter)
}

/// Does what would have been done without this handler.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if STATE.load(Ordering::Acquire) != INSTALLED {
        return;
    }
    // SAFETY: it is written, and not changed any more.
    let before = unsafe { (*BEFORE.0.get()).assume_init_ref() };
    let before = match signal {
        libc::SIGSEGV => &before.segv,
        libc::SIGBUS => &before.bus,
        _ => &before.interrupt,
    };
    // SAFETY: what was installed before is a handler of the kind that its flags say.
    unsafe {
        match before.sa_sigaction {
            // Nobody else wanted to hear of it.
            libc::SIG_DFL | libc::SIG_IGN if signal == INTERRUPT => {}
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
