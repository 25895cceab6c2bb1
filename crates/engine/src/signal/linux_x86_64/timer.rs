//! The timer of a thread. It runs while the thread runs programs, and to the next tick after that: so busy threads need no
//! call of the system for each program, and idle ones are left to sleep.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libc::{c_void, itimerspec, timespec};

use super::SIGNAL;
use crate::limits::{CALM_AFTER_TICKS, SIGNAL_LATE, SIGNAL_TICK, SIGNAL_TICK_CALM};

thread_local! {
    /// Deletes the timer with its thread.
    static TIMER: Timer = Timer::create();
    /// The same timer, for the handler.
    static HANDLE: AtomicPtr<c_void> = const { AtomicPtr::new(ptr::null_mut()) };
    static RUNS: AtomicBool = const { AtomicBool::new(false) };
    /// Time between two signals while some turns are long; 0 where only the end of a store's time is signalled.
    static TICK_NS: AtomicU64 = const { AtomicU64::new(nanoseconds(SIGNAL_TICK)) };
    /// Ticks in a row of which none found a turn that an earlier one had found.
    static SHORT_TURNS: AtomicU32 = const { AtomicU32::new(0) };
    /// Whether the next tick comes early, to see whether the turn that the last one found is a long one.
    static LOOKS_AGAIN: AtomicBool = const { AtomicBool::new(false) };
    /// For which end the timer was started that signals only that.
    static AIM_NS: AtomicU64 = const { AtomicU64::new(u64::MAX) };
}

const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// Has the timer of this thread signal no more than the end of a store's time, from its next start on. If it runs, it is
/// stopped.
pub(super) fn alone() {
    SHORT_TURNS.with(|turns| turns.store(0, Ordering::Relaxed));
    TICK_NS.with(|tick| tick.store(0, Ordering::Relaxed));
    if RUNS.with(|runs| runs.swap(false, Ordering::Relaxed)) {
        set(0, 0);
    }
}

fn tick_ns() -> u64 {
    TICK_NS.with(|tick| tick.load(Ordering::Relaxed))
}

fn is_calm() -> bool {
    SHORT_TURNS.with(|turns| turns.load(Ordering::Relaxed)) >= CALM_AFTER_TICKS
}

/// Time between two signals now.
fn interval_ns() -> u64 {
    if is_calm() { nanoseconds(SIGNAL_TICK_CALM) } else { tick_ns() }
}

/// Where all turns are short, ticks are seldom: a signal costs more than a short turn. One that finds a turn is then
/// followed by an early one, for which a turn that goes on is a long one, and all is as it was. Called by the handler, for
/// each tick.
pub(super) fn found(long_turn: bool) {
    if tick_ns() == 0 {
        return;
    }
    let was_calm = is_calm();
    if long_turn {
        SHORT_TURNS.with(|turns| turns.store(0, Ordering::Relaxed));
        LOOKS_AGAIN.with(|looks| looks.store(false, Ordering::Relaxed));
        if was_calm {
            set(tick_ns(), tick_ns());
        }
    } else if !was_calm {
        SHORT_TURNS.with(|turns| turns.fetch_add(1, Ordering::Relaxed));
        if is_calm() {
            set(interval_ns(), interval_ns());
        }
    } else if LOOKS_AGAIN.with(|looks| !looks.fetch_xor(true, Ordering::Relaxed)) {
        set(tick_ns(), interval_ns());
    }
}

/// What the signals of these timers carry, and others do not.
static TICK: u8 = 0;

struct Timer(libc::timer_t);

/// Whether threads can have timers here.
pub(super) fn is_supported() -> bool {
    Timer::try_create().is_some()
}

/// Whether a signal is one of a timer from here.
pub(super) fn is_tick(info: &libc::siginfo_t) -> bool {
    // SAFETY: a signal of a timer has a value.
    let carried = || unsafe { info.si_value() }.sival_ptr.cast_const();
    info.si_code == libc::SI_TIMER && carried() == (&raw const TICK).cast()
}

