//! A sealed process that nobody needs just now: it is stopped, and the system takes what it can of its memory.
//!
//! It is stopped by `SIGSTOP`, which no process can refuse, and goes on by `SIGCONT`, which no other in its namespace may send.
//! What it wrote to and nobody else has is paged out, where there is somewhere to put it; the kernel allows that to root only.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::{c_void, iovec};

use super::system::{check, send_signal};

/// Ranges that the kernel is told of at once.
const RANGES_MAX: usize = 64;

/// Stops a process, and lets it go on.
pub struct Freezer {
    pid: i32,
    process: OwnedFd,
    is_frozen: AtomicBool,
    /// Whose signal comes last must be whose word does.
    turning: Mutex<()>,
}

impl Freezer {
    pub(super) fn new(pid: i32, process: OwnedFd) -> Self {
        Self { pid, process, is_frozen: AtomicBool::new(false), turning: Mutex::default() }
    }

    /// Stops the process, wherever it is, unless somebody needs it. Who does makes that be seen (`SeqCst`), and calls
    /// [`thaw`](Self::thaw) after that: so one of both sees the other. Whether it is stopped.
    pub fn freeze(&self, is_needed: impl FnOnce() -> bool) -> bool {
        let _turning = self.turning();
        // Who needs it has not come so far yet.
        if self.is_frozen() {
            return true;
        }
        self.is_frozen.store(true, Ordering::SeqCst);
        let is_stopped = !is_needed() && send_signal(&self.process, libc::SIGSTOP).is_ok();
        self.is_frozen.store(is_stopped, Ordering::SeqCst);
        is_stopped
    }

    /// Lets it go on, if it is stopped. Whether it was.
    pub fn thaw(&self) -> bool {
        if !self.is_frozen() {
            return false;
        }
        let _turning = self.turning();
        let was_frozen = self.is_frozen.swap(false, Ordering::SeqCst);
        // One that has ended does not go on, which whoever asks it will see.
        was_frozen && send_signal(&self.process, libc::SIGCONT).is_ok()
    }

    /// Whether it is stopped, or about to be.
    pub fn is_frozen(&self) -> bool {
        self.is_frozen.load(Ordering::SeqCst)
    }

    fn turning(&self) -> MutexGuard<'_, ()> {
        self.turning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the system take the memory of the process, as long as it is stopped. How many bytes it looked at.
    ///
    /// # Errors
    /// When the kernel does not do that for this process, or the other has ended.
    pub fn page_out(&self) -> io::Result<usize> {
        // The number may be another's by now; the descriptor is not.
        let maps = BufReader::new(File::open(format!("/proc/{}/maps", self.pid))?);
        let ranges = maps.lines().map_while(Result::ok).filter_map(|line| private(&line));
        let ranges: Vec<iovec> = ranges.collect();
        let mut bytes = 0;
        for some in ranges.chunks(RANGES_MAX).take_while(|_| self.is_frozen()) {
            let process = self.process.as_raw_fd();
            // SAFETY: the ranges are those of the other process, and what is there stays as it is.
            let seen = unsafe {
                let (first, count) = (some.as_ptr(), some.len());
                libc::syscall(libc::SYS_process_madvise, process, first, count, libc::MADV_PAGEOUT, 0)
            };
            bytes += check(seen)? as usize;
        }
        Ok(bytes)
    }
}

/// A range that the process may have written to alone, of a line that tells of any.
fn private(line: &str) -> Option<iovec> {
    let mut fields = line.split_ascii_whitespace();
    let (range, permissions) = (fields.next()?, fields.next()?);
    // What the kernel lends it is not its own.
    if permissions.get(..2) != Some("rw") || !permissions.ends_with('p') || line.ends_with("[vvar]") {
        return None;
    }
    let (begins, ends) = range.split_once('-')?;
    let [begins, ends] = [begins, ends].map(|number| usize::from_str_radix(number, 16));
    let (begins, ends) = (begins.ok()?, ends.ok()?);
    Some(iovec { iov_base: begins as *mut c_void, iov_len: ends.checked_sub(begins)? })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sealed::system::pidfd;

    /// A process that waits for its input to end.
    fn waiting() -> (Child, Freezer) {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("`cat`");
        let pid = child.id() as i32;
        let freezer = Freezer::new(pid, pidfd(pid).expect("it is there"));
        comes_to_be(&child, 'S');
        (child, freezer)
    }

    fn state(child: &Child) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("it is there");
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).expect("a state")
    }

    #[track_caller]
    fn comes_to_be(child: &Child, wanted: char) {
        let begun = Instant::now();
        while state(child) != wanted {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", state(child));
            thread::yield_now();
        }
    }

    #[test]
    fn a_process_stops_and_goes_on() {
        let (mut child, freezer) = waiting();
        assert!(!freezer.freeze(|| true) && !freezer.is_frozen() && !freezer.thaw());
        assert_eq!(freezer.page_out().ok(), Some(0));
        assert!(freezer.freeze(|| false));
        comes_to_be(&child, 'T');
        // Who is not root may not.
        match freezer.page_out() {
            Ok(bytes) => assert!(bytes > 0),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
        assert!(freezer.thaw() && !freezer.thaw());
        comes_to_be(&child, 'S');
        assert!(freezer.freeze(|| false));
        child.kill().and_then(|()| child.wait()).expect("it ends");
        assert!(!freezer.thaw() && !freezer.freeze(|| false));
    }

    #[test]
    fn nobody_who_needs_a_process_finds_it_stopped() {
        let (mut child, freezer) = waiting();
        let (needed, frozen, is_over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let found = thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let is_frozen = freezer.freeze(|| needed.load(Ordering::SeqCst) > 0);
                    frozen.fetch_add(is_frozen.into(), Ordering::Relaxed);
                }
            });
            let (begun, mut round) = (Instant::now(), 0);
            // Nobody waits for it to go on: it must do so at once.
            let found = loop {
                needed.fetch_add(1, Ordering::SeqCst);
                freezer.thaw();
                let state = state(&child);
                needed.fetch_sub(1, Ordering::SeqCst);
                round += 1;
                let is_enough = round > 20_000 && frozen.load(Ordering::Relaxed) > 100;
                if state == 'T' || is_enough || begun.elapsed() > Duration::from_secs(60) {
                    break state;
                }
                thread::yield_now();
            };
            is_over.store(true, Ordering::Relaxed);
            found
        });
        assert!(found != 'T' && frozen.into_inner() > 100, "{found}");
        child.kill().and_then(|()| child.wait()).expect("it ends");
    }

    #[test]
    fn only_what_a_process_has_alone_is_taken() {
        let lengths = |lines: &str| -> Vec<usize> {
            lines.lines().filter_map(private).map(|range| range.iov_len).collect()
        };
        assert_eq!(
            lengths(
                "1000-3000 rw-p 00000000 00:00 0                          [heap]\n\
                 3000-4000 r--p 00000000 fe:00 7                          /bin/cat\n\
                 4000-5000 rw-s 00000000 00:01 8                          /memfd:line (deleted)\n\
                 5000-9000 rw-p 00004000 fe:00 7                          /bin/cat\n\
                 9000-a000 rw-p 00000000 00:00 0                          [vvar]\n\
                 nonsense"
            ),
            [0x2000, 0x4000]
        );
    }
}
