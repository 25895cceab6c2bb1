//! What functions measure, in the messages of OTLP 1 (opentelemetry-proto).

use host::bindings::{self, Buckets, Data, ExponentialHistogram, Histogram, Metric, Number, Temporality};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    self as otlp, AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, exponential_histogram_data_point, metric, number_data_point,
};

use super::otlp::{Service, pair, value};

/// One export of a function.
pub(super) struct Measured {
    pub(super) function: String,
    pub(super) metrics: Vec<Metric>,
}

/// Each export as a scope that is called as its function.
pub(super) fn message(service: &Service, exports: Vec<Measured>) -> ExportMetricsServiceRequest {
    let scope_metrics = exports.into_iter().map(|export| ScopeMetrics {
        scope: Some(InstrumentationScope { name: export.function, ..InstrumentationScope::default() }),
        metrics: export.metrics.into_iter().map(metric).collect(),
        ..ScopeMetrics::default()
    });
    let (resource, scope_metrics) = (service.resource(), scope_metrics.collect());
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }],
    }
}

/// When the points of a metric were measured.
#[derive(Clone, Copy)]
struct Times {
    start_ns: u64,
    end_ns: u64,
}

fn metric(metric: Metric) -> otlp::Metric {
    let times = Times { start_ns: metric.start_ns, end_ns: metric.end_ns };
    let data = match metric.data {
        Data::Gauge(points) => metric::Data::Gauge(otlp::Gauge { data_points: each(points, times, number) }),
        Data::Sum(points, since, is_monotonic) => metric::Data::Sum(otlp::Sum {
            data_points: each(points, times, number),
            aggregation_temporality: temporality(since),
            is_monotonic,
        }),
        Data::Histogram(points, since) => metric::Data::Histogram(otlp::Histogram {
            data_points: each(points, times, histogram),
            aggregation_temporality: temporality(since),
        }),
        Data::ExponentialHistogram(points, since) => {
            metric::Data::ExponentialHistogram(otlp::ExponentialHistogram {
                data_points: each(points, times, exponential),
                aggregation_temporality: temporality(since),
            })
        }
    };
    otlp::Metric {
        name: metric.name,
        description: metric.description,
        unit: metric.unit,
        data: Some(data),
        ..otlp::Metric::default()
    }
}

fn temporality(since: Temporality) -> i32 {
    let since = match since {
        Temporality::Cumulative => AggregationTemporality::Cumulative,
        Temporality::Delta => AggregationTemporality::Delta,
    };
    since as i32
}

fn each<T, P>(
    points: Vec<bindings::Point<T>>,
    times: Times,
    convert: fn(T, Vec<KeyValue>, Times) -> P,
) -> Vec<P> {
    let points = points.into_iter().map(|point| {
        let attributes = point.attributes.into_iter().map(|(name, json)| pair(&name, value(json)));
        convert(point.value, attributes.collect(), times)
    });
    points.collect()
}

fn number(number: Number, attributes: Vec<KeyValue>, times: Times) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: times.start_ns,
        time_unix_nano: times.end_ns,
        value: Some(match number {
            Number::Float(number) => number_data_point::Value::AsDouble(number),
            Number::Integer(number) => number_data_point::Value::AsInt(number),
        }),
        ..NumberDataPoint::default()
    }
}

fn histogram(spread: Histogram, attributes: Vec<KeyValue>, times: Times) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start_ns,
        time_unix_nano: times.end_ns,
        count: spread.count,
        sum: Some(spread.sum),
        min: spread.min,
        max: spread.max,
        explicit_bounds: spread.bounds,
        bucket_counts: spread.counts,
        ..HistogramDataPoint::default()
    }
}

fn exponential(
    spread: ExponentialHistogram,
    attributes: Vec<KeyValue>,
    times: Times,
) -> ExponentialHistogramDataPoint {
    let buckets = |buckets: Buckets| {
        Some(exponential_histogram_data_point::Buckets {
            offset: buckets.offset,
            bucket_counts: buckets.counts,
        })
    };
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start_ns,
        time_unix_nano: times.end_ns,
        count: spread.count,
        sum: Some(spread.sum),
        min: spread.min,
        max: spread.max,
        scale: spread.scale,
        zero_count: spread.zeros,
        zero_threshold: spread.zero_threshold,
        positive: buckets(spread.positive),
        negative: buckets(spread.negative),
        ..ExponentialHistogramDataPoint::default()
    }
}
