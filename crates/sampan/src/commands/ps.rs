//! `sampan ps`: the apps that run.

use std::time::{Duration, SystemTime};

use clap::Args;
use serde_json::{Value, json};

use crate::client::Client;
use crate::registry::{self, Running};
use crate::report::{Report, print};
use crate::table;

/// List the apps that run
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan ps
  sampan ps --json | jq '.[].address'")]
pub(crate) struct Ps {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub(crate) fn execute(self) -> Result<(), Report> {
        let all: Vec<Value> = registry::running()?.iter().map(describe).collect();
        if self.json {
            return print(format!("{:#}\n", Value::from(all)).as_bytes());
        }
        let head = ["APP", "VERSION", "PID", "UPTIME", "ADDRESS", "CONSOLE", "CALLS", "FROZEN"];
        let rows = all.iter().map(|app| {
            let text = |name: &str| match &app[name] {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            let uptime = Duration::from_secs(app["uptime_s"].as_u64().unwrap_or_default());
            let uptime = table::rounded(uptime);
            [
                text("app"),
                text("version"),
                text("pid"),
                uptime,
                text("address"),
                text("console"),
                text("calls"),
                text("frozen"),
            ]
        });
        print(table::table(head, rows).as_bytes())
    }
}

/// What is known of a node: what it registered, and what it says itself.
fn describe(running: &Running) -> Value {
    let entry = &running.entry;
    let begun = SystemTime::UNIX_EPOCH + Duration::from_micros(entry.begun_us);
    // A node that does not answer is listed all the same.
    let status = Client::of(entry).and_then(|client| client.status()).ok();
    json!({
        "app": entry.app,
        "version": entry.version,
        "pid": entry.pid,
        "uptime_s": begun.elapsed().unwrap_or_default().as_secs(),
        "address": entry.url,
        "console": entry.console.map(|console| format!("http://{console}")),
        "calls": status.as_ref().map(|status| sum(status, &["answered", "failed", "trapped", "late", "refused"])),
        "frozen": status.as_ref().map(|status| sum(status, &["frozen"])),
        "manifest": entry.manifest,
    })
}

/// What these counts of all functions come to.
fn sum(status: &Value, counts: &[&str]) -> u64 {
    let functions = status["functions"].as_array().into_iter().flatten();
    functions
        .flat_map(|function| counts.iter().map(|count| function[count].as_u64().unwrap_or_default()))
        .sum()
}
