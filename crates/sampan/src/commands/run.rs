//! `sampan run`: runs a program to its end.

#[cfg(target_os = "linux")]
mod sealed;

use std::env::VarError;
use std::ffi::OsString;
use std::fs::File;
use std::future::poll_fn;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::exit;
use std::task::Poll;

use clap::{ArgAction, Args, ValueHint};
use engine::options::Codegen;
use engine::wasmtime::Store;
use engine::{CodeCache, Engine, Interrupts, Profile, Program, Sampler, Settings};
use host::grants::{Dir, Peer};
use host::{DirError, Error, Grants, Host, Outcome, Stdio};
use tokio::runtime::Runtime;

use crate::appended::Appended;
use crate::report::{Report, print};
use crate::tuning::{Tuning, engine};
use crate::watchdog::Watchdog;
use crate::{authorities, home, source, trap};

/// Run a program: a module or component, binary or text
#[derive(Args)]
#[command(
    override_usage = "sampan run [OPTIONS] <PROGRAM> [ARGS]...",
    after_help = "\
Examples:
  sampan run hello.wasm one two
  sampan run --dir .:/work:ro --env LANG report.wasm /work/data.csv
  sampan run --http=example.com fetch.wasm https://example.com/
  sampan run --invoke 'add(1, 2)' calculator.wasm
  echo '(module (func (export \"_start\")))' | sampan run -"
)]
pub(crate) struct Run {
    /// The program, or `-` to read it from standard input, and arguments for it or for the function that `--invoke`
    /// names: all that stands behind the program is for it, flags too
    #[arg(value_names = ["PROGRAM", "ARGS"], required = true, num_args = 1.., trailing_var_arg = true,
          value_hint = ValueHint::AnyPath)]
    program_and_args: Vec<OsString>,

    /// Call this exported function: NAME with ARGS, or NAME(VALUE, …)
    #[arg(long, value_name = "NAME")]
    invoke: Option<String>,

    /// Let it use a directory, under the name GUEST; `ro` for reading only
    #[arg(long, value_name = "HOST[:GUEST][:ro]", help_heading = "Grants")]
    dir: Vec<Dir>,

    /// Set an environment variable, or pass this one on
    #[arg(long, value_name = "NAME[=VALUE]", help_heading = "Grants")]
    env: Vec<String>,

    /// Let it send to a host over TCP and UDP, and look up its name
    #[arg(long, value_name = "HOST:PORT", help_heading = "Grants")]
    net: Vec<Peer>,

    /// Let it receive on a local address
    #[arg(long, value_name = "ADDR:PORT", value_parser = local_address, help_heading = "Grants")]
    listen: Vec<SocketAddr>,

    /// Let it send HTTP requests, to one host or to any
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true, action = ArgAction::Append,
          default_missing_value = "*", value_parser = Peer::server, help_heading = "Grants")]
    http: Vec<Peer>,

    #[command(flatten)]
    tuning: Tuning,

    /// Compile the program anew and keep nothing
    #[arg(long, help_heading = "Diagnostics")]
    no_cache: bool,

    /// Write a core dump to this file if the program traps
    #[arg(long, value_name = "FILE", help_heading = "Diagnostics")]
    coredump: Option<PathBuf>,

    /// Write where the program spent its time to this file, for the Firefox profiler
    #[arg(long, alias = "profile-guest", value_name = "FILE", help_heading = "Diagnostics")]
    sample: Option<PathBuf>,

    /// Say on standard error what is done beside running the program
    #[arg(short, long, help_heading = "Diagnostics")]
    verbose: bool,

    /// The program's code, where it is appended to this very program.
    #[arg(skip)]
    appended: Option<Vec<u8>>,
}

/// What is to be run, as the program sees it and as its user does.
struct Task {
    name: String,
    shown: String,
    args: Vec<String>,
    grants: Grants,
}

/// Where to listen: an address, for what a name means is for others to say.
pub(super) fn local_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected `ADDR:PORT`, such as `127.0.0.1:8080` or `[::1]:8080`")
}

/// Exit code of a process that a user ended with Ctrl-C: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// What comes of `run`, or nothing if Ctrl-C comes first.
async fn unless_interrupted<T>(run: impl Future<Output = T>) -> Option<T> {
    let mut run = pin!(run);
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    poll_fn(|context| {
        if let Poll::Ready(ended) = run.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        interrupted.as_mut().poll(context).map(|_| None)
    })
    .await
}

fn cannot_write(what: &str, path: &Path, error: impl std::fmt::Display) -> Report {
    Report::usage(format!("cannot write {what} to `{}`", path.display())).cause(error)
}

impl Run {
    /// The same, but for what is appended to this very program, if anything is.
    pub(crate) fn with(self, appended: Option<Appended>) -> Self {
        Self { appended: appended.map(|appended| appended.code), ..self }
    }

