//! From a request to a response: the way to a function, and what is said when there is none.

use std::sync::Arc;

use bytes::Bytes;
use host::bindings::{Call, CallError, Payload};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::app::{App, random_id};

use crate::function::Function;
use crate::instance::Failure;
use crate::limits::CHAIN_BODY_BYTES_MAX;
use crate::router::{Routed, To};
use crate::telemetry::Traced;
use crate::{files, websocket};

/// What the names of the header fields begin with that tell a function its route. Clients cannot set them.
const OURS: &str = "sampan-";

/// Seconds after which a client that was refused may try again.
const RETRY_SECONDS: &str = "1";

/// Answers one request from outside.
pub(crate) async fn respond(app: Arc<App>, request: Request<Incoming>) -> Response<WasiBody> {
    let (mut parts, body) = request.into_parts();
    if !has_host(&mut parts) {
        return say(StatusCode::BAD_REQUEST, "a request names one host\n");
    }
    let (rule, names) = match app.router().route(&parts) {
        Routed::To(rule, names) => (rule, names),
        Routed::OtherMethods(allowed) => {
            let mut response = say(StatusCode::METHOD_NOT_ALLOWED, "no route answers this method here\n");
            if let Ok(allowed) = HeaderValue::from_str(&allowed) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
        Routed::Nowhere => return say(StatusCode::NOT_FOUND, "no route leads here\n"),
    };
    tell_route(&mut parts, &rule.pattern, &names);
    let traced = app.telemetry().map(|telemetry| telemetry.request(&mut parts, &rule.pattern));
    let place = traced.as_ref().map_or_else(|| (random_id(), 0), Traced::place);
    let response = match &rule.target {
        To::Function(name) if rule.websocket && websocket::is_asked_for(&parts) => {
            websocket::accept(Arc::clone(&app), name, parts, body).await
        }
        To::Function(name) => ask_function(&app, name, place, parts, body).await,
        To::Chain(name) => ask_chain(&app, name, place, &parts, body).await,
        To::Files(path) => {
            let rest = names.last().map_or("", |(_, value)| value.as_str());
            files::answer(&app.dir().join(path), rest, &parts).await
        }
    };
    if let Some(mut traced) = traced {
        traced.answered(response.status());
    }
    response
}

/// Whether a request says for which host it is, once (RFC 9112, 3.2). HTTP/1.0 need not, but functions want to know.
fn has_host(parts: &mut Parts) -> bool {
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), parts.version) {
        (Some(host), None, _) => Authority::try_from(host.as_bytes()).is_ok(),
        (Some(_), Some(_), _) | (None, _, Version::HTTP_11) => false,
        (None, _, Version::HTTP_10) => {
            parts.headers.insert(HOST, HeaderValue::from_static("localhost"));
            true
        }
        (None, ..) => parts.uri.authority().is_some(),
    }
}

async fn ask_function(
    app: &App,
    name: &str,
    (chain, span): (u128, u64),
    parts: Parts,
    body: Incoming,
) -> Response<WasiBody> {
    let Some(function) = app.function(name) else {
        return say(StatusCode::NOT_FOUND, "no route leads here\n");
    };
    // What is said to be too large is not waited for.
    let known_bytes = body.size_hint().exact();
    if known_bytes.is_some_and(|bytes| bytes > function.settings.body_bytes_max) {
        return explain(&function, &Failure::TooLarge);
    }
    let request = Request::from_parts(parts, WasiBody::new(body.map_err(HttpError::from)));
    let call = Call { chain, span, depth: 0, deadline: function.deadline() };
    match function.answer(call, request).await {
        Ok(response) => response,
        Err(failure) => explain(&function, &failure),
    }
}

/// Gives a chain the body of a request, and the client what comes of it.
async fn ask_chain(
    app: &App,
    name: &str,
    place: (u128, u64),
    parts: &Parts,
    body: Incoming,
) -> Response<WasiBody> {
    let bytes_max = usize::try_from(CHAIN_BODY_BYTES_MAX).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, bytes_max).collect().await else {
        return say(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than a chain takes, or did not arrive\n",
        );
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let input = payload(kind, body.to_bytes().into());
    match app.call_within(name, place, input).await {
        Ok(output) => payload_response(output),
        Err(CallError::Busy) => busy(),
        Err(CallError::Late) => {
            say(StatusCode::GATEWAY_TIMEOUT, &format!("chain `{name}` did not end in time\n"))
        }
        Err(_) => {
            let text = format!("chain `{name}` failed; its execution in the console says why\n");
            say(StatusCode::INTERNAL_SERVER_ERROR, &text)
        }
    }
}

/// The input of a call, by its media type. What claims to be text and is not UTF-8 is bytes.
pub(crate) fn payload(kind: &str, body: Vec<u8>) -> Payload {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let make: fn(String) -> Payload = match kind.as_str() {
        "application/json" => Payload::Json,
        kind if kind.starts_with("text/") => Payload::Text,
        _ => return Payload::Bytes(body),
    };
    String::from_utf8(body).map_or_else(|error| Payload::Bytes(error.into_bytes()), make)
}

/// An answer with the output of a call.
pub(crate) fn payload_response(output: Payload) -> Response<WasiBody> {
    let (kind, body) = match output {
        Payload::Bytes(bytes) => ("application/octet-stream", bytes),
        Payload::Text(text) => ("text/plain; charset=utf-8", text.into_bytes()),
        Payload::Json(text) => ("application/json", text.into_bytes()),
    };
    whole(StatusCode::OK, kind, body.into())
}

/// Says in header fields which route the request took, and what the names in it stand for.
fn tell_route(parts: &mut Parts, pattern: &str, names: &[(String, String)]) {
    remove_ours(&mut parts.headers);
    let mut tell = |name: &str, value: &str| {
        let name = HeaderName::try_from(format!("{OURS}{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            parts.headers.insert(name, value);
        }
    };
    tell("route", pattern);
    for (name, value) in names {
        tell(&format!("path-{name}"), value);
    }
}

fn remove_ours(headers: &mut HeaderMap) {
    let ours: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with(OURS)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

/// What a client is told of a failure: what it can do about it, and nothing of what the function did.
pub(crate) fn explain(function: &Function, failure: &Failure) -> Response<WasiBody> {
    let name = &function.name;
    let (status, text) = match failure {
        Failure::Busy => return busy(),
        Failure::Late => (StatusCode::GATEWAY_TIMEOUT, format!("function `{name}` did not answer in time\n")),
        Failure::TooLarge => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than this function takes\n".to_owned())
        }
        Failure::Trapped(_)
        | Failure::Refused(_)
        | Failure::NoAnswer
        | Failure::Exit(_)
        | Failure::NoEntry => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("function `{name}` failed; its log says why\n"))
        }
    };
    say(status, &text)
}

fn busy() -> Response<WasiBody> {
    let mut response = say(StatusCode::SERVICE_UNAVAILABLE, "too many requests are waiting\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS));
    response
}

/// An answer of the node's own, in words.
pub(crate) fn say(status: StatusCode, text: &str) -> Response<WasiBody> {
    whole(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

/// An answer whose body is there as a whole.
pub(crate) fn whole(status: StatusCode, kind: &'static str, body: Bytes) -> Response<WasiBody> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(WasiBody::new(Full::new(body).map_err(|never| match never {})));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}
