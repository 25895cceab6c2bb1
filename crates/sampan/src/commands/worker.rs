//! `sampan worker`, which nobody types: the processes of sealed functions, started by `sampan serve`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use node::sealed::work;

use crate::authorities;
use crate::report::Report;

/// Variables of the environment that say how to speak, whom to trust and where libraries are. All others may be secrets.
const KEPT: [&str; 5] = ["NO_COLOR", "TERM", "RUST_BACKTRACE", "LD_LIBRARY_PATH", authorities::VARIABLE];

/// Run functions, as standard input says
#[derive(Args)]
pub(crate) struct Worker {}

/// The command that starts it: this binary, wherever it is by now.
pub(crate) fn command() -> Command {
    let mut command = Command::new("/proc/self/exe");
    let kept = KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.arg0("sampan").arg("worker").env_clear().envs(kept);
    command
}

impl Worker {
    /// Works until nobody asks any more.
    pub(crate) fn execute(self) -> Result<i32, Report> {
        // Else who looks at processes sees the name of the link that it was started by. It is a name: nothing depends on it.
        let _ = rustix::thread::set_name(c"sampan");
        work(authorities::trusted()?).map(|()| 0).map_err(|error| Report::from_error(&error))
    }
}
