//! Linux on x86-64: the handler of the signal, and what it knows of the program that runs on its thread.

mod call;
mod timer;

use std::ptr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, compiler_fence};
use std::time::Instant;

use libc::{REG_RBP, REG_RIP, REG_RSP, c_int, c_void, greg_t, siginfo_t, ucontext_t};
use wasmtime_environ::{HostPtr, PtrSize};

use super::NativeCode;
use crate::code::Code;
use crate::limits::SIGNALS_PER_SLICE;

/// The signal: ignored where nobody handles it, and used by no debugger and no C library.
const SIGNAL: c_int = libc::SIGURG;

/// The stack pointer of a signalled program may be this far from its last frame, and of the frame that its host was
/// called from: as much as the largest stack a program can have, and the host's part.
const STACK_BYTES_MAX: usize = crate::limits::STACK_BYTES_MAX + crate::limits::HOST_STACK_BYTES;

/// The program's stack limit is lowered so far while it calls the host: at its very limit it can be interrupted too.
const STACK_BYTES_CALL: usize = 16 << 10;

/// How a trampoline begins: `push rbp`, `mov rbp, rsp`.
const BEGINS: &[u8] = &[0x55, 0x48, 0x89, 0xe5];

/// How it ends, from each of its last instructions on: `mov rsp, rbp`, `pop rbp`, `ret`.
const ENDS: [&[u8]; 3] = [&[0x48, 0x89, 0xec, 0x5d, 0xc3], &[0x5d, 0xc3], &[0xc3]];

/// The store whose program this thread runs, as a handler finds it.
pub(super) struct Target {
    /// The helper's function, and the instance that it is called with.
    tick: usize,
    instance: usize,
    /// What Wasmtime keeps of the store for compiled code.
    context: *mut u8,
    code: Arc<Code>,
    /// Where the host returns to in the program, while it is made to return elsewhere; 0 while it is not.
    returns_to: AtomicUsize,
    /// When the store's time is over, on the monotonic clock in nanoseconds; `u64::MAX` is never.
    ends_at_ns: u64,
}

// SAFETY: the pointers are used only by the thread that runs the store's program, and only one can.
unsafe impl Send for Target {}
// SAFETY: as above; what changes is atomic.
unsafe impl Sync for Target {}

thread_local! {
    /// The target of the calls that this thread polls now; null where it polls none.
    static CURRENT: AtomicPtr<Target> = const { AtomicPtr::new(ptr::null_mut()) };
    /// The native code that this thread runs now, for one of these calls or for none; null where it runs none.
    static NATIVE: AtomicPtr<NativeCode> = const { AtomicPtr::new(ptr::null_mut()) };
    /// Signals since it began to poll, at the outermost.
    static SIGNALS: AtomicU32 = const { AtomicU32::new(0) };
}

/// Until dropped, the thread runs calls of a target.
pub(super) struct Inside {
    outer: *mut Target,
}

pub(super) fn is_supported() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    *SUPPORTED.get_or_init(|| call::is_supported() && timer::is_supported() && install())
}

/// Installs the handler, unless somebody else has one.
fn install() -> bool {
    // SAFETY: both structures are plain data for which zero is a value, and the handler keeps to what one may do.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(SIGNAL, ptr::null(), &mut before) != 0
            || ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction)
        {
            return false;
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = (on_signal as extern "C" fn(_, _, _)) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(SIGNAL, &action, ptr::null_mut()) == 0
    }
}

impl Target {
    /// Of the store in which `tick`, a raw reference to a function, lives.
    pub(super) fn new(tick: *mut c_void, code: Arc<Code>, ends_at: Option<Instant>) -> Self {
        let reference = HostPtr.vm_func_ref();
        // SAFETY: Wasmtime lays out its references and instances as its own crate `wasmtime-environ` says, of which the
        // very same version is used here.
        let (tick, instance, context) = unsafe {
            let word = |at: *mut c_void, offset: u8| *at.byte_add(offset.into()).cast::<*mut c_void>();
            let instance = word(tick, reference.vmctx());
            (word(tick, reference.wasm_call()), instance, word(instance, HostPtr.vmctx_store_context()))
        };
        Self {
            tick: tick.addr(),
            instance: instance.addr(),
            context: context.cast(),
            code,
            returns_to: AtomicUsize::new(0),
            ends_at_ns: timer::nanoseconds_of(ends_at),
        }
    }

