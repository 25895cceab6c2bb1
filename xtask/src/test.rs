//! `cargo xtask test`: the one line that a person and continuous integration run.

use crate::{bench, examples, foreign, guests, guests_dir, process, programs, setup, tidy};
use anyhow::Result;
use std::time::Instant;

/// The processors that `hosts/bare` is for.
const BARE: [&str; 2] = ["thumbv7em-none-eabihf", "riscv32imac-unknown-none-elf"];

/// Everything in one profile, release, so that nothing big is compiled twice; what is quick to fail comes first.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let start = Instant::now();
    cargo(&["fmt", "--all", "--check"])?;
    let guests = ["guests/p1", "guests/p2", "guests/p3", "guests/hostile"];
    let others = ["hosts/bare", "hosts/c", "crates/engine/tests/foreign"];
    let examples = ["examples/chat", "examples/pictures", "examples/shop/stock"];
    for package in guests.iter().chain(&examples).chain(&others) {
        cargo(&["fmt", "--all", "--check", "--manifest-path", &format!("{package}/Cargo.toml")])?;
    }
    tidy::run()?;
    setup::run()?;
    guests::run(&[])?;
    let programs = programs::fetch(&[])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--release", "--", "-D", "warnings"])?;
    let has_others = setup::has_foreign_targets();
    clippy("hosts/c", &[])?;
    for target in BARE.iter().filter(|_| has_others) {
        clippy("hosts/bare", &["--target", target])?;
        clippy("hosts/c", &["--target", target])?;
    }
    examples::run(&[])?;

    let mut test = process::cargo();
    test.args(["test", "--release"]);
    test.env("SAMPAN_GUESTS", guests_dir()).env("SAMPAN_PROGRAMS", programs);
    test.env("SAMPAN_PLAYWRIGHT", setup::playwright()?);
    if let Some(wasmtime) = bench::installed_wasmtime()? {
        test.env("SAMPAN_WASMTIME", wasmtime);
    }
    if has_others {
        test.env("SAMPAN_FOREIGN", "1");
    }
    // As `Command` has no copies.
    let mut again = process::cargo();
    again.args(["test", "--release", "--workspace", "--test", "serve"]).env("SAMPAN_SEALED", "1");
    for (name, value) in test.get_envs() {
        again.env(name, value.unwrap_or_default());
    }
    process::run(test.args(cargo_test_args(args)))?;
    if args.is_empty() {
        process::run(&mut again)?;
    }
    match (args.is_empty(), has_others) {
        (true, true) => foreign::run(&[])?,
        (true, false) => eprintln!("NOT TESTED: other processors, for which this Rust has no libraries"),
        (false, _) => {}
    }
    eprintln!("passed: formatting, tidy, clippy, tests, in {} s", start.elapsed().as_secs());
    Ok(())
}

/// Clippy for a package that is no part of the workspace.
fn clippy(package: &str, args: &[&str]) -> Result<()> {
    let (manifest, directory) =
        (format!("{package}/Cargo.toml"), format!("target/{}", &package["hosts/".len()..]));
    let package = ["--manifest-path", &manifest, "--target-dir", &directory];
    cargo(&[&["clippy", "--release"], args, &package, &["--", "-D", "warnings"]].concat())
}

fn cargo(args: &[&str]) -> Result<()> {
    process::run(process::cargo().args(args))
}

/// What stands after `--` goes to `cargo test`, on the whole workspace unless it names packages.
fn cargo_test_args(args: &[String]) -> Vec<&str> {
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    if args.first() == Some(&"--") {
        args.remove(0);
    }
    if !args.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package")) {
        args.insert(0, "--workspace");
    }
    args
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_workspace_is_tested_unless_packages_are_named() {
        let args = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            super::cargo_test_args(&args).join(" ")
        };
        assert_eq!(args(&[]), "--workspace");
        assert_eq!(args(&["--", "wast"]), "--workspace wast");
        assert_eq!(args(&["--", "-p", "engine", "--", "--nocapture"]), "-p engine -- --nocapture");
    }
}
