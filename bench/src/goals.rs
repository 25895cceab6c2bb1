//! What the project promises of these numbers: each promise is held or missed.

use crate::contest::{NATIVE, Outcome, Row, WASMTIME};

/// Microseconds in which a pooled instance is there.
const INSTANTIATE_US_MAX: f64 = 10.0;

/// The least ratio that is a loss: it would be printed as 1.01.
pub(crate) const LOSS: f64 = 1.005;

/// A promise and what became of it.
pub(crate) struct Verdict {
    pub(crate) goal: String,
    pub(crate) measured: String,
    pub(crate) held: bool,
}

/// The promises that these outcomes decide.
pub(crate) fn verdicts(outcomes: &[Outcome]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = GEOMEANS.iter().filter_map(|goal| geomean(goal, outcomes)).collect();
    for outcome in outcomes {
        verdicts.extend(at_most(outcome));
        let Some(ours) = outcome.row("sampan dense") else { continue };
        if let Some(wasmtime) = outcome.row(WASMTIME) {
            verdicts.extend(never_slower(&outcome.name, ours, wasmtime));
        }
        if outcome.name.starts_with("instantiate") {
            let us = ours.time_ns / 1e3;
            verdicts.push(Verdict {
                goal: format!("{}: within {INSTANTIATE_US_MAX} µs", outcome.name),
                measured: format!("{us:.1} µs"),
                held: us <= INSTANTIATE_US_MAX,
            });
        }
    }
    verdicts
}

/// Goals of all programs that compute: the work takes at most so many times what it takes native code, as a geometric mean
/// and in each of them.
const GEOMEANS: [(&str, f64, f64); 5] = [
    ("sampan native code", 1.03, 1.25),
    ("sampan native code, relaxed, this cpu", 0.97, f64::INFINITY),
    ("sampan native code, relaxed, this cpu, canonical", 0.97, f64::INFINITY),
    ("sampan native code, checked", 1.20, f64::INFINITY),
    ("sampan native code, masked", 1.03, f64::INFINITY),
];

