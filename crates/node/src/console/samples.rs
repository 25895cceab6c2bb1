//! What the node did in each of the last seconds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::limits::SAMPLES_MAX;
use crate::node::Node;

/// The last seconds of every function, taken once a second.
#[derive(Default)]
pub(super) struct Samples(Mutex<BTreeMap<String, VecDeque<Sample>>>);

/// The counts of a function at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    answered: u64,
    /// Those that ended in any other way.
    unanswered: u64,
}

/// Calls that ended in each second, the latest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    pub(super) answered: Vec<u64>,
    pub(super) unanswered: Vec<u64>,
}

impl Samples {
    /// Takes a sample each second, for ever.
    pub(super) async fn take(&self, node: &Node) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let functions = node.app().functions();
            let mut series = self.series();
            series.retain(|name, _| functions.iter().any(|function| function.name() == name));
            for function in functions {
                let counted = function.summary();
                let unanswered = counted.failed + counted.trapped + counted.late + counted.refused;
                let samples = series.entry(function.name().to_owned()).or_default();
                // One more than there are seconds: each second is the difference of two.
                if samples.len() > SAMPLES_MAX {
                    samples.pop_front();
                }
                samples.push_back(Sample { answered: counted.answered, unanswered });
            }
        }
    }

    /// The last seconds of the function called `name`, or of all together.
    pub(super) fn rates(&self, name: Option<&str>) -> Rates {
        let series = self.series();
        let wanted = series.iter().filter(|(known, _)| name.is_none_or(|name| name == *known));
        let mut rates = Rates { answered: vec![0; SAMPLES_MAX], unanswered: vec![0; SAMPLES_MAX] };
        for (_, samples) in wanted {
            let seconds = samples.iter().zip(samples.iter().skip(1));
            for (place, (before, after)) in (0..SAMPLES_MAX).rev().zip(seconds.rev()) {
                // A function that was replaced counts from the start again.
                rates.answered[place] += after.answered.saturating_sub(before.answered);
                rates.unanswered[place] += after.unanswered.saturating_sub(before.unanswered);
            }
        }
        rates
    }

    fn series(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Sample>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rates {
    /// Calls that ended in each second, in whatever way.
    pub(super) fn total(&self) -> Vec<u64> {
        self.answered
            .iter()
            .zip(&self.unanswered)
            .map(|(answered, unanswered)| answered + unanswered)
            .collect()
    }
}

/// The calls a second over the last few.
pub(super) fn now(seconds: &[u64]) -> f64 {
    const SECONDS: usize = 5;
    let last = &seconds[seconds.len().saturating_sub(SECONDS)..];
    last.iter().sum::<u64>() as f64 / SECONDS as f64
}