    /// Runs the program and returns its exit code.
    pub(crate) fn execute(self) -> Result<i32, Report> {
        let task = self.task()?;
        let mut settings = self.tuning.settings()?;
        settings.clock_rests = true;
        if settings.profile == Profile::Sealed {
            return self.execute_sealed(task, &settings);
        }
        settings.coredump = self.coredump.is_some();
        settings.sample = self.sample.is_some();
        let watchdog = settings.limits.time_max.map(|limit| Watchdog::start(limit, task.shown.clone()));
        self.check_core_dump()?;
        let mut engine = engine(settings, self.verbose)?;
        let cache = self.cache();
        let program = match &self.appended {
            Some(code) => {
                source::load_with(&mut engine, self.program(), |engine| engine.load_appended(code))?
            }
            None => source::load(&mut engine, self.program(), cache.as_ref())?,
        };
        let interrupts = match &watchdog {
            Some(_) => self.interrupts(&engine, &program, cache.as_ref()),
            None => None,
        };
        if let Some(watchdog) = &watchdog
            && (interrupts.is_some() || engine.settings().has_epochs())
        {
            watchdog.stand_by();
        }
        let host = self.host(&task, engine.settings())?;

        // A write to a pipe that nobody reads ends a native program, silently; so here.
        sigpipe::reset();
        self.drive(&runtime()?, &engine, &program, interrupts.as_ref(), host, &task)
    }

    /// Runs the program that is ready now, and returns its exit code, or ends the process with it.
    fn drive(
        &self,
        runtime: &Runtime,
        engine: &Engine,
        program: &Program,
        interrupts: Option<&Interrupts<Host>>,
        host: Host,
        task: &Task,
    ) -> Result<i32, Report> {
        engine::run_alone();
        // Native code is told by a signal that its time is over, and needs no clock.
        let _busy = (engine.settings().options.codegen != Codegen::Native).then(|| engine.busy());
        let mut store = engine.store(host);
        let sampler = self.sampler(engine, &mut store, program, &task.name)?;
        let ended = runtime.block_on(async {
            let interruptible = match interrupts {
                Some(interrupts) => match interrupts.arm(&mut store).await {
                    Ok(interruptible) => Some(interruptible),
                    Err(error) => return Some(Err(Error::Trap(error))),
                },
                None => None,
            };
            let run = self.run(engine, &mut store, program, task);
            let run = async {
                match interruptible {
                    Some(interruptible) => interruptible.watch(run).await,
                    None => run.await,
                }
            };
            match sampler {
                // What was sampled of a server is wanted just when somebody stops it.
                Some(_) => unless_interrupted(run).await,
                None => Some(run.await),
            }
        });
        if let Some((sampler, file)) = sampler
            && let Err(error) = sampler.finish(BufWriter::new(file))
        {
            eprintln!("sampan: the samples are not whole: {error}");
        }
        match ended {
            // Not `return`: a thread may still wait for standard input.
            Some(ended) => exit(self.finish(&task.shown, ended, &mut store, engine)?),
            None => exit(INTERRUPTED),
        }
    }

    /// What makes the program end in time, with all that it was doing. Without it the process ends.
    fn interrupts(
        &self,
        engine: &Engine,
        program: &Program,
        cache: Option<&CodeCache>,
    ) -> Option<Interrupts<Host>> {
        match engine.interrupts(program, cache)? {
            Ok(interrupts) => Some(interrupts),
            Err(error) => {
                if self.verbose {
                    eprintln!("sampan: no interruption by signals: {error}");
                }
                None
            }
        }
    }

    async fn run(
        &self,
        engine: &Engine,
        store: &mut Store<Host>,
        program: &Program,
        task: &Task,
    ) -> Result<Outcome, Error> {
        match &self.invoke {
            Some(call) => host::invoke(engine, store, program, &task.grants, call, &task.args).await,
            None => host::run(engine, store, program, &task.grants).await.map(Outcome::Exited),
        }
    }

    /// Prints what came of the program, and returns its exit code.
    fn finish(
        &self,
        shown: &str,
        ended: Result<Outcome, Error>,
        store: &mut Store<Host>,
        engine: &Engine,
    ) -> Result<i32, Report> {
        match ended {
            Ok(Outcome::Exited(0)) => Ok(0),
            Ok(Outcome::Exited(code)) => {
                trap::hint_at_denials(store.data().denials());
                Ok(code)
            }
            Ok(Outcome::Returned(results)) => {
                let lines: String = results.iter().map(|result| format!("{result}\n")).collect();
                print(lines.as_bytes()).map(|()| 0)
            }
            Err(error) => {
                let report = trap::explain(shown, &error, engine.settings(), store.data().denials());
                Err(self.write_core_dump(report, &error, store, engine))
            }
        }
    }

