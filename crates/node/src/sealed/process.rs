//! The node's side of a worker: starts it, gives it calls, hears what it says, and replaces it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use engine::sealed::{Shared, send_descriptor};
use engine::wasmtime;
use futures_util::future::select_all;
use host::Bindings;
use host::bindings::{Call, CallError, Level, Log, Next, Payload};
use http::request::Parts;
use http::{Request, Response, Uri, Version};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::asked::{Asked, COVER, Given};
use super::failure::{Failed, in_response};
use super::line::{Ear, Line};
use super::ring::{self, Side};
use super::words::{Answered, Cover, Octets, Part, RequestHead, Task, To};
use super::{Abilities, READY};
use crate::body::{Begun, keeping};
use crate::instance::Failure;
use crate::limits::{
    HEAD_BYTES_MAX, WORKER_PAUSE, WORKER_QUESTIONS_MAX, WORKER_SHORT_BYTES_MAX, WORKER_SILENCE_MAX,
    WORKER_START_MAX, WORKER_WORDS_BYTES_MAX,
};
use crate::log::LEVELS;

/// What a worker is started with.
pub(crate) struct Starting {
    /// The command, and its arguments.
    pub(crate) command: Vec<OsString>,
    /// What it is to run, as text.
    pub(crate) order: String,
    /// Event loops that it has.
    pub(crate) lanes: usize,
    /// What stands behind its function.
    pub(crate) bindings: Arc<Bindings>,
}

/// A function that runs in a process of its own.
pub(crate) struct Apart {
    starting: Starting,
    asked: Arc<Asked>,
    abilities: Abilities,
    worker: Mutex<Worker>,
}

/// The worker that there is, if there is one, and when it was begun.
struct Worker {
    working: Option<Arc<Working>>,
    begun: Instant,
}

/// A process that works.
struct Working {
    lanes: Vec<Lane>,
    /// It ends when this is closed.
    _leash: Socket,
}

/// The way to one of its event loops.
struct Lane {
    http: SendRequest<WasiBody>,
    line: Arc<Line>,
    /// Calls that it has.
    calls: AtomicUsize,
}

/// A call in an event loop, until this is dropped.
struct Turn {
    working: Arc<Working>,
    lane: usize,
    given: Given,
}

