//! What each thread has: the call into native code that its faults belong to, and a stack for signals.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::store::Activation;

/// Room for the handler and for those that it passes a fault to.
const SIGNAL_STACK_BYTES: usize = 64 << 10;

/// What lies at the start of its pages: a key of the thread leads to it, which, unlike a variable of the thread, is as
/// safe to read in a handler of signals where this code was loaded late, and says when the thread ends.
struct Thread {
    activation: *mut Activation,
    /// What the kernel calls it: asking takes longer than many a call of native code.
    number: libc::pid_t,
    mapped_bytes: usize,
    /// The stack for signals is this one: there was none before.
    has_stack: bool,
}

/// Which key, of those that a process has.
static KEY: AtomicU32 = AtomicU32::new(NO_KEY);
const NO_KEY: u32 = u32::MAX;

/// Takes a key for the process.
pub(super) fn prepare() {
    let mut key = 0;
    // SAFETY: the key is ours; what it leads to is a thread's own, as `end` asks for.
    if unsafe { libc::pthread_key_create(&mut key, Some(end)) } == 0 {
        KEY.store(key, Ordering::Release);
    }
}

/// The innermost call of this thread into native code.
pub(super) fn activation() -> *mut Activation {
    // SAFETY: what the key leads to is this thread's own.
    unsafe { this().as_ref() }.map_or(ptr::null_mut(), |thread| thread.activation)
}

/// Says which it is, and returns which it was. Without memory to remember it, a fault ends the process.
pub(super) fn activate(activation: *mut Activation) -> *mut Activation {
    match known() {
        Some(thread) => core::mem::replace(&mut thread.activation, activation),
        None => ptr::null_mut(),
    }
}

/// What the kernel calls this thread, 0 without memory to remember it.
pub(super) fn number() -> libc::pid_t {
    known().map_or(0, |thread| thread.number)
}

fn known<'a>() -> Option<&'a mut Thread> {
    let thread = this();
    // SAFETY: it is this thread's own, the reference is used at once, and the handler of signals only reads.
    unsafe { if thread.is_null() { begin().as_mut() } else { thread.as_mut() } }
}

fn this() -> *mut Thread {
    match KEY.load(Ordering::Relaxed) {
        NO_KEY => ptr::null_mut(),
        // SAFETY: the key is one that there is.
        key => unsafe { libc::pthread_getspecific(key).cast() },
    }
}

/// A full stack has no room for a handler, so that each thread needs another one. Threads of Rust have a small one.
fn begin() -> *mut Thread {
    let key = KEY.load(Ordering::Relaxed);
    // SAFETY: the pages are new, and only this thread's; they are given back when it ends.
    unsafe {
        let mut stack: libc::stack_t = core::mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut stack);
        let has_stack = stack.ss_flags & libc::SS_DISABLE != 0;
        let mapped_bytes = size_of::<Thread>() + if has_stack { SIGNAL_STACK_BYTES } else { 0 };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let start = libc::mmap(ptr::null_mut(), mapped_bytes, protection, flags, -1, 0);
        if key == NO_KEY || start == libc::MAP_FAILED {
            return ptr::null_mut();
        }
        let thread: *mut Thread = start.cast();
        thread.write(Thread { activation: ptr::null_mut(), number: libc::gettid(), mapped_bytes, has_stack });
        if libc::pthread_setspecific(key, start) != 0 {
            libc::munmap(start, mapped_bytes);
            return ptr::null_mut();
        }
        if has_stack {
            let ss_sp = thread.add(1).cast();
            let stack = libc::stack_t { ss_sp, ss_flags: 0, ss_size: SIGNAL_STACK_BYTES };
            libc::sigaltstack(&stack, ptr::null_mut());
        }
        thread
    }
}

/// The thread ends.
unsafe extern "C" fn end(thread: *mut libc::c_void) {
    // SAFETY: it is what `begin` made, and no native code runs on the thread any more. If somebody has put another stack
    // in place of this one, that stays.
    unsafe {
        let of: *mut Thread = thread.cast();
        let mut stack: libc::stack_t = core::mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut stack);
        if (*of).has_stack && stack.ss_sp == of.add(1).cast() {
            stack.ss_flags = libc::SS_DISABLE;
            libc::sigaltstack(&stack, ptr::null_mut());
        }
        libc::munmap(thread, (*of).mapped_bytes);
    }
}
