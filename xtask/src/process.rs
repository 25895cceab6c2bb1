//! Running other programs: an error names the command line that failed.

use crate::root;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

/// Cargo, for the workspace. What the cargo that started us says of this crate is kept from it: build scripts that ask
/// for it would run again each time.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(root());
    cargo
}

/// Compiles the whole workspace: with other packages than the tests are built with, the features of shared
/// dependencies would differ, and all of them would be compiled again.
pub(crate) fn build() -> Result<()> {
    run(cargo().args(["build", "--release", "--workspace"]))
}

/// Runs a command whose stdout is talk, which therefore goes to stderr: our own stdout is data.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    ended(command, status)
}

/// Runs a command whose stdout is what our caller asked for.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{}`", line(command)))?;
    ended(command, status)
}

/// Runs a command and returns its stdout without the final newline.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{}`", line(command)))?;
    ended(command, output.status)?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Whether a command runs and succeeds, in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The path of a program in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}

fn ended(command: &Command, status: ExitStatus) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => bail!("`{}` ended with {status}", line(command)),
    }
}

/// The command line as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
