//! What an app binds to one of its functions beside WASI: a part of its state, its configuration, its other
//! functions, its connections, a log and a trace.

mod metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use serde::{Deserialize, Serialize};
use state::sql::{Done, Rows, Statement};
use state::{Bucket, Container, Store};
use wasmtime::component::{ComponentType, Lift, Lower};
use wasmtime_wasi_http::WasiBody;

use crate::limits::CALL_DEPTH_MAX;
pub use crate::sql::Database;
pub use metrics::{Buckets, Data, ExponentialHistogram, Histogram, Metric, Number, Point, Temporality};

/// All that an app binds to one function. The function reaches nothing else of the app.
pub struct Bindings {
    /// What the app calls the function.
    pub name: String,
    /// Where the buckets are.
    pub store: Arc<dyn Store>,
    /// The granted buckets, by name; they are open.
    pub buckets: BTreeMap<String, Bucket>,
    /// The granted containers of objects, by name; they are open.
    pub containers: BTreeMap<String, Container>,
    /// The app's SQL database; `None` where it was not granted. The functions of an app share one.
    pub sql: Option<Arc<dyn Sql>>,
    /// What `wasi:config` returns.
    pub config: BTreeMap<String, String>,
    /// The names of the functions and chains that may be called.
    pub calls: BTreeSet<String>,
    /// The app's functions and chains.
    pub siblings: Arc<dyn Siblings>,
    /// The WebSockets of the app; `None` where it has none.
    pub connections: Option<Arc<dyn Connections>>,
    /// Where the function's output goes.
    pub log: Arc<dyn Log>,
    /// Where the function's spans and metrics go; `None` where nothing is traced.
    pub telemetry: Option<Arc<dyn Telemetry>>,
}

impl fmt::Debug for Bindings {
    /// Names only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bindings")
            .field("name", &self.name)
            .field("buckets", &self.buckets.keys())
            .field("containers", &self.containers.keys())
            .field("config", &self.config.keys())
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// Takes what a function says.
pub trait Log: Send + Sync {
    /// One line, without its end, of the function's standard output, standard error, or `wasi:logging`.
    fn line(&self, level: Level, text: &str);

    /// One record of `wasi:otel/logs`.
    fn record(&self, record: Record);

    /// A failure of the machine that the function met. It may meet it again and again: to bound how often it is said is
    /// for the log.
    fn fault(&self, text: &str);
}

/// What a function is told of an error of the state. What is the operator's business goes to the log instead.
pub fn told(log: &dyn Log, error: &state::Error) -> String {
    let Some(plain) = error.fault() else { return error.to_string() };
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    log.fault(&format!("{error}{cause}"));
    plain.to_owned()
}

/// A line of a log, and what is told beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// How grave it is.
    pub level: Level,
    /// What the line says, as JSON (RFC 8259). Its size is not bounded.
    pub body: String,
    /// What else there is. The sizes are bounded.
    pub context: Context,
}

/// What a function tells beside the line of a [`Record`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// When it happened, in nanoseconds since the Unix epoch, if that is told.
    pub time_ns: Option<u64>,
    /// Which kind of event it is; empty where that is not told.
    pub event: String,
    /// The chain of the call; 0 outside of one.
    pub trace_id: u128,
    /// The span that it belongs to; 0 where it belongs to none.
    pub span_id: u64,
    /// Names and values; a value is JSON (RFC 8259).
    pub attributes: Vec<(String, String)>,
}

/// How grave a line of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// For those who follow each step.
    Trace,
    /// For those who look for a fault.
    Debug,
    /// What standard output is.
    Info,
    /// What standard error is.
    Warn,
    /// A failure.
    Error,
}

/// A call on its way: what it belongs to, and until when it is worth while.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The chain that it is a part of: all calls that one request from outside leads to.
    pub chain: u128,
    /// The span that this call is in the trace of its chain; 0 where it is not traced.
    pub span: u64,
    /// Calls above this one.
    pub depth: u32,
    /// After this moment nobody waits for the answer.
    pub deadline: Instant,
}

