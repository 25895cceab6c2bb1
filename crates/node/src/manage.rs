//! The management of a node: JSON over HTTP, for whoever shows the node's token.
//!
//! ```text
//! GET    /api/status                                  what the node is, and what each function does
//! GET    /api/logs?function=&level=&tail=&follow=1    lines of the log, a JSON object on each
//! POST   /api/stop                                    ends what was begun, then the node
//! POST   /api/call/NAME                               calls a function or chain; body and content type are the payload
//! GET    /api/state                                   the buckets, and what they hold
//! GET    /api/state/BUCKET?prefix=&after=&limit=      a page of keys
//! GET    /api/state/BUCKET/KEY                        a value; PUT sets it, DELETE removes it
//! GET    /api/export/BUCKET                           all entries, a JSON object on each line
//! POST   /api/import/BUCKET                           writes such lines over what is there
//! ```
//!
//! An error is `{"error": …, "hint": …}`. Keys and names are percent-encoded.

mod call;
mod logs;
mod pipe;
mod query;
mod state;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use wasmtime_wasi_http::WasiBody;

use crate::Node;
use query::Query;

const JSON: &str = "application/json";
const JSON_LINES: &str = "application/jsonl";
const BYTES: &str = "application/octet-stream";

/// Why a request is not done.
struct Refusal {
    status: StatusCode,
    error: String,
    hint: Option<String>,
}

type Answer = Result<Response<WasiBody>, Refusal>;

/// Answers a request to manage `node`.
pub(crate) async fn answer(node: &Arc<Node>, request: Request<Incoming>) -> Response<WasiBody> {
    let answer = match knows_token(node, request.headers()) {
        true => route(node, request).await,
        false => Err(Refusal::new(StatusCode::UNAUTHORIZED, "the token of this node is needed")
            .hint("`sampan ps`, `logs`, `stop`, `state` and `call` find it by themselves, for its own user")),
    };
    let mut response = answer.unwrap_or_else(Refusal::response);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Compares hashes, so that the time it takes says nothing of the token.
fn knows_token(node: &Node, headers: &HeaderMap) -> bool {
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    shown.is_some_and(|shown| blake3::hash(shown) == blake3::hash(node.token.as_bytes()))
}

async fn route(node: &Arc<Node>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let query = Query::of(parts.uri.query().unwrap_or_default());
    let path = parts.uri.path().strip_prefix("/api/").unwrap_or_default();
    let words: Vec<&str> = path.splitn(3, '/').collect();
    match (parts.method.as_str(), words.as_slice()) {
        ("GET", ["status"]) => Ok(json_answer(&status(node))),
        ("GET", ["logs"]) => logs::logs(node, &query),
        ("POST", ["stop"]) => {
            node.stop();
            Ok(json_answer(&json!({ "stopping": true })))
        }
        ("POST", ["call", name]) => call::call(node, &query::text(name)?, &parts.headers, body).await,
        ("GET", ["state"]) => state::buckets(node).await,
        ("GET", ["state", bucket]) => state::keys(node, bucket, &query).await,
        ("GET", ["state", bucket, key]) => state::get(node, bucket, key).await,
        ("PUT", ["state", bucket, key]) => state::put(node, bucket, key, body).await,
        ("DELETE", ["state", bucket, key]) => state::delete(node, bucket, key).await,
        ("GET", ["export", bucket]) => state::export(node, bucket).await,
        ("POST", ["import", bucket]) => state::import(node, bucket, body).await,
        (method, _) => {
            let error = format!("nothing answers `{method} {}`", parts.uri.path());
            Err(Refusal::new(StatusCode::NOT_FOUND, error))
        }
    }
}

fn status(node: &Node) -> Value {
    let app = node.app();
    let functions = app.functions();
    let functions = functions.iter().map(|function| {
        let (running, waiting) = function.load();
        let mut status = json!({
            "name": function.name(),
            "running": running,
            "waiting": waiting,
            "warm": function.warm(),
            "frozen": function.frozen(),
        });
        if let (Value::Object(status), Ok(Value::Object(summary))) =
            (&mut status, serde_json::to_value(function.summary()))
        {
            status.extend(summary);
        }
        status
    });
    json!({
        "app": app.name(),
        "version": app.version(),
        "pid": std::process::id(),
        "begun_us": micros(node.begun),
        "address": node.listen,
        "console": node.console,
        "functions": functions.collect::<Value>(),
    })
}

/// Microseconds since 1970.
fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The whole body of a request, of at most `bytes_max`.
async fn whole(body: Incoming, bytes_max: usize) -> Result<Bytes, Refusal> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let error = format!("the body has more than {bytes_max} bytes");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error))
        }
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body ended before its end")),
    }
}

fn json_answer(value: &Value) -> Response<WasiBody> {
    full(JSON, format!("{value}\n"))
}

fn full(content_type: &'static str, body: impl Into<Bytes>) -> Response<WasiBody> {
    with_body(content_type, WasiBody::new(Full::new(body.into()).map_err(|never| match never {})))
}

fn with_body(content_type: &'static str, body: WasiBody) -> Response<WasiBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn response(self) -> Response<WasiBody> {
        let mut response = json_answer(&json!({ "error": self.error, "hint": self.hint }));
        *response.status_mut() = self.status;
        response
    }
}
