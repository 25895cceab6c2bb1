//! What functions said, and say.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use maud::{Markup, html};
use tokio::sync::broadcast::error::RecvError;
use wasmtime_wasi_http::WasiBody;

use super::page::{Tab, page};
use super::query::Query;
use super::{View, page, reply};
use crate::limits::CONSOLE_LINES_MAX;
use crate::log::Line;

/// The levels, the least grave first.
const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// How often a follower is told that the connection lives.
const PULSE: Duration = Duration::from_secs(15);

/// Which lines are wanted.
struct Filter {
    function: Option<String>,
    /// The least grave level, as its place in [`LEVELS`].
    level: usize,
    text: Option<String>,
}

impl Filter {
    fn new(query: &Query) -> Self {
        let level = query.text("level").and_then(|level| LEVELS.iter().position(|known| *known == level));
        Self { function: query.text("function"), level: level.unwrap_or_default(), text: query.text("text") }
    }

    fn wants(&self, line: &Line) -> bool {
        let level = LEVELS.iter().position(|known| *known == line.level).unwrap_or_default();
        level >= self.level
            && self.function.as_ref().is_none_or(|function| *function == line.function)
            && self.text.as_ref().is_none_or(|text| line.text.contains(text))
    }
}

pub(super) fn list(view: &View, query: &Query) -> Response<WasiBody> {
    let filter = Filter::new(query);
    let found = wanted(view, &filter, CONSOLE_LINES_MAX);
    let functions = view.node.app().functions();
    let content = html! {
        h1.quiet { "Logs" }
        form.filter role="search" {
            label {
                "Function "
                select name="function" {
                    option value="" { "all" }
                    @for function in &functions {
                        option selected[filter.function.as_deref() == Some(function.name())] { (function.name()) }
                    }
                }
            }
            label {
                "Level "
                select name="level" {
                    @for (place, level) in LEVELS.iter().enumerate() {
                        option value=(level) selected[place == filter.level] { (level) @if place + 1 < LEVELS.len() { " and above" } }
                    }
                }
            }
            label { "Containing " input type="search" name="text" value=(filter.text.as_deref().unwrap_or_default()) autocomplete="off"; }
            button { "Show" }
            span.follow id="follow" role="status" {}
        }
        section.card data-follow=(CONSOLE_LINES_MAX) { (lines(&found)) }
    };
    page(view, Tab::Logs, "Logs", &content)
}

/// The last lines, of one function or of all.
pub(super) fn last(view: &View, function: Option<&str>, count: usize) -> Vec<Line> {
    wanted(view, &Filter { function: function.map(str::to_owned), level: 0, text: None }, count)
}

fn wanted(view: &View, filter: &Filter, count: usize) -> Vec<Line> {
    let mut lines = view.node.app().logs().kept();
    lines.retain(|line| filter.wants(line));
    lines.split_off(lines.len().saturating_sub(count))
}

pub(super) fn lines(lines: &[Line]) -> Markup {
    html! {
        ol.log role="log" aria-label="Lines of log, the latest last" tabindex="0" { @for line in lines { (item(line)) } }
        @if lines.is_empty() { p.empty { "Nothing was said yet." } }
    }
}

fn item(line: &Line) -> Markup {
    html! {
        li.(line.level) {
            (page::moment(line.time_us)) " "
            a.from href={ "/functions/" (line.function) } { (line.function) } " "
            span.level { (line.level) } " "
            span.text { (line.text) }
        }
    }
}

/// Lines as they come, each as an event with the HTML that shows it (HTML standard, "server-sent events").
pub(super) fn live(view: &View, query: &Query) -> Response<WasiBody> {
    let Ok(place) = Arc::clone(&view.live).try_acquire_owned() else {
        let mut response = reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many follow the log\n");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
        return response;
    };
    let following = (view.node.app().logs().follow(), Filter::new(query), place);
    let events = futures_util::stream::unfold(following, async |(mut lines, filter, place)| {
        let event = loop {
            match tokio::time::timeout(PULSE, lines.recv()).await {
                Ok(Ok(line)) if filter.wants(&line) => break event("line", &item(&line).into_string()),
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(missed))) => break event("missed", &missed.to_string()),
                Ok(Err(RecvError::Closed)) => return None,
                Err(_) => break ":\n\n".to_owned(),
            }
        };
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), (lines, filter, place)))
    });
    let body = StreamBody::new(events).map_err(|never| match never {});
    let mut response = Response::new(WasiBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

fn event(name: &str, data: &str) -> String {
    let mut event = format!("event: {name}\n");
    // A line of the event ends where a line of its data does.
    for line in data.split(['\n', '\r']) {
        event += &format!("data: {line}\n");
    }
    event + "\n"
}
