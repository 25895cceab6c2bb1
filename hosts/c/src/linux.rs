//! Linux: pages and signals.

use core::sync::atomic::{AtomicI32, Ordering};

use rt::Platform;
use rt::linux::Linux;

/// All that an index of 32 bits reaches.
pub(crate) const MEMORY_BYTES_MAX: usize = 4 << 30;
pub(crate) const STACK_BYTES_MAX: usize = 256 << 10;

/// Where everything lies is the kernel's to say.
pub(crate) unsafe fn platform(_: *mut u8, _: usize) -> Option<&'static dyn Platform> {
    Some(Linux::get())
}

/// The thread that runs code of an instance, 0 if none does.
pub(crate) struct Running(AtomicI32);

impl Running {
    pub(crate) const fn new() -> Self {
        Self(AtomicI32::new(0))
    }

    /// Says that this thread does, until [`Running::leave`] is told what this returned.
    pub(crate) fn enter(&self) -> i32 {
        self.0.swap(Linux::this_thread(), Ordering::SeqCst)
    }

    pub(crate) fn leave(&self, before: i32) {
        self.0.store(before, Ordering::Release);
    }

    /// Makes it look whether it is to stop. False if none runs.
    pub(crate) fn look(&self) -> bool {
        match self.0.load(Ordering::SeqCst) {
            0 => false,
            thread => {
                Linux::look(thread);
                true
            }
        }
    }
}

pub(crate) fn abort() -> ! {
    // SAFETY: the call has no conditions.
    unsafe { libc::abort() }
}
