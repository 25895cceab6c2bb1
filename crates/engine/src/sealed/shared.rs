//! Memory that two processes share, of which one may be an enemy: words, each of which may change at any moment.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use super::system::{checked, made};

/// Memory that is mapped here, and perhaps in another process.
pub struct Shared {
    words: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: it owns the mapping, and atomic words may be used by any thread.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// As many new words, all zero, and what another process maps them by. Nobody can make them fewer or more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn new(count: usize) -> io::Result<(Self, OwnedFd)> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name ends in a zero.
        let file = File::from(made(unsafe { libc::memfd_create(c"sampan".as_ptr(), flags) }.into())?);
        file.set_len(bytes(count)? as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: it takes no address.
        checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
        let memory = Self::map(file.as_fd(), count)?;
        Ok((memory, file.into()))
    }

    /// Maps words that somebody made who is believed: that they stay as many is not looked at here.
    ///
    /// # Errors
    /// When there are not as many, or they cannot be mapped.
    pub fn map(file: BorrowedFd<'_>, count: usize) -> io::Result<Self> {
        let bytes = bytes(count)?;
        if File::from(file.try_clone_to_owned()?).metadata()?.len() != bytes as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let at = unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { words, count })
    }
}

fn bytes(count: usize) -> io::Result<usize> {
    count.checked_mul(size_of::<AtomicU64>()).ok_or(io::ErrorKind::InvalidInput.into())
}

impl Deref for Shared {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: so many words are mapped, whole pages of them, until this is dropped. Whoever else maps them changes them
        // as atomics change: by whole accesses of the processor, at any time.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.count) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: nobody has the words any more.
        unsafe { libc::munmap(self.words.as_ptr().cast(), self.count * size_of::<AtomicU64>()) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn both_see_the_same_and_nobody_changes_how_much_it_is() {
        let (one, file) = Shared::new(1024).expect("memory");
        let other = Shared::map(file.as_fd(), 1024).expect("the same memory");
        one[7].store(7, Ordering::Relaxed);
        assert_eq!((other[7].load(Ordering::Relaxed), other.len()), (7, 1024));
        assert!(Shared::map(file.as_fd(), 2048).is_err());
        let file = File::from(file);
        assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
        // SAFETY: it takes no address.
        assert!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) } < 0);
    }
}
