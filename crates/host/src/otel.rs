//! `wasi:otel`: the spans that a function traces within its call.
//!
//! A function can neither choose the trace that its spans go to nor make one go on without end: the trace is that of
//! its call, and the sizes are bounded here.

use wasmtime::component::Linker;

use crate::Host;
use crate::bindings::{Call, Span, Status};
use crate::host::{App, AppView};
use crate::limits::{SPAN_ATTRIBUTES_MAX, SPAN_TEXT_BYTES_MAX};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        interfaces: "import wasi:otel/tracing@0.2.0-rc.2;",
        with: { "wasi:clocks": wasmtime_wasi::p2::bindings::clocks },
    });
}

use generated::wasi::otel::tracing::{self, Datetime, SpanContext, SpanData, TraceFlags};

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
    let attributes = span.attributes.into_iter().take(SPAN_ATTRIBUTES_MAX);
    Some(Span {
        trace_id: call.chain,
        span_id,
        parent: id(&span.parent_span_id).unwrap_or(call.span),
        name: cut(span.name),
        start_ns: nanoseconds(span.start_time),
        end_ns: nanoseconds(span.end_time),
        attributes: attributes.map(|attribute| (cut(attribute.key), cut(attribute.value))).collect(),
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

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SPAN_TEXT_BYTES_MAX));
    text
}

pub(crate) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    tracing::add_to_linker::<_, App>(linker, Host::app)
}
