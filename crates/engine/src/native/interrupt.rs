//! Ends native code from another thread, at no cost while nobody does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use rt::linux::Linux;

/// Ends the native code of a store from another thread.
#[derive(Clone, Debug)]
pub struct Interrupter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Not 0 if native code is to stop.
    wanted: AtomicUsize,
    /// Which thread runs it, 0 if none does.
    thread: AtomicI32,
}

impl Interrupter {
    pub(super) fn new() -> Self {
        Linux::get();
        Self(Arc::default())
    }

    /// Asks the store's native code to stop, now and whenever it is called later. True if it still runs: a function of the
    /// host cannot be stopped, so ask again until it is false.
    pub fn interrupt(&self) -> bool {
        self.0.wanted.store(1, Ordering::SeqCst);
        match self.0.thread.load(Ordering::SeqCst) {
            0 => false,
            thread => {
                Linux::look(thread);
                true
            }
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::SeqCst) != 0
    }

    pub(super) fn wanted(&self) -> *const AtomicUsize {
        &self.0.wanted
    }

    /// Says that this thread runs the native code, until [`Interrupter::left`] is told what this returned.
    pub(super) fn entered(&self) -> i32 {
        // SAFETY: the call has no conditions.
        self.0.thread.swap(unsafe { libc::gettid() }, Ordering::SeqCst)
    }

    pub(super) fn left(&self, before: i32) {
        self.0.thread.store(before, Ordering::SeqCst);
    }
}
