//! Clang, which makes an object of the text.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Target};

/// The versions whose LLVM understands the text.
pub(crate) const VERSION_OLDEST: u32 = 19;
const VERSION_NEWEST: u32 = 22;

/// Of what clang says, so much is passed on.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What clang is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be linked with other objects.
    Relocatable,
    /// To be loaded at run time.
    Shared,
}

/// A clang that will do.
#[derive(Clone, Debug)]
pub struct Clang {
    program: PathBuf,
    version: u32,
}

impl Clang {
    /// Looks for a clang in the directories of `path`, which is written as the variable `PATH` is; the newest first.
    pub fn find(path: &OsStr) -> Result<Self, Error> {
        let directories: Vec<PathBuf> = std::env::split_paths(path).collect();
        let named =
            (VERSION_OLDEST..=VERSION_NEWEST).rev().map(|version| (format!("clang-{version}"), version));
        named
            .flat_map(|(name, version)| directories.iter().map(move |dir| (dir.join(&name), version)))
            .find(|(program, _)| program.is_file())
            .or_else(|| {
                let unnamed = directories.iter().map(|directory| directory.join("clang"));
                unnamed.into_iter().find_map(|program| Some((program.clone(), known_version(&program)?)))
            })
            .map(|(program, version)| Self { program, version })
            .ok_or(Error::NoClang { oldest: VERSION_OLDEST, newest: VERSION_NEWEST })
    }

    /// Makes an object of text that [`crate::Assembly::finish`] gave. `cpu` is a name that clang knows for the target,
    /// [`Target::cpu`] or, for the machine that it runs on, `native`; `level` says how hard to try, 0 to 3.
    pub fn compile(
        &self,
        ir: &str,
        target: &Target,
        cpu: &str,
        level: u8,
        output: Output,
    ) -> Result<Vec<u8>, Error> {
        let program = || self.program.display().to_string();
        if self.version < target.clang_oldest {
            let (triple, oldest) = (target.triple, target.clang_oldest);
            return Err(Error::ClangTooOld { program: program(), triple, oldest });
        }
        let run = |source| Error::Run { program: program(), source };
        let directory = tempfile::tempdir().map_err(run)?;
        let (text, object) = (directory.path().join("module.ll"), directory.path().join("module.o"));
        fs::write(&text, ir).map_err(run)?;
        let mut command = Command::new(&self.program);
        command.arg(format!("--target={}", target.llvm)).arg(format!("-march={cpu}"));
        // Numbers with a point are never to be quick and different.
        command.args(["-Wno-override-module", "-ffp-contract=off", "-fno-math-errno"]);
        command.args(match target.has_pages {
            true => ["-fPIC"].as_slice(),
            // What never moves needs no tables of addresses. `assembly::attributes` says how large frames may be.
            false => &["-fno-pic", "-Werror=frame-larger-than"],
        });
        command.arg(format!("-O{level}")).args(["-x", "ir"]).arg(&text).arg("-o").arg(&object);
        command.args(match output {
            Output::Relocatable => ["-c"].as_slice(),
            Output::Shared => &["-shared", "-nostartfiles", "-lm"],
        });
        let done = command.output().map_err(run)?;
        if !done.status.success() {
            let message = String::from_utf8_lossy(&done.stderr).chars().take(MESSAGE_CHARS_MAX).collect();
            return Err(Error::Clang { program: program(), message });
        }
        fs::read(&object).map_err(run)
    }
}

/// The version of a clang, if it is one that will do.
fn known_version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_once("version ")?.1.split('.').next()?.parse().ok()?;
    (VERSION_OLDEST..=VERSION_NEWEST).contains(&version).then_some(version)
}
