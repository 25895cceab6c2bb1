//! What all instances that may reach each other share: limits, and what runs now.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::{mem, ptr};

use crate::abi::Header;
use crate::platform::Platform;

/// What the instances of a store may use up together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of all memories.
    pub memory_bytes_max: usize,
    /// Of all tables.
    pub table_elements_max: usize,
    /// Below where the outermost call begins. Where no page guards its end, the stack must have [`FRAME_BYTES_MAX`] more
    /// twice, for a function that finds just enough and one that it calls, and what functions of the host and of the
    /// compiler need.
    ///
    /// [`FRAME_BYTES_MAX`]: crate::abi::FRAME_BYTES_MAX
    pub stack_bytes_max: usize,
}

/// What all instances that may reach each other share.
#[repr(C)]
pub struct Store {
    /// Native code reads it: a frame that begins below overflows the stack.
    pub(crate) stack_limit: usize,
    /// The innermost call into native code.
    pub(crate) activation: *mut Activation,
    pub(crate) instances: *mut Header,
    pub(crate) platform: &'static dyn Platform,
    pub(crate) limits: Limits,
    interrupted: *const AtomicUsize,
}

/// Where native code was stopped by a trap, and by what its callers are found: registers, as a debugger names them.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// In the instruction that trapped.
    pub program_counter: usize,
    /// The stack pointer.
    pub stack: usize,
    /// The frame pointer, which may hold anything else.
    pub frame: usize,
    /// The link register; 0 where that holds nothing any more.
    pub link: usize,
    /// Where the frames of native code end.
    pub stack_end: usize,
}

/// Calls into native code that go on later, on a stack of their own.
#[derive(Debug)]
pub struct Parked {
    activation: *mut Activation,
    stack_limit: usize,
}

/// A call into native code that has not ended: what is needed to end it from anywhere inside.
#[repr(C)]
#[derive(Debug)]
pub struct Activation {
    /// The stack pointer below which lies everything that must be restored.
    pub(crate) stack: usize,
    pub(crate) store: *mut Store,
}

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Store").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Store {
    /// A store without instances, which must not be moved once it has any. Native code stops as soon as it can when
    /// `interrupted` is not 0.
    ///
    /// # Safety
    /// `interrupted` is null or lives as long as the store.
    pub const unsafe fn new(
        platform: &'static dyn Platform,
        limits: Limits,
        interrupted: *const AtomicUsize,
    ) -> Self {
        Self {
            stack_limit: 0,
            activation: ptr::null_mut(),
            instances: ptr::null_mut(),
            platform,
            limits,
            interrupted,
        }
    }

    /// What may still be used up.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Takes the calls that run now out of the way, for their stack to be left.
    pub fn park(&mut self) -> Parked {
        self.platform.activate(ptr::null_mut());
        Parked {
            activation: mem::replace(&mut self.activation, ptr::null_mut()),
            stack_limit: mem::replace(&mut self.stack_limit, 0),
        }
    }

    /// The calls that were parked run again, on this thread.
    pub fn unpark(&mut self, parked: &Parked) {
        self.platform.activate(parked.activation);
        self.activation = parked.activation;
        self.stack_limit = parked.stack_limit;
    }

    /// Tells the platform where native code of the innermost call stopped, which is left next.
    pub(crate) unsafe fn stopped(&self, program_counter: usize, stack: usize, frame: usize, link: usize) {
        // SAFETY: the caller promises that native code was called, and has not ended.
        let stack_end = unsafe { (*self.activation).stack };
        self.platform.stopped(&Stopped { program_counter, stack, frame, link, stack_end });
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        // SAFETY: whoever made the store promised that it lives.
        unsafe { self.interrupted.as_ref() }.is_some_and(|wanted| wanted.load(Ordering::Relaxed) != 0)
    }
}
