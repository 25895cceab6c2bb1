//! How a worker says that a function failed: in a header field of an answer, which no client sees.

use http::{HeaderName, HeaderValue, Response, StatusCode};
use wasmtime_wasi_http::WasiBody;

use engine::wasmtime;

use crate::instance::Failure;
use crate::respond::whole;

const FAILED: HeaderName = HeaderName::from_static("sampan-failed");

/// The answer that tells of a failure.
pub(super) fn to_response(failure: &Failure) -> Response<WasiBody> {
    let (kind, text) = match failure {
        Failure::Busy => ("busy", String::new()),
        Failure::Late => ("late", String::new()),
        Failure::TooLarge => ("too large", String::new()),
        Failure::NoAnswer => ("no answer", String::new()),
        Failure::NoEntry => ("no entry", String::new()),
        Failure::Exit(code) => ("exit", code.to_string()),
        Failure::Trapped(error) => ("trapped", error.root_cause().to_string()),
        Failure::Refused(error) => ("trapped", error.to_string()),
    };
    let mut response = whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text.into());
    response.headers_mut().insert(FAILED, HeaderValue::from_static(kind));
    response
}

/// The failure that an answer tells of, if it does; the text comes in its body, which is told in the log by the worker.
pub(super) fn in_response<B>(response: &Response<B>) -> Option<Failure> {
    Some(match response.headers().get(FAILED)?.as_bytes() {
        b"busy" => Failure::Busy,
        b"late" => Failure::Late,
        b"too large" => Failure::TooLarge,
        b"no answer" => Failure::NoAnswer,
        b"no entry" => Failure::NoEntry,
        _ => Failure::Trapped(wasmtime::Error::msg("it failed in its process")),
    })
}
