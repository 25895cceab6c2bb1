//! What functions say, as lines of JSON, now or as long as the client listens.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use wasmtime_wasi_http::WasiBody;

use super::query::Query;
use super::{Answer, JSON_LINES, Refusal, with_body};
use crate::log::LEVELS;
use crate::{Line, Node};

/// Which lines are wanted.
struct Wanted {
    function: Option<String>,
    /// The position in [`LEVELS`] of the least grave.
    level: usize,
}

pub(super) fn logs(node: &Node, query: &Query<'_>) -> Answer {
    let wanted = Wanted::of(node, query)?;
    let (mut kept, live) = node.app().logs().kept_and_live();
    kept.retain(|line| wanted.has(line));
    if let Some(tail) = query.number("tail")? {
        kept.drain(..kept.len().saturating_sub(tail));
    }
    let kept = stream::iter(kept.into_iter().map(|line| json_line(&line)));
    Ok(match query.bytes("follow") {
        Some(_) => body(kept.chain(follow(live, wanted))),
        None => body(kept),
    })
}

impl Wanted {
    fn of(node: &Node, query: &Query<'_>) -> Result<Self, Refusal> {
        let function = query.text("function")?;
        if let Some(name) = function.as_ref().filter(|name| node.app().function(name).is_none()) {
            let error = format!("`{}` has no function `{name}`", node.app().name());
            return Err(Refusal::new(StatusCode::NOT_FOUND, error));
        }
        let level = match query.text("level")? {
            None => 0,
            Some(level) => LEVELS.iter().position(|known| **known == level).ok_or_else(|| {
                let refusal = Refusal::new(StatusCode::BAD_REQUEST, format!("`{level}` is no level"));
                refusal.hint(format!("levels are {}", LEVELS.join(", ")))
            })?,
        };
        Ok(Self { function, level })
    }

    fn has(&self, line: &Line) -> bool {
        self.function.as_ref().is_none_or(|function| *function == line.function)
            && LEVELS[self.level..].contains(&line.level)
    }
}

/// The wanted lines from now on. A client that does not keep up is told how many it missed.
fn follow(live: Receiver<Line>, wanted: Wanted) -> impl Stream<Item = Bytes> {
    stream::unfold((live, wanted), |(mut live, wanted)| async move {
        loop {
            let text = match live.recv().await {
                Ok(line) if wanted.has(&line) => json_line(&line),
                Ok(_) => continue,
                Err(RecvError::Lagged(missed)) => format!("{}\n", json!({ "missed": missed })).into(),
                Err(RecvError::Closed) => return None,
            };
            return Some((text, (live, wanted)));
        }
    })
}

fn json_line(line: &Line) -> Bytes {
    format!("{}\n", json!(line)).into()
}

fn body(lines: impl Stream<Item = Bytes> + Send + 'static) -> http::Response<WasiBody> {
    let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(line)));
    with_body(JSON_LINES, WasiBody::new(StreamBody::new(frames).map_err(|never| match never {})))
}
