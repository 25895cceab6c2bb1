//! `cargo xtask demo`: real programs on real input, run by the `sampan` just built, each command line shown.

use crate::{process, programs, root};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

pub(crate) fn run() -> Result<()> {
    let programs = programs::fetch(&["python".to_owned(), "resvg".to_owned()])?;
    process::build()?;

    let dir = root().join("target/demo");
    fs::create_dir_all(&dir)?;
    let inputs = root().join("guests/demo");
    for (from, name) in
        [(&programs, "python.wasm"), (&programs, "resvg.wasm"), (&inputs, "pi.py"), (&inputs, "sampan.svg")]
    {
        fs::copy(from.join(name), dir.join(name)).with_context(|| format!("cannot copy `{name}`"))?;
    }

    println!("\n$ cd target/demo; PATH=../release:$PATH");
    println!("\n# Nothing is granted by default: Python may not even read its script …");
    let denied = sampan(&dir, &["run", "python.wasm", "pi.py", "60"]);
    ensure!(denied.is_err(), "the program read a file that nobody had granted");
    println!("\n# … until it is given the directory, here for reading only.");
    sampan(&dir, &["run", "--dir", ".:ro", "python.wasm", "pi.py", "60"])?;
    println!("\n# Another program, which draws a picture.");
    sampan(&dir, &["run", "--dir", ".", "resvg.wasm", "sampan.svg", "sampan.png"])?;
    let image = fs::read(dir.join("sampan.png")).context("resvg left no `target/demo/sampan.png`")?;
    ensure!(image.starts_with(b"\x89PNG"), "`target/demo/sampan.png` is not a PNG");
    println!("\nLook at target/demo/sampan.png");
    Ok(())
}

/// Shows a command line and runs it.
fn sampan(dir: &Path, args: &[&str]) -> Result<()> {
    println!("\n$ sampan {}", args.join(" "));
    process::show(Command::new(root().join("target/release/sampan")).current_dir(dir).args(args))
}
