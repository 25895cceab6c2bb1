//! A worker: reads what it is to run, seals itself, and answers requests until nobody sends any more.

use std::convert::Infallible;
use std::io::{self, Read, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use engine::sealed::{self, Dir, Ending, Inside, Network, Plan, Side, Source, Supplier};
use engine::{CodeCache, Seal};
use host::Authorities;
use host::bindings::Call;
use http_body_util::BodyExt;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use image::trust::TrustList;
use image::{Function, Manifest, Name};
use state::Memory;
use tokio::sync::broadcast::error::RecvError;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::failure::to_response;
use super::{READY, TASK_BYTES_MAX};
use crate::app::random_id;
use crate::limits::{DEADLINE_MAX, HEAD_BYTES_MAX, RUNNING_MAX};
use crate::load::{moved, settings};
use crate::{App, Error, Logs, Machine};

/// What became of a worker.
pub enum Ended {
    /// In the sealed process: it answered until it was let go.
    Inside(Result<(), Error>),
    /// In its supervisor: how that one ended.
    Outside(Ending),
}

/// Why a worker does not work.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// What it is to run does not arrive whole.
    #[error("cannot read what to run")]
    Task(#[from] io::Error),
    /// It cannot be sealed.
    #[error(transparent)]
    Sealed(#[from] sealed::Error),
    /// The function cannot be loaded.
    #[error(transparent)]
    Function(#[from] Error),
    /// The supervisor cannot give it its program.
    #[error(transparent)]
    Program(#[from] engine::Error),
}

/// Runs one function, as standard input says, in a process that is sealed. Returns in both.
///
/// # Errors
/// When it does not come to run.
pub fn work(
    cache: impl FnOnce() -> Option<CodeCache>,
    seal: &dyn Fn() -> Option<Seal>,
    authorities: Authorities,
) -> Result<Ended, Failed> {
    let manifest = Manifest::parse(&task()?, "sampan.toml").map_err(Error::from)?;
    let (name, declared) =
        manifest.functions.first_key_value().ok_or(io::ErrorKind::InvalidData).map_err(io::Error::from)?;
    let name: Name = (**name).clone();
    let settings = settings(declared, 0).map_err(|(_, reason)| io::Error::other(reason))?;
    let mut plan = Plan::new(&settings);
    let (dirs, network) = granted(declared).map_err(io::Error::other)?;
    plan.dirs = dirs;
    plan.network = network;
    // Each call has memory and descriptors of its own.
    let calls = u64::from(declared.limits.concurrency.saturating_add(declared.reuse.saturating_mul(2)));
    plan.memory_bytes_max = plan.memory_bytes_max.saturating_mul(calls);
    plan.descriptors_max = plan.descriptors_max.saturating_mul(calls);
    let program = PathBuf::from(&*declared.program);
    match sealed::split(plan)? {
        Side::Outside(outside) => {
            let cache = cache();
            let supplier = Supplier::new(&settings, Source::File(&program), cache.as_ref(), seal);
            let leash = stdin();
            Ok(Ended::Outside(outside.supervise(Some(supplier), None, Some(leash.as_fd()))?))
        }
        Side::Inside(inside) => Ok(Ended::Inside(answer_all(manifest, &name, inside, authorities))),
    }
}

/// The manifest of the one function, with its length before it.
fn task() -> io::Result<String> {
    let mut input = UnixStream::from(stdin().as_fd().try_clone_to_owned()?);
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > TASK_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length as usize];
    input.read_exact(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// What the process keeps for the grants of its function.
fn granted(declared: &Function) -> Result<(Vec<Dir>, Network), host::grants::Malformed> {
    let grants = &declared.grants;
    let dir = |text: &image::At<String>| {
        let dir: host::grants::Dir = text.parse()?;
        Ok(Dir { path: dir.host, read_only: dir.read_only })
    };
    let dirs = grants.dirs.iter().map(dir).collect::<Result<_, _>>()?;
    let peers = grants.net.iter().map(|text| text.parse());
    let servers = grants.http.iter().map(|text| host::grants::Peer::server(text));
    let peers: Vec<host::grants::Peer> = peers.chain(servers).collect::<Result<_, _>>()?;
    let ports = peers.iter().map(|peer| peer.port);
    Ok((dirs, if peers.is_empty() { Network::None } else { Network::granted(ports, [].into_iter()) }))
}

/// What the sealed process does.
fn answer_all(
    mut manifest: Manifest,
    name: &Name,
    inside: Inside,
    authorities: Authorities,
) -> Result<(), Error> {
    let failed = |source: io::Error| Error::Worker { function: name.to_string(), reason: source.to_string() };
    let declared = manifest.functions.get_mut(&**name as &str);
    let calls = declared.as_ref().map_or(1, |function| *function.limits.concurrency as usize);
    for (index, text) in declared.into_iter().flat_map(|function| &mut function.grants.dirs).enumerate() {
        // It has another place here, and the same name for the program.
        if let (Some(place), Ok(dir)) = (inside.dir(index), text.parse::<host::grants::Dir>()) {
            *text = moved(&dir, &place).into();
        }
    }
    // More threads than calls would only wake each other.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(calls).max(1))
        .enable_all()
        .build()
        .map_err(failed)?;
    let stream = stdin().as_fd().try_clone_to_owned().map(UnixStream::from).map_err(failed)?;
    let inside = Arc::new(inside);
    runtime.block_on(async {
        let machine = Machine {
            dir: PathBuf::from("/"),
            store: Arc::new(Memory::new(Arc::new(SystemTime::now))),
            sql: PathBuf::new(),
            cache: None,
            seal: None,
            trust: || Ok(TrustList::default()),
            variable: |_| None,
            authorities,
            telemetry: None,
            worker: Vec::new(),
            inside: Some(Arc::clone(&inside)),
        };
        let app = App::load(manifest, machine).await?;
        let function =
            app.function(name).filter(|function| function.http.is_some() || function.command.is_some());
        let function = function.ok_or_else(|| Error::NoEntry { function: name.to_string() })?;
        tokio::spawn(tell(Arc::clone(app.logs())));
        inside.begin(true).map_err(failed)?;
        say(READY, "").map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let stream = tokio::net::UnixStream::from_std(stream).map_err(failed)?;
        let service = service_fn(|request| {
            let function = Arc::clone(&function);
            async move {
                let request =
                    request.map(|body: hyper::body::Incoming| WasiBody::new(body.map_err(HttpError::from)));
                let deadline = function.deadline().min(Instant::now() + DEADLINE_MAX);
                let call = Call { chain: random_id(), span: 0, depth: 0, deadline };
                let answered = function.answer(call, None, request).await;
                Ok::<_, Infallible>(answered.unwrap_or_else(|failure| to_response(&failure)))
            }
        });
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX as u32 * 2)
            .max_concurrent_streams(RUNNING_MAX);
        // However it ends, nobody asks any more.
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
        Ok(())
    })
}

/// Hands on what the function says.
async fn tell(logs: Arc<Logs>) {
    let mut lines = logs.follow();
    loop {
        let told = match lines.recv().await {
            Ok(line) => line.text.lines().try_for_each(|text| say(line.level, text)),
            Err(RecvError::Lagged(missed)) => say("warn", &format!("{missed} lines of log are missing")),
            Err(RecvError::Closed) => return,
        };
        // Nobody listens any more.
        if told.is_err() {
            return;
        }
    }
}

/// One line for the node: a word, and a text.
fn say(word: &str, text: &str) -> io::Result<()> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{word} {text}")?;
    stdout.flush()
}
