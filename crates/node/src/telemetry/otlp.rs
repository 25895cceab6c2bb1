//! What is gathered here, in the messages of OTLP 1 (opentelemetry-proto).

use host::bindings::Status;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as trace, ResourceSpans, ScopeSpans, span::SpanKind};

use crate::app::App;
use crate::function::Function;
use crate::log::Line;
use crate::metrics::{DURATION_BOUNDS_S, durations_of};
use crate::stats::End;

/// The attribute that names the function that said a line.
const FUNCTION: &str = "sampan.function";

/// Whose telemetry it is.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) version: String,
}

impl Service {
    pub(super) fn resource(&self) -> Option<Resource> {
        let attributes = vec![text("service.name", &self.name), text("service.version", &self.version)];
        Some(Resource { attributes, ..Resource::default() })
    }
}

fn scope() -> Option<InstrumentationScope> {
    let (name, version) = ("sampan".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Some(InstrumentationScope { name, version, ..InstrumentationScope::default() })
}

pub(super) fn spans(service: &Service, spans: Vec<host::bindings::Span>) -> ExportTraceServiceRequest {
    let spans = spans.into_iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource = service.resource();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
}

fn span(span: host::bindings::Span) -> trace::Span {
    let is_request = span.attributes.iter().any(|(name, _)| name == "http.route");
    let (code, message) = match span.status {
        Status::Unset => (trace::status::StatusCode::Unset, String::new()),
        Status::Ok => (trace::status::StatusCode::Ok, String::new()),
        Status::Error(why) => (trace::status::StatusCode::Error, why),
    };
    trace::Span {
        trace_id: span.trace_id.to_be_bytes().to_vec(),
        span_id: span.span_id.to_be_bytes().to_vec(),
        parent_span_id: if span.parent == 0 { Vec::new() } else { span.parent.to_be_bytes().to_vec() },
        name: span.name,
        kind: if is_request { SpanKind::Server } else { SpanKind::Internal } as i32,
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: span.attributes.into_iter().map(|(name, json)| pair(&name, value(json))).collect(),
        status: Some(trace::Status { code: code as i32, message }),
        ..trace::Span::default()
    }
}

/// A value of JSON; lists and tables stay what they are in JSON.
pub(super) fn value(json: String) -> Value {
    match serde_json::from_str(&json) {
        Ok(serde_json::Value::String(text)) => Value::StringValue(text),
        Ok(serde_json::Value::Bool(is)) => Value::BoolValue(is),
        Ok(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(number) => Value::IntValue(number),
            None => Value::DoubleValue(number.as_f64().unwrap_or_default()),
        },
        _ => Value::StringValue(json),
    }
}

pub(super) fn lines(service: &Service, lines: Vec<Line>) -> ExportLogsServiceRequest {
    let log_records = lines.into_iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource = service.resource();
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }],
    }
}

fn record(line: Line) -> LogRecord {
    let mut record = line_record(&line);
    let Some(context) = line.context else { return record };
    if let Some(time_ns) = context.time_ns {
        record.time_unix_nano = time_ns;
    }
    if context.trace_id != 0 && context.span_id != 0 {
        record.trace_id = context.trace_id.to_be_bytes().to_vec();
        record.span_id = context.span_id.to_be_bytes().to_vec();
    }
    record.event_name.clone_from(&context.event);
    // No function speaks in another's name.
    let own = context.attributes.iter().filter(|(name, _)| name != FUNCTION);
    record.attributes.extend(own.map(|(name, json)| pair(name, value(json.clone()))));
    record
}

fn line_record(line: &Line) -> LogRecord {
    // The numbers are those of the data model of logs, section "severity".
    let severity_number = match line.level {
        "trace" => 1,
        "debug" => 5,
        "info" => 9,
        "warn" => 13,
        _ => 17,
    };
    LogRecord {
        time_unix_nano: line.time_us.saturating_mul(1_000),
        observed_time_unix_nano: line.time_us.saturating_mul(1_000),
        severity_number,
        severity_text: line.level.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(line.text.clone())) }),
        attributes: vec![text(FUNCTION, &line.function)],
        ..LogRecord::default()
    }
}

/// The counts of every function since `begun_ns`.
pub(super) fn metrics(
    service: &Service,
    app: &App,
    begun_ns: u64,
    now_ns: u64,
    dropped: u64,
) -> ExportMetricsServiceRequest {
    let functions = app.functions();
    let point = |attributes: Vec<KeyValue>, number: u64| NumberDataPoint {
        attributes,
        start_time_unix_nano: begun_ns,
        time_unix_nano: now_ns,
        value: Some(number_data_point::Value::AsInt(i64::try_from(number).unwrap_or(i64::MAX))),
        ..NumberDataPoint::default()
    };
    let of = |function: &Function| vec![text("function", function.name())];
    let calls = functions.iter().flat_map(|function| {
        End::ALL.map(|end| {
            let attributes = vec![text("function", function.name()), text("end", end.name())];
            point(attributes, function.stats.ended(end))
        })
    });
    let each = |read: fn(&Function) -> u64| -> Vec<NumberDataPoint> {
        functions.iter().map(|function| point(of(function), read(function))).collect()
    };
    let durations = functions.iter().map(|function| {
        let (sum, buckets) = durations_of(function);
        HistogramDataPoint {
            attributes: of(function),
            start_time_unix_nano: begun_ns,
            time_unix_nano: now_ns,
            count: buckets.iter().map(|(_, calls)| calls).sum(),
            sum: Some(sum),
            bucket_counts: buckets.iter().map(|(_, calls)| *calls).collect(),
            explicit_bounds: DURATION_BOUNDS_S.to_vec(),
            ..HistogramDataPoint::default()
        }
    });
    let cumulative = AggregationTemporality::Cumulative as i32;
    let durations = Histogram { data_points: durations.collect(), aggregation_temporality: cumulative };
    let sum = |points| {
        Data::Sum(Sum { data_points: points, aggregation_temporality: cumulative, is_monotonic: true })
    };
    let gauge = |points| Data::Gauge(Gauge { data_points: points });
    let metrics = vec![
        metric("sampan.calls", "{call}", sum(calls.collect())),
        metric("sampan.call.duration", "s", Data::Histogram(durations)),
        metric("sampan.instances", "{instance}", sum(each(|function| function.summary().instances))),
        metric("sampan.running", "{call}", gauge(each(|function| function.load().0.into()))),
        metric("sampan.waiting", "{call}", gauge(each(|function| function.load().1 as u64))),
        metric("sampan.warm_instances", "{instance}", gauge(each(|function| function.warm() as u64))),
        metric("sampan.frozen_processes", "{process}", gauge(each(|function| function.frozen() as u64))),
        metric("sampan.telemetry.dropped", "{item}", sum(vec![point(Vec::new(), dropped)])),
    ];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource = service.resource();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn text(name: &str, text: &str) -> KeyValue {
    pair(name, Value::StringValue(text.to_owned()))
}

pub(super) fn pair(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
