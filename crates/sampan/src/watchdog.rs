//! The time limit of a process that runs one program: when it is over, the process ends.
//!
//! That costs the program nothing, while a check in its loops would cost up to 2.4 times its run time, and it also
//! ends a program that waits in a call, and one that takes too long to compile.

use std::thread;
use std::time::Duration;

use crate::report::Report;

/// Given beyond the limit where the program checks the time itself: it then ends with a backtrace of its own.
const GRACE: Duration = Duration::from_millis(250);

/// Ends this process with a report of `program` once `limit` is over, counted from now.
pub(crate) fn start(limit: Duration, program: String, checks_time_itself: bool) {
    let wait = if checks_time_itself { limit.saturating_add(GRACE) } else { limit };
    thread::spawn(move || {
        thread::sleep(wait);
        time_limit(&program, limit).print_and_exit()
    });
}

/// What a user reads when the time is over.
fn time_limit(program: &str, limit: Duration) -> Report {
    Report::failure(format!("{program} reached its time limit of {}", humantime::format_duration(limit)))
        .hint("`--timeout` sets the limit; `-O interrupt=epoch` also shows where the program was")
}
