//! What is counted of a function.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The counts of one function since the node began.
pub(crate) struct Stats {
    /// How each call ended, by [`End`].
    ends: [AtomicU64; End::ALL.len()],
    /// Instances that were made.
    instances: AtomicU64,
    /// Microseconds from the admission of a call to its answer.
    latency: Mutex<Histogram<u64>>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer.
    Answered,
    /// With an error of the function's own.
    Failed,
    /// With a trap, or at a limit.
    Trapped,
    /// At its deadline.
    Late,
    /// Before it began: too many were waiting.
    Refused,
}

impl End {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Answered, Self::Failed, Self::Trapped, Self::Late, Self::Refused];

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Trapped => "trapped",
            Self::Late => "late",
            Self::Refused => "refused",
        }
    }
}

/// Latencies above this are counted as this.
const LATENCY_US_MAX: u64 = 3_600_000_000;

impl Stats {
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_US_MAX, 2).expect("sound bounds");
        Self { ends: Default::default(), instances: AtomicU64::new(0), latency: Mutex::new(latency) }
    }

    pub(crate) fn end(&self, end: End, took: Duration) {
        self.ends[end as usize].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(LATENCY_US_MAX).clamp(1, LATENCY_US_MAX);
        self.latency().saturating_record(micros);
    }

    pub(crate) fn instance(&self) {
        self.instances.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn latency(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls ended so.
    pub(crate) fn ended(&self, end: End) -> u64 {
        self.ends[end as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn summary(&self) -> Summary {
        let latency = self.latency();
        let at = |quantile| latency.value_at_quantile(quantile);
        Summary {
            answered: self.ended(End::Answered),
            failed: self.ended(End::Failed),
            trapped: self.ended(End::Trapped),
            late: self.ended(End::Late),
            refused: self.ended(End::Refused),
            instances: self.instances.load(Ordering::Relaxed),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
        }
    }
}

/// The counts at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Calls that ended with an answer.
    pub answered: u64,
    /// Calls that ended with an error of the function's own.
    pub failed: u64,
    /// Calls that ended with a trap, or at a limit.
    pub trapped: u64,
    /// Calls that ended at their deadline.
    pub late: u64,
    /// Calls that were refused because too many were waiting.
    pub refused: u64,
    /// Instances that were made.
    pub instances: u64,
    /// Half of all calls took at most so many microseconds.
    pub p50_us: u64,
    /// Nine of ten calls took at most so many microseconds.
    pub p90_us: u64,
    /// 99 of 100 calls took at most so many microseconds.
    pub p99_us: u64,
}
