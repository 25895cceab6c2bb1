//! Runs a program as a process of its own and measures it; what it prints must be what is expected.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::contest::Sample;

/// Where a program that was compiled to count its branches writes how often it took them (`cargo xtask dist`).
pub(crate) const COUNTS: &str = "LLVM_PROFILE_FILE";

/// A command line, ready to be measured again and again.
pub(crate) struct Launch {
    command: Command,
    expected: String,
}

impl Launch {
    /// `program` with `args`, which must print something with `expected` in it. Its environment is empty but for
    /// `state`, the directory that it takes for its home, and where to look for compilers.
    pub(crate) fn new(program: &Path, args: Vec<PathBuf>, state: &Path, expected: &str) -> Self {
        let mut command = Command::new(env!("LAUNCH"));
        command
            .arg(program)
            .args(args)
            .env_clear()
            .env("HOME", state)
            .env("XDG_CACHE_HOME", state.join("cache"))
            .env("XDG_DATA_HOME", state.join("data"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "0")
            .envs(std::env::var_os(COUNTS).map(|path| (COUNTS, path)))
            .stdin(Stdio::null());
        Self { command, expected: expected.to_owned() }
    }

    /// Runs it once.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        let (sample, printed) = self.run()?;
        ensure!(
            printed.contains(&self.expected),
            "`{}` printed `{}` instead of `{}`",
            self.line(),
            printed.trim_end(),
            self.expected
        );
        Ok(sample)
    }

    /// Runs it once; also what it printed.
    pub(crate) fn run(&mut self) -> Result<(Sample, String)> {
        let output = self.command.output().with_context(|| format!("cannot start `{}`", self.line()))?;
        let stdout = String::from_utf8(output.stdout).context("it printed what is not UTF-8")?;
        let (printed, report) = match stdout.trim_end().rsplit_once('\n') {
            Some((printed, report)) => (printed, report),
            None => ("", stdout.trim_end()),
        };
        let numbers: Vec<f64> = report.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers[..] {
            [0.0, wall_ns, cpu_us, memory_kib] => {
                let sample = Sample {
                    time_ns: wall_ns,
                    cpu_ns: Some(cpu_us * 1e3),
                    memory_bytes: Some(memory_kib * 1024.0),
                };
                Ok((sample, printed.to_owned()))
            }
            // What a shell says, too.
            [127.0, ..] => {
                bail!("`{}` cannot be started: what is not built, `cargo xtask bench` builds", self.line())
            }
            _ => bail!("`{}` failed: {stdout}{}", self.line(), String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn line(&self) -> String {
        self.command.get_args().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, expected: &str) -> Launch {
        Launch::new(Path::new("/bin/sh"), vec!["-c".into(), script.into()], Path::new("/"), expected)
    }

    #[test]
    fn a_process_is_measured() {
        let sample = sh("echo a; echo b", "a\nb").sample().expect("the shell is there");
        assert!(sample.time_ns > 0.0 && sample.memory_bytes.is_some_and(|bytes| bytes > 1e5));
    }

    #[test]
    fn a_wrong_result_and_a_failure_are_errors() {
        assert!(sh("echo wrong", "right").sample().is_err());
        assert!(sh("echo right; exit 3", "right").sample().is_err());
    }
}
