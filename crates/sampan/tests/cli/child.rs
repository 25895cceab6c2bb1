//! One run of the binary under test, with a deadline, so that a hang fails a test instead of stopping it.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wait4::Wait4;

/// No run of a test takes longer, on however busy a machine, unless it says so.
const DEADLINE: Duration = Duration::from_secs(120);

/// A command line of `sampan`, ready to be run.
pub(crate) struct Sampan {
    command: Command,
    deadline: Duration,
}

/// How a run came to its end.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code. `None` where a signal ended the process.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// The most memory that was resident at once.
    pub(crate) resident_bytes_max: u64,
    pub(crate) time: Duration,
}

/// `sampan` with these arguments.
pub(crate) fn sampan(args: &[&str]) -> Sampan {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
    command.args(args);
    Sampan::new(command)
}

/// `sh` with this script; `sampan` is on its path.
pub(crate) fn shell(script: &str) -> Sampan {
    let bin = Path::new(env!("CARGO_BIN_EXE_sampan")).parent().expect("a binary lies in a directory");
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    Sampan::new(command)
}

/// Where the tests' own cache and key are; what is big is compiled once, not at every run of the tests.
pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("home")
}

/// A program built from `guests/`, as `KIND/NAME.wasm`.
pub(crate) fn guest(name: &str) -> PathBuf {
    made("SAMPAN_GUESTS", name)
}

/// A program of `xtask/programs.toml`, as `NAME.wasm`.
pub(crate) fn program(name: &str) -> PathBuf {
    made("SAMPAN_PROGRAMS", name)
}

/// What the programs of `xtask/programs.toml` run with under `dense`: `cargo xtask native` has them be native code.
pub(crate) fn way(profile: &str) -> &'static [&'static str] {
    let is_native = profile == "dense" && std::env::var_os("SAMPAN_PROGRAMS_NATIVE").is_some();
    if is_native { NATIVE } else { &[] }
}

/// What makes a program native code, also a large one.
pub(crate) const NATIVE: &[&str] = &["codegen=native", "compile-seconds=3600"];

fn made(variable: &str, name: &str) -> PathBuf {
    let found = std::env::var_os(variable).map(|dir| PathBuf::from(dir).join(name));
    let found = found.filter(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no `{name}` in ${variable}: run `cargo xtask test`"))
}

impl Sampan {
    fn new(mut command: Command) -> Self {
        command
            .env("XDG_CACHE_HOME", home().join("cache"))
            .env("XDG_DATA_HOME", home().join("data"))
            .env_remove("NO_COLOR")
            // Apps that run on this machine are no part of the tests.
            .env_remove("XDG_RUNTIME_DIR")
            // Some machines set it; what a user reads does not depend on it.
            .env("RUST_BACKTRACE", "1");
        Self { command, deadline: DEADLINE }
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it with nothing on standard input.
    pub(crate) fn run(self) -> Ended {
        self.run_with(b"")
    }

    /// Runs it with `input` on standard input.
    pub(crate) fn run_with(mut self, input: &[u8]) -> Ended {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let (mut child, end) = self.spawn();
        let mut stdin = child.stdin.take().expect("it is a pipe");
        let stdout = child.stdout.take().expect("it is a pipe");
        let mut output = Vec::new();
        thread::scope(|scope| {
            scope.spawn(move || {
                // A program that ends early does not read all of it.
                let _ = stdin.write_all(input);
            });
            let mut stdout = stdout;
            stdout.read_to_end(&mut output).expect("standard output is read");
        });
        Ended { stdout: output, ..end.wait(child) }
    }

    /// Runs it with standard input open and empty until its end.
    pub(crate) fn run_waiting(mut self) -> Ended {
        self.command.stdin(Stdio::piped()).stdout(Stdio::null());
        let (mut child, end) = self.spawn();
        let _open: ChildStdin = child.stdin.take().expect("it is a pipe");
        end.wait(child)
    }

    /// Runs it while its standard output is `reader`'s, and then what `reader` returns: nothing to close it, the output
    /// itself to leave it unread.
    pub(crate) fn run_reading<T>(mut self, reader: impl FnOnce(ChildStdout) -> T) -> Ended {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped());
        let (mut child, end) = self.spawn();
        let _held = reader(child.stdout.take().expect("it is a pipe"));
        end.wait(child)
    }

    fn spawn(&mut self) -> (Child, End) {
        let start = Instant::now();
        let mut child = self.command.stderr(Stdio::piped()).spawn().expect("the binary starts");
        let (ended, watched) = mpsc::channel::<()>();
        let (pid, deadline) = (child.id(), self.deadline);
        thread::spawn(move || {
            if watched.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout) {
                Command::new("kill").args(["-KILL", &pid.to_string()]).status().expect("`kill` runs");
            }
        });
        let mut stderr = child.stderr.take().expect("it is a pipe");
        let talk = thread::spawn(move || {
            let mut bytes = Vec::new();
            stderr.read_to_end(&mut bytes).expect("standard error is read");
            String::from_utf8_lossy(&bytes).into_owned()
        });
        (child, End { start, _ended: ended, talk })
    }
}

/// What is needed to wait for the end of a run.
struct End {
    start: Instant,
    /// Dropped at the end, which calls off the deadline.
    _ended: mpsc::Sender<()>,
    talk: thread::JoinHandle<String>,
}

impl End {
    fn wait(self, mut child: Child) -> Ended {
        let used = child.wait4().expect("the child is waited for");
        Ended {
            code: used.status.code(),
            signal: used.status.signal(),
            stdout: Vec::new(),
            stderr: self.talk.join().expect("standard error is read"),
            resident_bytes_max: used.rusage.maxrss,
            time: self.start.elapsed(),
        }
    }
}

impl Ended {
    /// Asserts that the program came to its end well, and returns what it printed.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        String::from_utf8(self.stdout).expect("the output is text")
    }

    /// Asserts one clear error with this exit code: a line that contains `error`, and no word of a panic.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, error: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.is_calm();
        assert!(self.stderr.starts_with("error: ") && self.stderr.contains(error), "`{error}` in {self:?}");
        assert_eq!(self.stderr.matches("error: ").count(), 1, "{self:?}");
    }

    /// Asserts that the process ended by itself and did not panic.
    #[track_caller]
    pub(crate) fn is_calm(&self) {
        assert!(matches!(self.code, Some(0..=2)), "{self:?}");
        for word in ["panicked", "stack backtrace", "RUST_BACKTRACE", "overflowed its stack"] {
            assert!(!self.stderr.contains(word), "`{word}` in {self:?}");
        }
    }
}
