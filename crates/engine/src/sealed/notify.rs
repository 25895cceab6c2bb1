//! System calls of one process that another one answers in its place (`seccomp_unotify(2)`).

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use libc::{c_int, c_long, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp, sock_filter, sock_fprog};

use super::system::{check, checked, made};

/// Has the calls of this process, and of what it starts, that `filter` picks out answered through what this returns.
/// That must leave the process: who has it can answer itself.
pub(super) fn intercept(filter: &mut [sock_filter]) -> io::Result<OwnedFd> {
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    let install = |flags: libc::c_ulong| {
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags;
        // SAFETY: the program is as long as it says, and lives until the call returns.
        made(unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        })
    };
    // A signal must not have a call made twice, of which there are many where signals interrupt programs. Kernels before
    // 5.19 cannot keep them away.
    match install(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(0),
        listener => listener,
    }
}

/// Where calls come that were intercepted.
pub(super) struct Listener {
    fd: OwnedFd,
    /// Held by who waits: of several, only one finds what has come.
    waits: Mutex<()>,
}

/// A call that waits for its answer.
pub(super) struct Call {
    id: u64,
    pub(super) number: c_long,
    pub(super) arguments: [u64; 6],
}

impl Listener {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, waits: Mutex::new(()) }
    }

    /// Waits for the next call. `None` when nobody is left to make one.
    pub(super) fn next(&self) -> Option<Call> {
        let _waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut polled = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: there is one entry.
            match checked(unsafe { libc::poll(&mut polled, 1, -1) }) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return None,
                Ok(_) if polled.revents & libc::POLLIN == 0 => return None,
                _ => {}
            }
            // SAFETY: plain data for which zero is a value, and which the kernel wants to be zero.
            let mut told: seccomp_notif = unsafe { mem::zeroed() };
            match self.control(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut told) {
                Ok(_) => {
                    let number = c_long::from(told.data.nr);
                    return Some(Call { id: told.id, number, arguments: told.data.args });
                }
                // Who made it is gone, or was told to do something else.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Answers a call: with what it returns, or the number of an error. Who made it may be gone.
    pub(super) fn answer(&self, call: &Call, answer: Result<i64, c_int>) {
        let (val, error) = answer.map_or_else(|error| (0, -error), |value| (value, 0));
        self.send(seccomp_notif_resp { id: call.id, val, error, flags: 0 });
    }

    /// Has the kernel make the call after all, with whatever its arguments mean by now.
    pub(super) fn go_on(&self, call: &Call) {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        self.send(seccomp_notif_resp { id: call.id, val: 0, error: 0, flags });
    }

    /// Answers a call with a descriptor, which has this number in the process.
    pub(super) fn give(&self, call: &Call, given: BorrowedFd<'_>, number: u32) -> io::Result<()> {
        let mut added = seccomp_notif_addfd {
            id: call.id,
            flags: (libc::SECCOMP_ADDFD_FLAG_SETFD | libc::SECCOMP_ADDFD_FLAG_SEND) as u32,
            srcfd: given.as_raw_fd() as u32,
            newfd: number,
            newfd_flags: libc::O_CLOEXEC as u32,
        };
        self.control(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut added).map(drop)
    }

    fn send(&self, mut answer: seccomp_notif_resp) {
        let _ = self.control(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer);
    }

    fn control<T>(&self, question: libc::Ioctl, about: *mut T) -> io::Result<c_long> {
        // SAFETY: each question is asked about its own structure, which lives until the call returns.
        check(unsafe { libc::ioctl(self.fd.as_raw_fd(), question, about) }.into())
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