impl Timer {
    /// A timer that signals this very thread.
    fn create() -> Self {
        // Without it a program could hold the thread for as long as it likes.
        let Some(timer) = Self::try_create() else {
            panic!("no timer to interrupt programs with: {}", std::io::Error::last_os_error())
        };
        HANDLE.with(|handle| handle.store(timer.0, Ordering::Relaxed));
        timer
    }

    fn try_create() -> Option<Self> {
        let mut timer = ptr::null_mut();
        // SAFETY: the event is plain data for which zero is a value; all that is read of it is set.
        let made = unsafe {
            let mut event: libc::sigevent = mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL;
            event.sigev_value.sival_ptr = (&raw const TICK).cast_mut().cast();
            event.sigev_notify_thread_id = libc::gettid();
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer)
        };
        (made == 0).then_some(Self(timer))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: it was created, and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// Starts the timer of this thread, if it rests, for a store whose time is over at this moment.
pub(super) fn start(ends_at_ns: u64) {
    let rests = !RUNS.with(|runs| runs.swap(true, Ordering::Relaxed));
    let tick = tick_ns();
    let aims = tick == 0 && AIM_NS.with(|aim| aim.swap(ends_at_ns, Ordering::Relaxed)) != ends_at_ns;
    if rests {
        TIMER.with(|_| ());
        set(interval_ns(), interval_ns());
    }
    // The next tick of a timer that ticks often comes soon enough.
    if rests || aims || is_calm() {
        look_ahead(ends_at_ns);
    }
}

/// Lets the timer rest until the next program. Called by the handler.
pub(super) fn rest() {
    RUNS.with(|runs| runs.store(false, Ordering::Relaxed));
    set(0, 0);
}

/// Has the next tick come earlier, if the time of a store is over before it. Also called by the handler.
pub(super) fn look_ahead(ends_at_ns: u64) {
    if ends_at_ns == u64::MAX {
        return;
    }
    let now = now_ns();
    let left = ends_at_ns.saturating_sub(now);
    if tick_ns() == 0 || left < interval_ns() {
        // Past its time, until a tick finds the program where it can be ended: ever more seldom at first, so that it gets
        // somewhere between two of them, however long one takes.
        let late = now.saturating_sub(ends_at_ns) / LATE_PART;
        let pause = late.clamp(nanoseconds(SIGNAL_LATE), nanoseconds(SIGNAL_TICK));
        tick_in(left.max(pause));
    }
}

/// What is so many times as late is tried again after so long.
const LATE_PART: u64 = 4;

pub(super) fn tick_in(nanoseconds: u64) {
    SHORT_TURNS.with(|turns| turns.store(0, Ordering::Relaxed));
    LOOKS_AGAIN.with(|looks| looks.store(false, Ordering::Relaxed));
    set(nanoseconds, tick_ns());
}

/// Sets this thread's timer: nanoseconds until it first signals, and between two signals; 0 is never.
fn set(first: u64, interval: u64) {
    let time = |nanoseconds: u64| timespec {
        tv_sec: (nanoseconds / 1_000_000_000) as i64,
        tv_nsec: (nanoseconds % 1_000_000_000) as i64,
    };
    let setting = itimerspec { it_interval: time(interval), it_value: time(first) };
    let handle = HANDLE.with(|handle| handle.load(Ordering::Relaxed));
    // SAFETY: the call may be made in a handler. It can fail only for what is not a timer; a handler that runs while the
    // thread ends may have such a one, and nobody else looks at the error number that is kept here.
    unsafe {
        let error = *libc::__errno_location();
        libc::timer_settime(handle, 0, &setting, ptr::null_mut());
        *libc::__errno_location() = error;
    }
}

/// Whether a moment is past.
pub(super) fn is_over(ends_at_ns: u64) -> bool {
    ends_at_ns != u64::MAX && now_ns() >= ends_at_ns
}

fn now_ns() -> u64 {
    let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists, and the call may be made in a handler.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A moment on the clock that handlers read; `u64::MAX` is never.
pub(super) fn nanoseconds_of(moment: Option<Instant>) -> u64 {
    let Some(moment) = moment else { return u64::MAX };
    let left = moment.saturating_duration_since(Instant::now()).as_nanos();
    now_ns().saturating_add(u64::try_from(left).unwrap_or(u64::MAX))
}
