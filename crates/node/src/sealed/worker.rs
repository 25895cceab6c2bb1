//! A worker: is told what it is to run, seals itself, and answers calls until nobody sends any more.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::io::{self, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use engine::sealed::{self, Dir, Inside, Network, Plan, Shared};
use host::Authorities;
use host::bindings::{Call, Next};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use image::trust::TrustList;
use image::{Manifest, Name};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{sleep, timeout};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::asked::COVER;
use super::failure::{self, to_response};
use super::line::{Direct, Ear, Line, read, written};
use super::ready::Ready;
use super::remote::Remote;
use super::ring::{self, Side};
use super::words::{Answered, Cover, Instances, Octets, Part, RequestHead, ResponseHead, Task, To};
use super::{Abilities, READY};
use crate::body::Begun;
use crate::error::Words;
use crate::function::Function;
use crate::instance::Failure;
use crate::limits::{
    HEAD_BYTES_MAX, POLLS_BETWEEN_EVENTS, RUNNING_MAX, WARM_IDLE, WORKER_COMPILE_SECONDS_MAX,
    WORKER_COUNT_PAUSE, WORKER_REST_WAIT, WORKER_SHORT_BYTES_MAX,
};
use crate::load::{moved, settings};
use crate::{App, Error, Logs, Machine};

/// What a worker is told: a text in JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    /// The manifest of its one function.
    pub(crate) manifest: String,
    /// What the function may call.
    pub(crate) calls: BTreeSet<String>,
    /// Whether somebody hears of spans and metrics.
    pub(crate) is_traced: bool,
    /// Event loops.
    pub(crate) lanes: usize,
}

/// A process that is sealed, as its app finds it.
pub struct Within {
    /// Where the program comes from.
    pub(crate) inside: Inside,
    /// What stands behind the function.
    pub(crate) node: Arc<Remote>,
    /// What was made before the process was.
    pub(crate) ready: Option<Ready>,
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
}

/// Makes sealed processes for the node at the other end of standard input; and in each of them, runs one function. Returns in
/// all, when nobody asks any more.
///
/// # Errors
/// When it does not come to run.
pub fn work(authorities: Authorities) -> Result<(), Failed> {
    let ready = Ready::new().ok();
    sealed::give_back();
    let Some((newborn, order)) = sealed::be_zygote(stdin().as_fd())? else { return Ok(()) };
    // Without a control group the kernel counts what is mapped, and only from now on.
    let ready = ready.filter(|_| newborn.is_limited());
    let order: Order = serde_json::from_slice(&order).map_err(io::Error::from)?;
    let sealed = Sealed::new(&order)?;
    let inside = newborn.seal(sealed.plan);
    Ok(answer_all(order, sealed.manifest, &sealed.name, (inside, ready), authorities)?)
}

/// What an order comes to, for the worker as for its node.
pub(crate) struct Sealed {
    manifest: Manifest,
    name: Name,
    pub(super) program: PathBuf,
    pub(super) settings: engine::Settings,
    pub(super) plan: Plan,
}

impl Sealed {
    pub(super) fn new(order: &Order) -> Result<Self, Failed> {
        let manifest = Manifest::parse(&order.manifest, "sampan.toml").map_err(Error::from)?;
        let first = manifest.functions.first_key_value().ok_or(io::ErrorKind::InvalidData);
        let (name, declared) = first.map_err(io::Error::from)?;
        let mut settings = settings(declared, 0).map_err(|(_, reason)| io::Error::other(reason))?;
        // The node does not wait longer for it to come to work.
        settings.options.compile_seconds = settings.options.compile_seconds.min(WORKER_COMPILE_SECONDS_MAX);
        let mut plan = Plan::new(&settings);
        (plan.dirs, plan.network) = granted(declared).map_err(io::Error::other)?;
        // Each call has memory and descriptors of its own.
        let calls = u64::from(declared.limits.concurrency.saturating_add(declared.reuse.saturating_mul(2)));
        plan.memory_bytes_max = plan.memory_bytes_max.saturating_mul(calls);
        plan.descriptors_max = plan.descriptors_max.saturating_mul(calls);
        let (name, program) = ((**name).clone(), PathBuf::from(&*declared.program));
        Ok(Self { manifest, name, program, settings, plan })
    }
}

