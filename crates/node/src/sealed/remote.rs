//! The node, as it is seen from inside a sealed process: what stands behind the function's imports.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use host::Bindings;
use host::bindings::{
    self, Call, CallError, Calling, Connections, Level, Log, Message, Metric, Next, Payload, Record,
    SendError, Siblings, Span, Sql, SqlDone, SqlWork,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::client::conn::http2::SendRequest;
use serde::de::DeserializeOwned;
use state::{Batch, Bucket, Entry, Error, Page, Pending, Range, Store, Usage, Watch};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use super::asked::COVER;
use super::failure::in_response;
use super::line::{Direct, Gone, Line};
use super::words::{Cover, Instances, Listed, Part, Sent, To, Wish};
use crate::respond::say;

thread_local! {
    /// Which event loop this thread has.
    static LANE: Cell<usize> = const { Cell::new(0) };
}

/// The way to the node.
pub(crate) struct Remote {
    /// One for each event loop.
    lines: Vec<Arc<Line>>,
    /// For those who cannot do anything else while they wait.
    direct: Directs,
    http: SendRequest<WasiBody>,
    /// What may be called; the node looks again.
    calls: BTreeSet<String>,
    is_traced: bool,
}

/// Lines of which each has one question at a time.
struct Directs {
    free: Mutex<Vec<Direct>>,
    returned: Condvar,
}

impl Remote {
    pub(super) fn new(
        lines: Vec<Arc<Line>>,
        direct: Vec<Direct>,
        http: SendRequest<WasiBody>,
        calls: BTreeSet<String>,
        is_traced: bool,
    ) -> Arc<Self> {
        let direct = Directs { free: Mutex::new(direct), returned: Condvar::new() };
        Arc::new(Self { lines, direct, http, calls, is_traced })
    }

    /// Says which event loop this thread has.
    pub(super) fn enter(lane: usize) {
        LANE.set(lane);
    }

    /// The bindings of the one function, with the node behind them.
    pub(crate) fn reach(self: &Arc<Self>, bindings: Bindings, has_sql: bool) -> Bindings {
        Bindings {
            log: Arc::new(Said { here: bindings.log, node: Arc::clone(self) }),
            calls: self.calls.clone(),
            siblings: Arc::clone(self) as _,
            connections: Some(Arc::clone(self) as _),
            sql: has_sql.then(|| Arc::clone(self) as _),
            telemetry: self.is_traced.then(|| Arc::clone(self) as _),
            ..bindings
        }
    }

    /// What comes after the function, in a call that the node gave it under this number.
    pub(super) fn next(self: &Arc<Self>, number: u64) -> Arc<dyn Next> {
        Arc::new(After { node: Arc::clone(self), number })
    }

    fn line(&self) -> Arc<Line> {
        let lane = LANE.get();
        Arc::clone(self.lines.get(lane).unwrap_or(&self.lines[0]))
    }

    /// Asks for what the node knows at once.
    fn look<T: DeserializeOwned>(&self, wish: &Wish) -> Result<T, Error> {
        self.direct.ask(wish).unwrap_or(Err(Error::Closed))
    }

    /// Tells, before the call that it tells of has an answer.
    fn tell(&self, wish: &Wish) {
        let _: Result<(), Gone> = self.direct.ask(wish);
    }

    /// Tells how many instances there are.
    pub(super) async fn count(&self, instances: Instances) {
        // Where nobody listens any more, there will be no instances either.
        let _: Result<(), Gone> = self.line().ask(&Wish::Instances(instances)).await;
    }

    /// Sends a request with its cover.
    fn send(
        &self,
        to: To,
        call: Call,
        mut request: Request<WasiBody>,
    ) -> Calling<Result<Response<WasiBody>, CallError>> {
        let cover = Cover::new(call, to, request.version()).to_header();
        let mut http = self.http.clone();
        Box::pin(async move {
            let gone =
                |why: &dyn std::fmt::Display| CallError::Failed(format!("the node does not answer: {why}"));
            let cover = cover.ok_or_else(|| gone(&"too much to say"))?;
            request.headers_mut().insert(COVER, cover);
            let response = http.send_request(request).await.map_err(|error| gone(&error))?;
            match in_response(&response) {
                Some(failed) => Err(failed.unwrap_or_else(|error| gone(&error))),
                None => Ok(response.map(|body| WasiBody::new(body.map_err(HttpError::from)))),
            }
        })
    }
}

impl Directs {
    fn ask<T: DeserializeOwned>(&self, wish: &Wish) -> Result<T, Gone> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut direct = loop {
            match free.pop() {
                Some(direct) => break direct,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let answered = direct.ask(wish);
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(direct);
        self.returned.notify_one();
        answered
    }
}

fn named(bucket: &Bucket) -> String {
    bucket.spec().name.clone()
}

fn listed(range: Range<'_>) -> Listed {
    Listed { prefix: range.prefix.to_vec(), after: range.after.map(<[u8]>::to_vec), limit: range.limit }
}

impl Store for Remote {
    /// The node has opened it.
    fn open(&self, _: &Bucket) -> Result<(), Error> {
        Ok(())
    }

    fn buckets(&self, _: &str) -> Result<Vec<String>, Error> {
        Err(Error::Closed)
    }

    fn remove(&self, _: &Bucket) -> Result<(), Error> {
        Err(Error::Closed)
    }

    fn get(&self, bucket: &Bucket, key: &[u8]) -> Result<Option<Entry>, Error> {
        self.look(&Wish::Get { bucket: named(bucket), key: key.to_vec() })
    }

    fn scan(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<(Vec<u8>, Entry)>, Error> {
        self.look(&Wish::Scan { bucket: named(bucket), part: listed(range) })
    }

    fn keys(&self, bucket: &Bucket, range: Range<'_>) -> Result<Page<Vec<u8>>, Error> {
        self.look(&Wish::Keys { bucket: named(bucket), part: listed(range) })
    }

    fn usage(&self, bucket: &Bucket) -> Result<Usage, Error> {
        self.look(&Wish::Usage { bucket: named(bucket) })
    }

    fn write(&self, bucket: &Bucket, batch: Batch) -> Pending {
        let (line, wish) = (self.line(), Wish::Write { bucket: named(bucket), batch });
        let (done, waiting) = oneshot::channel();
        // Where nothing runs any more, who waits is told that it is over.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let written = line.ask(&wish).await;
                let _ = done.send(written.unwrap_or(Err(Error::Closed)));
            });
        }
        Pending::waiting(waiting)
    }

    /// The node watches, and tells.
    fn watch(&self, _: &Bucket) -> Result<Watch, Error> {
        Err(Error::Closed)
    }
}

