//! `sampan logs`: what the functions of a running app say.

use clap::Args;
use clap::builder::PossibleValuesParser;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::client::{Answer, Client};
use crate::registry;
use crate::report::{Report, print};
use crate::table::printable;

/// Show what the functions of a running app say
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan logs                          of the only app that runs
  sampan logs shop -f                  and what comes from now on
  sampan logs --function cart -n 20    the last lines of one function
  sampan logs --level error --json     with time and level")]
pub(crate) struct Logs {
    /// The app, or its process number [default: the only one that runs]
    app: Option<String>,

    /// Only what this function says
    #[arg(long, value_name = "NAME")]
    function: Option<String>,

    /// Only what is at least so grave
    #[arg(long, value_parser = PossibleValuesParser::new(["trace", "debug", "info", "warn", "error"]))]
    level: Option<String>,

    /// Go on with what is said from now on, until the app ends
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines of those there are
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,

    /// Print a JSON object on each line
    #[arg(long)]
    json: bool,
}

impl Logs {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let running = registry::find(self.app.as_deref())?;
        let client = Client::of(&running.entry)?;
        let answer = client.ask("GET", &self.path())?;
        match self.show(answer) {
            // An app that ends breaks off what it says.
            Err(_) if self.follow => Ok(()),
            shown => shown,
        }
    }

    fn path(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut path = "/api/logs?".to_owned();
        let number = self.tail.map(|tail| tail.to_string());
        let follow = self.follow.then(|| "1".to_owned());
        let pairs =
            [("function", &self.function), ("level", &self.level), ("tail", &number), ("follow", &follow)];
        for (name, value) in pairs {
            if let Some(value) = value {
                path += &format!("{name}={}&", encoded(value));
            }
        }
        path
    }

    fn show(&self, mut answer: Answer<'_>) -> Result<(), Report> {
        let mut begun = Vec::new();
        while let Some(piece) = answer.piece()? {
            for line in piece.split_inclusive(|byte| *byte == b'\n') {
                begun.extend_from_slice(line);
                if line.ends_with(b"\n") {
                    self.show_line(&begun)?;
                    begun.clear();
                }
            }
        }
        Ok(())
    }

    fn show_line(&self, line: &[u8]) -> Result<(), Report> {
        let said: Value = serde_json::from_slice(line).unwrap_or_default();
        if let Some(missed) = said["missed"].as_u64() {
            eprintln!("sampan: {missed} lines of log are not shown");
            return Ok(());
        }
        if self.json {
            return print(line);
        }
        let text = |name: &str| printable(said[name].as_str().unwrap_or_default());
        print(format!("{} | {}\n", text("function"), text("text")).as_bytes())
    }
}
