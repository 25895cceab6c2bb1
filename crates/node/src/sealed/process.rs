//! The node's side of a worker: starts it, gives it calls, hears what it says, and replaces it.

use std::convert::Infallible;
use std::io::{self, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use engine::sealed::{self, Ending, Fit, Outside, Shared, Source, Supplier, send_descriptor};
use engine::wasmtime;
use futures_util::future::select_all;
use host::Bindings;
use host::bindings::{Call, CallError, Level, Log, Next, Payload};
use http::request::Parts;
use http::{Request, Response, Uri, Version};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until, timeout};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::asked::{Asked, COVER, Given};
use super::counted::{Counted, Own};
use super::failure::{Failed, in_response};
use super::idle::{Lane, Rest, look_after};
use super::line::{Ear, Line};
use super::missed::Missed;
use super::ring::{self, Side};
use super::words::{Answered, Cover, Octets, Part, RequestHead, Task, To};
use super::worker::{Order, Sealed};
use super::{Abilities, READY};
use crate::Machine;
use crate::body::{Begun, keeping};
use crate::instance::Failure;
use crate::limits::{
    HEAD_BYTES_MAX, WORKER_PAUSE, WORKER_QUESTIONS_MAX, WORKER_SHORT_BYTES_MAX, WORKER_SILENCE_MAX,
    WORKER_SPARE_STARTS_MAX, WORKER_START_MAX, WORKER_WORDS_BYTES_MAX,
};
use crate::log::LEVELS;

/// What a worker is started with.
struct Starting {
    machine: Arc<Machine>,
    /// What it is to run, as text.
    order: String,
    /// And what that comes to.
    sealed: Sealed,
    fit: Fit,
    /// Event loops that it has.
    lanes: usize,
    habits: Habits,
    /// What stands behind its function.
    bindings: Arc<Bindings>,
    asked: Arc<Asked>,
    counted: Arc<Counted>,
    /// Told when a worker has ended.
    missed: Arc<Notify>,
}

/// How an app wants the processes of a function.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// Workers that stand by.
    pub(crate) spare: usize,
    /// How long one may have no call until it is frozen.
    pub(crate) frozen_after: Duration,
}

/// A function that runs in a process of its own.
pub(crate) struct Apart {
    starting: Arc<Starting>,
    abilities: Abilities,
    workers: Arc<Mutex<Workers>>,
}

/// The workers that there are.
struct Workers {
    /// The one that has the calls, if there is one.
    working: Option<Arc<Working>>,
    spare: Vec<Working>,
    /// Whether somebody sees to it that enough stand by.
    is_refilled: bool,
    /// When the last one was begun.
    begun: Instant,
}

/// A process that works.
struct Working {
    /// It is ended when this is dropped.
    _leash: oneshot::Sender<Infallible>,
    lanes: Vec<Lane>,
    rest: Arc<Rest>,
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

    async fn send(&self, request: Request<WasiBody>) -> Result<Response<Incoming>, Failure> {
        let answered = self.lane().http.clone().send_request(request).await;
        answered.map_err(|error| failed(format!("its process did not answer: {error}")))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.lane().calls.end();
    }
}

impl Working {
    /// Has it do, before the first call comes, what else that would wait for. What becomes of it the first call will show.
    async fn prepare(&self) {
        let Some(lane) = self.lanes.first() else { return };
        let task = (Part::from(Task::own_call()), Task::Prepare);
        self.begin(lane);
        let _ = timeout(WORKER_START_MAX, lane.line.ask::<Result<(), Failed>>(&task)).await;
        lane.calls.end();
    }

    /// Begins a call in one of its event loops, whatever it did before.
    fn begin(&self, lane: &Lane) {
        lane.calls.begin();
        self.rest.end();
    }

    fn has_ended(&self) -> bool {
        self.lanes.iter().any(|lane| lane.http.is_closed() || lane.line.is_closed())
    }
}

