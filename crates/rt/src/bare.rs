//! A platform of fixed memory: no pages, no faults, no operating system.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::platform::Platform;
use crate::store::Activation;

/// Everything begins at a multiple of this, as vectors and instances want it.
const ALIGNMENT: usize = 16;

/// A range of memory, given out from its start. What was given out last can be given back; the rest stays, as suits
/// firmware, which makes its instances once.
#[derive(Debug)]
pub struct Bare {
    start: *mut u8,
    bytes: usize,
    used: AtomicUsize,
}

// SAFETY: the range is its own, and what it gives out never overlaps.
unsafe impl Sync for Bare {}

impl Bare {
    /// A platform of `bytes` from `start`, which is a multiple of 16.
    ///
    /// # Safety
    /// Nobody else uses the range, ever.
    pub const unsafe fn new(start: *mut u8, bytes: usize) -> Self {
        Self { start, bytes, used: AtomicUsize::new(0) }
    }
}

impl Platform for Bare {
    fn reserve(&self, bytes: usize) -> *mut u8 {
        let next = |used: usize| {
            let end = used.checked_add(bytes)?.checked_next_multiple_of(ALIGNMENT)?;
            (end <= self.bytes).then_some(end)
        };
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            // SAFETY: what was used lies in the range.
            Ok(used) => unsafe { self.start.add(used) },
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn commit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the caller promises that the bytes are reserved; they may have been another's before.
        unsafe { start.write_bytes(0, bytes) };
        true
    }

    unsafe fn release(&self, start: *mut u8, bytes: usize) {
        let at = start as usize - self.start as usize;
        let end = (at + bytes).next_multiple_of(ALIGNMENT);
        let _ = self.used.compare_exchange(end, at, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn activate(&self, _: *mut Activation) -> *mut Activation {
        // Nothing faults.
        ptr::null_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(16))]
    struct Room([u8; 64]);

    #[test]
    fn memory_is_given_out_once_and_zeroed() {
        let mut room = Room([1; 64]);
        let start = room.0.as_mut_ptr();
        // SAFETY: the room is used by the platform only, and its parts as the platform asks for.
        unsafe {
            let bare = Bare::new(start, 64);
            let first = bare.reserve(20);
            assert_eq!((first, bare.reserve(64)), (start, ptr::null_mut()));
            assert!(bare.commit(first, 20));
            assert_eq!((*first, *first.add(19), *first.add(20)), (0, 0, 1));
            let second = bare.reserve(32);
            assert_eq!(second, start.add(32));
            assert!(bare.reserve(1).is_null() && bare.reserve(usize::MAX).is_null());
            // The first is not the last one, so that it stays.
            bare.release(first, 20);
            assert!(bare.reserve(1).is_null());
            bare.release(second, 32);
            assert_eq!(bare.reserve(1), second);
        }
    }
}