impl Turn {
    fn lane(&self) -> &Lane {
        &self.working.lanes[self.lane]
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lane().calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lane {
    async fn send(&self, request: Request<WasiBody>) -> Result<Response<Incoming>, Failure> {
        let answered = self.http.clone().send_request(request).await;
        answered.map_err(|error| failed(format!("its process did not answer: {error}")))
    }
}

impl Working {
    fn has_ended(&self) -> bool {
        self.lanes.iter().any(|lane| lane.http.is_closed() || lane.line.is_closed())
    }
}

impl Apart {
    /// Starts the first worker.
    ///
    /// # Errors
    /// What the worker says, where it does not come to work.
    pub(crate) async fn start(starting: Starting) -> Result<Self, String> {
        let asked = Asked::new(Arc::clone(&starting.bindings));
        let (working, abilities) = start(&starting, &asked).await?;
        let worker = Worker { working: Some(Arc::new(working)), begun: Instant::now() };
        Ok(Self { starting, asked, abilities, worker: Mutex::new(worker) })
    }

    /// What the function can do.
    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Answers a request. What the function passes on, as middleware, goes to `next`.
    pub(crate) async fn answer(
        &self,
        call: Call,
        next: Option<Arc<dyn Next>>,
        request: Request<WasiBody>,
    ) -> Result<Response<WasiBody>, Failure> {
        let is_passed_on = next.is_some();
        let turn = self.turn(call, next).await?;
        let number = is_passed_on.then_some(turn.given.number);
        let (parts, body) = request.into_parts();
        let body = match short(body).await {
            Ok(body) => return self.answer_short(call, turn, number, &parts, body).await,
            Err(body) => body,
        };
        let mut request = Request::from_parts(parts, body);
        let to = number.map_or_else(|| To::Function(String::new()), To::Next);
        let cover = Cover::new(call, to, request.version()).to_header();
        request.headers_mut().insert(COVER, cover.ok_or(Failure::NoEntry)?);
        let response = turn.lane().send(request).await?;
        match in_response::<_, Failed>(&response) {
            Some(Ok(failure)) => Err(failure.into()),
            Some(Err(_)) => Err(no_answer()),
            // The call goes on until all of the body has come.
            None => Ok(response.map(|body| keeping(WasiBody::new(body.map_err(HttpError::from)), turn))),
        }
    }

    /// Answers a request, all of which is here: in one message, or in one and a stream.
    async fn answer_short(
        &self,
        call: Call,
        turn: Turn,
        next: Option<u64>,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Response<WasiBody>, Failure> {
        let lane = turn.lane();
        let task = Task::Request { head: RequestHead::new(parts), body: Octets(body.into()), next };
        let answered: Result<Answered, Failed> =
            lane.line.ask(&(Part::from(call), task)).await.map_err(|_| no_answer())?;
        let response = match answered.map_err(Failure::from)? {
            Answered::Whole(_, body) if body.0.len() > WORKER_SHORT_BYTES_MAX => return Err(no_answer()),
            Answered::Whole(head, body) => {
                let body = Full::new(Bytes::from(body.0)).map_err(|never| match never {});
                return head.response(WasiBody::new(body)).map_err(|_| no_answer());
            }
            Answered::Begun(head, number) => {
                let cover = Cover::new(call, To::Rest(number), Version::HTTP_11).to_header();
                let mut request = Request::new(WasiBody::new(Empty::new().map_err(|never| match never {})));
                *request.uri_mut() = Uri::from_static("http://worker/");
                request.headers_mut().insert(COVER, cover.ok_or(Failure::NoEntry)?);
                let rest = lane.send(request).await?.into_body();
                head.response(rest).map_err(|_| no_answer())?
            }
        };
        Ok(response.map(|body| keeping(WasiBody::new(body.map_err(HttpError::from)), turn)))
    }

    /// Answers a call through `sampan:chain`.
    pub(crate) async fn call(
        &self,
        call: Call,
        input: Payload,
    ) -> Result<Result<Payload, CallError>, Failure> {
        match self.ask(call, &Task::Call(input)).await? {
            Err(CallError::Busy) => Err(Failure::Busy),
            Err(CallError::Late) => Err(Failure::Late),
            Err(CallError::Trapped(text)) => Err(failed(text)),
            output => Ok(output),
        }
    }

    /// Does what is to be done otherwise.
    pub(crate) async fn invoke<T: DeserializeOwned>(&self, call: Call, task: &Task) -> Result<T, Failure> {
        let done: Result<T, Failed> = self.ask(call, task).await?;
        done.map_err(Failure::from)
    }

    async fn ask<T: DeserializeOwned>(&self, call: Call, task: &impl Serialize) -> Result<T, Failure> {
        let turn = self.turn(call, None).await?;
        let answered = turn.lane().line.ask(&(Part::from(call), task)).await;
        answered.map_err(|_| no_answer())
    }

    /// A place in the event loop that has the least to do, of a worker that is started where there is none.
    async fn turn(&self, call: Call, next: Option<Arc<dyn Next>>) -> Result<Turn, Failure> {
        let working = self.working().await.map_err(failed)?;
        let least =
            working.lanes.iter().enumerate().min_by_key(|(_, lane)| lane.calls.load(Ordering::Relaxed));
        let lane = least.map_or(0, |(index, _)| index);
        working.lanes[lane].calls.fetch_add(1, Ordering::Relaxed);
        Ok(Turn { working, lane, given: self.asked.give(call, next) })
    }

    async fn working(&self) -> Result<Arc<Working>, String> {
        let mut worker = self.worker.lock().await;
        if let Some(working) = worker.working.as_ref().filter(|working| !working.has_ended()) {
            return Ok(Arc::clone(working));
        }
        // One that ends as soon as it begins is not begun all the time.
        sleep_until(worker.begun + WORKER_PAUSE).await;
        worker.begun = Instant::now();
        worker.working = None;
        let started = start(&self.starting, &self.asked).await;
        let (working, _) =
            started.inspect_err(|error| self.starting.bindings.log.line(Level::Error, error))?;
        Ok(Arc::clone(worker.working.insert(Arc::new(working))))
    }
}

fn failed(text: String) -> Failure {
    Failure::Trapped(wasmtime::Error::msg(text))
}

fn no_answer() -> Failure {
    failed("its process did not answer".to_owned())
}

/// All of a body, if it is short and there already, or nearly so; else the body, as it was.
async fn short(body: WasiBody) -> Result<Bytes, WasiBody> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if body.size_hint().exact().is_none_or(|bytes| bytes > WORKER_SHORT_BYTES_MAX as u64) {
        return Err(body);
    }
    let mut begun = Begun::new(body);
    if !begun.read(WORKER_SHORT_BYTES_MAX).await {
        // Its connection has not looked for it yet.
        tokio::task::yield_now().await;
        begun.read(WORKER_SHORT_BYTES_MAX).await;
    }
    begun.into_whole()
}

/// Starts a worker, and waits until it can be asked.
async fn start(starting: &Starting, asked: &Arc<Asked>) -> Result<(Working, Abilities), String> {
    let (leash, theirs) = Socket::pair().map_err(said)?;
    let [program, arguments @ ..] = &starting.command[..] else {
        return Err("this node starts no processes".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // What stops the node from a terminal lets requests come to their end first. The worker ends, and tidies up, when
        // the other end of its socket is closed.
        .process_group(0)
        .spawn()
        .map_err(said)?;
    let length = (starting.order.len() as u32).to_le_bytes();
    // It fits into the socket, or waits for a process that reads it at once.
    (&leash).write_all(&length).and_then(|()| (&leash).write_all(starting.order.as_bytes())).map_err(said)?;
    let back = hand_over(&leash)?;
    let mut streams = Vec::new();
    for _ in 0..starting.lanes {
        streams.push((hand_over(&leash)?, hand_over_line(&leash)?, hand_over_line(&leash)?));
    }
    let log = &starting.bindings.log;
    let (ready, is_ready) = oneshot::channel();
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(hear(stdout, Arc::clone(log), ready));
    }
    let abilities = match timeout(WORKER_START_MAX, is_ready).await {
        Ok(Ok(abilities)) => abilities,
        Ok(Err(_)) => return Err(last_words(&mut child).await),
        Err(_) => return Err("its process does not come to work".to_owned()),
    };
    // What is done for it, and ends with it.
    let mut serving = JoinSet::new();
    serving.spawn(answer_requests(back, Arc::clone(asked)));
    let mut connections = Vec::new();
    let mut lanes = Vec::new();
    for (http, line, direct) in streams {
        let mut client = http2::Builder::new(TokioExecutor::new());
        client
            .timer(TokioTimer::new())
            .keep_alive_interval(WORKER_SILENCE_MAX / 2)
            .keep_alive_timeout(WORKER_SILENCE_MAX)
            .keep_alive_while_idle(true);
        let handshake = client.handshake(TokioIo::new(http)).await;
        let (http, connection) = handshake.map_err(|error| error.to_string())?;
        connections.push(tokio::spawn(connection));
        let mut serve = |(line, ear): (Arc<Line>, Ear)| {
            let asked = Arc::clone(asked);
            serving.spawn(Arc::clone(&line).serve(ear, move |wish| Arc::clone(&asked).answer(wish)));
            line
        };
        serve(direct);
        let line = serve(line);
        lanes.push(Lane { http, line, calls: AtomicUsize::new(0) });
    }
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let (ended, ..) = select_all(connections).await;
        let ended = ended.unwrap_or(Ok(()));
        let status = timeout(WORKER_PAUSE, child.wait()).await;
        // Where nobody asks any more, it is let go of, which is not worth a word.
        if ended.is_ok() && matches!(status, Ok(Ok(status)) if status.success()) {
            return;
        }
        let words = last_words(&mut child).await;
        match ended {
            Err(error) if error.is_timeout() => {
                let text = format!("its process said nothing for {WORKER_SILENCE_MAX:?}, and is ended");
                log.line(Level::Error, &text);
            }
            _ => log.line(Level::Error, &words),
        }
        drop(serving);
    });
    Ok((Working { lanes, _leash: leash }, abilities))
}

/// A new pair of sockets, of which the worker gets the other one.
fn hand_over(leash: &Socket) -> Result<UnixStream, String> {
    let ours = hand_over_socket(leash).map_err(said)?;
    ours.set_nonblocking(true).map_err(said)?;
    UnixStream::from_std(ours).map_err(said)
}

fn hand_over_socket(leash: &Socket) -> io::Result<Socket> {
    let (ours, theirs) = Socket::pair()?;
    send_descriptor(leash.as_fd(), theirs.as_fd())?;
    Ok(ours)
}

/// A new line, of which the worker gets the other end.
fn hand_over_line(leash: &Socket) -> Result<(Arc<Line>, Ear), String> {
    let line = || {
        let socket = hand_over_socket(leash)?;
        let (memory, file) = Shared::new(ring::WORDS)?;
        send_descriptor(leash.as_fd(), file.as_fd())?;
        Line::new(socket, memory, Side::Node)
    };
    line().map_err(said)
}

fn said(error: io::Error) -> String {
    error.to_string()
}

/// Answers the requests that a worker makes.
async fn answer_requests(stream: UnixStream, asked: Arc<Asked>) {
    let service = service_fn(|request| {
        let asked = Arc::clone(&asked);
        async move { Ok::<_, Infallible>(asked.request(request).await) }
    });
    let mut http = server::conn::http2::Builder::new(TokioExecutor::new());
    http.max_header_list_size(HEAD_BYTES_MAX as u32 * 2).max_concurrent_streams(WORKER_QUESTIONS_MAX);
    // However it ends, nobody asks any more.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

/// Ends a worker, and returns why it ended, in its own words.
async fn last_words(child: &mut Child) -> String {
    // It has ended by itself, most of the time.
    let _ = timeout(WORKER_PAUSE, child.wait()).await;
    let _ = child.start_kill();
    let status = child.wait().await;
    let mut words = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = stderr.take(WORKER_WORDS_BYTES_MAX);
        let _ = timeout(WORKER_PAUSE, stderr.read_to_end(&mut words)).await;
    }
    match (String::from_utf8_lossy(&words).trim(), status) {
        ("", Ok(status)) => format!("its process ended: {status}"),
        ("", Err(error)) => format!("its process ended: {error}"),
        (words, _) => words.to_owned(),
    }
}

/// Takes what a worker says, line by line, each no longer than it may be.
async fn hear(mut from: impl AsyncRead + Unpin, log: Arc<dyn Log>, ready: oneshot::Sender<Abilities>) {
    let mut ready = Some(ready);
    let (mut line, mut bytes) = (Vec::new(), [0; 4_096]);
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        for byte in &bytes[..read] {
            match byte {
                b'\n' => {
                    let text = String::from_utf8_lossy(&line);
                    let (word, text) = text.split_once(' ').unwrap_or((&text, ""));
                    match LEVELS.iter().position(|level| *level == word) {
                        Some(level) => log.line(LEVEL[level], text),
                        None if word == READY => {
                            if let Some(ready) = ready.take() {
                                // Nobody may wait for it any more.
                                let _ = ready.send(Abilities::from_words(text));
                            }
                        }
                        // It is not what it was.
                        None => return,
                    }
                    line.clear();
                }
                byte if (line.len() as u64) < WORKER_WORDS_BYTES_MAX => line.push(*byte),
                _ => {}
            }
        }
    }
}

/// As [`LEVELS`].
const LEVEL: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
