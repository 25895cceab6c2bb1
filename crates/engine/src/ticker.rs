//! The clock of epoch interruption: a thread that advances the epoch of one engine while that engine lives.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::limits::EPOCH_TICK;

/// A clock that may rest goes on for so long after the last call: calls that follow each other do not wake it each time.
const REST_AFTER: Duration = Duration::from_millis(100);

/// Ticks until dropped.
pub(crate) struct Ticker {
    clock: Arc<Clock>,
    /// Not there before it has something to do: an engine that is made before its process is copied has no thread.
    pub(crate) thread: OnceLock<JoinHandle<()>>,
}

struct Clock {
    engine: wasmtime::Engine,
    rests: bool,
    /// Calls that run.
    running: AtomicUsize,
    resting: AtomicBool,
    stopped: Mutex<bool>,
    changed: Condvar,
}

/// While it lives, the clock of its engine does not rest.
pub struct Busy(Option<Arc<Clock>>);

impl Ticker {
    /// Advances the epoch of `engine`, once every [`EPOCH_TICK`], from its [start](Self::start) on, or its first [`Busy`]; one
    /// that `rests` does so only while there is a [`Busy`].
    pub(crate) fn new(engine: &wasmtime::Engine, rests: bool) -> Self {
        let clock = Arc::new(Clock {
            engine: engine.clone(),
            rests,
            running: AtomicUsize::new(0),
            resting: AtomicBool::new(false),
            stopped: Mutex::new(false),
            changed: Condvar::new(),
        });
        Self { clock, thread: OnceLock::new() }
    }

    pub(crate) fn start(&self) {
        self.thread.get_or_init(|| {
            let clock = Arc::clone(&self.clock);
            thread::spawn(move || clock.run())
        });
    }

    pub(crate) fn busy(&self) -> Busy {
        Busy(self.clock.rests.then(|| {
            self.start();
            self.clock.running.fetch_add(1, Ordering::SeqCst);
            if self.clock.resting.load(Ordering::SeqCst) {
                drop(self.clock.stopped());
                self.clock.changed.notify_one();
            }
            Arc::clone(&self.clock)
        }))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            clock.running.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Clock {
    fn stopped(&self) -> MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        // Whoever starts a clock has something to do soon, and to wake it takes a while.
        while self.tick() && self.rest() {}
    }

    /// Ticks until there is reason to rest; `false` at the end.
    fn tick(&self) -> bool {
        let start = Instant::now();
        let (mut ticks, mut ran) = (0, start);
        let mut stopped = self.stopped();
        while !*stopped {
            stopped =
                self.changed.wait_timeout(stopped, EPOCH_TICK).unwrap_or_else(PoisonError::into_inner).0;
            // A busy machine wakes this thread late; the ticks it missed are made up for.
            let due = start.elapsed().as_micros() / EPOCH_TICK.as_micros();
            (ticks..due).for_each(|_| self.engine.increment_epoch());
            ticks = ticks.max(due);
            if self.rests {
                if self.running.load(Ordering::SeqCst) > 0 {
                    ran = Instant::now();
                } else if ran.elapsed() > REST_AFTER {
                    return true;
                }
            }
        }
        false
    }

    /// Waits for a call; `false` at the end.
    fn rest(&self) -> bool {
        let mut stopped = self.stopped();
        // Whoever begins a call counts it first and then looks here; whoever is not seen here sees this.
        self.resting.store(true, Ordering::SeqCst);
        while !*stopped && self.running.load(Ordering::SeqCst) == 0 {
            stopped = self.changed.wait(stopped).unwrap_or_else(PoisonError::into_inner);
        }
        self.resting.store(false, Ordering::SeqCst);
        !*stopped
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.clock.stopped() = true;
        self.clock.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread owns nothing that could panic; there is nobody to tell if it did.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_to(clock: &Clock, resting: bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while clock.resting.load(Ordering::SeqCst) != resting {
            assert!(Instant::now() < end, "it is not resting = {resting}");
            thread::sleep(EPOCH_TICK);
        }
    }

    #[test]
    fn a_clock_rests_when_nothing_runs() {
        let ticker = Ticker::new(&wasmtime::Engine::default(), true);
        assert!(ticker.thread.get().is_none(), "there is nothing to do yet");
        drop(ticker.busy());
        for _ in 0..3 {
            comes_to(&ticker.clock, true);
            let busy = ticker.busy();
            comes_to(&ticker.clock, false);
            thread::sleep(2 * REST_AFTER);
            assert!(!ticker.clock.resting.load(Ordering::SeqCst));
            drop(busy);
        }
        // It ends from its rest, and from its work.
        comes_to(&ticker.clock, true);
        drop(ticker);
        let ticker = Ticker::new(&wasmtime::Engine::default(), true);
        let _busy = ticker.busy();
        drop(ticker);
    }

    #[test]
    fn a_clock_that_does_not_rest_goes_on() {
        let ticker = Ticker::new(&wasmtime::Engine::default(), false);
        ticker.start();
        thread::sleep(2 * REST_AFTER);
        assert!(!ticker.clock.resting.load(Ordering::SeqCst));
    }
}
