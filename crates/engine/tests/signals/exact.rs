//! A program that was interrupted anywhere comes to the same end as one that never was.

use std::cell::Cell;
use std::mem;
use std::ops::Range;
use std::ptr;

use engine::wasmtime::{InstancePre, Linker};
use engine::{Engine, Interrupts, Meter};

use crate::{engine, module, run};

/// Small programs: each instruction of them is interrupted. Export `run` ends with a number, `memory` is compared whole.
const STEPPED: [(&str, &str); 4] = [
    ("integers", include_str!("integers.wat")),
    ("vectors", include_str!("vectors.wat")),
    ("memory", include_str!("memory.wat")),
    ("calls", include_str!("calls.wat")),
];

thread_local! {
    /// Whether each instruction of this thread is to be interrupted.
    static STEPS: Cell<bool> = const { Cell::new(false) };
    /// Whether the steps ended because they were to.
    static ENDED: Cell<bool> = const { Cell::new(false) };
    /// The instruction before which the signal was sent last.
    static SENT: Cell<i64> = const { Cell::new(0) };
    /// The instruction before which the program was interrupted last.
    static LAST: Cell<i64> = const { Cell::new(0) };
    /// Which instructions are interrupted, unless all are, and where those lie that are counted.
    static PACE: Cell<Option<(Pace, usize, usize)>> = const { Cell::new(None) };
    /// Instructions that were counted, and steps outside of them in a row.
    static COUNTED: Cell<usize> = const { Cell::new(0) };
    static OUTSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Which instructions of a call are interrupted.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// Of so many one, from the first of this number on.
    pub(crate) every: usize,
    pub(crate) first: usize,
    /// After so many that is enough.
    pub(crate) most: usize,
}

/// The host may make so many steps in a row, as in a trap, before it is left alone.
const OUTSIDE_MAX: usize = 4_000;

/// A call follows, of which instructions in this range are interrupted, if any are.
pub(crate) fn prepare(pace: Option<Pace>, text: Range<usize>) {
    PACE.set(pace.map(|pace| (pace, text.start, text.end)));
    COUNTED.set(0);
    OUTSIDE.set(0);
    LAST.set(0);
}

/// Such a call has ended; whether it had more instructions than were to be interrupted.
pub(crate) fn finish() -> bool {
    STEPS.set(false);
    let pace = PACE.take();
    pace.is_some_and(|(pace, ..)| COUNTED.get() / pace.every >= pace.most)
}

/// What such a call calls before and after the function that it is about.
pub(crate) fn begin() {
    if PACE.get().is_some() {
        STEPS.set(true);
        step();
    }
}

/// See [`begin`].
pub(crate) fn end() {
    STEPS.set(false);
}

/// Whether an instruction is to be interrupted, or nothing if none is any more.
fn is_wanted(counter: i64) -> Option<bool> {
    let Some((pace, start, end)) = PACE.get() else { return Some(true) };
    if !(start..end).contains(&(counter as usize)) {
        OUTSIDE.set(OUTSIDE.get() + 1);
        return (OUTSIDE.get() < OUTSIDE_MAX).then_some(false);
    }
    OUTSIDE.set(0);
    let number = COUNTED.replace(COUNTED.get() + 1);
    (number / pace.every < pace.most).then_some(number % pace.every == pace.first)
}

/// What a call left behind.
#[derive(Debug, PartialEq)]
struct End {
    result: i64,
    memory: Vec<u8>,
}

struct Prepared {
    engine: Engine,
    linked: InstancePre<Meter>,
    interrupts: Interrupts<Meter>,
}

impl Prepared {
    fn new(text: &str) -> Self {
        let engine = engine(None);
        let (module, interrupts) = module(&engine, text);
        let mut linker = Linker::new(engine.wasmtime());
        linker
            .func_wrap("", "begin", || {
                if STEPS.get() {
                    step()
                }
            })
            .unwrap();
        linker.func_wrap("", "twice", |number: i64| number.wrapping_mul(2)).unwrap();
        let linked = linker.instantiate_pre(&module).unwrap();
        Self { engine, linked, interrupts }
    }

    /// Runs it once; how it ended, and how often it gave way.
    fn run(&self) -> (End, usize) {
        let mut store = self.engine.store(self.engine.meter());
        let (ended, given_way) = run(async {
            let interruptible = self.interrupts.arm(&mut store).await.unwrap();
            let instance = self.linked.instantiate_async(&mut store).await.unwrap();
            let run = instance.get_typed_func::<(), i64>(&mut store, "run").unwrap();
            let result = interruptible.watch(run.call_async(&mut store, ())).await;
            STEPS.set(false);
            (result.unwrap(), instance.get_memory(&mut store, "memory").unwrap())
        });
        let (result, memory) = ended;
        (End { result, memory: memory.data(&store).to_vec() }, given_way)
    }
}

