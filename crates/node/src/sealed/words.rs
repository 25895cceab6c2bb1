//! What a sealed process and its node say to each other beside HTTP.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use host::bindings::{Call, Metric, Payload, Record, Span, SqlWork};
use http::{HeaderMap, HeaderValue, Request, Response, Version, request, response};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use state::Batch;

use crate::limits::{DEADLINE_MAX, WORKER_START_MAX};
use crate::websocket::Received;

/// What the node gives a process to do.
#[derive(Serialize, Deserialize)]
pub(crate) enum Task {
    /// To answer a request, all of which is here. What it passes on as middleware has the number of the node's call.
    Request {
        head: RequestHead,
        body: Octets,
        next: Option<u64>,
    },
    /// To answer a call through `sampan:chain`.
    Call(Payload),
    /// To take or refuse a WebSocket.
    Opened {
        connection: String,
        path: String,
        headers: Vec<(String, String)>,
    },
    Received {
        connection: String,
        message: Received,
    },
    Closed {
        connection: String,
    },
    /// To do what the first call would wait for.
    Prepare,
    /// To give up what it can, for nobody calls; answered with the [`Instances`] that there are then.
    Rest,
    /// To hear of a key that was set, or deleted where there is no value.
    Changed {
        bucket: String,
        key: String,
        value: Option<Vec<u8>>,
    },
}

impl Task {
    /// On whose behalf the node itself gives tasks.
    pub(super) fn own_call() -> Call {
        Call { chain: 0, span: 0, depth: 0, deadline: Instant::now() + WORKER_START_MAX }
    }
}

/// What a process asks of its node. Buckets are those that were granted, by name.
#[derive(Serialize, Deserialize)]
pub(super) enum Wish {
    Get { bucket: String, key: Vec<u8> },
    Scan { bucket: String, part: Listed },
    Keys { bucket: String, part: Listed },
    Usage { bucket: String },
    Write { bucket: String, batch: Batch },
    Sql(SqlWork),
    Call { part: Part, name: String, input: Payload },
    Send { connection: String, message: Sent },
    Close { connection: String },
    Record(Record),
    Span(Span),
    Metrics(Vec<Metric>),
    Instances(Instances),
}

/// Instances of a process: how many it has made, and how many wait for a call.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Instances {
    pub(super) made: u64,
    pub(super) warm: usize,
}

/// As [`state::Range`].
#[derive(Serialize, Deserialize)]
pub(super) struct Listed {
    pub(super) prefix: Vec<u8>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) limit: usize,
}

/// As [`host::bindings::Message`].
#[derive(Serialize, Deserialize)]
pub(super) enum Sent {
    Text(String),
    Binary(Vec<u8>),
}

/// A call, as it is told to another process, which may have another clock.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Part {
    chain: u128,
    span: u64,
    depth: u32,
    left: Duration,
}

impl From<Call> for Part {
    fn from(call: Call) -> Self {
        let left = call.deadline.saturating_duration_since(Instant::now());
        Self { chain: call.chain, span: call.span, depth: call.depth, left }
    }
}

impl From<Part> for Call {
    fn from(part: Part) -> Self {
        let deadline = Instant::now() + part.left.min(DEADLINE_MAX);
        Self { chain: part.chain, span: part.span, depth: part.depth, deadline }
    }
}

/// What goes with a request in a header field, to the process and from it.
#[derive(Serialize, Deserialize)]
pub(super) struct Cover {
    pub(super) part: Part,
    pub(super) to: To,
    /// Whether the request was one of HTTP/1.1, before it came here.
    is_older: bool,
}

/// Where a request goes.
#[derive(Serialize, Deserialize)]
pub(super) enum To {
    /// To the function of the process, or a sibling of it.
    Function(String),
    /// To a function that is middleware, or from it to what comes next: the number is that of the node's call.
    Next(u64),
    /// To the rest of an answer that was [`Answered::Begun`].
    Rest(u64),
}

/// The head of a request.
#[derive(Serialize, Deserialize)]
pub(crate) struct RequestHead {
    method: String,
    uri: String,
    is_older: bool,
    fields: Vec<(String, Octets)>,
}

impl RequestHead {
    pub(super) fn new(parts: &request::Parts) -> Self {
        Self {
            method: parts.method.to_string(),
            uri: parts.uri.to_string(),
            is_older: parts.version < Version::HTTP_2,
            fields: fields(&parts.headers),
        }
    }

    /// The request with this body.
    ///
    /// # Errors
    /// When a part of it cannot be in one.
    pub(super) fn request<B>(self, body: B) -> Result<Request<B>, http::Error> {
        let version = if self.is_older { Version::HTTP_11 } else { Version::HTTP_2 };
        let request = Request::builder().method(&*self.method).uri(self.uri).version(version);
        let with = |request: request::Builder, (name, value): (String, Octets)| request.header(name, value.0);
        self.fields.into_iter().fold(request, with).body(body)
    }
}

/// An answer, or its beginning.
#[derive(Serialize, Deserialize)]
pub(super) enum Answered {
    /// All of it.
    Whole(ResponseHead, Octets),
    /// Its head; the rest is asked for under this number.
    Begun(ResponseHead, u64),
}

/// The head of an answer.
#[derive(Serialize, Deserialize)]
pub(super) struct ResponseHead {
    status: u16,
    fields: Vec<(String, Octets)>,
}

impl ResponseHead {
    pub(super) fn new(parts: &response::Parts) -> Self {
        Self { status: parts.status.as_u16(), fields: fields(&parts.headers) }
    }

    /// The answer with this body. What is about a connection is not about the client's.
    ///
    /// # Errors
    /// When a part of it cannot be in one.
    pub(super) fn response<B>(self, body: B) -> Result<Response<B>, http::Error> {
        let response = Response::builder().status(self.status);
        let with =
            |response: response::Builder, (name, value): (String, Octets)| response.header(name, value.0);
        let ours = self
            .fields
            .into_iter()
            .filter(|(name, _)| !OF_CONNECTIONS.iter().any(|of| of.eq_ignore_ascii_case(name)));
        ours.fold(response, with).body(body)
    }
}

/// Header fields that say something of the connection that they came on (RFC 9110, section 7.6.1).
const OF_CONNECTIONS: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

fn fields(headers: &HeaderMap) -> Vec<(String, Octets)> {
    headers.iter().map(|(name, value)| (name.to_string(), Octets(value.as_bytes().to_vec()))).collect()
}

/// Bytes, which serde would take one by one.
#[derive(Clone)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(<&[u8]>::deserialize(deserializer)?.to_vec()))
    }
}

impl Cover {
    pub(super) fn new(call: Call, to: To, version: Version) -> Self {
        Self { part: Part::from(call), to, is_older: version < Version::HTTP_2 }
    }

    pub(super) fn version(&self) -> Version {
        if self.is_older { Version::HTTP_11 } else { Version::HTTP_2 }
    }

    pub(super) fn to_header(&self) -> Option<HeaderValue> {
        let text = STANDARD_NO_PAD.encode(postcard::to_allocvec(self).ok()?);
        HeaderValue::try_from(text).ok()
    }

    pub(super) fn from_header(value: &HeaderValue) -> Option<Self> {
        postcard::from_bytes(&STANDARD_NO_PAD.decode(value).ok()?).ok()
    }
}
