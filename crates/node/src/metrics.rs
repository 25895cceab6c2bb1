//! What Prometheus reads: the counts of every function, taken when they are asked for.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::bucket::bucket;
use crate::function::Function;
use crate::node::Node;
use crate::stats::End;

/// Upper bounds of the buckets of call durations, in seconds.
pub(crate) const DURATION_BOUNDS_S: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// All metrics of a node in the OpenMetrics text format, which Prometheus reads.
pub(crate) fn text(node: &Arc<Node>) -> String {
    let mut registry = Registry::with_prefix("sampan");
    registry.register_collector(Box::new(Scrape(Arc::clone(node))));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("a string takes all");
    text
}

struct Scrape(Arc<Node>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let functions = self.0.app().functions();
        let mut calls = encoder.encode_descriptor("calls", "Calls that ended", None, MetricType::Counter)?;
        for function in &functions {
            for end in End::ALL {
                let labels = [("function", function.name()), ("end", end.name())];
                calls
                    .encode_family(&labels)?
                    .encode_counter::<NoLabels, _, u64>(&function.stats.ended(end), None)?;
            }
        }
        let unit = Unit::Seconds;
        let help = "Time from a call's arrival to its answer";
        let mut durations =
            encoder.encode_descriptor("call_duration", help, Some(&unit), MetricType::Histogram)?;
        for function in &functions {
            let (sum, buckets) = durations_of(function);
            let count = buckets.iter().map(|(_, calls)| calls).sum();
            let labels = [("function", function.name())];
            durations.encode_family(&labels)?.encode_histogram::<NoLabels>(sum, count, &buckets, None)?;
        }
        let help = "Instances that were made";
        let mut instances = encoder.encode_descriptor("instances", help, None, MetricType::Counter)?;
        for function in &functions {
            let (labels, made) = ([("function", function.name())], function.summary().instances);
            instances.encode_family(&labels)?.encode_counter::<NoLabels, _, u64>(&made, None)?;
        }
        type Gauge = (&'static str, &'static str, fn(&Function) -> i64);
        let gauges: [Gauge; 4] = [
            ("running", "Calls that run", |function| function.load().0.into()),
            ("waiting", "Calls that wait", |function| signed(function.load().1 as u64)),
            ("warm_instances", "Instances that wait for a call", |function| signed(function.warm() as u64)),
            ("frozen_processes", "Processes that are frozen, since nobody calls them", |function| {
                signed(function.frozen() as u64)
            }),
        ];
        for (name, help, read) in gauges {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for function in &functions {
                gauge.encode_family(&[("function", function.name())])?.encode_gauge(&read(function))?;
            }
        }
        self.buckets(encoder)
    }
}

type NoLabels = [(&'static str, &'static str); 0];

impl Scrape {
    fn buckets(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let app = self.0.app();
        let used: Vec<_> = app
            .manifest()
            .buckets
            .keys()
            .filter_map(|name| {
                let bucket = bucket(app.manifest(), name).ok()?;
                Some((name.to_string(), app.store().usage(&bucket).ok()?))
            })
            .collect();
        let write = |mut gauge: MetricEncoder<'_>, read: fn(&state::Usage) -> u64| -> fmt::Result {
            for (name, usage) in &used {
                gauge.encode_family(&[("bucket", name.as_str())])?.encode_gauge(&signed(read(usage)))?;
            }
            Ok(())
        };
        let unit = Unit::Bytes;
        write(
            encoder.encode_descriptor("bucket", "What a bucket holds", Some(&unit), MetricType::Gauge)?,
            |usage| usage.bytes,
        )?;
        write(
            encoder.encode_descriptor("bucket_keys", "Keys of a bucket", None, MetricType::Gauge)?,
            |usage| usage.keys,
        )
    }
}

/// The sum of a function's call durations in seconds, and how many calls are in each bucket of [`DURATION_BOUNDS_S`];
/// the last bucket has no bound.
pub(crate) fn durations_of(function: &Function) -> (f64, Vec<(f64, u64)>) {
    let mut buckets: Vec<(f64, u64)> =
        DURATION_BOUNDS_S.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
    let histogram = function.stats.latency().clone();
    for recorded in histogram.iter_recorded() {
        let seconds = recorded.value_iterated_to() as f64 / 1e6;
        let place = buckets.partition_point(|(bound, _)| *bound < seconds);
        buckets[place].1 += recorded.count_at_value();
    }
    (histogram.mean() * histogram.len() as f64 / 1e6, buckets)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
