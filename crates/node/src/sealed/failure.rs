//! How a worker says that a function failed: in a message, or in a header field of an answer, which no client sees.

use engine::wasmtime;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wasmtime_wasi_http::WasiBody;

use crate::instance::Failure;
use crate::respond::whole;

const FAILED: HeaderName = HeaderName::from_static("sampan-failed");

/// A [`Failure`], as it crosses. The log has more of it, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failed {
    Busy,
    Late,
    TooLarge,
    NoAnswer,
    NoEntry,
    Exit(i32),
    Trapped(String),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Busy => Self::Busy,
            Failure::Late => Self::Late,
            Failure::TooLarge => Self::TooLarge,
            Failure::NoAnswer => Self::NoAnswer,
            Failure::NoEntry => Self::NoEntry,
            Failure::Exit(code) => Self::Exit(code),
            Failure::Trapped(error) => Self::Trapped(error.root_cause().to_string()),
            Failure::Refused(error) => Self::Trapped(error.to_string()),
        }
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Busy => Self::Busy,
            Failed::Late => Self::Late,
            Failed::TooLarge => Self::TooLarge,
            Failed::NoAnswer => Self::NoAnswer,
            Failed::NoEntry => Self::NoEntry,
            Failed::Exit(code) => Self::Exit(code),
            Failed::Trapped(text) => Self::Trapped(wasmtime::Error::msg(text)),
        }
    }
}

/// The answer that tells of a failure.
pub(super) fn to_response(failure: &impl Serialize) -> Response<WasiBody> {
    let mut response = whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Default::default());
    let told = serde_json::to_string(failure).ok().and_then(|text| HeaderValue::try_from(text).ok());
    response.headers_mut().insert(FAILED, told.unwrap_or(HeaderValue::from_static("")));
    response
}

/// The failure that an answer tells of, if it does. What cannot be read is no good answer either.
pub(super) fn in_response<B, F: DeserializeOwned>(
    response: &Response<B>,
) -> Option<Result<F, serde_json::Error>> {
    let told = response.headers().get(FAILED)?;
    Some(serde_json::from_slice(told.as_bytes()))
}
