//! `sampan run`: runs a program to its end.

use std::fs::File;
use std::future::poll_fn;
use std::io::BufWriter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::exit;
use std::task::Poll;

use clap::{ArgAction, Args};
use engine::wasmtime::Store;
use engine::{Engine, Program, Sampler, Settings};
use host::grants::{Dir, Peer};
use host::{Error, Grants, Host, Outcome, Stdio};

use crate::report::{Report, print};
use crate::tuning::{Tuning, engine};
use crate::watchdog::Watchdog;
use crate::{home, source, trap};

/// Run a program: a module or component, binary or text
#[derive(Args)]
#[command(after_help = "\
Examples:
  sampan run hello.wasm one two
  sampan run --dir .:/work:ro --env LANG report.wasm /work/data.csv
  sampan run --http=example.com fetch.wasm https://example.com/
  sampan run --invoke 'add(1, 2)' calculator.wasm
  echo '(module (func (export \"_start\")))' | sampan run -")]
pub(crate) struct Run {
    /// The program; `-` reads it from standard input
    program: PathBuf,

    /// Arguments for the program, or for the function that `--invoke` names
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,

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
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Grants")]
    listen: Vec<SocketAddr>,

    /// Let it send HTTP requests, to one host or to any
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true, action = ArgAction::Append,
          default_missing_value = "*", value_parser = http_peer, help_heading = "Grants")]
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
}

/// A server: as for `--net`, but every port where none is named.
fn http_peer(text: &str) -> Result<Peer, host::grants::Malformed> {
    text.parse().or_else(|error| match text.parse() {
        Ok(host) => Ok(Peer { host, port: None }),
        Err(_) => Err(error),
    })
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
    Report::failure(format!("cannot write {what} to `{}`", path.display())).cause(error)
}

impl Run {
    /// Runs the program and returns its exit code.
    pub(crate) fn execute(self) -> Result<i32, Report> {
        let name = source::name(&self.program);
        let grants = self.grants()?;
        let mut settings = self.tuning.settings()?;
        settings.coredump = self.coredump.is_some();
        settings.sample = self.sample.is_some();
        let watchdog = settings.limits.time_max.map(|limit| Watchdog::start(limit, name.clone()));
        let engine = engine(settings, self.verbose)?;
        let program = self.load(&engine)?;
        if let Some(watchdog) = &watchdog
            && engine.settings().has_epochs()
        {
            watchdog.stand_by();
        }
        let host = self.host(&name, &grants, engine.settings())?;

        // A write to a pipe that nobody reads ends a native program, silently; so here.
        sigpipe::reset();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Report::failure("cannot start").cause(error))?;
        let mut store = engine.store(host);
        let sampler = self.sampler(&engine, &mut store, &program, &name)?;
        let ended = runtime.block_on(async {
            let run = self.run(&engine, &mut store, &program, &grants);
            match sampler {
                // What was sampled of a server is wanted just when somebody stops it.
                Some(_) => unless_interrupted(run).await,
                None => Some(run.await),
            }
        });
        self.write_samples(sampler)?;
        match ended {
            // Not `return`: a thread may still wait for standard input.
            Some(ended) => exit(self.finish(&name, ended, &mut store, &engine)?),
            None => exit(INTERRUPTED),
        }
    }

    async fn run(
        &self,
        engine: &Engine,
        store: &mut Store<Host>,
        program: &Program,
        grants: &Grants,
    ) -> Result<Outcome, Error> {
        match &self.invoke {
            Some(call) => host::invoke(engine, store, program, grants, call, &self.args).await,
            None => host::run(engine, store, program, grants).await.map(Outcome::Exited),
        }
    }

    /// Prints what came of the program, and returns its exit code.
    fn finish(
        &self,
        name: &str,
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
                self.write_core_dump(name, &error, store, engine)?;
                Err(trap::explain(name, &error, engine.settings(), store.data().denials()))
            }
        }
    }

    fn write_core_dump(
        &self,
        name: &str,
        error: &Error,
        store: &mut Store<Host>,
        engine: &Engine,
    ) -> Result<(), Report> {
        let (Some(path), Some(source)) = (&self.coredump, error.from_program()) else {
            return Ok(());
        };
        let Some(dump) = engine.core_dump(store, source, name) else {
            return Ok(());
        };
        std::fs::write(path, dump).map_err(|error| cannot_write("core dump", path, error))
    }

    fn sampler(
        &self,
        engine: &Engine,
        store: &mut Store<Host>,
        program: &Program,
        name: &str,
    ) -> Result<Option<Sampler>, Report> {
        if self.sample.is_none() {
            return Ok(None);
        }
        let sampler = Sampler::start(engine, store, program, name);
        sampler.map(Some).map_err(|error| Report::failure("cannot sample the program").cause(error))
    }

    fn write_samples(&self, sampler: Option<Sampler>) -> Result<(), Report> {
        let (Some(path), Some(sampler)) = (&self.sample, sampler) else {
            return Ok(());
        };
        let file = File::create(path).map_err(|error| cannot_write("samples", path, error))?;
        sampler.finish(BufWriter::new(file)).map_err(|error| cannot_write("samples", path, error))
    }

    fn load(&self, engine: &Engine) -> Result<Program, Report> {
        let cache = if self.no_cache { None } else { self.cache() };
        source::load(engine, &self.program, cache.as_ref())
    }

    /// The code cache, if there can be one here. Without it everything works, only slower.
    fn cache(&self) -> Option<engine::CodeCache> {
        let cache = home::cache();
        if let Err(error) = &cache
            && self.verbose
        {
            eprintln!("sampan: no code cache: {error}");
        }
        cache.ok()
    }

    fn host(&self, name: &str, grants: &Grants, settings: &Settings) -> Result<Host, Report> {
        let mut args = vec![name.to_owned()];
        if self.invoke.is_none() {
            args.extend(self.args.iter().cloned());
        }
        Host::new(&args, Stdio::Inherit, grants, &settings.limits)
            .map_err(|error| Report::from_error(&error).hint("`--dir` takes a directory that is there"))
    }

    fn grants(&self) -> Result<Grants, Report> {
        let env = self.env.iter().map(|variable| match variable.split_once('=') {
            Some(("", _)) => Err(Report::usage(format!("`--env {variable}` names no variable"))),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => match std::env::var(variable) {
                Ok(value) => Ok((variable.clone(), value)),
                Err(_) => {
                    Err(Report::usage(format!("environment variable `{variable}` is not set, or not UTF-8"))
                        .hint(format!("`--env {variable}=VALUE` gives it a value")))
                }
            },
        });
        Ok(Grants {
            dirs: self.dir.clone(),
            env: env.collect::<Result<_, _>>()?,
            net: self.net.clone(),
            listen: self.listen.clone(),
            http: self.http.clone(),
        })
    }
}
