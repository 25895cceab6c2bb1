//! System calls as results: what the layers ask of the kernel where the standard library has no words for it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, c_long, c_void};

/// What a system call returned, or the error that it left behind.
pub(super) fn check(returned: c_long) -> io::Result<c_long> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// As [`check`], for the functions of the C library.
pub(super) fn checked(returned: c_int) -> io::Result<c_int> {
    check(returned.into()).map(|_| returned)
}

/// A descriptor that a system call made just now.
pub(super) fn made(returned: c_long) -> io::Result<OwnedFd> {
    let number = check(returned)? as c_int;
    // SAFETY: the kernel made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor of a process, which can be read when that has ended.
pub(super) fn pidfd(of: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: it takes numbers only.
    made(unsafe { libc::syscall(libc::SYS_pidfd_open, of, 0) })
}

/// Sends a signal to a process, by its descriptor.
pub(super) fn send_signal(to: &OwnedFd, signal: c_int) -> io::Result<()> {
    let info = ptr::null::<c_void>();
    // SAFETY: it takes numbers, and no information beside the signal.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, to.as_raw_fd(), signal, info, 0) }).map(drop)
}

/// `prctl` with an option and one argument.
pub(super) fn control(option: c_int, argument: u64) -> io::Result<c_int> {
    // SAFETY: none of the options used here takes an address.
    checked(unsafe { libc::prctl(option, argument, 0, 0, 0) })
}

/// A file that is in memory only, with this content.
pub(super) fn file_in_memory(name: &CStr, content: &[u8]) -> io::Result<File> {
    // SAFETY: the name ends in a zero.
    let made = made(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) }.into())?;
    let mut file = File::from(made);
    file.write_all(content)?;
    Ok(file)
}

/// A pair of sockets that keeps the bounds of messages.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two descriptors, which nobody else knows of.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        checked(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Waits until one of these can be read, or its other end is closed; for ever without a limit. Says which. A negative
/// number is none. Of the last one only the end is looked at.
pub(super) fn wait_for<const N: usize>(of: [RawFd; N], limit: Option<Duration>) -> io::Result<[bool; N]> {
    let mut polled = of.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    if let Some(last) = polled.last_mut() {
        last.events = libc::POLLRDHUP;
    }
    // Rounded up, so that nobody looks again before the time is over.
    let limit = limit.map_or(-1, |limit| limit.as_micros().div_ceil(1_000).min(c_int::MAX as u128) as c_int);
    // SAFETY: the array has as many entries as it says.
    match checked(unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, limit) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        Err(_) => Ok([false; N]),
        Ok(_) => Ok(polled.map(|entry| entry.revents != 0)),
    }
}
