//! `cargo xtask`: everything that is done with this repository besides compiling it.
//!
//! Each verb calls what it needs of the others, so that any of them works on a fresh clone.

mod bench;
mod cache;
mod demo;
mod dist;
mod examples;
mod foreign;
mod guests;
mod native;
mod process;
mod programs;
mod registry;
mod setup;
mod sysroot;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

const HELP: &str = "\
Usage: cargo xtask <VERB> [ARGS]

Verbs:
  setup            Install the tools that are missing and prepare the guest sysroots
  guests [NAME]…   Build the programs under guests/ into target/guests/<kind>/<name>.wasm;
                   NAME is a kind (`c`), a program (`hello`) or both (`c/hello`)
  examples [NAME]… Build the apps under examples/ into target/examples/<name>
  programs [NAME]… Fetch the real programs of xtask/programs.toml and print where each lies
  demo             Build `sampan` and run two real programs with it
  tidy             Check the rules of the house that the compiler does not
  test [-- ARGS]   Format check, tidy, clippy and every test; ARGS go to `cargo test`
  foreign [ARGS]   Test native code on processors that are emulated; `--whole`: all of the specification
  native [TEST]…   Run the tests of real programs once more, as native code; clang takes minutes for some
  dist             Build `sampan` as it is given away, for what it was seen to do, and print where it lies
  bench [ARGS]     Run the benchmarks; ARGS go to the bench crate
";

fn main() {
    if let Err(error) = run(std::env::args().skip(1).collect()) {
        eprintln!("error: {error}");
        error.chain().skip(1).for_each(|cause| eprintln!("  cause: {cause}"));
        std::process::exit(1);
    }
}

fn run(args: Vec<String>) -> Result<()> {
    let Some((verb, args)) = args.split_first() else { bail!("no verb given\n\n{HELP}") };
    match verb.as_str() {
        "setup" => setup::run(),
        "guests" => guests::run(args),
        "examples" => examples::run(args),
        "programs" => programs::run(args),
        "demo" => demo::run(),
        "tidy" => tidy::run(),
        "test" => test::run(args),
        "foreign" => foreign::run(args),
        "native" => native::run(args),
        "dist" => dist::run(),
        "bench" => bench::run(args),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        _ => bail!("there is no verb `{verb}`\n\n{HELP}"),
    }
}

/// The repository's root directory.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository's root")
}

/// Where the built guests lie: `<kind>/<name>.wasm`.
fn guests_dir() -> PathBuf {
    root().join("target/guests")
}