/// What the process keeps for the grants of its function.
fn granted(declared: &image::Function) -> Result<(Vec<Dir>, Network), host::grants::Malformed> {
    let grants = &declared.grants;
    let dir = |text: &image::At<String>| {
        let dir: host::grants::Dir = text.parse()?;
        Ok(Dir { path: dir.host, read_only: dir.read_only })
    };
    let dirs = grants.dirs.iter().map(dir).collect::<Result<_, _>>()?;
    let net = grants.net.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let http = grants.http.iter().map(|text| host::grants::Peer::server(text)).collect::<Result<_, _>>()?;
    let granted = host::Grants { net, http, ..host::Grants::default() };
    Ok((dirs, host::egress::network(&granted)))
}

/// What leads to one event loop.
struct Lane {
    http: UnixStream,
    line: Arc<Line>,
    ear: Ear,
}

/// What the sealed process does.
fn answer_all(
    order: Order,
    mut manifest: Manifest,
    name: &Name,
    (inside, ready): (Inside, Option<Ready>),
    authorities: Authorities,
) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Worker {
        function: name.to_string(),
        source: Words::new(&error.to_string()),
    };
    let declared = manifest.functions.get_mut(&**name as &str);
    for (index, text) in declared.into_iter().flat_map(|function| &mut function.grants.dirs).enumerate() {
        // It has another place here, and the same name for the program.
        if let (Some(place), Ok(dir)) = (inside.dir(index), text.parse::<host::grants::Dir>()) {
            *text = moved(&dir, &place).into();
        }
    }
    // What comes for one event loop is read, run and answered by one thread: to wake others takes longer than most calls.
    let runtimes: Vec<Runtime> =
        (0..order.lanes).map(|_| event_loop()).collect::<io::Result<_>>().map_err(failed)?;
    let (node, lanes) = match runtimes.first() {
        Some(first) => first.block_on(connect(&order, &runtimes)).map_err(failed)?,
        None => return Err(failed(io::ErrorKind::InvalidData.into())),
    };
    let mut lanes = runtimes.into_iter().zip(lanes).enumerate();
    let Some((_, (first, mine))) = lanes.next() else { return Ok(()) };
    let called = Arc::new(Notify::new());
    let function = first.block_on(async {
        let within = Arc::new(Within { inside, node: Arc::clone(&node), ready });
        let machine = Machine {
            dir: PathBuf::from("/"),
            store: Arc::clone(&node) as _,
            sql: PathBuf::new(),
            cache: None,
            seal: None,
            trust: || Ok(TrustList::default()),
            variable: |_| None,
            authorities,
            telemetry: None,
            zygote: None,
            within: Some(Arc::clone(&within)),
        };
        // Nobody is kept waiting by that, and another thread would only take room.
        let app = App::load_blocking(manifest, Arc::new(machine), None)?;
        let function = app.function(name).ok_or_else(|| Error::NoEntry { function: name.to_string() })?;
        tokio::spawn(tell(Arc::clone(app.logs())));
        tokio::spawn(count(Arc::clone(&function), Arc::clone(&node), Arc::clone(&called)));
        within.inside.begin(true).map_err(failed)?;
        Ok::<_, Error>((app, function))
    });
    let (_app, function) = function?;
    for (index, (runtime, lane)) in lanes {
        let (function, node, called) = (Arc::clone(&function), Arc::clone(&node), Arc::clone(&called));
        let answer = move || {
            Remote::enter(index);
            runtime.block_on(answer_lane(lane, function, node, called));
        };
        std::thread::Builder::new().name(format!("lane {index}")).spawn(answer).map_err(failed)?;
    }
    let abilities =
        Abilities { is_middleware: function.is_middleware, is_watcher: function.watcher.is_some() };
    sealed::give_back();
    say(READY, &abilities.words()).map_err(failed)?;
    first.block_on(answer_lane(mine, function, node, called));
    Ok(())
}

