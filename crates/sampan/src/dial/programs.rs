//! The programs that `sampan bench` brings along: one to measure where nobody names one, and those that look at contestants.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::contestant::{Ground, Task, in_path};
use super::isolation::Probes;

/// What the program is called that is measured where nobody names one.
pub(crate) const BUILT_IN: &str = "sieve";

const TEXTS: [(&str, &str); 4] = [
    ("hello.wat", include_str!("programs/hello.wat")),
    ("sieve.wat", include_str!("programs/sieve.wat")),
    ("stray.wat", include_str!("programs/stray.wat")),
    ("ungranted.wat", include_str!("programs/ungranted.wat")),
];

const SIEVE: &str = include_str!("programs/sieve.c");

/// The programs, written, and on a list of trusted programs of their own.
pub(crate) struct Programs {
    dir: PathBuf,
    data: PathBuf,
}

impl Programs {
    pub(crate) fn write(ground: &Ground) -> io::Result<Self> {
        let (dir, data) = (ground.path("programs"), ground.path("data"));
        fs::create_dir(&dir)?;
        for (name, text) in TEXTS {
            let path = dir.join(name);
            fs::write(&path, text)?;
            let mut trust = Command::new(std::env::current_exe()?);
            trust.args(["trust", "add"]).arg(&path).env("XDG_DATA_HOME", &data);
            trust.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        }
        Ok(Self { dir, data })
    }

    fn task(&self, name: &str, native: Option<PathBuf>, args: &[&str]) -> Task {
        Task {
            program: self.dir.join(name),
            native,
            args: args.iter().map(Into::into).collect(),
            dirs: Vec::new(),
            data: Some(self.data.clone()),
        }
    }

    /// Says hello.
    pub(crate) fn least(&self) -> Task {
        self.task("hello.wat", in_path("echo"), &["hello"])
    }

    /// Counts primes. Its native program is made if there is a compiler of C.
    pub(crate) fn built_in(&self) -> Task {
        self.task("sieve.wat", self.compile(), &[])
    }

    pub(crate) fn probes(&self) -> Probes {
        Probes {
            waiting: self.task("sieve.wat", in_path("cat"), &[]),
            stray: self.task("stray.wat", None, &[]),
            ungranted: self.task("ungranted.wat", None, &[]),
        }
    }

    fn compile(&self) -> Option<PathBuf> {
        let (source, program) = (self.dir.join("sieve.c"), self.dir.join("sieve"));
        fs::write(&source, SIEVE).ok()?;
        let mut cc = Command::new("cc");
        cc.args(["-O3", "-o"]).arg(&program).arg(&source).stdin(Stdio::null()).stdout(Stdio::null());
        let made = cc.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        made.then_some(program)
    }
}

/// A native program as its user names it: a path, or what is in `PATH`.
pub(crate) fn native(name: &Path) -> Option<PathBuf> {
    match name.components().count() {
        1 if !name.is_file() => in_path(name.to_str()?),
        _ => name.canonicalize().ok().filter(|path| path.is_file()),
    }
}
