//! `wasi:otel/metrics`: what a function measures. All that it hands over at once has one bound.

use super::generated::wasi::otel::metrics::{self as told, Host, MetricData, MetricNumber, ResourceMetrics};
use super::generated::wasi::otel::types::KeyValue;
use super::nanoseconds;
use crate::bindings::{Buckets, Data, ExponentialHistogram, Histogram, Metric, Number, Point, Temporality};
use crate::host::AppView;
use crate::limits::METRICS_BYTES_MAX;

impl Host for AppView<'_> {
    fn export(&mut self, metrics: ResourceMetrics) -> Result<(), String> {
        if let Some(bindings) = self.bindings
            && let Some(telemetry) = &bindings.telemetry
        {
            telemetry.metrics(&bindings.name, measured(metrics)?);
        }
        Ok(())
    }
}

fn measured(metrics: ResourceMetrics) -> Result<Vec<Metric>, String> {
    let mut room = Room(METRICS_BYTES_MAX);
    let metrics = metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
    metrics.map(|metric| room.metric(metric)).collect()
}

/// Bytes of memory that are left.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), String> {
        let too_much = || format!("an export has at most {METRICS_BYTES_MAX} bytes: export less at once");
        self.0 = self.0.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }

    fn metric(&mut self, metric: told::Metric) -> Result<Metric, String> {
        self.take(size_of::<Metric>())?;
        let (start, end, data) = match metric.data {
            MetricData::F64Gauge(gauge) | MetricData::U64Gauge(gauge) | MetricData::S64Gauge(gauge) => {
                let points = gauge.data_points.into_iter();
                let points = points.map(|point| self.point(point.attributes, number(point.value)));
                (gauge.start_time, gauge.time, Data::Gauge(points.collect::<Result<_, _>>()?))
            }
            MetricData::F64Sum(sum) | MetricData::U64Sum(sum) | MetricData::S64Sum(sum) => {
                let points = sum.data_points.into_iter();
                let points = points.map(|point| self.point(point.attributes, number(point.value)));
                let points = points.collect::<Result<_, _>>()?;
                let data = Data::Sum(points, temporality(sum.temporality), sum.is_monotonic);
                (Some(sum.start_time), sum.time, data)
            }
            MetricData::F64Histogram(all) | MetricData::U64Histogram(all) | MetricData::S64Histogram(all) => {
                let points = all.data_points.into_iter().map(|point| self.histogram(point));
                let data = Data::Histogram(points.collect::<Result<_, _>>()?, temporality(all.temporality));
                (Some(all.start_time), all.time, data)
            }
            MetricData::F64ExponentialHistogram(all)
            | MetricData::U64ExponentialHistogram(all)
            | MetricData::S64ExponentialHistogram(all) => {
                let points = all.data_points.into_iter().map(|point| self.exponential(point));
                let points = points.collect::<Result<_, _>>()?;
                let data = Data::ExponentialHistogram(points, temporality(all.temporality));
                (Some(all.start_time), all.time, data)
            }
        };
        Ok(Metric {
            name: self.text(metric.name)?,
            description: self.text(metric.description)?,
            unit: self.text(metric.unit)?,
            start_ns: start.map_or(0, nanoseconds),
            end_ns: nanoseconds(end),
            data,
        })
    }

    fn histogram(&mut self, point: told::HistogramDataPoint) -> Result<Point<Histogram>, String> {
        let value = Histogram {
            count: point.count,
            sum: float(point.sum),
            min: point.min.map(float),
            max: point.max.map(float),
            bounds: self.list(point.bounds)?,
            counts: self.list(point.bucket_counts)?,
        };
        self.point(point.attributes, value)
    }

    fn exponential(
        &mut self,
        point: told::ExponentialHistogramDataPoint,
    ) -> Result<Point<ExponentialHistogram>, String> {
        let value = ExponentialHistogram {
            count: point.count,
            sum: float(point.sum),
            min: point.min.map(float),
            max: point.max.map(float),
            scale: point.scale.into(),
            zeros: point.zero_count,
            zero_threshold: point.zero_threshold,
            positive: self.buckets(point.positive_bucket)?,
            negative: self.buckets(point.negative_bucket)?,
        };
        self.point(point.attributes, value)
    }

    fn buckets(&mut self, buckets: told::ExponentialBucket) -> Result<Buckets, String> {
        Ok(Buckets { offset: buckets.offset, counts: self.list(buckets.counts)? })
    }

    fn point<T>(&mut self, attributes: Vec<KeyValue>, value: T) -> Result<Point<T>, String> {
        self.take(size_of::<Point<T>>())?;
        let attributes = attributes.into_iter().map(|attribute| {
            self.take(size_of::<(String, String)>())?;
            Ok((self.text(attribute.key)?, self.text(attribute.value)?))
        });
        Ok(Point { attributes: attributes.collect::<Result<_, String>>()?, value })
    }

    fn text(&mut self, text: String) -> Result<String, String> {
        self.take(text.capacity())?;
        Ok(text)
    }

    fn list<T>(&mut self, list: Vec<T>) -> Result<Vec<T>, String> {
        self.take(list.capacity() * size_of::<T>())?;
        Ok(list)
    }
}

