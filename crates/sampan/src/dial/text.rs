//! What was measured, as a person reads it.

use super::contest::{Measured, Outcome};
use super::isolation::COUNT;
use super::memory::Memory;
use super::recommend::Advice;
use super::score::{Scores, scores};
use super::stats::Spread;
use crate::table;

/// Two tables, and below them the layers and those that are absent.
pub(crate) fn text(outcome: &Outcome) -> String {
    let times =
        ["", "START cold", "cached", "warm", "RUN cold", "cached", "from - to", "warm", "CPU", "CALL"];
    let mut text = table::table(times, outcome.measured.iter().map(times_of));
    let memory = format!("MEMORY of {}", joined(&outcome.measured, |memory| memory.instances.to_string()));
    let costs = ["", &memory, "LAYERS", "PERFORMANCE", "EFFICIENCY", "ISOLATION"];
    let scores = scores(&outcome.measured);
    text += "\n";
    text +=
        &table::table(costs, outcome.measured.iter().zip(scores).map(|(one, scores)| costs_of(one, scores)));
    text += "\nlayers that do not stand:\n";
    let width = outcome.measured.iter().map(|one| one.name.len());
    let width = width.chain(outcome.absent.iter().map(|one| one.name.len())).max().unwrap_or_default();
    for one in &outcome.measured {
        let missing: Vec<&str> =
            one.layers.iter().filter(|layer| !layer.stands).map(|layer| layer.name).collect();
        text += &format!("  {:width$}  {}\n", one.name, missing.join(", "));
    }
    if !outcome.absent.is_empty() {
        text += "\nnot measured:\n";
    }
    for absent in &outcome.absent {
        text += &format!("  {:width$}  {}\n", absent.name, absent.why);
    }
    text
}

/// What to choose, and why.
pub(crate) fn advice(advice: Option<&Advice>) -> String {
    let Some(Advice { profile, reasons }) = advice else {
        return "\nno profile can be recommended: none was measured whole\n".to_owned();
    };
    let reasons: String = reasons.iter().map(|reason| format!("  - {reason}\n")).collect();
    format!("\nchoose `{profile}`\n{reasons}")
}

const NONE: &str = "-";

fn times_of(one: &Measured) -> [String; 10] {
    let time = |spread: Option<Spread>| spread.map_or(NONE.to_owned(), |spread| seconds(spread.median));
    let range = |spread: Spread| format!("{} - {}", seconds(spread.low), seconds(spread.high));
    [
        one.name.to_owned(),
        time(one.start.cold),
        time(one.start.cached),
        time(one.start.warm),
        time(one.run.cold),
        time(one.run.cached),
        one.run.cached.map_or(NONE.to_owned(), range),
        time(one.run.warm),
        time(one.run.cpu),
        time(one.call),
    ]
}

/// What is to be said of each number of instances with which the first of these was measured.
fn joined(measured: &[Measured], text: impl Fn(&Memory) -> String) -> String {
    let memory = measured.first().map_or(&[][..], |one| &one.memory);
    memory.iter().map(text).collect::<Vec<_>>().join(" / ")
}

fn costs_of(one: &Measured, scores: Option<Scores>) -> [String; 6] {
    let memory = |memory: &Memory| memory.bytes_each.map_or(NONE.to_owned(), bytes);
    let score = |score: Option<Spread>| score.map_or(NONE.to_owned(), |score| format!("{:.2}", score.median));
    [
        one.name.to_owned(),
        joined(std::slice::from_ref(one), memory),
        format!("{} of {COUNT}", one.standing()),
        score(scores.map(|scores| scores.performance)),
        score(scores.map(|scores| scores.efficiency)),
        score(scores.map(|scores| scores.isolation)),
    ]
}

/// A time with three digits.
pub(crate) fn seconds(seconds: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];
    scaled(seconds, &units)
}

/// An amount of memory with three digits.
pub(crate) fn bytes(bytes: f64) -> String {
    let units = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")];
    scaled(bytes, &units)
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fitting = units.iter().find(|(size, _)| value >= 0.9995 * size).or(units.last());
    let (size, unit) = fitting.copied().unwrap_or((1.0, ""));
    let shown = value / size;
    match shown {
        ..9.995 => format!("{shown:.2} {unit}"),
        ..99.95 => format!("{shown:.1} {unit}"),
        _ => format!("{shown:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_shown_whatever_the_size() {
        let shown = [1.0, 0.0123, 999.96e-6, 0.0, 61.26].map(seconds);
        assert_eq!(shown, ["1.00 s", "12.3 ms", "1.00 ms", "0.00 ns", "61.3 s"]);
        assert_eq!([1024.0, 5e6, 3e9].map(bytes), ["1.00 KiB", "4.77 MiB", "2.79 GiB"]);
    }
}
