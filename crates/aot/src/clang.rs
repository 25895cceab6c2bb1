//! Clang, which makes an object of the text.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::limits::{OBJECTS_BYTES_MAX, PARTS_MAX};
use crate::{Error, Library, Target, parts};

/// The versions whose LLVM understands the text.
pub(crate) const VERSION_OLDEST: u32 = 19;
const VERSION_NEWEST: u32 = 22;

/// Of what clang says, so much is passed on.
const MESSAGE_BYTES_MAX: u64 = 2_000;

/// How hard to try for a library: as much as clang can.
const LEVEL: u8 = 3;

/// What clang is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// To be linked with other objects.
    Relocatable,
    /// To be loaded at run time.
    Shared,
}

/// Runs a command to its end, and sees to it that it comes in so much time: one that is late is
/// [`TimedOut`](ErrorKind::TimedOut). It needs no more than what is installed, its streams, and its directory where it was
/// given one. Also gives the time that it took.
pub type Run = fn(&mut Command, Duration) -> io::Result<(ExitStatus, Duration)>;

/// A clang that will do.
#[derive(Clone, Debug)]
pub struct Clang {
    program: PathBuf,
    version: u32,
    time: Duration,
    jobs: usize,
    run: Run,
}

/// Time that several runs have together.
struct Time {
    max: Duration,
    used: Mutex<Duration>,
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
            .map(|(program, version)| Self {
                // It may run in another directory.
                program: std::path::absolute(&program).unwrap_or(program),
                version,
                time: Duration::MAX,
                jobs: 1,
                run: |command, _| Ok((command.status()?, Duration::ZERO)),
            })
            .ok_or(Error::NoClang { oldest: VERSION_OLDEST, newest: VERSION_NEWEST })
    }

    /// Where it is.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The same, where all runs of it for one object are held to a time. What it compiles may be hostile: some text takes it
    /// hours. So many of these runs may be beside each other.
    #[must_use]
    pub fn held(self, time: Duration, jobs: usize, run: Run) -> Self {
        Self { time, jobs, run, ..self }
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
        self.check(target)?;
        let (parts, time) = (parts::of(ir), self.time());
        if parts.len() > PARTS_MAX {
            return Err(Error::TooLarge);
        }
        if let ([part], Output::Relocatable) = (&parts[..], output) {
            return self.object(part, target, cpu, level, &time);
        }
        let run = |source| self.fails_to_run(source);
        let directory = tempfile::tempdir().map_err(run)?;
        let file = |name: &str| directory.path().join(name);
        let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let take = || {
            let number = next.fetch_add(1, Ordering::Relaxed);
            parts.get(number).map(|part| (number, part))
        };
        let work = || {
            while let Some((number, part)) = take() {
                let object = self.object(part, target, cpu, level, &time).and_then(|object| {
                    let before = bytes.fetch_add(object.len(), Ordering::Relaxed);
                    if before.saturating_add(object.len()) > OBJECTS_BYTES_MAX {
                        return Err(Error::TooLarge);
                    }
                    Ok(object)
                });
                // Nobody needs the others then.
                let object = object.inspect_err(|_| next.store(parts.len(), Ordering::Relaxed))?;
                fs::write(file(&format!("part{number}.o")), object).map_err(run)?;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..self.jobs.min(parts.len())).map(|_| scope.spawn(work)).collect();
            let own = work();
            let done = others.into_iter().map(|other| other.join().expect("it does not panic"));
            [own].into_iter().chain(done).collect::<Result<(), Error>>()
        })?;
        let mut link = self.command(target);
        match output {
            Output::Relocatable => link.args(["-r", "-nostdlib"]),
            Output::Shared => link.args(["-shared", "-nostartfiles", "-lm"]),
        };
        link.args((0..parts.len()).map(|number| file(&format!("part{number}.o"))));
        link.current_dir(directory.path());
        self.link(link.arg("-o").arg(file("module")), &time)?;
        fs::read(file("module")).map_err(run)
    }

    /// Makes a library for C of its parts and the runtime `hosts/c` for the target. A shared object shows nothing but what
    /// its header has.
    pub fn library(
        &self,
        library: &Library,
        runtime: &[u8],
        target: &Target,
        cpu: &str,
        output: Output,
    ) -> Result<Vec<u8>, Error> {
        let run = |source| self.fails_to_run(source);
        self.check(target)?;
        let time = self.time();
        let directory = tempfile::tempdir().map_err(run)?;
        let file = |name: &str| directory.path().join(name);
        let (module, glue, own) = (file("module.o"), file("glue.o"), file("runtime.o"));
        fs::write(&module, self.object(library.ir(), target, cpu, LEVEL, &time)?).map_err(run)?;
        fs::write(file("glue.c"), library.glue()).map_err(run)?;
        fs::write(&own, library.own_runtime(runtime)).map_err(run)?;
        let mut compile = self.command(target);
        compile.current_dir(directory.path()).arg(format!("-march={cpu}")).args([
            "-O2",
            "-ffreestanding",
            "-nostdlibinc",
            "-fvisibility=hidden",
        ]);
        compile.arg(if target.has_pages { "-fPIC" } else { "-fno-pic" });
        self.run(compile.arg("-c").arg(file("glue.c")).arg("-o").arg(&glue), &time)?;

        let mut link = self.command(target);
        link.current_dir(directory.path());
        if Target::host() != Some(*target) {
            // The linker of this machine knows its own processor only.
            link.arg("-fuse-ld=lld");
        }
        match output {
            Output::Relocatable => link.args(["-r", "-nostdlib"]),
            Output::Shared => {
                let shown = format!("{{ global: {}_*; local: *; }};\n", library.prefix());
                fs::write(file("shown"), shown).map_err(run)?;
                // Handlers of signals stay when the library goes.
                link.args(["-shared", "-Wl,-z,nodelete"]);
                link.arg(format!("-Wl,--version-script={}", file("shown").display()));
                // What a foreign one needs of the C library is found where it is loaded.
                let is_here = Target::host() == Some(*target);
                link.args(if is_here { ["-nostartfiles", "-lm"].as_slice() } else { &["-nostdlib"] })
            }
        };
        self.link(link.args([&module, &glue, &own]).arg("-o").arg(file("library")), &time)?;
        fs::read(file("library")).map_err(run)
    }

    /// An object. Neither the text nor the object has a name in the file system, so that nothing is left there when this
    /// process is ended; and clang, which has one thing to do, does it in one process.
    fn object(&self, ir: &str, target: &Target, cpu: &str, level: u8, time: &Time) -> Result<Vec<u8>, Error> {
        let run = |source| self.fails_to_run(source);
        let mut text = tempfile::tempfile().map_err(run)?;
        text.write_all(ir.as_bytes()).and_then(|()| text.rewind()).map_err(run)?;
        let mut object = tempfile::tempfile().map_err(run)?;
        let mut command = self.command(target);
        command.arg(format!("-march={cpu}"));
        // Numbers with a point are never to be quick and different.
        command.args(["-Wno-override-module", "-ffp-contract=off", "-fno-math-errno"]);
        command.args(match target.has_pages {
            true => ["-fPIC"].as_slice(),
            // What never moves needs no tables of addresses. `assembly::attributes` says how large frames may be.
            false => &["-fno-pic", "-Werror=frame-larger-than"],
        });
        command.arg(format!("-O{level}")).args(["-c", "-x", "ir", "-", "-o", "-"]);
        command.stdin(text).stdout(object.try_clone().map_err(run)?);
        self.run(&mut command, time)?;
        whole(&mut object).map_err(run)
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(format!("--target={}", target.llvm)).arg("-fno-crash-diagnostics");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn time(&self) -> Time {
        Time { max: self.time, used: Mutex::default() }
    }

    fn link(&self, command: &mut Command, time: &Time) -> Result<(), Error> {
        self.run(command, time).map_err(|error| match error {
            Error::Clang { program, message } => Error::Link { program, message },
            error => error,
        })
    }

    fn run(&self, command: &mut Command, time: &Time) -> Result<(), Error> {
        let run = |source| self.fails_to_run(source);
        let used = || time.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = tempfile::tempfile().map_err(run)?;
        command.stderr(said.try_clone().map_err(run)?);
        let late = || Error::Late { program: self.program.display().to_string(), time: self.time };
        let left = time.max.saturating_sub(*used());
        if left.is_zero() {
            return Err(late());
        }
        let (ended, took) = (self.run)(command, left).map_err(|source| match source.kind() {
            ErrorKind::TimedOut => late(),
            _ => run(source),
        })?;
        *used() += took;
        if !ended.success() {
            let mut message = Vec::new();
            // What cannot be read is not passed on.
            let _ = said.rewind().and_then(|()| said.take(MESSAGE_BYTES_MAX).read_to_end(&mut message));
            let message = String::from_utf8_lossy(&message);
            if FULL.iter().any(|full| message.contains(full)) {
                return Err(run(ErrorKind::StorageFull.into()));
            }
            let message = if message.is_empty() { ended.to_string() } else { message.into_owned() };
            return Err(Error::Clang { program: self.program.display().to_string(), message });
        }
        Ok(())
    }

    /// Whether its code for the target is safe.
    fn check(&self, target: &Target) -> Result<(), Error> {
        if self.version < target.clang_oldest {
            let (triple, oldest) = (target.triple, target.clang_oldest);
            return Err(Error::ClangTooOld { program: self.program.display().to_string(), triple, oldest });
        }
        Ok(())
    }

    fn fails_to_run(&self, source: std::io::Error) -> Error {
        Error::Run { program: self.program.display().to_string(), source }
    }
}

/// What clang says where there is no room for what it writes, which is no fault of the program.
const FULL: [&str; 2] = ["No space left on device", "IO failure on output stream"];

/// All that is in a file which was written just now.
fn whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The version of a clang, if it is one that will do.
fn known_version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_once("version ")?.1.split('.').next()?.parse().ok()?;
    (VERSION_OLDEST..=VERSION_NEWEST).contains(&version).then_some(version)
}