fn temporality(temporality: told::Temporality) -> Temporality {
    match temporality {
        told::Temporality::Cumulative => Temporality::Cumulative,
        // Low memory is a wish of the function's own library, and what it then tells is delta.
        told::Temporality::Delta | told::Temporality::LowMemory => Temporality::Delta,
    }
}

fn number(number: MetricNumber) -> Number {
    match number {
        MetricNumber::F64(number) => Number::Float(number),
        MetricNumber::S64(number) => Number::Integer(number),
        MetricNumber::U64(number) => Number::Integer(i64::try_from(number).unwrap_or(i64::MAX)),
    }
}

fn float(number: MetricNumber) -> f64 {
    match number {
        MetricNumber::F64(number) => number,
        MetricNumber::S64(number) => number as f64,
        MetricNumber::U64(number) => number as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated::wasi::otel::types::{InstrumentationScope, Resource};
    use super::*;
    use told::{Datetime, Gauge, GaugeDataPoint, ScopeMetrics};

    const TIME: Datetime = Datetime { seconds: 1, nanoseconds: 5 };

    fn point(value: MetricNumber, attributes: Vec<KeyValue>) -> GaugeDataPoint {
        GaugeDataPoint { attributes, value, exemplars: Vec::new() }
    }

    fn export(name: &str, points: Vec<GaugeDataPoint>, times: usize) -> ResourceMetrics {
        let text = String::new;
        let data = MetricData::U64Gauge(Gauge { data_points: points, start_time: None, time: TIME });
        let metric = told::Metric { name: name.to_owned(), description: text(), unit: text(), data };
        let scope =
            InstrumentationScope { name: text(), version: None, schema_url: None, attributes: Vec::new() };
        ResourceMetrics {
            resource: Resource { attributes: Vec::new(), schema_url: None },
            scope_metrics: vec![ScopeMetrics { scope, metrics: vec![metric; times] }],
        }
    }

    #[test]
    fn numbers_and_times_are_told_as_they_are() {
        let points =
            vec![point(MetricNumber::U64(u64::MAX), Vec::new()), point(MetricNumber::F64(0.5), Vec::new())];
        let metrics = measured(export("depth", points, 1)).expect("small");
        assert_eq!((metrics[0].start_ns, metrics[0].end_ns), (0, 1_000_000_005));
        let values = match &metrics[0].data {
            Data::Gauge(points) => points.iter().map(|point| point.value).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(values, [Number::Integer(i64::MAX), Number::Float(0.5)]);
    }

    #[test]
    fn whatever_there_is_too_much_of_is_refused() {
        let nothing = MetricNumber::S64(0);
        let attribute = |text: &str| KeyValue { key: text.to_owned(), value: text.to_owned() };
        let long = "x".repeat(METRICS_BYTES_MAX);
        for export in [
            export("", Vec::new(), METRICS_BYTES_MAX / 8),
            export(&long, Vec::new(), 1),
            export("", vec![point(nothing, Vec::new()); METRICS_BYTES_MAX / 8], 1),
            export("", vec![point(nothing, vec![attribute(""); METRICS_BYTES_MAX / 8])], 1),
            export("", vec![point(nothing, vec![attribute(&long)])], 1),
        ] {
            let error = measured(export).expect_err("too much");
            assert!(error.contains("65536 bytes"), "{error}");
        }
    }
}
