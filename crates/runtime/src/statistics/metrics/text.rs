//! Writes families of metrics, by the encoder of `prometheus-client`.

use std::borrow::Cow;
use std::fmt;

use dataflow_ids::stats::Histogram;
use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel,
    EncodeLabelSet, GaugeValueEncoder, LabelSetEncoder, MetricEncoder, NoLabelSet,
};

use super::family::{Family, MomentNs, Number, Reading};

/// The buckets of [`Histogram`] after which a page has a bound: 1 µs, 8 µs, 66 µs, 0.5 ms, 4 ms, 34 ms, 0.27 s, 2.1 s,
/// 17 s, 137 s, about. A bound is a factor of 8 above the one before it.
const CUTS: [usize; 10] = [10, 13, 16, 19, 22, 25, 28, 31, 34, 37];

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

/// Writes some families: each with what it says, and with the numbers of every member. `level` comes before their names,
/// `whose` after what they say.
pub(super) fn families<T>(
    encoder: &mut DescriptorEncoder<'_>,
    level: &str,
    whose: &str,
    families: &[Family<T>],
    members: &[Member<'_, T>],
    at_ns: MomentNs,
) -> fmt::Result {
    for family in families {
        let name = format!("{level}{}", family.name);
        let help = format!("{}{whose}.", family.help);
        let mut descriptor =
            encoder.encode_descriptor(&name, &help, family.unit.as_ref(), family.metric_type())?;
        for member in members {
            numbers(&mut descriptor, family, member, at_ns)?;
        }
    }
    Ok(())
}

/// Writes the numbers of one member.
fn numbers<T>(
    encoder: &mut MetricEncoder<'_>,
    family: &Family<T>,
    member: &Member<'_, T>,
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
            histogram(encoder, read(row))
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

/// Writes a histogram with few bounds. A bound is the longest span that counts below it, so `le` is exact.
fn histogram(encoder: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let mut from = 0;
    let mut count: u64 = 0;
    let mut buckets = Vec::with_capacity(CUTS.len() + 1);
    let mut bucket = |bound: f64, counts: &[u64]| {
        let before = count;
        count = counts
            .iter()
            .fold(count, |sum, more| sum.saturating_add(*more));
        // The encoder adds them up, and must not come beyond the greatest number there is.
        buckets.push((bound, count - before));
    };
    for cut in CUTS {
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