impl Sql for Remote {
    fn run(&self, work: SqlWork) -> Calling<Result<SqlDone, Error>> {
        let line = self.line();
        Box::pin(async move { line.ask(&Wish::Sql(work)).await.unwrap_or(Err(Error::Closed)) })
    }
}

impl Siblings for Remote {
    fn call(&self, name: &str, call: Call, input: Payload) -> Calling<Result<Payload, CallError>> {
        let wish = Wish::Call { part: Part::from(call), name: name.to_owned(), input };
        let line = self.line();
        Box::pin(async move {
            line.ask(&wish).await.unwrap_or_else(|gone| Err(CallError::Failed(gone.to_string())))
        })
    }

    fn request(
        &self,
        name: &str,
        call: Call,
        request: Request<WasiBody>,
    ) -> Calling<Result<Response<WasiBody>, CallError>> {
        self.send(To::Function(name.to_owned()), call, request)
    }
}

impl Connections for Remote {
    fn send(&self, connection: &str, message: Message) -> Result<(), SendError> {
        let message = match message {
            Message::Text(text) => Sent::Text(String::from_utf8_lossy(&text).into_owned()),
            Message::Binary(bytes) => Sent::Binary(bytes.into()),
        };
        let wish = Wish::Send { connection: connection.to_owned(), message };
        self.direct.ask(&wish).unwrap_or(Err(SendError::Closed))
    }

    fn close(&self, connection: &str) {
        self.tell(&Wish::Close { connection: connection.to_owned() });
    }
}

impl bindings::Telemetry for Remote {
    fn span(&self, span: Span) {
        self.tell(&Wish::Span(span));
    }

    fn metrics(&self, _: &str, metrics: Vec<Metric>) {
        self.tell(&Wish::Metrics(metrics));
    }
}

/// What the function says: lines go by the log of this process, records have more to them.
struct Said {
    here: Arc<dyn Log>,
    node: Arc<Remote>,
}

impl Log for Said {
    fn line(&self, level: Level, text: &str) {
        self.here.line(level, text);
    }

    fn record(&self, record: Record) {
        self.node.tell(&Wish::Record(record));
    }

    fn fault(&self, text: &str) {
        self.here.fault(text);
    }
}

/// What comes after the function in one call.
struct After {
    node: Arc<Remote>,
    number: u64,
}

impl Next for After {
    fn answer(&self, call: Call, request: Request<WasiBody>) -> Calling<Response<WasiBody>> {
        let answering = self.node.send(To::Next(self.number), call, request);
        Box::pin(async move {
            answering
                .await
                .unwrap_or_else(|error| say(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")))
        })
    }
}