impl Apart {
    /// Starts the first worker.
    ///
    /// # Errors
    /// What the worker says, where it does not come to work.
    pub(crate) async fn start(
        machine: Arc<Machine>,
        order: &Order,
        habits: Habits,
        bindings: Arc<Bindings>,
    ) -> Result<Self, String> {
        let mut sealed = Sealed::new(order).map_err(|error| with_causes(&error))?;
        // Compilers are the node's to run.
        sealed.settings.tools = (machine.variable)("PATH").unwrap_or_default().into();
        let starting = Arc::new(Starting {
            fit: Fit::of(&sealed.settings),
            machine,
            order: serde_json::to_string(order).map_err(|error| error.to_string())?,
            sealed,
            lanes: order.lanes,
            habits,
            asked: Asked::new(Arc::clone(&bindings)),
            counted: Arc::default(),
            missed: Arc::default(),
            bindings,
        });
        let begun = Instant::now();
        let (working, abilities) = start(&starting).await?;
        let workers =
            Workers { working: Some(Arc::new(working)), spare: Vec::new(), is_refilled: false, begun };
        let workers = Arc::new(Mutex::new(workers));
        if habits.spare > 0 {
            refill(&starting, &workers);
            tokio::spawn(keep(Arc::clone(&starting), Arc::downgrade(&workers)));
        }
        Ok(Self { starting, abilities, workers })
    }

    /// What the function can do.
    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Instances that its processes have made, as they say.
    pub(crate) fn made(&self) -> u64 {
        self.starting.counted.made()
    }

    /// Instances in its processes that wait for a call, as they say.
    pub(crate) fn warm(&self) -> usize {
        self.starting.counted.warm()
    }

    /// Processes of it that are frozen.
    pub(crate) fn frozen(&self) -> usize {
        self.starting.counted.frozen()
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
        let response = turn.send(request).await?;
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
        let task = Task::Request { head: RequestHead::new(parts), body: Octets(body.into()), next };
        let answered: Result<Answered, Failed> =
            turn.lane().line.ask(&(Part::from(call), task)).await.map_err(|_| no_answer())?;
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
                let rest = turn.send(request).await?.into_body();
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
        let least = working.lanes.iter().enumerate().min_by_key(|(_, lane)| lane.calls.running());
        let lane = least.map_or(0, |(index, _)| index);
        working.begin(&working.lanes[lane]);
        Ok(Turn { working, lane, given: self.starting.asked.give(call, next) })
    }

    async fn working(&self) -> Result<Arc<Working>, String> {
        let mut workers = self.workers.lock().await;
        if let Some(working) = workers.working.as_ref().filter(|working| !working.has_ended()) {
            return Ok(Arc::clone(working));
        }
        workers.working = None;
        workers.spare.retain(|spare| !spare.has_ended());
        let next = match workers.spare.pop() {
            Some(spare) => spare,
            None => {
                // One that ends as soon as it begins is not begun all the time.
                sleep_until(workers.begun + WORKER_PAUSE).await;
                workers.begun = Instant::now();
                begin(&self.starting).await?
            }
        };
        let working = Arc::clone(workers.working.insert(Arc::new(next)));
        drop(workers);
        refill(&self.starting, &self.workers);
        Ok(working)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Who replaces its workers goes.
        self.starting.missed.notify_one();
    }
}

/// Replaces workers that stand by and have ended, though nobody asks.
async fn keep(starting: Arc<Starting>, workers: Weak<Mutex<Workers>>) {
    let mut missed = Missed::new(Arc::clone(&starting.missed));
    loop {
        missed.wait().await;
        let Some(workers) = workers.upgrade() else { return };
        refill(&starting, &workers);
    }
}

/// Has workers started until enough of them stand by, behind the back of whoever calls.
fn refill(starting: &Arc<Starting>, workers: &Arc<Mutex<Workers>>) {
    if starting.habits.spare == 0 {
        return;
    }
    let (starting, workers) = (Arc::clone(starting), Arc::downgrade(workers));
    tokio::spawn(async move {
        if let Some(workers) = workers.upgrade() {
            // Who sees to it already looks again before he is done.
            if std::mem::replace(&mut workers.lock().await.is_refilled, true) {
                return;
            }
        }
        for _ in 0..WORKER_SPARE_STARTS_MAX {
            // Who has a call to make goes before.
            tokio::time::sleep(WORKER_PAUSE).await;
            if !lacks_spare(&starting, &workers).await {
                return;
            }
            let Ok(spare) = begin(&starting).await else { continue };
            spare.prepare().await;
            let Some(workers) = workers.upgrade() else { return };
            workers.lock().await.spare.push(spare);
        }
        if let Some(workers) = workers.upgrade() {
            workers.lock().await.is_refilled = false;
            // Whoever replaces what dies tries again later.
            starting.missed.notify_one();
        }
    });
}

