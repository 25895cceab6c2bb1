//! The clock of epoch interruption: a thread that advances the epoch of one engine while that engine lives.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::limits::EPOCH_TICK;

/// Ticks until dropped.
pub(crate) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts to advance the epoch of `engine`, once every [`EPOCH_TICK`].
    pub(crate) fn start(engine: &wasmtime::Engine) -> Self {
        let engine = engine.clone();
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let start = Instant::now();
            let mut ticks = 0;
            while stopped.recv_timeout(EPOCH_TICK) == Err(RecvTimeoutError::Timeout) {
                // A busy machine wakes this thread late; the ticks it missed are made up for.
                let due = start.elapsed().as_micros() / EPOCH_TICK.as_micros();
                (ticks..due).for_each(|_| engine.increment_epoch());
                ticks = ticks.max(due);
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // The thread owns nothing that could panic; there is nobody to tell if it did.
            let _ = thread.join();
        }
    }
}
