//! Calls a function or chain for somebody outside.

use host::bindings::{CallError, Payload};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;

use super::{Answer, BYTES, JSON, Refusal, full, whole};
use crate::Node;
use crate::limits::CALL_BYTES_MAX;

const TEXT: &str = "text/plain; charset=utf-8";

pub(super) async fn call(node: &Node, name: &str, headers: &HeaderMap, body: Incoming) -> Answer {
    let body = whole(body, CALL_BYTES_MAX).await?;
    let input = payload(headers, body.into())?;
    match node.app().call(name, input).await {
        Ok(Payload::Bytes(bytes)) => Ok(full(BYTES, bytes)),
        Ok(Payload::Text(text)) => Ok(full(TEXT, text)),
        Ok(Payload::Json(json)) => Ok(full(JSON, json)),
        Err(error) => Err(refusal(node, name, &error)),
    }
}

/// A body as its content type says; any that is neither JSON nor text is bytes.
fn payload(headers: &HeaderMap, body: Vec<u8>) -> Result<Payload, Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind != JSON && kind != "text/plain" {
        return Ok(Payload::Bytes(body));
    }
    let wrong = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
    let text = String::from_utf8(body).map_err(|_| wrong("the input is not UTF-8".to_owned()))?;
    if kind != JSON {
        return Ok(Payload::Text(text));
    }
    let checked: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
    checked.map_err(|error| wrong(format!("the input is not JSON: {error}")))?;
    Ok(Payload::Json(text))
}

fn refusal(node: &Node, name: &str, error: &CallError) -> Refusal {
    let status = match error {
        CallError::Denied => {
            let error = format!("`{}` has no function or chain `{name}`", node.app().name());
            return Refusal::new(StatusCode::NOT_FOUND, error);
        }
        CallError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        CallError::Late => StatusCode::GATEWAY_TIMEOUT,
        CallError::Cancelled | CallError::Failed(_) | CallError::Trapped(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Refusal::new(status, format!("`{name}` has no result: {error}"))
}