async fn lacks_spare(starting: &Starting, workers: &Weak<Mutex<Workers>>) -> bool {
    let Some(workers) = workers.upgrade() else { return false };
    let mut workers = workers.lock().await;
    workers.spare.retain(|spare| !spare.has_ended());
    workers.is_refilled = workers.spare.len() < starting.habits.spare;
    workers.is_refilled
}

/// Starts another worker; why there is none, is in the log.
async fn begin(starting: &Arc<Starting>) -> Result<Working, String> {
    let started = start(starting).await;
    let (working, _) = started.inspect_err(|error| starting.bindings.log.line(Level::Error, error))?;
    Ok(working)
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
async fn start(starting: &Arc<Starting>) -> Result<(Working, Abilities), String> {
    let (gift, theirs) = Socket::pair().map_err(said)?;
    let (stdout, says) = pipe().map_err(said)?;
    let (stderr, complains) = pipe().map_err(said)?;
    let back = hand_over(&gift)?;
    let mut streams = Vec::new();
    for _ in 0..starting.lanes {
        streams.push((hand_over(&gift)?, hand_over_line(&gift)?, hand_over_line(&gift)?));
    }
    let stderr = Receiver::from_owned_fd(stderr.into()).map_err(said)?;
    let born = Arc::clone(starting);
    let born = spawn_blocking(move || born.bear([theirs.into(), says.into(), complains.into()]));
    let outside = match born.await.map_err(|error| error.to_string())? {
        Ok(outside) => outside,
        Err(why) => return Err(last_words(stderr, &why).await),
    };
    let (log, asked) = (&starting.bindings.log, &starting.asked);
    let (ready, is_ready) = oneshot::channel();
    let stdout = Receiver::from_owned_fd(stdout.into()).map_err(said)?;
    tokio::spawn(hear(stdout, Arc::clone(log), ready));
    let abilities = match timeout(WORKER_START_MAX, is_ready).await {
        Ok(Ok(abilities)) => abilities,
        Ok(Err(_)) => return Err(last_words(stderr, &end(outside, WORKER_PAUSE).await).await),
        Err(_) => return Err("its process does not come to work".to_owned()),
    };
    let machine = Arc::clone(&starting.machine);
    // Who needs the next one need not wait for that.
    spawn_blocking(move || machine.zygote.as_ref().map(|zygote| zygote.stand_by()));
    let rest = Rest::new(outside.freezer().map_err(said)?);
    // What is done for it, and ends with it.
    let mut serving = JoinSet::new();
    let own = Arc::new(Own::new(Arc::clone(&starting.counted)));
    serving.spawn(answer_requests(back, Arc::clone(asked)));
    let mut connections = Vec::new();
    let mut lanes = Vec::new();
    for (http, line, direct) in streams {
        let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(http)).await;
        let (http, connection) = handshake.map_err(|error| error.to_string())?;
        connections.push(tokio::spawn(connection));
        let mut serve = |(line, ear): (Arc<Line>, Ear)| {
            let (asked, own) = (Arc::clone(asked), Arc::clone(&own));
            let answer = move |wish| Arc::clone(&asked).answer(Arc::clone(&own), wish);
            serving.spawn(Arc::clone(&line).serve(ear, answer));
            line
        };
        serve(direct);
        let line = serve(line);
        lanes.push(Lane { http, line, calls: Arc::default() });
    }
    let (log, missed) = (Arc::clone(log), Arc::clone(&starting.missed));
    let (leash, let_go) = oneshot::channel();
    let looked_after = lanes.clone();
    let (resting, frozen_after) = (Arc::clone(&rest), starting.habits.frozen_after);
    tokio::spawn(async move {
        tokio::select! {
            biased;
            // Nobody asks any more, which is not worth a word.
            _ = let_go => {
                // Who is frozen does not end by itself.
                end(outside, if resting.is_on() { Duration::ZERO } else { WORKER_PAUSE }).await;
                // Nor is it missed, but who looks for that may go.
                return missed.notify_one();
            }
            _ = select_all(connections) => {
                log.line(Level::Error, &last_words(stderr, &end(outside, WORKER_PAUSE).await).await);
            }
            () = look_after(looked_after, &resting, &own, frozen_after) => {
                end(outside, Duration::ZERO).await;
                let text = format!("its process said nothing for {WORKER_SILENCE_MAX:?}, and is ended");
                log.line(Level::Error, &text);
            }
        }
        missed.notify_one();
        // They end by themselves, and tell those who wait for an answer.
        let _ = timeout(WORKER_PAUSE, async { while serving.join_next().await.is_some() {} }).await;
    });
    Ok((Working { lanes, rest, _leash: leash }, abilities))
}