    /// No call of the store runs: a return that was diverted has been taken, or a trap of the host went past it.
    pub(super) fn forget_return(&self) {
        self.returns_to.store(0, Ordering::Relaxed);
    }

    fn field(&self, offset: u8) -> *mut usize {
        // SAFETY: the offset is that of a field.
        unsafe { self.context.add(offset.into()) }.cast()
    }

    /// The frame of the trampoline through which the program called the host last, and where it returns to.
    fn exit(&self) -> (usize, usize) {
        let fields = HostPtr.vm_store_context();
        // SAFETY: the store lives, for its program runs; the handler interrupts the only thread that writes.
        unsafe {
            (
                self.field(fields.last_wasm_exit_trampoline_fp()).read_volatile(),
                self.field(fields.last_wasm_exit_pc()).read_volatile(),
            )
        }
    }

    /// Whether a trampoline is at its first instruction that the program called from where it called one last. No register
    /// has changed since it stood at the call itself.
    fn begins_call(&self, counter: usize, stack: usize) -> bool {
        let (frame, returns_to) = self.exit();
        // SAFETY: the thread runs on this stack, whose last word is read.
        frame.wrapping_add(size_of::<usize>()) == stack
            && stands_at(counter, BEGINS)
            && unsafe { (stack as *const usize).read() } == returns_to
            && self.code.contains(returns_to)
    }

    fn move_stack_limit(&self, by: isize) {
        let limit = self.field(HostPtr.vm_store_context().stack_limit());
        // SAFETY: as above; called on the thread that runs the program.
        unsafe { limit.write(limit.read().wrapping_add_signed(by)) }
    }
}

pub(super) fn alone() {
    timer::alone();
}

pub(super) fn nanoseconds_of(moment: Option<Instant>) -> u64 {
    timer::nanoseconds_of(moment)
}

/// The thread runs calls of `target` from now on.
pub(super) fn enter(target: &Arc<Target>) -> Inside {
    let outer = CURRENT.with(|current| current.swap(Arc::as_ptr(target).cast_mut(), Ordering::Relaxed));
    // Calls inside calls are one turn: else a program that calls others all the time would never give way.
    if outer.is_null() {
        SIGNALS.with(|signals| signals.store(0, Ordering::Relaxed));
    }
    compiler_fence(Ordering::SeqCst);
    // Afterwards: a tick that finds no program has the timer rest.
    timer::start(target.ends_at_ns);
    Inside { outer }
}

impl Drop for Inside {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        CURRENT.with(|current| current.store(self.outer, Ordering::Relaxed));
    }
}

/// Until dropped, the thread runs native code.
pub(super) struct InsideNative;

/// The thread runs native code from now on.
pub(super) fn enter_native(native: &NativeCode) -> InsideNative {
    if current().is_none() {
        SIGNALS.with(|signals| signals.store(0, Ordering::Relaxed));
    }
    NATIVE.with(|running| running.store(ptr::from_ref(native).cast_mut(), Ordering::Relaxed));
    compiler_fence(Ordering::SeqCst);
    // Afterwards, as above.
    timer::start(native.ends_at_ns);
    InsideNative
}

impl Drop for InsideNative {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        NATIVE.with(|running| running.store(ptr::null_mut(), Ordering::Relaxed));
    }
}

/// The native code that this thread runs now.
fn native() -> Option<&'static NativeCode> {
    // SAFETY: as for `current`, but for `enter_native` and `InsideNative`.
    unsafe { NATIVE.with(|running| running.load(Ordering::Relaxed)).as_ref() }
}

/// Interrupts the program that this thread runs after so many nanoseconds.
pub(super) fn interrupt_in(nanoseconds: u64) {
    SIGNALS.with(|signals| signals.store(SIGNALS_PER_SLICE, Ordering::Relaxed));
    timer::tick_in(nanoseconds);
}

/// The target of what this thread runs now.
fn current() -> Option<&'static Target> {
    // SAFETY: `enter` put it there, and whoever entered holds it until `Inside` is dropped. Nobody keeps what this returns
    // for longer than that.
    unsafe { CURRENT.with(|current| current.load(Ordering::Relaxed)).as_ref() }
}

