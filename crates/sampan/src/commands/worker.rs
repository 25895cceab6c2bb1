//! `sampan worker`, which nobody types: the process of a sealed function, started by `sampan serve`.

use std::ffi::OsString;

use clap::Args;
use engine::sealed::{self, Ending};
use node::sealed::{Ended, Failed, work};

use crate::report::Report;
use crate::{authorities, home};

/// Run one function, as standard input says
#[derive(Args)]
pub(crate) struct Worker {}

/// The command that starts one: this binary, wherever it is by now.
pub(crate) fn command() -> Vec<OsString> {
    ["/proc/self/exe", "worker"].map(OsString::from).to_vec()
}

impl Worker {
    /// Works until nobody asks any more.
    pub(crate) fn execute(self) -> Result<i32, Report> {
        let tools = std::env::var_os("PATH").unwrap_or_default();
        let ended = work(|| home::cache().ok(), &|| home::seal().ok(), authorities::trusted()?, tools);
        match ended.map_err(|error| unable(&error))? {
            Ended::Inside(Ok(())) | Ended::Outside(Ending::LetGo) => Ok(0),
            Ended::Inside(Err(error)) => Err(Report::from_error(&error)),
            Ended::Outside(Ending::Exited(code)) => Ok(code),
            Ended::Outside(ending) => Err(Report::failure(told(&ending))),
        }
    }
}

fn unable(error: &Failed) -> Report {
    let report = Report::from_error(error);
    match error {
        Failed::Sealed(sealed::Error::Refused(layers)) => {
            layers.iter().filter(|layer| layer.is_refused()).fold(report, Report::cause)
        }
        _ => report,
    }
}

/// What the operator reads of the end of a process that should not have ended.
fn told(ending: &Ending) -> String {
    match ending {
        Ending::Memory(bytes) => {
            format!("its process held more than {} MiB, and the kernel ended it", bytes >> 20)
        }
        Ending::Violation(call) => {
            format!("its process was ended: it made the system call `{call}`, which nothing in it needs")
        }
        Ending::Nonsense => "its process was ended: it lied to its supervisor".to_owned(),
        Ending::Signal(signal) => format!("its process was ended by signal {signal}"),
        ending => format!("its process was ended: {ending:?}"),
    }
}