fn event_loop() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().event_interval(POLLS_BETWEEN_EVENTS).build()
}

/// Takes the sockets that the node gives: one for requests to it; and one, and two lines, for
/// each event loop.
async fn connect(order: &Order, runtimes: &[Runtime]) -> io::Result<(Arc<Remote>, Vec<Lane>)> {
    let stdin = stdin();
    let next = || sealed::receive_descriptor(stdin.as_fd());
    let line = || {
        let socket = UnixStream::from(next()?);
        Ok::<_, io::Error>((socket, Shared::map(next()?.as_fd(), ring::WORDS)?))
    };
    let back = asynchronous(next()?.into())?;
    let (http, connection) = client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(back))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let (mut lanes, mut lines, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    for runtime in runtimes {
        let http = next()?.into();
        let (socket, memory) = line()?;
        let entered = runtime.enter();
        let (mine, ear) = Line::new(socket, memory, Side::Worker)?;
        drop(entered);
        let (socket, memory) = line()?;
        direct.push(Direct::new(socket, memory, Side::Worker));
        lines.push(Arc::clone(&mine));
        lanes.push(Lane { http, line: mine, ear });
    }
    Ok((Remote::new(lines, direct, http, order.calls.clone(), order.is_traced), lanes))
}

fn asynchronous(stream: UnixStream) -> io::Result<tokio::net::UnixStream> {
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

/// Answers what comes for one event loop, until nothing comes any more.
async fn answer_lane(lane: Lane, function: Arc<Function>, node: Arc<Remote>, called: Arc<Notify>) {
    let Lane { http: stream, line, ear } = lane;
    let Ok(stream) = asynchronous(stream) else { return };
    let rests = Arc::new(Rests::default());
    let service = service_fn(|request: Request<Incoming>| {
        let (function, node, rests) = (Arc::clone(&function), Arc::clone(&node), Arc::clone(&rests));
        // Others only ask whether somebody is there.
        if request.headers().contains_key(COVER) {
            called.notify_one();
        }
        async move { Ok::<_, Infallible>(answer_request(&function, &node, &rests, request).await) }
    });
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX as u32 * 2)
        .max_concurrent_streams(RUNNING_MAX);
    let serving = http.serve_connection(TokioIo::new(stream), service);
    let messages = line.serve(ear, |said| {
        called.notify_one();
        do_task(Arc::clone(&function), Arc::clone(&node), Arc::clone(&rests), said)
    });
    // However one of them ends, nobody asks any more.
    tokio::select! {
        _ = serving => {}
        () = messages => {}
    }
}

async fn answer_request(
    function: &Arc<Function>,
    node: &Arc<Remote>,
    rests: &Rests,
    mut request: Request<Incoming>,
) -> Response<WasiBody> {
    let cover = request.headers_mut().remove(COVER).as_ref().and_then(Cover::from_header);
    let Some(cover) = cover else { return to_response(&failure::Failed::NoEntry) };
    *request.version_mut() = cover.version();
    let call = within(cover.part, function);
    let next = match cover.to {
        To::Next(number) => Some(node.next(number)),
        To::Function(_) => None,
        To::Rest(number) => {
            let rest = rests.take(number).map(Response::new);
            return rest.unwrap_or_else(|| to_response(&failure::Failed::NoAnswer));
        }
    };
    let request = request.map(|body| WasiBody::new(body.map_err(HttpError::from)));
    let answered = function.answer(call, next, request).await;
    answered.unwrap_or_else(|failure| to_response(&failure::Failed::from(failure)))
}

