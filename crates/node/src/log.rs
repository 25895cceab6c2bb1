//! What functions say: the last lines of each, and new ones as they come.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use host::bindings::{Context, Level, Record};
use host::limits::LOG_LINE_BYTES_MAX;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::limits::{FAULT_EVERY, LOG_LINES_MAX, LOG_LINES_WAITING_MAX};

/// One line of a log.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Microseconds since 1970.
    pub time_us: u64,
    /// The function that said it.
    pub function: String,
    /// How grave it is: `trace`, `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// Its text.
    pub text: String,
    /// What the function told beside it; only a collector asks for that.
    #[serde(skip)]
    pub(crate) context: Option<Arc<Context>>,
}

/// The log of an app.
pub struct Logs {
    kept: Mutex<VecDeque<Line>>,
    live: broadcast::Sender<Line>,
}

/// One function's way into the log.
#[derive(Clone)]
pub(crate) struct FunctionLog {
    logs: Arc<Logs>,
    function: String,
    /// When a failure of the machine was said last.
    fault: Arc<Mutex<Option<Instant>>>,
}

impl Logs {
    pub(crate) fn new() -> Arc<Self> {
        let (live, _) = broadcast::channel(LOG_LINES_WAITING_MAX);
        Arc::new(Self { kept: Mutex::new(VecDeque::new()), live })
    }

    /// The lines that are kept, the oldest first.
    pub fn kept(&self) -> Vec<Line> {
        self.lines().iter().cloned().collect()
    }

    /// The lines that come from now on.
    pub fn follow(&self) -> broadcast::Receiver<Line> {
        self.live.subscribe()
    }

    /// Both, with no line lost or doubled between them.
    pub fn kept_and_live(&self) -> (Vec<Line>, broadcast::Receiver<Line>) {
        let lines = self.lines();
        (lines.iter().cloned().collect(), self.live.subscribe())
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<Line>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Line) {
        let mut lines = self.lines();
        // Nobody may be listening.
        let _ = self.live.send(line.clone());
        if lines.len() == LOG_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

impl FunctionLog {
    pub(crate) fn new(logs: Arc<Logs>, function: &str) -> Self {
        Self { logs, function: function.to_owned(), fault: Arc::default() }
    }

    fn push(&self, level: Level, text: &str, context: Option<Arc<Context>>) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.logs.push(Line {
            time_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
            function: self.function.clone(),
            level: name(level),
            text: text[..text.floor_char_boundary(LOG_LINE_BYTES_MAX)].to_owned(),
            context,
        });
    }
}

impl host::bindings::Log for FunctionLog {
    fn line(&self, level: Level, text: &str) {
        self.push(level, text, None);
    }

    /// Text is shown as it is, anything else as JSON.
    fn record(&self, record: Record) {
        let text = serde_json::from_str(&record.body).unwrap_or(record.body);
        self.push(record.level, &text, Some(Arc::new(record.context)));
    }

    /// The first of them, and one from time to time: while a disk is full, every write fails.
    fn fault(&self, text: &str) {
        let mut said = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= FAULT_EVERY) {
            *said = Some(Instant::now());
            drop(said);
            self.push(Level::Error, text, None);
        }
    }
}

/// The names of levels, the least grave first.
pub(crate) const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

fn name(level: Level) -> &'static str {
    LEVELS[level as usize]
}