extern "C" fn on_signal(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let (native, target) = (native(), current());
    if native.is_none() && target.is_none() {
        return timer::rest();
    }
    let ends_at_ns = target.map_or(u64::MAX, |target| target.ends_at_ns);
    let ends_at_ns = native.map_or(ends_at_ns, |native| native.ends_at_ns.min(ends_at_ns));
    // A signal that somebody else sent has a reason of its own.
    // SAFETY: the kernel gives the handler what it knows of the signal.
    let is_tick = unsafe { timer::is_tick(&*info) };
    let signals = SIGNALS.with(|signals| signals.fetch_add(1, Ordering::Relaxed)) + 1;
    if is_tick {
        timer::found(signals > 1);
    }
    if is_tick && signals < SIGNALS_PER_SLICE && !timer::is_over(ends_at_ns) {
        return timer::look_ahead(ends_at_ns);
    }
    // SAFETY: the kernel gives the handler the registers of the thread it interrupted, and takes them back.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    if let Some(native) = native.filter(|native| timer::is_over(native.ends_at_ns)) {
        // SAFETY: it lives as long as the code.
        unsafe { (*native.is_over).store(1, Ordering::Relaxed) };
    }
    // Whose time is over ends at that call, which nothing is to delay: no other attempt is made where it will come.
    let stops = stop(native, target, registers).is_some_and(timer::is_over);
    if !stops {
        timer::look_ahead(ends_at_ns);
    }
}

/// Has what runs call the host, at once or when the host returns to it, if it can be; and says when its time is over.
fn stop(native: Option<&NativeCode>, target: Option<&Target>, registers: &mut [greg_t; 23]) -> Option<u64> {
    let counter = registers[REG_RIP as usize] as usize;
    let stack = registers[REG_RSP as usize] as usize;
    let (is_inside, ends_at_ns) = match (native, target) {
        (Some(native), _) => (native.text.contains(&counter), native.ends_at_ns),
        (None, Some(target)) => {
            (target.code.contains(counter) || target.begins_call(counter, stack), target.ends_at_ns)
        }
        (None, None) => return None,
    };
    if is_inside {
        // SAFETY: the program counter is in the program, whose stack has room for the host below it.
        let frame = unsafe { call::interrupt(counter, stack, registers[REG_RBP as usize] as usize) };
        registers[REG_RBP as usize] = frame as i64;
        registers[REG_RSP as usize] = (frame - size_of::<usize>()) as i64;
        registers[REG_RIP as usize] = call::interrupted_at() as i64;
        return Some(ends_at_ns);
    }
    let target = target.filter(|_| native.is_none())?;
    divert(target, counter, stack).then_some(ends_at_ns)
}

/// Whether these are the next instructions.
fn stands_at(counter: usize, instructions: &[u8]) -> bool {
    // Byte by byte, for the code may end with the first that differs.
    // SAFETY: the thread executes what is there.
    (counter..).zip(instructions).all(|(at, byte)| unsafe { (at as *const u8).read() } == *byte)
}

/// Makes the host return to the program by way of a call, if that can be. Also true where it will already.
fn divert(target: &Target, counter: usize, stack: usize) -> bool {
    let (frame, returns_to) = target.exit();
    let slot = frame.wrapping_add(size_of::<usize>());
    // A trampoline that has just begun may be as high on the stack as one that has all but returned, and has yet to note
    // where it returns to.
    let [restores, pops, returns] = ENDS.map(|end| stands_at(counter, end));
    let is_below = match stack {
        _ if stack == frame => restores || pops,
        _ if stack == slot => returns,
        _ => stack < frame && frame - stack <= STACK_BYTES_MAX,
    };
    if !is_below || !target.code.contains(returns_to) {
        return false;
    }
    let slot = slot as *mut usize;
    let is_diverted = target.returns_to.load(Ordering::Relaxed) != 0;
    let expected = if is_diverted { call::returned_at() } else { returns_to };
    // SAFETY: the frame is one of this store's trampolines, above the stack pointer and on a stack that lives: Wasmtime
    // takes the pointer back when it leaves the program. What it returns to is looked at before it is replaced; should
    // another frame lie there by now that returns to the same instruction of the program, it may be diverted as well.
    unsafe {
        if slot.read_volatile() != expected {
            return false;
        }
        if !is_diverted {
            target.returns_to.store(returns_to, Ordering::Relaxed);
            slot.write_volatile(call::returned_at());
        }
    }
    true
}
