//! `cargo xtask bench`: us against native code, raw Wasmtime and Node, all in one run and one table.

#![forbid(unsafe_code)]

mod apart;
mod calls;
mod compile;
mod compute;
mod container;
mod contest;
mod crowd;
mod durable;
mod goals;
mod hyper;
mod interruption;
mod launch;
mod machine;
mod neighbours;
mod peers;
mod server;
mod serving;
mod startup;
mod stats;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use crate::contest::Benchmark;
use crate::launch::COUNTS;
use crate::peers::Peers;

/// Measure Sampan against native code, Wasmtime and Node
#[derive(Parser)]
#[command(
    name = "cargo xtask bench",
    after_help = "\
Examples:
  cargo xtask bench
  cargo xtask bench --only hello --rounds 30
  cargo xtask bench --markdown --json target/bench.json"
)]
struct Cli {
    /// Rounds in which every contestant runs once; slow ones run in fewer
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Run only the benchmarks whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Check that every benchmark runs and computes what it should: one round of little work
    #[arg(long)]
    check: bool,

    /// Print Markdown
    #[arg(long)]
    markdown: bool,

    /// Be the least HTTP server there is: what others are compared with
    #[arg(long, hide = true)]
    hyper: bool,

    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.hyper {
        return hyper::serve();
    }
    ensure!(
        std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value == "0"),
        "`RUST_BACKTRACE` is set, which slows every fresh instance: start with `cargo xtask bench`"
    );
    let peers = Peers::find()?;
    let rounds = if cli.check { 1 } else { cli.rounds };
    let mut results = Vec::new();
    for benchmark in selected(&cli, &peers)? {
        eprintln!("measuring {}", benchmark.name);
        results.push(contest::run(benchmark, rounds)?);
    }
    let header = machine::header(&peers)?;
    let goals = goals::verdicts(&results);
    print!("{}", table::text(&header, &results, &goals, cli.markdown));
    if let Some(path) = &cli.json {
        let json = serde_json::to_string_pretty(&table::json(&header, &results, &goals))?;
        std::fs::write(path, json + "\n").with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Every benchmark that was asked for, in the order of the table.
fn selected(cli: &Cli, peers: &Peers) -> Result<Vec<Benchmark>> {
    let is_wanted = |name: &str| cli.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut benchmarks = startup::hello(peers);
    if !cli.check {
        benchmarks.extend(startup::large(peers)?);
    }
    benchmarks.extend(calls::benchmarks(cli.check)?);
    benchmarks.push(durable::benchmark(cli.check)?);
    benchmarks.extend(serving::benchmarks(peers, cli.check)?);
    benchmarks.extend(apart::benchmarks(peers, cli.check)?);
    benchmarks.extend(compute::benchmarks(peers, cli.check, &is_wanted)?);
    benchmarks.extend(compile::benchmarks(peers, cli.check)?);
    benchmarks.extend(interruption::benchmarks(peers, cli.check)?);
    if std::env::var_os(COUNTS).is_some() {
        // A process that is sealed cannot write anything when it ends, and is ended for it.
        benchmarks.iter_mut().for_each(|benchmark| {
            benchmark.contestants.retain(|contestant| !contestant.name.contains("sealed"))
        });
    }
    benchmarks.retain(|benchmark| is_wanted(&benchmark.name) && !benchmark.contestants.is_empty());
    ensure!(!benchmarks.is_empty(), "`--only` names no benchmark");
    Ok(benchmarks)
}
