//! `cargo xtask dist`: Sampan as it is given away, optimised as a whole and for what it was seen to do.
//!
//! The compiler is told how often each branch was taken by the same program, compiled to count that, while some benchmarks
//! ran once with little work (<https://doc.rust-lang.org/rustc/profile-guided-optimization.html>).

use crate::cache::Key;
use crate::{cache, guests, guests_dir, process, root, setup};
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The benchmarks that are watched, by a part of their names: what is served, and how a node starts. What works for long, as a
/// compiler does, or an interpreter of loops, would outweigh all else.
const WATCHED: [&str; 3] = ["HTTP hello", "wasi:", "chain"];

/// Where a cache entry has what was counted.
const COUNTED: &str = "sampan.profdata";

/// Prints where the program is.
pub(crate) fn run() -> Result<()> {
    println!("{}", build()?.join("sampan").display());
    Ok(())
}

/// Compiles the workspace, and returns the directory of its programs.
pub(crate) fn build() -> Result<PathBuf> {
    let counted = counted()?.join(COUNTED);
    // What has changed since it was counted is compiled without.
    compile("guided", &[&format!("-Cprofile-use={}", counted.display()), "-Cllvm-args=-no-pgo-warn-mismatch"])
}

/// What is counted is mostly in what Sampan is made of: it is counted again when that changes, or the compiler.
fn counted() -> Result<PathBuf> {
    let compiler = process::output(Command::new("rustc").arg("-vV"))?;
    let lock = fs::read_to_string(root().join("Cargo.lock"))?;
    let packages = lock.lines().filter(|line| line.starts_with("checksum"));
    let key = packages.chain(WATCHED).fold(Key::default().field(compiler), |key, part| key.field(part)).hex();
    cache::entry(&format!("counted-{}", &key[..16]), |dir| {
        eprintln!("watching what Sampan does (half an hour, once)");
        let programs = compile("counting", &["-Cprofile-generate"])?;
        let raw = dir.join("raw");
        train(&programs, &raw)?;
        let mut merge = Command::new(profdata()?);
        process::run(merge.args(["merge", "--output"]).arg(dir.join(COUNTED)).arg(&raw))?;
        cache::remove(&raw)?;
        cache::remove(&root().join("target/counting"))
    })
}

/// Compiles the workspace with these flags into a directory of its own.
fn compile(name: &str, flags: &[&str]) -> Result<PathBuf> {
    let host = process::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let dir = root().join("target").join(name);
    let mut cargo = process::cargo();
    cargo.args(["build", "--profile", "dist", "--workspace"]);
    // They would be taken instead of those that are given here.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Flags of a target that is named are kept from build scripts and macros.
    cargo.args(["--target", &host, "--config", &format!("target.{host}.rustflags={flags:?}")]);
    process::run(cargo.arg("--target-dir").arg(&dir))?;
    Ok(dir.join(host).join("dist"))
}

/// Runs these benchmarks once.
fn train(programs: &Path, raw: &Path) -> Result<()> {
    setup::tools(&[setup::BENCH])?;
    guests::run(&[])?;
    for name in WATCHED {
        let mut bench = Command::new(programs.join("bench"));
        bench.current_dir(root()).args(["--check", "--only", name]);
        bench.env("RUST_BACKTRACE", "0").env("SAMPAN_GUESTS", guests_dir());
        // Processes that end one after the other add to the same few files.
        process::run(bench.env("LLVM_PROFILE_FILE", raw.join("%4m.profraw")))?;
    }
    Ok(())
}

/// What reads the counts: it must be of the compiler's own version.
fn profdata() -> Result<PathBuf> {
    let libraries = process::output(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let program = Path::new(&libraries).with_file_name("bin").join("llvm-profdata");
    if !program.is_file() {
        process::run(Command::new("rustup").args(["component", "add", "llvm-tools"]))?;
    }
    Ok(program)
}
