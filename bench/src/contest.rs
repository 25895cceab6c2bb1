//! The contest: every contestant of a benchmark runs once per round, so that whatever else the machine does strikes
//! all of them alike.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::stats::{median, spread};

/// A contestant that has used this much time runs in no more than [`ROUNDS_MIN`] rounds.
const TIME_ENOUGH: Duration = Duration::from_secs(10);

const ROUNDS_MIN: usize = 3;

/// The names of the two contestants that others are compared with.
pub(crate) const NATIVE: &str = "native";
/// See [`NATIVE`].
pub(crate) const WASMTIME: &str = "Wasmtime";

/// One thing that is measured, and those who do it.
pub(crate) struct Benchmark {
    pub(crate) name: String,
    pub(crate) contestants: Vec<Contestant>,
}

/// One who takes part: its name, and what it does once per round.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut() -> Result<Sample>>,
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) time_ns: f64,
    /// User and system time, of a process of its own.
    pub(crate) cpu_ns: Option<f64>,
    /// Peak memory, of a process of its own.
    pub(crate) memory_bytes: Option<f64>,
}

/// What came of a benchmark.
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
}

/// The medians of one contestant.
pub(crate) struct Row {
    pub(crate) contestant: &'static str,
    pub(crate) rounds: usize,
    pub(crate) time_ns: f64,
    pub(crate) spread_ns: f64,
    pub(crate) cpu_ns: Option<f64>,
    pub(crate) memory_bytes: Option<f64>,
}

impl Row {
    /// Whether it is one of our own profiles.
    pub(crate) fn is_ours(&self) -> bool {
        self.contestant.starts_with("sampan")
    }
}

impl Outcome {
    pub(crate) fn row(&self, contestant: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }
}

/// Lets all contestants run once to warm up, then `rounds` times in turn.
pub(crate) fn run(mut benchmark: Benchmark, rounds: u32) -> Result<Outcome> {
    let name = benchmark.name;
    for contestant in &mut benchmark.contestants {
        (contestant.run)().with_context(|| format!("`{name}` with `{}`", contestant.name))?;
    }
    let count = benchmark.contestants.len();
    let mut samples = vec![Vec::new(); count];
    let mut spent = vec![Duration::ZERO; count];
    for round in 0..rounds as usize {
        // Each round begins with another one: whoever runs behind a heavy neighbour does so only once in a while.
        for index in (0..count).map(|index| (index + round) % count) {
            if round >= ROUNDS_MIN && spent[index] > TIME_ENOUGH {
                continue;
            }
            let contestant = &mut benchmark.contestants[index];
            let start = Instant::now();
            let sample =
                (contestant.run)().with_context(|| format!("`{name}` with `{}`", contestant.name))?;
            spent[index] += start.elapsed();
            samples[index].push(sample);
        }
    }
    let rows = benchmark.contestants.iter().zip(&samples).map(|(who, samples)| row(who.name, samples));
    let rows = rows.collect::<Option<_>>().context("every contestant ran at least once")?;
    Ok(Outcome { name, rows })
}

fn row(contestant: &'static str, samples: &[Sample]) -> Option<Row> {
    let times: Vec<f64> = samples.iter().map(|sample| sample.time_ns).collect();
    Some(Row {
        contestant,
        rounds: samples.len(),
        spread_ns: spread(&times)?,
        time_ns: median(times)?,
        cpu_ns: median(samples.iter().filter_map(|sample| sample.cpu_ns).collect()),
        memory_bytes: median(samples.iter().filter_map(|sample| sample.memory_bytes).collect()),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn contestants_take_turns_after_a_warm_up() {
        let seen = Rc::new(RefCell::new(String::new()));
        let contestant = |name: &'static str| {
            let seen = Rc::clone(&seen);
            let run = move || {
                seen.borrow_mut().push_str(name);
                Ok(Sample { time_ns: 2.0, cpu_ns: None, memory_bytes: Some(3.0) })
            };
            Contestant { name, run: Box::new(run) }
        };
        let benchmark =
            Benchmark { name: "turns".to_owned(), contestants: vec![contestant("a"), contestant("b")] };
        let outcome = run(benchmark, 3).expect("nobody fails");
        assert_eq!(*seen.borrow(), "ababbaab");
        let row = outcome.row("b").expect("b took part");
        assert_eq!((row.rounds, row.time_ns, row.cpu_ns, row.memory_bytes), (3, 2.0, None, Some(3.0)));
    }
}
