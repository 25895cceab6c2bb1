//! From a request to a response: the way to a function, and what is said when there is none.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use host::bindings::{Call, CallError, Calling, Next, Payload};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::{Error as HttpError, WasiBody};

use crate::app::{App, random_id};

use crate::function::Function;
use crate::instance::Failure;
use crate::limits::{CHAIN_BODY_BYTES_MAX, DEADLINE_MAX};
use crate::router::{Routed, Rule, To};
use crate::telemetry::Traced;
use crate::{files, websocket};

/// What the names of the header fields begin with that tell a function its route. Nobody else can set them.
const OURS: &str = "sampan-";

/// The header field that tells a function which route a request took.
const ROUTE: HeaderName = HeaderName::from_static("sampan-route");

/// Seconds after which a client that was refused may try again.
const RETRY_SECONDS: &str = "1";

/// Answers one request from outside, which came by `scheme`.
pub(crate) async fn respond(app: Arc<App>, scheme: Scheme, request: Request<Incoming>) -> Response<WasiBody> {
    let (mut parts, body) = request.into_parts();
    if !has_host(&mut parts, scheme) {
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
    tell_route(&mut parts.headers, rule, &names);
    let traced = app.telemetry().map(|telemetry| telemetry.request(&mut parts, &rule.pattern));
    let place = traced.as_ref().map_or_else(|| (random_id(), 0), Traced::place);
    let response = match &rule.target {
        To::Function(name) if rule.websocket && websocket::is_asked_for(&parts) => {
            Box::pin(websocket::accept(Arc::clone(&app), name, parts, body)).await
        }
        _ => {
            let (chain, span) = place;
            let call = Call { chain, span, depth: 0, deadline: Instant::now() + DEADLINE_MAX };
            let way = Way { app: Arc::clone(&app), rule: Arc::clone(rule), names, passed: 0 };
            let body = WasiBody::new(body.map_err(HttpError::from));
            way.go(call, Request::from_parts(parts, body)).await
        }
    };
    if let Some(mut traced) = traced {
        traced.answered(response.status());
    }
    response
}

/// Whether a request says for which host it is, once (RFC 9112, 3.2). HTTP/1.0 need not, but functions want to know.
/// Then its URI says it too, whole.
fn has_host(parts: &mut Parts, scheme: Scheme) -> bool {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next(), parts.version) {
        (Some(host), None, _) => Authority::try_from(host.as_bytes()).ok(),
        (Some(_), Some(_), _) | (None, _, Version::HTTP_11) => None,
        (None, _, Version::HTTP_10) => {
            parts.headers.insert(HOST, HeaderValue::from_static("localhost"));
            Some(Authority::from_static("localhost"))
        }
        (None, ..) => parts.uri.authority().cloned(),
    };
    let Some(host) = host else { return false };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.scheme = Some(scheme);
    uri.authority.get_or_insert(host);
    Uri::from_parts(uri).map(|uri| parts.uri = uri).is_ok()
}

/// The rest of a request's way: through the middleware of its route to what answers it.
#[derive(Clone)]
struct Way {
    app: Arc<App>,
    rule: Arc<Rule>,
    /// What the names in the pattern of the route stand for.
    names: Vec<(String, String)>,
    /// Functions of middleware that were passed.
    passed: usize,
}

impl Way {
    async fn go(self, call: Call, request: Request<WasiBody>) -> Response<WasiBody> {
        if let Some(name) = self.rule.middleware.get(self.passed) {
            let next = Self { passed: self.passed + 1, ..self.clone() };
            return ask_function(&self.app, name, call, Some(Arc::new(next)), request).await;
        }
        match &self.rule.target {
            To::Function(name) => ask_function(&self.app, name, call, None, request).await,
            To::Chain(name) => Box::pin(ask_chain(&self.app, name, call, request)).await,
            To::Files(path) => {
                let rest = self.names.last().map_or("", |(_, value)| value);
                Box::pin(files::answer(&self.app.dir().join(path), rest, &request.into_parts().0)).await
            }
        }
    }
}

impl Next for Way {
    fn answer(&self, call: Call, mut request: Request<WasiBody>) -> Calling<Response<WasiBody>> {
        // Middleware says what it likes in all other fields.
        tell_route(request.headers_mut(), &self.rule, &self.names);
        // Whatever comes next, middleware is an instance of WASI 0.3, which no other one runs inside.
        Box::pin(spawn(self.clone().go(call, request)))
    }
}

async fn ask_function(
    app: &App,
    name: &str,
    call: Call,
    next: Option<Arc<dyn Next>>,
    request: Request<WasiBody>,
) -> Response<WasiBody> {
    let Some(function) = app.function(name) else {
        return say(StatusCode::NOT_FOUND, "no route leads here\n");
    };
    // What is said to be too large is not waited for.
    let known_bytes = request.body().size_hint().exact();
    if known_bytes.is_some_and(|bytes| bytes > function.settings.body_bytes_max) {
        return explain(&function, &Failure::TooLarge);
    }
    let call = Call { deadline: call.deadline.min(function.deadline()), ..call };
    match function.answer(call, next, request).await {
        Ok(response) => response,
        Err(failure) => explain(&function, &failure),
    }
}

/// Gives a chain the body of a request, and the client what comes of it.
async fn ask_chain(app: &App, name: &str, call: Call, request: Request<WasiBody>) -> Response<WasiBody> {
    let (parts, body) = request.into_parts();
    let bytes_max = usize::try_from(CHAIN_BODY_BYTES_MAX).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, bytes_max).collect().await else {
        return say(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is larger than a chain takes, or did not arrive\n",
        );
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let input = payload(kind, body.to_bytes().into());
    match app.call_within(name, call, input).await {
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
fn tell_route(headers: &mut HeaderMap, rule: &Rule, names: &[(String, String)]) {
    remove_ours(headers);
    if let Some(told) = &rule.told {
        headers.insert(ROUTE, told.clone());
    }
    for (name, value) in names {
        let name = HeaderName::try_from(format!("{OURS}path-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

/// Removes what only the node may say.
pub(crate) fn remove_ours(headers: &mut HeaderMap) {
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

#[cfg(test)]
mod tests {
    use super::respond;

    /// Bytes of what a function promises to do.
    fn bytes<A, B, C, F>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_on_its_way_is_small() {
        // It is copied whole, several times. What few requests need of it is boxed where it is begun.
        let bytes = bytes(respond);
        assert!(bytes <= 4_096, "{bytes}");
    }
}
