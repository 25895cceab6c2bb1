//! The time limit of a process that runs one program: when it is over, the process ends.
//!
//! That costs the program nothing, while a check in its loops would about double its run time, and it also
//! ends a program that waits in a call, and one that takes too long to compile.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::report::Report;

/// Given beyond the limit to a program that checks the time itself, to end with a backtrace of its own.
const GRACE: Duration = Duration::from_millis(500);

/// Ends this process when the time is over.
pub(crate) struct Watchdog {
    again: Sender<Duration>,
    limit: Duration,
}

impl Watchdog {
    /// Ends this process with a report of `program` once `limit` is over, counted from now.
    pub(crate) fn start(limit: Duration, program: String) -> Self {
        let (again, restarted) = channel();
        thread::spawn(move || {
            watch(limit, &restarted);
            time_limit(&program, limit).print_and_exit()
        });
        Self { again, limit }
    }

    /// Counts anew, and a little longer: from here on the program checks the limit itself.
    pub(crate) fn stand_by(&self) {
        // The thread listens until it ends the process.
        let _ = self.again.send(self.limit.saturating_add(GRACE));
    }
}

/// Returns when `wait` is over, or the last wait that came instead of it.
fn watch(mut wait: Duration, restarted: &Receiver<Duration>) {
    loop {
        match restarted.recv_timeout(wait) {
            Ok(longer) => wait = longer,
            Err(RecvTimeoutError::Timeout) => return,
            // The watchdog was let go of, and the time still runs.
            Err(RecvTimeoutError::Disconnected) => return thread::sleep(wait),
        }
    }
}

/// What a user reads when the time is over.
pub(crate) fn time_limit(program: &str, limit: Duration) -> Report {
    Report::failure(format!("{program} reached its time limit of {}", humantime::format_duration(limit)))
        .hint("`--timeout` sets the limit")
}
