//! Linux: pages by `mmap`, faults by signals.

mod faults;
mod pages;
mod registers;
mod thread;

use crate::platform::Platform;
use crate::store::Activation;

/// The platform of Linux.
#[derive(Debug)]
pub struct Linux(());

impl Linux {
    /// The one there is; the first call installs the handlers of faults.
    pub fn get() -> &'static Self {
        faults::install();
        &Self(())
    }

    /// The thread that this is, as [`Linux::look`] takes it; 0 if nothing can be known of it.
    pub fn this_thread() -> libc::pid_t {
        thread::number()
    }

    /// Makes a thread look whether its native code is to stop. That may be too early, while a function of the host runs:
    /// ask again until the code has ended.
    pub fn look(thread: libc::pid_t) {
        // SAFETY: the handler is installed, and ignores what is not meant for it.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, faults::INTERRUPT) };
    }
}

impl Platform for Linux {
    fn reserve(&self, bytes: usize) -> *mut u8 {
        pages::reserve(bytes)
    }

    unsafe fn commit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: as the trait asks for.
        unsafe { pages::commit(start, bytes) }
    }

    unsafe fn release(&self, start: *mut u8, bytes: usize) {
        // SAFETY: as the trait asks for.
        unsafe { pages::release(start, bytes) }
    }

    fn activate(&self, activation: *mut Activation) -> *mut Activation {
        thread::activate(activation)
    }
}