impl Starting {
    /// Makes the process, which has these standard streams, and brings it to where its program begins. Blocks.
    fn bear(&self, streams: [OwnedFd; 3]) -> Result<Outside, String> {
        let Machine { zygote, cache, seal, .. } = &*self.machine;
        let zygote = zygote.as_ref().ok_or("this node starts no processes")?;
        let Sealed { program, settings, plan, .. } = &self.sealed;
        let seal = || seal.clone();
        let mut supplier =
            Supplier::new((settings, self.fit), Source::File(program), cache.as_deref(), &seal);
        let order = self.order.as_bytes();
        let born = zygote.bear(plan, order, streams.each_ref().map(AsFd::as_fd), || supplier.prepare());
        let outside = born.map_err(|error| match &error {
            sealed::Error::Refused(layers) => {
                let refused = layers.iter().filter(|layer| layer.is_refused());
                refused.fold(error.to_string(), |text, layer| format!("{text}; {layer}"))
            }
            error => with_causes(error),
        })?;
        drop(streams);
        let attended = outside.attend(supplier, WORKER_START_MAX);
        attended.map_err(|error| with_causes(&error))?.map_err(|ending| told(&ending))
    }
}

/// A new pair of sockets, of which the worker gets the other one.
fn hand_over(gift: &Socket) -> Result<UnixStream, String> {
    let ours = hand_over_socket(gift).map_err(said)?;
    ours.set_nonblocking(true).map_err(said)?;
    UnixStream::from_std(ours).map_err(said)
}

fn hand_over_socket(gift: &Socket) -> io::Result<Socket> {
    let (ours, theirs) = Socket::pair()?;
    send_descriptor(gift.as_fd(), theirs.as_fd())?;
    Ok(ours)
}

/// A new line, of which the worker gets the other end.
fn hand_over_line(gift: &Socket) -> Result<(Arc<Line>, Ear), String> {
    let line = || {
        let socket = hand_over_socket(gift)?;
        let (memory, file) = Shared::new(ring::WORDS)?;
        send_descriptor(gift.as_fd(), file.as_fd())?;
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

/// Ends a worker, where it does not end by itself soon, and returns why it ended.
async fn end(outside: Outside, patience: Duration) -> String {
    match spawn_blocking(move || outside.finish(patience)).await {
        Ok(Ok(ending)) => told(&ending),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    }
}

/// What a worker said before it ended, or what is known of that.
async fn last_words(stderr: Receiver, why: &str) -> String {
    let mut words = Vec::new();
    let _ = timeout(WORKER_PAUSE, stderr.take(WORKER_WORDS_BYTES_MAX).read_to_end(&mut words)).await;
    match String::from_utf8_lossy(&words).trim() {
        "" => why.to_owned(),
        words => words.to_owned(),
    }
}

/// What the operator reads of the end of a process that should not have ended.
fn told(ending: &Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("its process ended with exit code {code}"),
        Ending::Memory(bytes) => {
            format!("its process held more than {} MiB, and the kernel ended it", bytes >> 20)
        }
        Ending::Violation(call) => {
            format!("its process was ended: it made the system call `{call}`, which nothing in it needs")
        }
        Ending::Nonsense => "its process was ended: it lied to its supervisor".to_owned(),
        Ending::Signal(signal) => format!("its process was ended by signal {signal}"),
        Ending::Time => "its process does not come to work".to_owned(),
        ending => format!("its process was ended: {ending:?}"),
    }
}

/// An error, and what is behind it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
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
