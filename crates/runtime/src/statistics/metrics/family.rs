//! What a family of metrics is: its name, unit and meaning, and how a number of it is read from a row.

use dataflow_ids::stats::{Counter, Histogram};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A moment, in nanoseconds since whoever keeps the statistics began.
pub(super) type MomentNs = u64;

/// The value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// How many.
    Whole(u64),
    /// How long.
    Seconds(f64),
}

impl Number {
    /// A span of so many nanoseconds. A greater span never becomes a smaller number.
    pub(super) fn of_ns(span_ns: u128) -> Number {
        Number::Seconds(span_ns as f64 / 1e9)
    }
}

/// What a counter says.
pub(super) fn whole(counter: Counter) -> Number {
    Number::Whole(counter.get())
}

/// What a counter of nanoseconds says.
pub(super) fn span(counter: Counter) -> Number {
    Number::of_ns(u128::from(counter.get()))
}

/// Numbers of one row, each with the value of the label that tells it from the others.
pub(super) type Several = Vec<(&'static str, Number)>;

/// How the metrics of a family are read from a row.
pub(super) enum Reading<T> {
    /// One number that only grows.
    Counter(fn(&T, MomentNs) -> Number),
    /// Numbers that only grow, told apart by a label.
    Counters(&'static str, fn(&T, MomentNs) -> Several),
    /// One number that is as it is now; perhaps it is not known.
    Gauge(fn(&T, MomentNs) -> Option<Number>),
    /// Numbers that are as they are now, told apart by a label.
    Gauges(&'static str, fn(&T, MomentNs) -> Several),
    /// How often spans of time of each length were seen.
    Histogram(fn(&T) -> &Histogram),
}

/// A family of metrics over rows of one kind.
pub(super) struct Family<T> {
    /// Its name, without the level, the unit, and what its type adds.
    pub(super) name: &'static str,
    /// Its unit, which is the end of its name.
    pub(super) unit: Option<Unit>,
    /// What it says, without a full stop.
    pub(super) help: &'static str,
    /// How it is read.
    pub(super) reading: Reading<T>,
}

impl<T> Family<T> {
    /// Its type, as the format has it.
    pub(super) fn metric_type(&self) -> MetricType {
        match self.reading {
            Reading::Counter(_) | Reading::Counters(..) => MetricType::Counter,
            Reading::Gauge(_) | Reading::Gauges(..) => MetricType::Gauge,
            Reading::Histogram(_) => MetricType::Histogram,
        }
    }
}

/// A family without a unit.
pub(super) const fn plain<T>(
    name: &'static str,
    help: &'static str,
    reading: Reading<T>,
) -> Family<T> {
    Family {
        name,
        unit: None,
        help,
        reading,
    }
}

/// A family of spans of time.
pub(super) const fn seconds<T>(
    name: &'static str,
    help: &'static str,
    reading: Reading<T>,
) -> Family<T> {
    Family {
        name,
        unit: Some(Unit::Seconds),
        help,
        reading,
    }
}

/// A family of numbers of bytes.
pub(super) const fn bytes<T>(
    name: &'static str,
    help: &'static str,
    reading: Reading<T>,
) -> Family<T> {
    Family {
        name,
        unit: Some(Unit::Bytes),
        help,
        reading,
    }
}