fn geomean(&(contestant, goal, worst_max): &(&str, f64, f64), outcomes: &[Outcome]) -> Option<Verdict> {
    let of = outcomes.iter().filter_map(|outcome| Some((outcome.name.strip_prefix("compute ")?, outcome)));
    let ratio = |(name, outcome): (_, &Outcome)| {
        Some((name, outcome.row(contestant)?.time_ns / outcome.row(NATIVE)?.time_ns))
    };
    let ratios: Vec<(&str, f64)> = of.filter_map(ratio).collect();
    let mean = (ratios.iter().map(|(_, ratio)| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let (name, worst) = ratios.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let each = if worst_max.is_finite() { format!(", and {worst_max} × in each") } else { String::new() };
    Some(Verdict {
        goal: format!("compute, {} programs: `{contestant}` at most {goal} × `{NATIVE}`{each}", ratios.len()),
        measured: format!("{mean:.3}, {name} {worst:.2}"),
        held: mean <= goal && *worst <= worst_max,
    })
}

/// Goals of single rows: the benchmark's name begins so, this contestant takes at most so many times what that one takes.
const RATIOS: [(&str, &str, f64, &str); 8] = [
    ("compile ", "sampan native code", 1.3, "clang -O3, the same IR"),
    ("compute ", "sampan sealed", 1.02, "sampan dense"),
    ("interruption, ", "interrupt=signal", 1.01, "interrupt=none"),
    ("HTTP hello, 32 connections: server", "sampan dense", 3.6, NATIVE),
    ("HTTP hello, 32 connections: server", "sampan dense", 0.75, WASMTIME),
    ("HTTP hello, 32 connections: server", "sampan dense, reused", 2.0, NATIVE),
    ("HTTP hello, 32 connections: server", "sampan dense, WASI 0.3", 4.5, NATIVE),
    ("HTTP hello, 32 connections: server", "sampan dense, WASI 0.3, reused", 2.7, NATIVE),
];

/// Goals of single rows: the benchmark's name begins so, and this contestant does at least so many times as much as that one.
const RATES: [(&str, &str, f64, &str); 2] = [
    ("a durable put", "64 writers", 30.0, "1 writer"),
    ("from a request to the first", "sampan sealed, its process died", 5.0, "runc, `date`"),
];

/// Goals of single rows: the benchmark's name begins so, and this contestant takes at most so many microseconds.
const TIMES_US: [(&str, &str, f64); 13] = [
    ("from a request to the first", "sampan sealed, its process died", 5_000.0),
    ("from a request to the first", "sampan sealed, its process died, one stands by", 200.0),
    ("a call of another function", "sampan sealed", 15.0),
    ("how late a program is stopped", "a loop", 200.0),
    ("how late a program is stopped", "calls of the host", 200.0),
    ("how late a program is stopped", "fills of 1 MiB", 200.0),
    ("HTTP hello: from the start", "sampan dense", 6_000.0),
    ("HTTP hello: the first answer", "sampan dense", 600.0),
    ("HTTP hello, 32 connections, beside bad neighbours", "sampan dense", 10_000.0),
    ("sampan:chain call", "sampan dense", 5.0),
    ("a chain of 100 stages", "sampan dense", 1_000.0),
    ("wasi:http to a function of the app", "sampan dense", 60.0),
    ("wasi:keyvalue get", "sampan dense", 3.0),
];

/// Goals of single rows: the benchmark's name begins so, and this contestant takes at most so many kilobytes.
const MEMORIES_KB: [(&str, &str, f64); 2] = [
    ("10,000 live instances", "sampan dense", 100.0),
    ("a sealed function that nobody asks", "sampan sealed", 1_000.0),
];

fn at_most(outcome: &Outcome) -> Vec<Verdict> {
    let ratios = RATIOS.iter().filter(|(name, ..)| outcome.name.starts_with(name)).filter_map(
        |(_, contestant, goal, other)| {
            let ratio = outcome.row(contestant)?.time_ns / outcome.row(other)?.time_ns;
            Some(Verdict {
                goal: format!("{}: `{contestant}` at most {goal} × `{other}`", outcome.name),
                measured: format!("{ratio:.2}"),
                held: ratio <= *goal,
            })
        },
    );
    let rates = RATES.iter().filter(|(name, ..)| outcome.name.starts_with(name)).filter_map(
        |(_, contestant, goal, other)| {
            let ratio = outcome.row(other)?.time_ns / outcome.row(contestant)?.time_ns;
            Some(Verdict {
                goal: format!("{}: `{contestant}` at least {goal} × as fast as `{other}`", outcome.name),
                measured: format!("{ratio:.1}"),
                held: ratio >= *goal,
            })
        },
    );
    let times = TIMES_US.iter().filter(|(name, ..)| outcome.name.starts_with(name)).filter_map(
        |(_, contestant, goal)| {
            let us = outcome.row(contestant)?.time_ns / 1e3;
            Some(Verdict {
                goal: format!("{}: `{contestant}` within {goal} µs", outcome.name),
                measured: format!("{us:.1} µs"),
                held: us <= *goal,
            })
        },
    );
    let memories = MEMORIES_KB.iter().filter(|(name, ..)| outcome.name.starts_with(name)).filter_map(
        |(_, contestant, goal)| {
            let kilobytes = outcome.row(contestant)?.memory_bytes? / 1e3;
            Some(Verdict {
                goal: format!("{}: within {goal} KB", outcome.name),
                measured: format!("{kilobytes:.0} KB"),
                held: kilobytes <= *goal,
            })
        },
    );
    ratios.chain(rates).chain(times).chain(memories).collect()
}

/// Never slower than Wasmtime, nor with more memory.
fn never_slower(benchmark: &str, ours: &Row, wasmtime: &Row) -> Vec<Verdict> {
    let verdict = |what: &str, ours: f64, theirs: f64| {
        let ratio = ours / theirs;
        Verdict {
            goal: format!("{benchmark}: {what} at most Wasmtime's"),
            measured: format!("{ratio:.2}"),
            held: ratio < LOSS,
        }
    };
    let mut verdicts = vec![verdict("time", ours.time_ns, wasmtime.time_ns)];
    if let (Some(ours), Some(theirs)) = (ours.memory_bytes, wasmtime.memory_bytes) {
        verdicts.push(verdict("memory", ours, theirs));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(contestant: &'static str, time_ns: f64) -> Row {
        Row { contestant, rounds: 1, time_ns, spread_ns: 0.0, cpu_ns: None, memory_bytes: Some(time_ns) }
    }

    fn held(name: &str, ours_ns: f64, wasmtime_ns: f64) -> Vec<bool> {
        let rows = vec![row("sampan dense", ours_ns), row(WASMTIME, wasmtime_ns)];
        verdicts(&[Outcome { name: name.to_owned(), rows }]).iter().map(|verdict| verdict.held).collect()
    }

    #[test]
    fn a_win_holds_and_a_loss_misses() {
        assert_eq!(held("hello", 90.0, 100.0), [true, true]);
        assert_eq!(held("hello", 101.0, 100.0), [false, false]);
        assert_eq!(held("instantiate", 9e3, 8e3), [false, false, true]);
        assert_eq!(held("instantiate", 11e3, 12e3), [true, true, false]);
    }
}
