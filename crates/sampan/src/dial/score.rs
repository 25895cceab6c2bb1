//! Three numbers from 0 to 1 for each contestant: the dial.
//!
//! What costs is compared with the least that anybody paid: 1 for the least, a third less for each factor of ten more.

use serde::Serialize;

use super::contest::Measured;
use super::stats::Spread;

/// Factors of ten between the most and the least that a cost can score.
const DECADES: f64 = 3.0;

/// How well a contestant does in each of the three.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Scores {
    pub(crate) performance: Spread,
    pub(crate) efficiency: Spread,
    pub(crate) isolation: Spread,
}

impl Scores {
    /// The three in the order of the table, with their names.
    pub(crate) fn named(&self) -> [(&'static str, Spread); 3] {
        [("performance", self.performance), ("efficiency", self.efficiency), ("isolation", self.isolation)]
    }
}

/// The scores of each; `None` for one of whom something is not known.
pub(crate) fn scores(measured: &[Measured]) -> Vec<Option<Scores>> {
    let instances = common_instances(measured);
    let work: Vec<_> = measured.iter().map(work).collect();
    let start: Vec<_> = measured.iter().map(start).collect();
    let memory: Vec<_> = measured.iter().map(|one| memory(one, instances?)).collect();
    let (work, start, memory) = (compared(&work), compared(&start), compared(&memory));
    let one = |index: usize| -> Option<Scores> {
        let (start, memory) = (start[index]?, memory[index]?);
        let layers = measured[index].layers.len();
        let isolation = measured[index].standing() as f64 / layers.max(1) as f64;
        Some(Scores {
            performance: work[index]?,
            efficiency: Spread {
                median: (start.median + memory.median) / 2.0,
                low: (start.low + memory.low) / 2.0,
                high: (start.high + memory.high) / 2.0,
            },
            isolation: exactly(isolation),
        })
    };
    (0..measured.len()).map(one).collect()
}

/// What the program itself takes: a whole run, or an answer.
pub(crate) fn work(measured: &Measured) -> Option<Spread> {
    measured.call.or(measured.run.cached)
}

/// What the start of one more instance takes: where they share a process, no process is started.
pub(crate) fn start(measured: &Measured) -> Option<Spread> {
    if measured.shares { measured.start.warm } else { measured.start.cached }
}

/// The largest number of instances with which everybody was measured of whom any memory is known.
pub(crate) fn common_instances(measured: &[Measured]) -> Option<u32> {
    let known = |one: &Measured, instances: u32| memory(one, instances).is_some();
    let of_any =
        measured.iter().flat_map(|one| one.memory.iter().filter(|memory| memory.bytes_each.is_some()));
    let counts = of_any.map(|memory| memory.instances);
    let with_memory = |one: &&Measured| one.memory.iter().any(|memory| memory.bytes_each.is_some());
    counts.filter(|&count| measured.iter().filter(with_memory).all(|one| known(one, count))).max()
}

/// What each of so many instances holds.
pub(crate) fn memory(measured: &Measured, instances: u32) -> Option<Spread> {
    let found = measured.memory.iter().find(|memory| memory.instances == instances)?;
    found.bytes_each.map(exactly)
}

fn exactly(value: f64) -> Spread {
    Spread { median: value, low: value, high: value }
}

fn compared(costs: &[Option<Spread>]) -> Vec<Option<Spread>> {
    let least = costs.iter().flatten().map(|cost| cost.median).fold(f64::INFINITY, f64::min);
    let score = |cost: f64| (1.0 - (cost / least).log10() / DECADES).clamp(0.0, 1.0);
    costs.iter().map(|cost| cost.map(|cost| cost.map(score))).collect()
}