/// Has the processor trap after each instruction from here on.
fn step() {
    // SAFETY: only the flag for single steps is set, for which `on_step` is there.
    unsafe {
        std::arch::asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq");
    }
}

/// Sends the signal at each instruction of the program, and lets its call of the host run at full speed: the flag for
/// single steps is saved with the program's registers, and comes back with them.
extern "C" fn on_step(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: these are the registers of the thread that was interrupted.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let counter = registers[libc::REG_RIP as usize];
    if !STEPS.get() {
        ENDED.set(true);
        registers[libc::REG_EFL as usize] &= !0x100;
    } else if is_saved(registers[libc::REG_RBP as usize], registers[libc::REG_RSP as usize]) {
        registers[libc::REG_EFL as usize] &= !0x100;
        LAST.set(SENT.get());
    } else if LAST.get() == counter {
        // It goes on where it was interrupted: that instruction has its turn now.
        LAST.set(0);
    } else {
        match is_wanted(counter) {
            Some(true) => {}
            Some(false) => return,
            None => {
                registers[libc::REG_EFL as usize] &= !0x100;
                return;
            }
        }
        SENT.set(counter);
        // It is blocked until this handler ends, and so comes exactly at the next instruction.
        // SAFETY: a signal to this thread, for which a handler is installed.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), libc::SIGURG) };
    }
}

/// Whether the program was just interrupted, and its flags were pushed. Its frame has where it goes on, or nothing yet
/// where the host was made to return there; the flags are the second word below.
fn is_saved(frame: i64, stack: i64) -> bool {
    // At the very beginning of a stack there is no program yet.
    if frame - stack != 16 || frame % 4096 == 0 {
        return false;
    }
    let frame = frame as *const i64;
    // SAFETY: the stack pointer is near, so it is the stack, and there is more of it.
    let (goes_on, kept) = unsafe { (frame.add(1).read(), frame.sub(1).read()) };
    goes_on == SENT.get() || (goes_on == 0 && kept == 0)
}

pub(crate) fn handle_steps() {
    // SAFETY: plain data for which zero is a value, and a handler that keeps to what one may do.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = (on_step as extern "C" fn(_, _, _)) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaddset(&mut action.sa_mask, libc::SIGURG);
        assert_eq!(libc::sigaction(libc::SIGTRAP, &action, ptr::null_mut()), 0);
    }
}

#[test]
fn at_every_instruction() {
    handle_steps();
    for (name, text) in STEPPED {
        let prepared = Prepared::new(text);
        let (expected, _) = prepared.run();
        STEPS.set(true);
        let (end, given_way) = prepared.run();
        println!("{name}: {given_way} interruptions");
        assert_eq!(end, expected, "{name}");
        assert!(given_way >= 100, "{name}: only {given_way} interruptions");
        assert!(ENDED.take(), "{name}: the steps ended before the program, after {given_way} interruptions");
    }
}

/// Interruptions at random moments that each program must survive.
const RANDOM: usize = 10_000;

#[test]
fn at_random_moments() {
    let timer = Timer::new();
    for (name, text) in
        [("primes", include_str!("primes.wat")), ("mandelbrot", include_str!("mandelbrot.wat"))]
    {
        let prepared = Prepared::new(text);
        let (expected, _) = prepared.run();
        // The same seed each time: the moments are the machine's own affair.
        let (mut random, mut interrupted) = (0x2545_f491_4f6c_dd1d_u64, 0);
        while interrupted < RANDOM {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            timer.signal_every(15_000 + random % 60_000);
            let (end, given_way) = prepared.run();
            assert_eq!(end, expected, "{name}: after {interrupted} interruptions");
            interrupted += given_way;
        }
        timer.signal_every(0);
        println!("{name}: {interrupted} interruptions");
    }
}

/// Signals this thread more often than the engine does.
struct Timer(libc::timer_t);

impl Timer {
    fn new() -> Self {
        let mut timer = ptr::null_mut();
        // SAFETY: plain data for which zero is a value; what is read of it is set.
        unsafe {
            let mut event: libc::sigevent = mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGURG;
            event.sigev_notify_thread_id = libc::gettid();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer), 0);
        }
        Self(timer)
    }

    fn signal_every(&self, nanoseconds: u64) {
        let time = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds as i64 };
        let setting = libc::itimerspec { it_interval: time, it_value: time };
        // SAFETY: the timer lives.
        assert_eq!(unsafe { libc::timer_settime(self.0, 0, &setting, ptr::null_mut()) }, 0);
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it was created, and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}
