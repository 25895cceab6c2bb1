//! `wasi:otel/logs`: records become lines of the function's log.

use super::generated::wasi::otel::logs::{Host, LogRecord};
use super::{cut, fitting, id, nanoseconds};
use crate::bindings::{Call, Context, Level, Record};
use crate::host::AppView;
use crate::limits::RECORD_ATTRIBUTES_BYTES_MAX;

impl Host for AppView<'_> {
    fn on_emit(&mut self, record: LogRecord) {
        if let Some(bindings) = self.bindings {
            bindings.log.record(told(self.call, record));
        }
    }
}

fn told(call: Option<Call>, record: LogRecord) -> Record {
    let event = cut(record.event_name.unwrap_or_default());
    let (trace_id, span) = call.map_or((0, 0), |call| (call.chain, call.span));
    Record {
        level: record.severity_number.map_or(Level::Info, rank),
        body: record.body.unwrap_or_else(|| event.clone()),
        context: Context {
            time_ns: record.timestamp.map(nanoseconds),
            event,
            trace_id,
            span_id: record.span_id.and_then(|text| id(&text)).unwrap_or(span),
            attributes: fitting(record.attributes.unwrap_or_default(), RECORD_ATTRIBUTES_BYTES_MAX),
        },
    }
}

/// The numbers are those of the data model of logs, section "severity".
fn rank(severity: u8) -> Level {
    match severity {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        0 | 9..=12 => Level::Info,
        13..=16 => Level::Warn,
        17.. => Level::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated::wasi::otel::types::KeyValue;
    use super::*;

    fn record(attributes: Vec<KeyValue>) -> LogRecord {
        LogRecord {
            timestamp: None,
            observed_timestamp: None,
            severity_text: None,
            severity_number: None,
            body: None,
            attributes: Some(attributes),
            event_name: Some("boot".to_owned()),
            resource: None,
            instrumentation_scope: None,
            trace_id: Some("ffffffffffffffffffffffffffffffff".to_owned()),
            span_id: None,
            trace_flags: None,
        }
    }

    #[test]
    fn a_record_is_of_the_trace_of_its_call() {
        let call = Call { chain: 3, span: 4, depth: 0, deadline: std::time::Instant::now() };
        let told = told(Some(call), record(Vec::new()));
        assert_eq!((told.level, told.body.as_str()), (Level::Info, "boot"));
        assert_eq!((told.context.trace_id, told.context.span_id), (3, 4));
    }

    #[test]
    fn many_attributes_and_large_ones_are_dropped() {
        for bytes in [0, 100, 1 << 20] {
            let attribute = KeyValue { key: "k".repeat(bytes), value: "v".repeat(bytes) };
            let told = told(None, record(vec![attribute; 10_000 / (1 + bytes / 1_000)]));
            let attributes = told.context.attributes;
            let held = attributes.iter().map(|(key, value)| key.capacity() + value.capacity());
            let held = held.sum::<usize>() + attributes.capacity() * size_of::<(String, String)>();
            assert!(held <= RECORD_ATTRIBUTES_BYTES_MAX, "{held} bytes are held");
        }
    }

    #[test]
    fn each_severity_is_of_the_level_of_its_name() {
        let levels =
            [(1, Level::Trace), (8, Level::Debug), (9, Level::Info), (16, Level::Warn), (24, Level::Error)];
        assert!(levels.into_iter().all(|(severity, level)| rank(severity) == level));
    }
}
