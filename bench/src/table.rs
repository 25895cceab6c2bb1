//! The one table, for a terminal, for a document, and as JSON.

use serde_json::{Value, json};

use crate::contest::{NATIVE, Outcome, Row, WASMTIME};
use crate::goals::{LOSS, Verdict};

const COLUMNS: [&str; 9] = [
    "benchmark",
    "contestant",
    "time",
    "± MAD",
    "CPU",
    "memory",
    "time ÷ native",
    "time ÷ Wasmtime",
    "memory ÷ Wasmtime",
];

/// Columns that hold text; the others hold numbers, and are aligned to the right.
const TEXT_COLUMNS: usize = 2;

type Cells = [String; COLUMNS.len()];

/// Everything that is printed.
pub(crate) fn text(
    header: &[(&str, String)],
    outcomes: &[Outcome],
    goals: &[Verdict],
    markdown: bool,
) -> String {
    let item = if markdown { "- " } else { "" };
    let mut text: String = header.iter().map(|(label, value)| format!("{item}{label}: {value}\n")).collect();
    text.push('\n');
    let rows: Vec<Cells> = outcomes.iter().flat_map(cells).collect();
    text += &if markdown { as_markdown(&rows) } else { as_columns(&rows) };
    text.push('\n');
    for goal in goals {
        let verdict = if goal.held { "held" } else { "MISSED" };
        text += &format!("{item}{verdict}: {} ({})\n", goal.goal, goal.measured);
    }
    text
}

fn cells(outcome: &Outcome) -> Vec<Cells> {
    let native = outcome.row(NATIVE);
    let wasmtime = outcome.row(WASMTIME);
    let line = |(index, row): (usize, &Row)| {
        [
            if index == 0 { outcome.name.clone() } else { String::new() },
            row.contestant.to_owned(),
            time(row.time_ns),
            time(row.spread_ns),
            row.cpu_ns.map(time).unwrap_or_default(),
            row.memory_bytes.map(memory).unwrap_or_default(),
            native.map(|native| format!("{:.2}", row.time_ns / native.time_ns)).unwrap_or_default(),
            wasmtime.map(|wasmtime| against(row, row.time_ns / wasmtime.time_ns)).unwrap_or_default(),
            wasmtime
                .and_then(|wasmtime| Some(against(row, row.memory_bytes? / wasmtime.memory_bytes?)))
                .unwrap_or_default(),
        ]
    };
    outcome.rows.iter().enumerate().map(line).collect()
}

/// A ratio; where it is ours and above one, it says so.
fn against(row: &Row, ratio: f64) -> String {
    let mark = if row.is_ours() && ratio >= LOSS { " >1.00" } else { "" };
    format!("{ratio:.2}{mark}")
}

/// A time with three digits that count.
fn time(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => three_digits(ns, "ns"),
        _ if ns < 1e6 => three_digits(ns / 1e3, "µs"),
        _ if ns < 1e9 => three_digits(ns / 1e6, "ms"),
        _ => three_digits(ns / 1e9, "s"),
    }
}

fn memory(bytes: f64) -> String {
    three_digits(bytes / f64::from(1 << 20), "MiB")
}

fn three_digits(value: f64, unit: &str) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

fn as_markdown(rows: &[Cells]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = COLUMNS.map(str::to_owned);
    let rules: Vec<String> =
        (0..COLUMNS.len()).map(|at| if at < TEXT_COLUMNS { "---" } else { "--:" }.to_owned()).collect();
    let mut text = line(&head) + &line(&rules);
    text.extend(rows.iter().map(|cells| line(cells)));
    text
}

fn as_columns(rows: &[Cells]) -> String {
    let head = COLUMNS.map(str::to_owned);
    let lines: Vec<&Cells> = std::iter::once(&head).chain(rows).collect();
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|at| lines.iter().map(|cells| cells[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (index, cells) in lines.iter().enumerate() {
        // A blank line before each benchmark.
        if index > 0 && !cells[0].is_empty() {
            text.push('\n');
        }
        let padded = cells.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
            _ if at < TEXT_COLUMNS => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// The same as data. Times are in nanoseconds.
pub(crate) fn json(header: &[(&str, String)], outcomes: &[Outcome], goals: &[Verdict]) -> Value {
    let row = |row: &Row| {
        json!({
            "contestant": row.contestant,
            "rounds": row.rounds,
            "time_ns": row.time_ns,
            "spread_ns": row.spread_ns,
            "cpu_ns": row.cpu_ns,
            "memory_bytes": row.memory_bytes,
        })
    };
    let outcome = |outcome: &Outcome| json!({ "name": outcome.name, "rows": outcome.rows.iter().map(row).collect::<Vec<_>>() });
    let goal = |goal: &Verdict| json!({ "goal": goal.goal, "measured": goal.measured, "held": goal.held });
    json!({
        "machine": header.iter().map(|(label, value)| ((*label).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>(),
        "benchmarks": outcomes.iter().map(outcome).collect::<Vec<_>>(),
        "goals": goals.iter().map(goal).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(contestant: &'static str, time_ns: f64) -> Row {
        Row { contestant, rounds: 1, time_ns, spread_ns: 5.0, cpu_ns: None, memory_bytes: Some(3e6) }
    }

    #[test]
    fn a_loss_is_marked_and_a_win_is_not() {
        let rows = vec![
            row(WASMTIME, 1e6),
            row("sampan dense", 0.5e6),
            row("sampan portable", 12e6),
            row("Node", 3e6),
        ];
        let outcomes = [Outcome { name: "hello".to_owned(), rows }];
        let table = text(&[("kernel", "6".to_owned())], &outcomes, &[], true);
        assert!(table.starts_with("- kernel: 6\n\n| benchmark | contestant |"), "{table}");
        assert!(
            table.contains("|  | sampan dense | 500 µs | 5.00 ns |  | 2.86 MiB |  | 0.50 | 1.00 |\n"),
            "{table}"
        );
        assert!(
            table.contains(
                "|  | sampan portable | 12.0 ms | 5.00 ns |  | 2.86 MiB |  | 12.00 >1.00 | 1.00 |\n"
            ),
            "{table}"
        );
        assert!(table.contains("| 3.00 | 1.00 |\n"), "{table}");
    }

    #[test]
    fn columns_are_aligned() {
        let outcomes =
            [Outcome { name: "hello".to_owned(), rows: vec![row(NATIVE, 1e6), row(WASMTIME, 2e6)] }];
        let table = text(&[], &outcomes, &[], false);
        let lines: Vec<&str> = table.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[1].find("1.00 ms").map(|at| at + 7), lines[2].find("2.00 ms").map(|at| at + 7));
        assert!(lines[0].starts_with("benchmark  contestant  "), "{table}");
    }
}
