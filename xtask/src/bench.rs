//! `cargo xtask bench`: prepares what the benchmarks run, and runs them.

use crate::{cache, guests, guests_dir, process, programs, root, setup};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

const WASMTIME_VERSION: &str = "48.0.8";

/// Arguments are the bench crate's own. `RUST_BACKTRACE` would slow every fresh instance, so it is off.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::tools(&[setup::BENCH, setup::NPM, setup::PIP])?;
    guests::run(&[])?;
    let programs = programs::fetch(&["python".to_owned(), "llvm".to_owned()])?;
    process::build()?;
    let mut bench = Command::new(root().join("target/release/bench"));
    bench.current_dir(root()).args(args).env("RUST_BACKTRACE", "0");
    bench.env("SAMPAN_GUESTS", guests_dir()).env("SAMPAN_PROGRAMS", programs);
    bench.env("SAMPAN_WASMTIME", install_wasmtime()?);
    process::show(&mut bench)
}

/// Wasmtime's own command, of the version that our engine is, compiled here as we are.
fn install_wasmtime() -> Result<PathBuf> {
    let entry = cache::entry(&wasmtime_key(), |dir| {
        eprintln!("building Wasmtime's command (a quarter of an hour, once)");
        let package = format!("wasmtime-cli@{WASMTIME_VERSION}");
        let mut cargo = Command::new("cargo");
        process::run(cargo.args(["install", "--locked", &package, "--root"]).arg(dir))
    })?;
    Ok(entry.join("bin/wasmtime"))
}

/// The same, if it was built before: a test does without.
pub(crate) fn installed_wasmtime() -> Result<Option<PathBuf>> {
    let program = cache::dir()?.join(wasmtime_key()).join("bin/wasmtime");
    Ok(program.is_file().then_some(program))
}

fn wasmtime_key() -> String {
    format!("wasmtime-cli-{WASMTIME_VERSION}")
}
