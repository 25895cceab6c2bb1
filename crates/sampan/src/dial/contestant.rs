//! Who takes part: our profiles, and the ways to run a program that this machine has.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use host::grants::Dir;

use super::bundle;

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `sampan run` with these flags. Whether a process of its own is needed for each instance, or many share one.
    Ours { flags: &'static [&'static str], shares: bool },
    /// The command of Wasmtime.
    Wasmtime,
    /// A native program, as any.
    Native,
    /// A native program in new namespaces.
    Unshare,
    /// A native program in bubblewrap.
    Bubblewrap,
    /// A native program in a container of the Open Container Initiative.
    Runc,
}

/// All there are, in the order in which they are shown.
pub(crate) const ALL: [Contestant; 10] = [
    ours("dense", &["--profile", "dense"], true),
    ours("dense-native", &["--profile", "dense", "-Ocodegen=native"], true),
    ours("portable", &["--profile", "portable"], true),
    ours("sealed", &["--profile", "sealed"], false),
    ours("trusted", &["--profile", "trusted"], true),
    Contestant { name: "wasmtime", kind: Kind::Wasmtime },
    Contestant { name: "native", kind: Kind::Native },
    Contestant { name: "unshare", kind: Kind::Unshare },
    Contestant { name: "bwrap", kind: Kind::Bubblewrap },
    Contestant { name: "runc", kind: Kind::Runc },
];

const fn ours(name: &'static str, flags: &'static [&'static str], shares: bool) -> Contestant {
    Contestant { name, kind: Kind::Ours { flags, shares } }
}

/// A program that all can run, and what it is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    pub(crate) program: PathBuf,
    /// The native program that does the same, if there is one.
    pub(crate) native: Option<PathBuf>,
    pub(crate) args: Vec<OsString>,
    pub(crate) dirs: Vec<Dir>,
    /// What `XDG_DATA_HOME` is for our own, with a list of trusted programs; `None` for the user's.
    pub(crate) data: Option<PathBuf>,
}

/// Where contestants may write: a directory that is gone in the end.
pub(crate) struct Ground {
    dir: tempfile::TempDir,
    numbers: Cell<u32>,
}

impl Ground {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { dir: tempfile::Builder::new().prefix("sampan-bench-").tempdir()?, numbers: Cell::new(0) })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The cache of compiled code that all runs share that have one.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// A name that nobody had.
    pub(crate) fn fresh(&self, kind: &str) -> String {
        self.numbers.set(self.numbers.get() + 1);
        format!("{kind}-{}-{}", std::process::id(), self.numbers.get())
    }
}

impl Contestant {
    /// Whether it is one of our own profiles.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self.kind, Kind::Ours { .. })
    }

    /// Whether it runs WebAssembly.
    pub(crate) fn is_wasm(self) -> bool {
        self.is_ours() || self.kind == Kind::Wasmtime
    }

    /// Whether the kernel counts what its program uses as used by it: bubblewrap does not wait for its own child.
    pub(crate) fn counts_processor_time(self) -> bool {
        self.kind != Kind::Bubblewrap
    }

    /// The tool that must be in `PATH` for it.
    fn tool(self) -> Option<&'static str> {
        match self.kind {
            Kind::Ours { .. } | Kind::Native => None,
            Kind::Wasmtime => Some("wasmtime"),
            Kind::Unshare => Some("unshare"),
            Kind::Bubblewrap => Some("bwrap"),
            Kind::Runc => Some("runc"),
        }
    }

    /// Why it cannot take part on this machine, if it cannot.
    pub(crate) fn absence(self, task: &Task) -> Option<String> {
        match self.tool() {
            Some(tool) if in_path(tool).is_none() => Some(format!("`{tool}` is not in `PATH`")),
            _ if !self.is_wasm() && task.native.is_none() => {
                Some("no native program: `--native COMMAND` names one".to_owned())
            }
            _ => None,
        }
    }

    /// The command that runs the task, whose code is kept in `cache`.
    pub(crate) fn command(self, task: &Task, cache: &Path, ground: &Ground) -> io::Result<Command> {
        let native = || task.native.clone().ok_or(io::ErrorKind::NotFound);
        let mut command = match self.kind {
            Kind::Ours { flags, .. } => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("run").args(flags);
                for dir in &task.dirs {
                    command.arg("--dir").arg(granted(dir));
                }
                command.arg(&task.program);
                command
            }
            Kind::Wasmtime => {
                let mut command = Command::new("wasmtime");
                command.arg("run");
                for dir in &task.dirs {
                    command.arg("--dir").arg(format!("{}::{}", dir.host.display(), dir.guest));
                }
                command.arg(&task.program);
                command
            }
            Kind::Native => Command::new(native()?),
            Kind::Unshare => {
                let mut command = Command::new("unshare");
                command.args(["-Urpmnf", "--kill-child", "--mount-proc"]).arg(native()?);
                command
            }
            Kind::Bubblewrap => {
                let mut command = Command::new("bwrap");
                command.args(["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
                command.args(["--proc", "/proc"]);
                for path in bundle::visible(&native()?) {
                    command.arg("--ro-bind").arg(&path).arg(&path);
                }
                command.arg(native()?);
                command
            }
            Kind::Runc => {
                let dir = ground.path(&ground.fresh("bundle"));
                bundle::write(&dir, &native()?, &task.args)?;
                let mut command = Command::new("runc");
                command.arg("--root").arg(ground.path("runc")).args(["run", "--bundle"]).arg(dir);
                command.arg(ground.fresh("sampan-bench"));
                command.env("XDG_RUNTIME_DIR", ground.path("runc"));
                return Ok(command);
            }
        };
        command.args(&task.args).env("XDG_CACHE_HOME", cache).env("RUST_BACKTRACE", "0");
        if let Some(data) = &task.data {
            command.env("XDG_DATA_HOME", data);
        }
        Ok(command)
    }

    /// The command that has so many instances of the task in one process, or, where they do not share one, `None`.
    pub(crate) fn crowd(
        self,
        task: &Task,
        count: Option<u32>,
        ground: &Ground,
    ) -> io::Result<Option<Command>> {
        let Kind::Ours { flags, shares: true } = self.kind else {
            return Ok(None);
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("crowd").args(flags);
        if let Some(count) = count {
            command.arg("--count").arg(count.to_string());
        }
        for dir in &task.dirs {
            command.arg("--dir").arg(granted(dir));
        }
        command.arg(&task.program).args(&task.args);
        command.env("XDG_CACHE_HOME", ground.cache()).env("RUST_BACKTRACE", "0");
        if let Some(data) = &task.data {
            command.env("XDG_DATA_HOME", data);
        }
        Ok(Some(command))
    }
}

/// A grant as it is typed.
fn granted(dir: &Dir) -> String {
    format!("{}:{}{}", dir.host.display(), dir.guest, if dir.read_only { ":ro" } else { "" })
}

/// Where a tool is.
pub(crate) fn in_path(tool: &str) -> Option<PathBuf> {
    let directories = std::env::var_os("PATH")?;
    std::env::split_paths(&directories).map(|directory| directory.join(tool)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
