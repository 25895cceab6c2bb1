//! `sampan serve` as its users meet it: every test writes an app into a directory, serves it with the real binary on a
//! port of its own, and is its client. No test waits without a bound, and none for a time to pass.

mod app;
mod browser;
mod cgi;
mod chains;
mod client;
mod collector;
mod console;
mod endurance;
mod examples;
mod frozen;
mod full;
mod hostile;
mod http;
mod instances;
mod isolation;
mod manifest;
mod middleware;
mod native;
mod neighbour;
mod program;
mod sealed;
mod shared;
mod state;
mod stopping;
mod verbs;
mod watcher;
mod websocket;

use std::time::Duration;

/// No wait of a test takes longer, on however busy a machine: a hang fails instead of stopping all.
const WAIT: Duration = Duration::from_secs(90);
/// The time between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(2);
