//! Responses of the console, and what each of them tells the browser to keep to.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use maud::Markup;
use wasmtime_wasi_http::WasiBody;

/// Only what this console itself serves is shown or run, and in no other page's frame.
const POLICY: &str = "default-src 'self'; style-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

pub(super) fn html(status: StatusCode, markup: Markup) -> Response<WasiBody> {
    full(status, "text/html; charset=utf-8", markup.into_string().into())
}

pub(super) fn text(status: StatusCode, text: &str) -> Response<WasiBody> {
    full(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(text.as_bytes()))
}

pub(super) fn metrics(text: String) -> Response<WasiBody> {
    full(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text.into())
}

pub(super) fn asset(kind: &'static str, text: &'static str) -> Response<WasiBody> {
    full(StatusCode::OK, kind, Bytes::from_static(text.as_bytes()))
}

fn full(status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<WasiBody> {
    let mut response = Response::new(WasiBody::new(Full::new(bytes).map_err(|never| match never {})));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Adds what holds for every response.
pub(super) fn guarded(mut response: Response<WasiBody>) -> Response<WasiBody> {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
