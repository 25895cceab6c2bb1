//! What a function measures, as plain data: the metrics of OpenTelemetry without their exemplars.

use serde::{Deserialize, Serialize};

/// A metric, with the words of the function that measured it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What is measured.
    pub name: String,
    /// The same, for people.
    pub description: String,
    /// In which unit (UCUM).
    pub unit: String,
    /// Since when, in nanoseconds since the Unix epoch; 0 where that is not told.
    pub start_ns: u64,
    /// Until when, in nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// What came of it.
    pub data: Data,
}

/// The points of a [`Metric`], by their kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Data {
    /// Values as they are now.
    Gauge(Vec<Point<Number>>),
    /// Values that were added up; the last says that they never fall.
    Sum(Vec<Point<Number>>, Temporality, bool),
    /// How values are spread over buckets.
    Histogram(Vec<Point<Histogram>>, Temporality),
    /// How values are spread over buckets that each are so many times as wide as the one before.
    ExponentialHistogram(Vec<Point<ExponentialHistogram>>, Temporality),
}

/// One value of a metric, and what sets it apart from the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point<T> {
    /// Names and values; a value is JSON (RFC 8259).
    pub attributes: Vec<(String, String)>,
    /// Itself.
    pub value: T,
}

/// What a value counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Temporality {
    /// From the start.
    Cumulative,
    /// From the last time that it was told.
    Delta,
}

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Number {
    /// With a fraction.
    Float(f64),
    /// Without one.
    Integer(i64),
}

/// How values are spread over buckets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least of them, if that is told.
    pub min: Option<f64>,
    /// The greatest of them, if that is told.
    pub max: Option<f64>,
    /// The upper ends of all buckets but the last, which has none.
    pub bounds: Vec<f64>,
    /// How many values are in each bucket.
    pub counts: Vec<u64>,
}

/// How values are spread over buckets that end at the powers of `2 ^ (2 ^ -scale)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExponentialHistogram {
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The least of them, if that is told.
    pub min: Option<f64>,
    /// The greatest of them, if that is told.
    pub max: Option<f64>,
    /// How fine the buckets are.
    pub scale: i32,
    /// How many values were no farther from 0 than the threshold.
    pub zeros: u64,
    /// How far from 0 a value may be to count as 0.
    pub zero_threshold: f64,
    /// The buckets above 0.
    pub positive: Buckets,
    /// Those below, by their distance from 0.
    pub negative: Buckets,
}

/// Buckets without a gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buckets {
    /// The index of the first.
    pub offset: i32,
    /// How many values are in each.
    pub counts: Vec<u64>,
}