/// Answers a request, all of which is here.
async fn answer_short(
    function: &Arc<Function>,
    call: Call,
    next: Option<Arc<dyn Next>>,
    head: RequestHead,
    body: Octets,
    rests: &Arc<Rests>,
) -> Result<Answered, Failure> {
    let body = Full::new(Bytes::from(body.0)).map_err(|never| match never {});
    let request = head.request(WasiBody::new(body)).map_err(|_| Failure::NoEntry)?;
    let (parts, body) = function.answer(call, next, request).await?.into_parts();
    let mut begun = Begun::new(body);
    begun.read(WORKER_SHORT_BYTES_MAX).await;
    let head = ResponseHead::new(&parts);
    Ok(match begun.into_whole() {
        Ok(body) => Answered::Whole(head, Octets(body.into())),
        Err(body) => Answered::Begun(head, rests.keep(body)),
    })
}

/// Answers that were begun, until the node asks for the rest.
#[derive(Default)]
struct Rests {
    last: AtomicU64,
    bodies: Mutex<HashMap<u64, WasiBody>>,
}

impl Rests {
    fn take(&self, number: u64) -> Option<WasiBody> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).remove(&number)
    }

    fn keep(self: &Arc<Self>, body: WasiBody) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).insert(number, body);
        let rests = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(WORKER_REST_WAIT).await;
            drop(rests.take(number));
        });
        number
    }
}

/// The call that the node gives.
fn within(part: Part, function: &Function) -> Call {
    let call = Call::from(part);
    Call { deadline: call.deadline.min(function.deadline()), ..call }
}

/// Does what a message says, and returns what is answered.
async fn do_task(function: Arc<Function>, node: Arc<Remote>, rests: Arc<Rests>, said: Vec<u8>) -> Vec<u8> {
    let Ok((part, task)) = read::<(Part, Task)>(&said) else { return Vec::new() };
    let call = within(part, &function);
    let failed = failure::Failed::from;
    let answer = match task {
        Task::Request { head, body, next } => {
            let next = next.map(|number| node.next(number));
            written(&answer_short(&function, call, next, head, body, &rests).await.map_err(failed))
        }
        Task::Call(input) => written(&function.call(call, input).await),
        Task::Prepare => written(&function.prepare(call).await.map_err(failed)),
        Task::Rest => {
            function.shrink(Instant::now());
            sealed::give_back();
            written(&Instances::of(&function))
        }
        Task::Opened { connection, path, headers } => {
            written(&function.opened(call, connection, path, headers).await.map_err(failed))
        }
        Task::Received { connection, message } => {
            written(&function.received(call, connection, message).await.map_err(failed))
        }
        Task::Closed { connection } => written(&function.closed(call, connection).await.map_err(failed)),
        Task::Changed { bucket, key, value } => {
            written(&function.changed(call, &bucket, key, value).await.map_err(failed))
        }
    };
    answer.unwrap_or_default()
}

/// Tells, soon after calls, how many instances there are, and gives up the warm ones that nobody calls.
async fn count(function: Arc<Function>, node: Arc<Remote>, called: Arc<Notify>) {
    let mut told = Instances::default();
    loop {
        match function.warm() {
            0 => called.notified().await,
            // Whoever comes before is as good.
            _ => drop(timeout(WARM_IDLE / 4, called.notified()).await),
        }
        // What many calls come to is told once.
        sleep(WORKER_COUNT_PAUSE).await;
        if let Some(moment) = Instant::now().checked_sub(WARM_IDLE) {
            function.shrink(moment);
        }
        let now = Instances::of(&function);
        if std::mem::replace(&mut told, now) != now {
            node.count(now).await;
        }
    }
}

impl Instances {
    fn of(function: &Function) -> Self {
        Self { made: function.summary().instances, warm: function.warm() }
    }
}

/// Hands on what the function says.
async fn tell(logs: Arc<Logs>) {
    let (kept, mut lines) = logs.kept_and_live();
    let tell = |line: &crate::Line| line.text.lines().try_for_each(|text| say(line.level, text));
    if kept.iter().try_for_each(tell).is_err() {
        return;
    }
    loop {
        let told = match lines.recv().await {
            Ok(line) => tell(&line),
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
