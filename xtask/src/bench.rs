//! `cargo xtask bench`: prepares what the benchmarks run, and runs them.

use crate::registry::{Registry, fetch};
use crate::{cache, dist, guests, guests_dir, process, programs, root, setup};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

const WASMTIME_VERSION: &str = "48.0.8";

/// The runtime of Cloudflare's Workers, in the form for this kind of machine.
const WORKERD: (&str, &str) = ("@cloudflare/workerd-linux-64", "1.20261117.1");

/// Arguments are the bench crate's own. What is measured is what people are given. `RUST_BACKTRACE` would slow every fresh
/// instance, so it is off.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::tools(&[setup::BENCH, setup::NPM, setup::PIP])?;
    guests::run(&[])?;
    guests::run(&[guests::LARGE.to_owned()])?;
    let programs = programs::fetch(&["python".to_owned(), "llvm".to_owned()])?;
    let mut bench = Command::new(dist::build()?.join("bench"));
    bench.current_dir(root()).args(args).env("RUST_BACKTRACE", "0");
    bench.env("SAMPAN_GUESTS", guests_dir()).env("SAMPAN_PROGRAMS", programs);
    bench.env("SAMPAN_WASMTIME", install_wasmtime()?);
    if let Some(workerd) = workerd()? {
        bench.env("SAMPAN_WORKERD", workerd);
    }
    process::show(&mut bench)
}

/// Where workerd is, if it runs here.
fn workerd() -> Result<Option<PathBuf>> {
    let built = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let program = match built {
        true => Some(fetch(Registry::Npm, WORKERD.0, WORKERD.1)?.join("package/bin/workerd")),
        false => None,
    };
    let runs = |program: &PathBuf| process::output(Command::new(program).arg("--version")).is_ok();
    let program = program.filter(runs);
    if program.is_none() {
        eprintln!("workerd does not run on this machine, and takes no part");
    }
    Ok(program)
}

/// Wasmtime's own command, of the version that our engine is, compiled here in its own release profile, as its releases are.
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
