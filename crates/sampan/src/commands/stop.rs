//! `sampan stop`: ends a running app.

use std::time::Duration;

use clap::Args;

use crate::client::Client;
use crate::registry;
use crate::report::Report;

/// Stop a running app, and wait until it has ended
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan stop          the only app that runs
  sampan stop shop
  sampan stop 4242     by its process number

Requests that were begun are answered first.")]
pub(crate) struct Stop {
    /// The app, or its process number [default: the only one that runs]
    app: Option<String>,
}

/// How long a node may take to end: what it gives to calls that run, and some time to close its files.
const WAIT: Duration = Duration::from_secs(node::limits::GRACE.as_secs() + 20);

impl Stop {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let running = registry::find(self.app.as_deref())?;
        let entry = running.entry.clone();
        Client::of(&entry)?.ask("POST", "/api/stop")?;
        if !running.wait(WAIT) {
            let report = Report::failure(format!("`{}`, process {}, has not ended", entry.app, entry.pid));
            return Err(report.hint(format!("`kill -KILL {}` ends it; what was stored stays", entry.pid)));
        }
        eprintln!("sampan: {}, process {}, has ended", entry.app, entry.pid);
        Ok(())
    }
}
