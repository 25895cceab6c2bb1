//! `wasi:otel`: the spans that a function traces within its call, what it logs and what it measures.
//!
//! A function cannot choose the trace that its spans and records go to, nor whose they are: that would be a way into
//! those of others. It is the trace of its call. Sizes are bounded here.

mod logs;
mod metrics;

use wasmtime::component::Linker;

use crate::Host;
use crate::bindings::{Call, Span, Status};
use crate::host::{App, AppView};
use crate::limits::{SPAN_ATTRIBUTES_BYTES_MAX, SPAN_ATTRIBUTES_MAX, SPAN_TEXT_BYTES_MAX};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "
            import wasi:otel/tracing@0.2.0-rc.2;
            import wasi:otel/metrics@0.2.0-rc.2;
            import wasi:otel/logs@0.2.0-rc.2;
        ",
        with: { "wasi:clocks": wasmtime_wasi::p2::bindings::clocks },
    });
}

use generated::wasi::otel::tracing::{self, Datetime, SpanContext, SpanData, TraceFlags};
use generated::wasi::otel::types::KeyValue;

impl tracing::Host for AppView<'_> {
    /// What matters is told when it ends.
    fn on_start(&mut self, _context: SpanContext) {}

    fn on_end(&mut self, span: SpanData) {
        if let (Some(bindings), Some(call)) = (self.bindings, self.call)
            && let Some(telemetry) = &bindings.telemetry
            && let Some(span) = within(call, span)
        {
            telemetry.span(span);
        }
    }

    fn outer_span_context(&mut self) -> SpanContext {
        let (chain, span) = self.call.map_or((0, 0), |call| (call.chain, call.span));
        let traced = self.bindings.is_some_and(|bindings| bindings.telemetry.is_some());
        SpanContext {
            trace_id: format!("{chain:032x}"),
            span_id: format!("{span:016x}"),
            trace_flags: if traced { TraceFlags::SAMPLED } else { TraceFlags::empty() },
            is_remote: true,
            trace_state: Vec::new(),
        }
    }
}

/// The span as a part of the trace of `call`; `None` when it has no identity.
fn within(call: Call, span: SpanData) -> Option<Span> {
    let span_id = id(&span.span_context.span_id)?;
    Some(Span {
        trace_id: call.chain,
        span_id,
        parent: id(&span.parent_span_id).unwrap_or(call.span),
        name: cut(span.name),
        start_ns: nanoseconds(span.start_time),
        end_ns: nanoseconds(span.end_time),
        attributes: fitting(span.attributes, SPAN_ATTRIBUTES_BYTES_MAX),
        status: match span.status {
            tracing::Status::Unset => Status::Unset,
            tracing::Status::Ok => Status::Ok,
            tracing::Status::Error(why) => Status::Error(cut(why)),
        },
    })
}

/// 8 bytes in hexadecimal, not all of them 0.
fn id(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok().filter(|id| *id != 0 && text.len() == 16)
}

fn nanoseconds(time: Datetime) -> u64 {
    time.seconds.saturating_mul(1_000_000_000).saturating_add(time.nanoseconds.into())
}

/// The first attributes that fit into so many bytes of memory.
fn fitting(told: Vec<KeyValue>, bytes_max: usize) -> Vec<(String, String)> {
    let mut room = bytes_max;
    let told = told.into_iter().take(SPAN_ATTRIBUTES_MAX);
    let fitting = told.map_while(|attribute| {
        let pair = (cut(attribute.key), cut(attribute.value));
        room = room.checked_sub(size_of_val(&pair) + pair.0.len() + pair.1.len())?;
        Some(pair)
    });
    let mut fitting: Vec<_> = fitting.collect();
    // The list may lie where the function's own did, which was as long as it liked.
    fitting.shrink_to_fit();
    fitting
}

/// The text, in no more memory than it needs: what was cut off is not kept while it waits.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SPAN_TEXT_BYTES_MAX));
    text.shrink_to_fit();
    text
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    tracing::add_to_linker::<_, App>(linker, Host::app)?;
    generated::wasi::otel::metrics::add_to_linker::<_, App>(linker, Host::app)?;
    generated::wasi::otel::logs::add_to_linker::<_, App>(linker, Host::app)
}

#[cfg(test)]
mod tests {
    use super::generated::wasi::otel::types::InstrumentationScope;
    use super::*;

    fn told(trace_id: &str, span_id: &str, parent: &str) -> SpanData {
        let long = "ä".repeat(SPAN_TEXT_BYTES_MAX);
        let attribute = KeyValue { key: long.clone(), value: long.clone() };
        let time = Datetime { seconds: u64::MAX, nanoseconds: u32::MAX };
        SpanData {
            span_context: SpanContext {
                trace_id: trace_id.to_owned(),
                span_id: span_id.to_owned(),
                trace_flags: TraceFlags::empty(),
                is_remote: false,
                trace_state: Vec::new(),
            },
            parent_span_id: parent.to_owned(),
            span_kind: tracing::SpanKind::Internal,
            name: long,
            start_time: time,
            end_time: time,
            attributes: vec![attribute; 10 * SPAN_ATTRIBUTES_MAX],
            events: Vec::new(),
            links: Vec::new(),
            status: tracing::Status::Ok,
            instrumentation_scope: InstrumentationScope {
                name: String::new(),
                version: None,
                schema_url: None,
                attributes: Vec::new(),
            },
            dropped_attributes: 0,
            dropped_events: 0,
            dropped_links: 0,
        }
    }

    fn call() -> Call {
        Call { chain: 3, span: 4, depth: 0, deadline: std::time::Instant::now() }
    }

    #[test]
    fn a_span_is_of_the_trace_of_its_call_and_its_sizes_are_bounded() {
        let span = told("ffffffffffffffffffffffffffffffff", "00000000000000aa", "00000000000000bb");
        let span = within(call(), span).expect("a span");
        assert_eq!((span.trace_id, span.span_id, span.parent), (3, 0xaa, 0xbb));
        assert_eq!((span.start_ns, span.end_ns), (u64::MAX, u64::MAX));
        let attributes = span.attributes.iter().map(|(key, value)| key.capacity() + value.capacity());
        let bytes = attributes.sum::<usize>() + span.attributes.capacity() * size_of::<(String, String)>();
        assert_eq!(span.name.capacity(), SPAN_TEXT_BYTES_MAX, "what was cut off is held");
        assert!(!span.attributes.is_empty() && bytes <= SPAN_ATTRIBUTES_BYTES_MAX, "{bytes}");
        assert!(span.attributes.iter().all(|(key, value)| key.len().max(value.len()) == SPAN_TEXT_BYTES_MAX));
    }

    #[test]
    fn a_span_without_identity_is_dropped_and_one_without_parent_is_the_calls() {
        for none in ["", "0000000000000000", "aa", "00000000000000zz", "00000000000000000000000000000000"] {
            assert_eq!(within(call(), told("", none, "")), None, "{none}");
            let span = within(call(), told("", "00000000000000aa", none)).expect("a span");
            assert_eq!(span.parent, 4, "{none}");
        }
    }
}