impl Call {
    /// A call that this one makes.
    ///
    /// # Errors
    /// [`CallError::Late`] when nobody waits any more; [`CallError::Trapped`] when it would be the one too deep.
    pub fn below(self) -> Result<Self, CallError> {
        if Instant::now() >= self.deadline {
            return Err(CallError::Late);
        }
        if self.depth >= CALL_DEPTH_MAX {
            return Err(CallError::Trapped(format!(
                "{CALL_DEPTH_MAX} calls are nested, and more may not be"
            )));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

/// What goes into a call, and what comes out of it.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower, Serialize, Deserialize)]
#[component(variant)]
pub enum Payload {
    /// Any bytes.
    #[component(name = "bytes")]
    Bytes(Vec<u8>),
    /// Text.
    #[component(name = "text")]
    Text(String),
    /// JSON (RFC 8259).
    #[component(name = "json")]
    Json(String),
}

/// Why a call has no result.
#[derive(
    Clone, Debug, PartialEq, Eq, thiserror::Error, ComponentType, Lift, Lower, Serialize, Deserialize,
)]
#[component(variant)]
pub enum CallError {
    /// The caller was not granted the callee.
    #[error("it was not granted")]
    #[component(name = "denied")]
    Denied,
    /// The callee, or the chain, has as much to do as it may have.
    #[error("too many calls are waiting")]
    #[component(name = "busy")]
    Busy,
    /// The deadline has passed, or cannot be met.
    #[error("the deadline has passed")]
    #[component(name = "late")]
    Late,
    /// The call was cancelled.
    #[error("it was cancelled")]
    #[component(name = "cancelled")]
    Cancelled,
    /// The callee's own words.
    #[error("{0}")]
    #[component(name = "failed")]
    Failed(String),
    /// The callee trapped or hit a limit.
    #[error("it ended before it had a result: {0}")]
    #[component(name = "trapped")]
    Trapped(String),
}

/// A future of a call.
pub type Calling<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The other functions of an app, as one of them calls them. Whether it may was asked before, and the call is the one
/// [below](Call::below) the caller's. A call ends by its deadline.
pub trait Siblings: Send + Sync {
    /// Calls a function or chain through `sampan:chain`.
    fn call(&self, name: &str, call: Call, input: Payload) -> Calling<Result<Payload, CallError>>;

    /// Sends a request to a function through `wasi:http`, without leaving the process.
    fn request(
        &self,
        name: &str,
        call: Call,
        request: Request<WasiBody>,
    ) -> Calling<Result<Response<WasiBody>, CallError>>;
}

/// What a request comes to after a function of middleware.
pub trait Next: Send + Sync {
    /// Answers a request that the function passes on, in a call [below](Call::below) its own.
    fn answer(&self, call: Call, request: Request<WasiBody>) -> Calling<Response<WasiBody>>;
}

/// The SQL database of an app.
pub trait Sql: Send + Sync {
    /// Does `work`. When nobody waits for it any more, it is cancelled.
    fn run(&self, work: SqlWork) -> Calling<Result<SqlDone, state::Error>>;
}

/// What is to be done on a database.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SqlWork {
    /// A statement that returns no rows.
    Execute(Statement),
    /// A statement that returns rows.
    Query(Statement),
    /// Statements that return no rows, all of them or none.
    Batch(Vec<Statement>),
}

/// What was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SqlDone {
    /// What each statement changed.
    Changed(Vec<Done>),
    /// What a statement found.
    Found(Rows),
}

/// The open WebSockets of an app, by their names.
pub trait Connections: Send + Sync {
    /// Puts a message at the end of a connection's queue.
    ///
    /// # Errors
    /// When there is no such connection, or its queue is full.
    fn send(&self, connection: &str, message: Message) -> Result<(), SendError>;

    /// Closes a connection. That there is none of that name is no error.
    fn close(&self, connection: &str);
}

/// A message on a WebSocket. Cheap to clone: many connections may get the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text: always UTF-8.
    Text(Bytes),
    /// Any bytes.
    Binary(Bytes),
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum SendError {
    /// The connection is not open any more.
    #[error("the connection is closed")]
    Closed,
    /// The client does not keep up.
    #[error("the connection's queue is full")]
    Full,
}

/// Takes what functions trace and measure.
pub trait Telemetry: Send + Sync {
    /// A span that has ended.
    fn span(&self, span: Span);

    /// What `function` measured. The sizes are bounded.
    fn metrics(&self, function: &str, metrics: Vec<Metric>);
}

/// A part of a call, as the function that answers it tells of it. The sizes are bounded, the words are the function's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The chain of the call.
    pub trace_id: u128,
    /// Itself; never 0.
    pub span_id: u64,
    /// The span that it is a part of; 0 where it is of none.
    pub parent: u64,
    /// What was done.
    pub name: String,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// Names and values; a value is JSON (RFC 8259).
    pub attributes: Vec<(String, String)>,
    /// How it ended.
    pub status: Status,
}

/// The header field by which a request names the span that it is a part of (W3C Trace Context, section 3.2).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What that field says.
pub fn traceparent(trace_id: u128, span_id: u64) -> HeaderValue {
    let value = HeaderValue::try_from(format!("00-{trace_id:032x}-{span_id:016x}-01"));
    value.expect("digits and dashes are what a header field may have")
}

/// How a [`Span`] ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It does not say.
    Unset,
    /// Well.
    Ok,
    /// Not well, and why.
    Error(String),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_function_that_calls_itself_comes_to_an_end() {
        let mut call =
            Call { chain: 1, span: 2, depth: 0, deadline: Instant::now() + Duration::from_secs(600) };
        for _ in 0..CALL_DEPTH_MAX {
            call = call.below().expect("not too deep");
        }
        assert!(matches!(call.below(), Err(CallError::Trapped(_))));
        assert_eq!((call.chain, call.span, call.depth), (1, 2, CALL_DEPTH_MAX));
    }

    #[test]
    fn a_call_that_is_late_makes_no_other() {
        let call = Call { chain: 1, span: 0, depth: 0, deadline: Instant::now() };
        assert_eq!(call.below().map(|call| call.depth), Err(CallError::Late));
    }
}