    /// Writes the core dump that was asked for, or tells why not beside what else there is to tell.
    fn write_core_dump(
        &self,
        report: Report,
        error: &Error,
        store: &mut Store<Host>,
        engine: &Engine,
    ) -> Report {
        let (Some(path), Some(source)) = (&self.coredump, error.from_program()) else {
            return report;
        };
        let Some(dump) = engine.core_dump(store, source, &source::name(self.program())) else {
            return report;
        };
        match std::fs::write(path, dump) {
            Ok(()) => report.note(format!("core dump: {}", path.display())),
            Err(error) => report.note(format!("no core dump: cannot write `{}`: {error}", path.display())),
        }
    }

    /// Refuses, before the program runs, a core dump that could not be written after it.
    fn check_core_dump(&self) -> Result<(), Report> {
        let Some(path) = &self.coredump else {
            return Ok(());
        };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        match directory.unwrap_or(Path::new(".")).metadata() {
            _ if path.is_dir() => Err(cannot_write("a core dump", path, "is a directory")),
            Ok(directory) if !directory.is_dir() => Err(cannot_write("a core dump", path, "not a directory")),
            directory => directory.map(drop).map_err(|error| cannot_write("a core dump", path, error)),
        }
    }

    fn sampler(
        &self,
        engine: &Engine,
        store: &mut Store<Host>,
        program: &Program,
        name: &str,
    ) -> Result<Option<(Sampler, File)>, Report> {
        let Some(path) = &self.sample else {
            return Ok(None);
        };
        let file = File::create(path).map_err(|error| cannot_write("samples", path, error))?;
        match Sampler::start(engine, store, program, name) {
            Ok(sampler) => Ok(Some((sampler, file))),
            Err(error) => Err(Report::failure("cannot sample the program").cause(error)),
        }
    }

    fn program(&self) -> &Path {
        Path::new(&self.program_and_args[0])
    }

    fn args(&self) -> Result<Vec<String>, Report> {
        let text = |arg: &OsString| match arg.to_str() {
            Some(arg) => Ok(arg.to_owned()),
            None => Err(Report::usage(format!("argument `{}` is not UTF-8", arg.display()))
                .hint("WebAssembly programs take text only")),
        };
        self.program_and_args[1..].iter().map(text).collect()
    }

    /// The code cache, if it is wanted and there can be one here. Without it everything works, only slower.
    fn cache(&self) -> Option<CodeCache> {
        if self.no_cache {
            return None;
        }
        let cache = home::cache();
        if let Err(error) = &cache
            && self.verbose
        {
            eprintln!("sampan: no code cache: {error}");
        }
        cache.ok()
    }

    fn host(&self, task: &Task, settings: &Settings) -> Result<Host, Report> {
        let mut argv = vec![task.name.clone()];
        if self.invoke.is_none() {
            argv.extend_from_slice(&task.args);
        }
        Host::new(&argv, Stdio::Inherit, &task.grants, &settings.limits).map_err(|error| unopened(&error))
    }

    fn task(&self) -> Result<Task, Report> {
        Ok(Task {
            name: source::name(self.program()),
            shown: source::shown(self.program()),
            args: self.args()?,
            grants: self.grants()?,
        })
    }

    fn grants(&self) -> Result<Grants, Report> {
        Ok(Grants {
            dirs: self.dir.clone(),
            env: self.env.iter().map(|variable| grant_env(variable)).collect::<Result<_, _>>()?,
            net: self.net.clone(),
            listen: self.listen.clone(),
            http: self.http.clone(),
            authorities: authorities::trusted()?,
            bindings: None,
        })
    }
}

/// What a user reads of a directory that cannot be granted.
fn unopened(error: &DirError) -> Report {
    Report::from_error(error).hint("`--dir` takes a directory that is there")
}

/// An event loop on this thread.
fn runtime() -> Result<Runtime, Report> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Report::failure("cannot start").cause(error))
}

/// The variable that `NAME=VALUE` sets, or that `NAME` passes on.
fn grant_env(variable: &str) -> Result<(String, String), Report> {
    let (name, value) = match variable.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (variable, None),
    };
    if name.is_empty() {
        return Err(Report::usage(format!("`--env {variable}` names no variable"))
            .hint("`--env NAME=VALUE` sets a variable, `--env NAME` passes one on"));
    }
    let unset = |what| {
        let report = Report::usage(format!("environment variable `{name}` is {what}"));
        report.hint(format!("`--env {name}=VALUE` gives it a value"))
    };
    let value = match value {
        Some(value) => value.to_owned(),
        None => std::env::var(name).map_err(|error| match error {
            VarError::NotPresent => unset("not set"),
            VarError::NotUnicode(_) => unset("not UTF-8"),
        })?,
    };
    Ok((name.to_owned(), value))
}
