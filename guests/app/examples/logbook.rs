//! A function of WASI 0.2 HTTP that tells of itself (`wasi:otel`): `/tell?TEXT` with one span, one record and three
//! metrics, `/measure?N` with one metric of N points, `/flood?N` N times with as much as there is room for.

use wasip2::clocks::wall_clock::now;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "package app:logbook; world logbook {
        import wasi:otel/tracing@0.2.0-rc.2;
        import wasi:otel/metrics@0.2.0-rc.2;
        import wasi:otel/logs@0.2.0-rc.2;
    }",
    generate_all,
});

use wasi::clocks::wall_clock::Datetime;
use wasi::otel::logs::{LogRecord, on_emit};
use wasi::otel::metrics::*;
use wasi::otel::tracing::{SpanData, SpanKind, Status, on_end, outer_span_context};
use wasi::otel::types::{InstrumentationScope, KeyValue, Resource};

/// The identity of each span.
const SPAN: &str = "00000000000000aa";

struct Logbook;

wasip2::http::proxy::export!(Logbook);

impl Guest for Logbook {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let number = query.parse().unwrap_or(0);
        let told = match path {
            "/tell" => {
                trace("noted");
                note(query, vec![attribute("knots", "7"), attribute("sampan.function", "\"another\"")]);
                measure(vec![sum(), histogram(), exponential()])
            }
            "/measure" => measure(vec![gauge(number)]),
            "/flood" => (0..number).try_for_each(|_| {
                let large = "x".repeat(64 << 10);
                trace(&large);
                note("x", vec![attribute(&large, &large); 16]);
                measure(vec![gauge(500)])
            }),
            _ => return app::answer(out, 404, b"no such page"),
        };
        match told {
            Ok(()) => app::answer(out, 200, b"told"),
            Err(error) => app::answer(out, 500, error.as_bytes()),
        }
    }
}

fn time() -> Datetime {
    let now = now();
    Datetime { seconds: now.seconds, nanoseconds: now.nanoseconds }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_owned() }
}

fn scope() -> InstrumentationScope {
    let name = "of the function's own".to_owned();
    InstrumentationScope { name, version: None, schema_url: None, attributes: Vec::new() }
}

fn trace(name: &str) {
    let outer = outer_span_context();
    let parent_span_id = outer.span_id.clone();
    let mut span_context = outer;
    span_context.span_id = SPAN.to_owned();
    on_end(&SpanData {
        span_context,
        parent_span_id,
        span_kind: SpanKind::Internal,
        name: name.to_owned(),
        start_time: time(),
        end_time: time(),
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: Status::Ok,
        instrumentation_scope: scope(),
        dropped_attributes: 0,
        dropped_events: 0,
        dropped_links: 0,
    });
}

fn note(text: &str, attributes: Vec<KeyValue>) {
    on_emit(&LogRecord {
        timestamp: Some(Datetime { seconds: 1, nanoseconds: 0 }),
        observed_timestamp: None,
        severity_text: None,
        severity_number: Some(13),
        body: Some(serde_json::Value::from(text).to_string()),
        attributes: Some(attributes),
        event_name: Some("note".to_owned()),
        resource: None,
        instrumentation_scope: Some(scope()),
        trace_id: None,
        span_id: Some(SPAN.to_owned()),
        trace_flags: None,
    });
}

fn measure(data: Vec<MetricData>) -> Result<(), String> {
    let metrics = data.into_iter().map(|data| Metric {
        name: "logbook.depth".to_owned(),
        description: "How deep it is".to_owned(),
        unit: "m".to_owned(),
        data,
    });
    export(&ResourceMetrics {
        resource: Resource { attributes: vec![attribute("service.name", "\"another\"")], schema_url: None },
        scope_metrics: vec![ScopeMetrics { scope: scope(), metrics: metrics.collect() }],
    })
}

fn gauge(points: usize) -> MetricData {
    let point = GaugeDataPoint {
        attributes: vec![attribute("side", "\"port\"")],
        value: MetricNumber::F64(0.5),
        exemplars: Vec::new(),
    };
    MetricData::F64Gauge(Gauge { data_points: vec![point; points], start_time: None, time: time() })
}

fn sum() -> MetricData {
    let point = SumDataPoint {
        attributes: vec![attribute("side", "\"port\"")],
        value: MetricNumber::U64(41),
        exemplars: Vec::new(),
    };
    MetricData::U64Sum(Sum {
        data_points: vec![point],
        start_time: time(),
        time: time(),
        temporality: Temporality::Delta,
        is_monotonic: true,
    })
}

fn histogram() -> MetricData {
    let point = HistogramDataPoint {
        attributes: Vec::new(),
        count: 3,
        bounds: vec![1.0, 2.0],
        bucket_counts: vec![1, 0, 2],
        min: Some(MetricNumber::S64(-1)),
        max: None,
        sum: MetricNumber::S64(12),
        exemplars: Vec::new(),
    };
    MetricData::S64Histogram(Histogram {
        data_points: vec![point],
        start_time: time(),
        time: time(),
        temporality: Temporality::Cumulative,
    })
}

fn exponential() -> MetricData {
    let point = ExponentialHistogramDataPoint {
        attributes: Vec::new(),
        count: 6,
        min: None,
        max: None,
        sum: MetricNumber::F64(2.5),
        scale: -2,
        zero_count: 1,
        positive_bucket: ExponentialBucket { offset: -3, counts: vec![2, 3] },
        negative_bucket: ExponentialBucket { offset: 0, counts: Vec::new() },
        zero_threshold: 0.25,
        exemplars: Vec::new(),
    };
    MetricData::F64ExponentialHistogram(ExponentialHistogram {
        data_points: vec![point],
        start_time: time(),
        time: time(),
        temporality: Temporality::LowMemory,
    })
}
