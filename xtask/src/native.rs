//! `cargo xtask native`: real programs as native code. Clang takes minutes for the largest, so that it is done by hand.

use crate::{guests, guests_dir, process, programs, setup};
use anyhow::Result;

/// The tests of `xtask/programs.toml` once more, where what runs under `dense` is native code. ARGS choose among them.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::run()?;
    guests::run(&[])?;
    let mut test = process::cargo();
    test.args(["test", "--release", "--workspace", "--test", "cli", "--"]);
    match args {
        [] => test.args(["programs::", "libraries::"]),
        args => test.args(args),
    };
    test.env("SAMPAN_GUESTS", guests_dir()).env("SAMPAN_PROGRAMS", programs::fetch(&[])?);
    test.env("SAMPAN_PROGRAMS_NATIVE", "1");
    process::run(&mut test)
}
