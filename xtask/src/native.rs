//! `cargo xtask native`: real programs as native code. Clang takes minutes for the largest, so that it is done by hand.

use crate::{guests, guests_dir, process, programs, setup};
use anyhow::Result;

/// What takes clang ten minutes, or has more text than it is given: compilers, and what all programs are asked.
const NOT_BY_ITSELF: [&str; 3] = ["gcc_compiles", "clang_makes", "a_large_program"];

/// The tests of `xtask/programs.toml` once more, where what runs under `dense` is native code. ARGS choose among them; without
/// any, all that clang gets done in minutes.
pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::run()?;
    guests::run(&[])?;
    let mut test = process::cargo();
    test.args(["test", "--release", "--workspace", "--test", "cli", "--"]);
    match args {
        [] => {
            test.args(["programs::", "libraries::"]);
            test.args(NOT_BY_ITSELF.iter().flat_map(|name| ["--skip", name]))
        }
        args => test.args(args),
    };
    test.env("SAMPAN_GUESTS", guests_dir()).env("SAMPAN_PROGRAMS", programs::fetch(&[])?);
    test.env("SAMPAN_PROGRAMS_NATIVE", "1");
    process::run(&mut test)
}
