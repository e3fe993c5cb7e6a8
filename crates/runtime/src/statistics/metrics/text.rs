//! Writes families of metrics, by the encoder of `prometheus-client`.

use std::borrow::Cow;
use std::fmt;

use dataflow_ids::stats::Histogram;
use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel,
    EncodeLabelSet, GaugeValueEncoder, LabelSetEncoder, MetricEncoder, NoLabelSet,
};

use super::family::{Family, MomentNs, Number, Reading};

/// The first bucket of [`Histogram`] after which a page has a bound: 1 µs, about.
const FIRST_CUT: usize = 10;
/// The last one: 275 s, about.
const LAST_CUT: usize = 38;

/// How near to each other the bounds of histograms are. A quantile of a page is as exact as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bounds {
    /// Each is twice the one before it, as in [`Histogram`]: for levels of which there are few.
    Twice,
    /// Each is 4 times the one before it: a page has many of these, and its length has a limit.
    FourTimes,
}

impl Bounds {
    /// The buckets after which there is a bound.
    fn cuts(self) -> impl Iterator<Item = usize> {
        let step = match self {
            Bounds::Twice => 1,
            Bounds::FourTimes => 2,
        };
        (FIRST_CUT..=LAST_CUT).step_by(step)
    }
}

/// The labels of a row.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// A row that is written: its labels, and where its numbers are.
pub(super) struct Member<'a, T> {
    pub(super) labels: Labels,
    pub(super) row: &'a T,
}

impl EncodeCounterValue for Number {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match *self {
            Number::Whole(count) => EncodeCounterValue::encode(&count, encoder),
            Number::Seconds(seconds) => EncodeCounterValue::encode(&seconds, encoder),
        }
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match *self {
            Number::Whole(count) => EncodeGaugeValue::encode(&count, encoder),
            Number::Seconds(seconds) => EncodeGaugeValue::encode(&seconds, encoder),
        }
    }
}

/// The labels of a row, and the one that tells its numbers apart.
struct LabelsOf<'a> {
    labels: &'a Labels,
    more: Option<(&'static str, &'static str)>,
}

impl EncodeLabelSet for LabelsOf<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.labels {
            (*name, value.as_ref()).encode(encoder.encode_label())?;
        }
        self.more
            .map_or(Ok(()), |label| label.encode(encoder.encode_label()))
    }
}

/// How the families of a level are written.
#[derive(Debug)]
pub(super) struct LevelOfPage {
    /// What comes before their names.
    pub(super) prefix: &'static str,
    /// What comes after what they say.
    pub(super) whose: &'static str,
    /// How exact their histograms are.
    pub(super) bounds: Bounds,
}

/// Writes some families: each with what it says, and with the numbers of every member.
pub(super) fn families<T>(
    encoder: &mut DescriptorEncoder<'_>,
    level: &LevelOfPage,
    families: &[Family<T>],
    members: &[Member<'_, T>],
    at_ns: MomentNs,
) -> fmt::Result {
    for family in families {
        let name = format!("{}{}", level.prefix, family.name);
        let help = format!("{}{}.", family.help, level.whose);
        let mut descriptor =
            encoder.encode_descriptor(&name, &help, family.unit.as_ref(), family.metric_type())?;
        for member in members {
            numbers(&mut descriptor, family, member, level.bounds, at_ns)?;
        }
    }
    Ok(())
}

/// Writes the numbers of one member.
fn numbers<T>(
    encoder: &mut MetricEncoder<'_>,
    family: &Family<T>,
    member: &Member<'_, T>,
    bounds: Bounds,
    at_ns: MomentNs,
) -> fmt::Result {
    let Member { labels, row } = member;
    match family.reading {
        Reading::Counter(read) => labelled(encoder, labels, None, |encoder| {
            encoder.encode_counter::<NoLabelSet, _, u64>(&read(row, at_ns), None)
        }),
        Reading::Counters(label, read) => {
            read(row, at_ns).iter().try_for_each(|(value, number)| {
                labelled(encoder, labels, Some((label, value)), |encoder| {
                    encoder.encode_counter::<NoLabelSet, _, u64>(number, None)
                })
            })
        }
        Reading::Gauge(read) => read(row, at_ns).map_or(Ok(()), |number| {
            labelled(encoder, labels, None, |encoder| {
                encoder.encode_gauge(&number)
            })
        }),
        Reading::Gauges(label, read) => read(row, at_ns).iter().try_for_each(|(value, number)| {
            labelled(encoder, labels, Some((label, value)), |encoder| {
                encoder.encode_gauge(number)
            })
        }),
        Reading::Histogram(read) => labelled(encoder, labels, None, |encoder| {
            histogram(encoder, read(row), bounds)
        }),
    }
}

/// Writes with these labels; without any, there are no braces.
fn labelled(
    encoder: &mut MetricEncoder<'_>,
    labels: &Labels,
    more: Option<(&'static str, &'static str)>,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() && more.is_none() {
        return write(encoder);
    }
    let labels = LabelsOf { labels, more };
    write(&mut encoder.encode_family(&labels)?)
}

/// Writes a histogram with these bounds. A bound is the longest span that counts below it, so `le` is exact.
fn histogram(
    encoder: &mut MetricEncoder<'_>,
    histogram: &Histogram,
    bounds: Bounds,
) -> fmt::Result {
    let mut from = 0;
    let mut count: u64 = 0;
    let mut buckets = Vec::with_capacity(histogram.buckets.len());
    let mut bucket = |bound: f64, counts: &[u64]| {
        let before = count;
        count = counts
            .iter()
            .fold(count, |sum, more| sum.saturating_add(*more));
        // The encoder adds them up, and must not come beyond the greatest number there is.
        buckets.push((bound, count - before));
    };
    for cut in bounds.cuts() {
        let bound_ns = (1_u64 << cut) - 1;
        let counts = histogram.buckets.get(from..=cut).unwrap_or_default();
        bucket(bound_ns as f64 / 1e9, counts);
        from = cut + 1;
    }
    let rest = histogram.buckets.get(from..).unwrap_or_default();
    bucket(f64::INFINITY, rest);
    let sum = histogram.sum_ns as f64 / 1e9;
    encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
