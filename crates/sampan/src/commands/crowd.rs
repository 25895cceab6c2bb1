//! `sampan crowd`, which nobody types: many instances of one program in one process, for `sampan bench` to measure.

use std::ffi::OsString;
use std::io::{Read, stdin};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use engine::Engine;
use futures_util::future::join_all;
use host::grants::Dir;
use host::{Command, Grants, Host, Stdio};
use serde_json::json;
use sha2::{Digest, Sha256};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use crate::report::Report;
use crate::tuning::{Tuning, engine};
use crate::{home, source};

/// Run many instances of a program at the same time, or one after another
#[derive(Args)]
pub(crate) struct Crowd {
    #[arg(value_names = ["PROGRAM", "ARGS"], required = true, num_args = 1.., trailing_var_arg = true)]
    program_and_args: Vec<OsString>,

    /// So many at the same time, whose streams are those of this process; without it, two of them, one after the other,
    /// each with all of standard input, and what is to be known of the second on standard error
    #[arg(long)]
    count: Option<u32>,

    #[arg(long)]
    dir: Vec<Dir>,

    #[command(flatten)]
    tuning: Tuning,
}

/// Bytes that a program may read, and print, where it runs twice.
const STREAM_BYTES_MAX: usize = 64 << 20;

/// How often a program runs where it runs again.
const RUNS: usize = 2;

/// How one of several runs ended.
struct Run {
    code: i32,
    printed: Bytes,
    time: Duration,
}

impl Crowd {
    pub(crate) fn execute(self) -> Result<i32, Report> {
        let mut settings = self.tuning.settings()?;
        if let Some(count) = self.count
            && engine::options::Options::of(settings.profile).bounds != engine::options::Bounds::Checked
        {
            settings.set(&format!("pool={count}")).map_err(|error| Report::from_error(&error))?;
        }
        let mut engine = engine(settings, false)?;
        let program =
            source::load(&mut engine, Path::new(&self.program_and_args[0]), home::cache().ok().as_ref())?;
        let grants = Grants { dirs: self.dir.clone(), ..Grants::default() };
        let command =
            Command::link(&engine, &program, &grants).map_err(|error| Report::from_error(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Report::failure("cannot start").cause(error))?;
        runtime.block_on(async {
            match self.count {
                Some(count) => self.together(&engine, &command, &grants, count).await,
                None => self.one_by_one(&engine, &command, &grants).await,
            }
        })
    }

    async fn together(
        &self,
        engine: &Engine,
        command: &Command,
        grants: &Grants,
        count: u32,
    ) -> Result<i32, Report> {
        let runs = (0..count).map(|_| async {
            let mut store = engine.store(self.host(engine, grants, Stdio::Inherit)?);
            command.run(engine, &mut store).await.map_err(|error| Report::from_error(&error))
        });
        join_all(runs).await.into_iter().try_fold(0, |_, run| run)
    }

    async fn one_by_one(&self, engine: &Engine, command: &Command, grants: &Grants) -> Result<i32, Report> {
        let mut input = Vec::new();
        let failed = |error| Report::failure("cannot read standard input").cause(error);
        stdin().take(STREAM_BYTES_MAX as u64).read_to_end(&mut input).map_err(failed)?;
        let input = Bytes::from(input);
        let mut last = None;
        for _ in 0..RUNS {
            last = Some(self.timed(engine, command, grants, input.clone()).await?);
        }
        if let Some(Run { code, printed, time }) = last {
            eprintln!(
                "{}",
                json!({
                    "time_ns": u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
                    "code": code,
                    "printed_bytes": printed.len(),
                    "digest": format!("{:x}", Sha256::digest(&printed)),
                })
            );
        }
        Ok(0)
    }

    async fn timed(
        &self,
        engine: &Engine,
        command: &Command,
        grants: &Grants,
        input: Bytes,
    ) -> Result<Run, Report> {
        let output = MemoryOutputPipe::new(STREAM_BYTES_MAX);
        let begun = Instant::now();
        let mut store =
            engine.store(self.host(engine, grants, Stdio::Bytes { input, output: output.clone() })?);
        let code = command.run(engine, &mut store).await.map_err(|error| Report::from_error(&error))?;
        drop(store);
        Ok(Run { code, printed: output.contents(), time: begun.elapsed() })
    }

    fn host(&self, engine: &Engine, grants: &Grants, stdio: Stdio) -> Result<Host, Report> {
        let name = source::name(Path::new(&self.program_and_args[0]));
        let args = self.program_and_args[1..].iter().map(|arg| arg.to_string_lossy().into_owned());
        let args: Vec<String> = [name].into_iter().chain(args).collect();
        Host::new(&args, stdio, grants, &engine.settings().limits).map_err(|error| Report::from_error(&error))
    }
}
