//! `sampan call`: calls a function or chain of a running app, as another function would.

use std::io::Read;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::Client;
use crate::registry;
use crate::report::{Report, print};

/// Call a function or chain of a running app
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan call price '{\"item\": \"tea\", \"count\": 2}'
  sampan call greet world --text
  sampan call thumbnail - < photo.jpg > small.jpg

Without a flag, an input that is JSON is passed as JSON, other text as text, and anything else as bytes.")]
pub(crate) struct Call {
    /// The function or chain
    name: String,

    /// What it is given; `-` reads standard input
    #[arg(default_value = "", hide_default_value = true)]
    input: String,

    /// The app, or its process number [default: the only one that runs]
    #[arg(long)]
    app: Option<String>,

    /// Pass the input as bytes
    #[arg(long, group = "kind")]
    bytes: bool,

    /// Pass the input as text
    #[arg(long, group = "kind")]
    text: bool,

    /// Pass the input as JSON
    #[arg(long, group = "kind")]
    json: bool,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

impl Call {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let running = registry::find(self.app.as_deref())?;
        let client = Client::of(&running.entry)?;
        let input = self.input()?;
        let path = format!("/api/call/{}", utf8_percent_encode(&self.name, NON_ALPHANUMERIC));
        let answer = client.send("POST", &path, self.kind(&input), input)?;
        let is_bytes = answer.content_type() == BYTES;
        let mut output = answer.whole()?;
        if !is_bytes && !output.ends_with(b"\n") {
            output.push(b'\n');
        }
        print(&output)
    }

    fn input(&self) -> Result<Vec<u8>, Report> {
        if self.input != "-" {
            return Ok(self.input.clone().into_bytes());
        }
        let mut input = Vec::new();
        // One byte too many is refused by the node, with the reason.
        let bytes_max = node::limits::CALL_BYTES_MAX as u64 + 1;
        std::io::stdin()
            .lock()
            .take(bytes_max)
            .read_to_end(&mut input)
            .map_err(|error| Report::usage("cannot read standard input").cause(error))?;
        Ok(input)
    }

    fn kind(&self, input: &[u8]) -> &'static str {
        let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok();
        match (self.bytes, self.text, self.json) {
            (true, ..) => BYTES,
            (_, true, _) => TEXT,
            (.., true) => JSON,
            _ if is_json() => JSON,
            _ if str::from_utf8(input).is_ok() => TEXT,
            _ => BYTES,
        }
    }
}
