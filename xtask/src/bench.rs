//! `cargo xtask bench`: prepares what the benchmarks run, and runs them.

use crate::{cache, guests, guests_dir, process, root, setup};
use anyhow::Result;
use std::process::Command;

/// Arguments are the bench crate's own. `RUST_BACKTRACE` would slow every fresh instance, so it is off.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::tools(&[setup::BENCH])?;
    guests::run(&[])?;
    process::run(Command::new("cargo").current_dir(root()).args([
        "build",
        "--release",
        "-p",
        "sampan",
        "-p",
        "bench",
    ]))?;
    let mut bench = Command::new(root().join("target/release/bench"));
    bench.current_dir(root()).args(args).env("RUST_BACKTRACE", "0");
    bench.env("SAMPAN_GUESTS", guests_dir()).env("SAMPAN_XTASK_CACHE", cache::dir()?);
    process::show(&mut bench)
}
