//! Who takes part: the programs of this repository that were built, and the peers that this machine has.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::contest::{Contestant, NATIVE, WASMTIME};
use crate::launch::Launch;

/// Where everything lies. What a machine does not have takes no part.
pub(crate) struct Peers {
    pub(crate) sampan: PathBuf,
    pub(crate) wasmtime: Option<PathBuf>,
    pub(crate) node: Option<PathBuf>,
    pub(crate) workerd: Option<PathBuf>,
    pub(crate) runc: Option<PathBuf>,
    guests: PathBuf,
    programs: Option<PathBuf>,
    /// The home of every contestant: their caches live from one run to the next.
    state: PathBuf,
}

/// A Wasm program and how it is called.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<String>,
    /// Part of what it must print.
    pub(crate) expected: String,
}

impl Peers {
    /// Looks for everything. The peers come from `SAMPAN_WASMTIME`, `SAMPAN_WORKERD` and `PATH`.
    pub(crate) fn find() -> Result<Self> {
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let guests =
            variable("SAMPAN_GUESTS").context("`SAMPAN_GUESTS` is not set: run `cargo xtask bench`")?;
        let own = std::env::current_exe()?;
        let target =
            own.parent().and_then(Path::parent).context("this program lies in a target directory")?;
        let sampan = own.with_file_name("sampan");
        if !sampan.is_file() {
            bail!("`{}` is not built: run `cargo xtask bench`", sampan.display());
        }
        let state = target.join("bench");
        std::fs::create_dir_all(&state)?;
        Ok(Self {
            sampan,
            wasmtime: variable("SAMPAN_WASMTIME"),
            node: in_path("node"),
            workerd: variable("SAMPAN_WORKERD"),
            runc: in_path("runc"),
            guests,
            programs: variable("SAMPAN_PROGRAMS"),
            state,
        })
    }

    /// A directory that contestants may use.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// A program of `guests/`, such as `bench/gemm.wasm`.
    pub(crate) fn guest(&self, name: &str) -> PathBuf {
        self.guests.join(name)
    }

    /// One of the real programs.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let programs =
            self.programs.as_ref().context("`SAMPAN_PROGRAMS` is not set: run `cargo xtask bench`")?;
        Ok(programs.join(name))
    }

    /// Native code.
    pub(crate) fn native(&self, program: &Path, args: &[String], expected: &str) -> Contestant {
        self.contestant(NATIVE, program, args.iter().map(PathBuf::from).collect(), expected)
    }

    /// Our profiles and Wasmtime's command, with their code caches.
    pub(crate) fn cached(&self, program: &Program) -> Vec<Contestant> {
        self.engines(program, &[], &[])
    }

    /// The same, compiling anew each time.
    pub(crate) fn cold(&self, program: &Program) -> Vec<Contestant> {
        self.engines(program, &["--no-cache"], &["-C", "cache=n"])
    }

    /// Our default profile with these flags.
    pub(crate) fn ours(&self, name: &'static str, flags: &[&str], program: &Program) -> Contestant {
        self.runs(name, &self.sampan, &[&["run"], flags].concat(), program)
    }

    fn engines(&self, program: &Program, our_flags: &[&str], wasmtime_flags: &[&str]) -> Vec<Contestant> {
        let ours = |profile| [&["run", "--profile", profile], our_flags].concat();
        let mut found = vec![
            self.runs("sampan dense", &self.sampan, &ours("dense"), program),
            self.runs("sampan portable", &self.sampan, &ours("portable"), program),
            self.runs("sampan sealed", &self.sampan, &ours("sealed"), program),
        ];
        if let Some(wasmtime) = &self.wasmtime {
            found.push(self.runs(WASMTIME, wasmtime, &[&["run"], wasmtime_flags].concat(), program));
        }
        found
    }

    /// Node with its own WASI 0.1.
    pub(crate) fn node_wasi(&self, program: &Program) -> Option<Contestant> {
        let script = peer_script("wasi.mjs");
        let flags = ["--no-warnings", script.as_str()];
        Some(self.runs("Node, Wasm", self.node.as_ref()?, &flags, program))
    }

    /// Node with a JavaScript program that does the same.
    pub(crate) fn node_script(&self, script: &str, expected: &str) -> Option<Contestant> {
        let args = vec![peer_script(script).into()];
        Some(self.contestant("Node, JavaScript", self.node.as_ref()?, args, expected))
    }

    fn runs(&self, name: &'static str, engine: &Path, flags: &[&str], program: &Program) -> Contestant {
        let mut args: Vec<PathBuf> = flags.iter().map(PathBuf::from).collect();
        args.push(program.path.clone());
        args.extend(program.args.iter().map(PathBuf::from));
        self.contestant(name, engine, args, &program.expected)
    }

    /// A process.
    pub(crate) fn contestant(
        &self,
        name: &'static str,
        file: &Path,
        args: Vec<PathBuf>,
        expected: &str,
    ) -> Contestant {
        let mut launch = Launch::new(file, args, &self.state, expected);
        Contestant { name, run: Box::new(move || launch.sample()) }
    }

    /// What a native program prints.
    pub(crate) fn printed_by(&self, program: &Path, args: &[String]) -> Result<String> {
        let args = args.iter().map(PathBuf::from).collect();
        Ok(Launch::new(program, args, &self.state, "").run()?.1)
    }
}

/// A file under `peers/`.
pub(crate) fn peer_script(name: &str) -> String {
    format!("{}/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn in_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.is_file())
}
