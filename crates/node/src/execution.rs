//! What happened in a chain: each of its last executions, step by step.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use host::limits::LOG_LINE_BYTES_MAX;
use serde::Serialize;

use crate::limits::EXECUTIONS_MAX;

/// One execution of a chain.
pub struct Execution {
    chain: String,
    id: u128,
    time: SystemTime,
    begun: Instant,
    record: Mutex<Record>,
}

struct Record {
    took: Option<Duration>,
    error: Option<String>,
    steps: Vec<StepRecord>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct StepRecord {
    pub(crate) name: String,
    pub(crate) state: StepState,
    pub(crate) attempts: u32,
    /// Microseconds since the chain began.
    pub(crate) begun_us: Option<u64>,
    pub(crate) ended_us: Option<u64>,
    pub(crate) error: Option<String>,
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// It waits for others.
    Waiting,
    /// It was called.
    Running,
    /// It has a result.
    Done,
    /// It has failed for good.
    Failed,
    /// Its condition did not hold, or all that it waits for was skipped.
    Skipped,
}

/// The last executions of an app's chains.
#[derive(Default)]
pub struct Executions(Mutex<VecDeque<Arc<Execution>>>);

/// An execution at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The chain.
    pub chain: String,
    /// Microseconds since 1970.
    pub time_us: u64,
    /// Microseconds that it took; none while it runs.
    pub took_us: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
    pub(crate) steps: Vec<StepRecord>,
}

impl Execution {
    pub(crate) fn new(chain: &str, id: u128, steps: impl Iterator<Item = String>) -> Self {
        let steps = steps.map(|name| StepRecord {
            name,
            state: StepState::Waiting,
            attempts: 0,
            begun_us: None,
            ended_us: None,
            error: None,
        });
        Self {
            chain: chain.to_owned(),
            id,
            time: SystemTime::now(),
            begun: Instant::now(),
            record: Mutex::new(Record { took: None, error: None, steps: steps.collect() }),
        }
    }

    pub(crate) fn step(&self, index: usize, state: StepState) {
        let now = micros(self.begun.elapsed());
        let mut record = self.record();
        let step = &mut record.steps[index];
        step.state = state;
        match state {
            StepState::Waiting => {}
            StepState::Running => step.begun_us = Some(now),
            StepState::Done | StepState::Failed | StepState::Skipped => step.ended_us = Some(now),
        }
    }

    pub(crate) fn attempt(&self, index: usize) {
        self.record().steps[index].attempts += 1;
    }

    pub(crate) fn error(&self, index: usize, error: &str) {
        self.record().steps[index].error = Some(cut(error));
    }

    pub(crate) fn end(&self, error: Option<String>) {
        let mut record = self.record();
        record.took = Some(self.begun.elapsed());
        record.error = error.as_deref().map(cut);
    }

    /// What is known of it now.
    pub fn trace(&self) -> Trace {
        let record = self.record();
        Trace {
            id: format!("{:032x}", self.id),
            chain: self.chain.clone(),
            time_us: micros(self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            took_us: record.took.map(micros),
            error: record.error.clone(),
            steps: record.steps.clone(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Executions {
    pub(crate) fn push(&self, execution: Arc<Execution>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == EXECUTIONS_MAX {
            all.pop_front();
        }
        all.push_back(execution);
    }

    /// Those that are kept, the latest first.
    pub fn traces(&self) -> Vec<Trace> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().map(|execution| execution.trace()).collect()
    }
}

/// No more of a function's own words than of a line of its log.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LOG_LINE_BYTES_MAX)].to_owned()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
