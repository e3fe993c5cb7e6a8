//! Medians of spans of time, and rates.

use std::time::Duration;

use dataflow_core::stats::{EdgeRates, count, quantile, rate, rates};
use dataflow_ids::stats::{Counter, EdgeCounters, Histogram, Statistics};
use serde::Serialize;

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::top) struct SpanFigures {
    /// How many messages these figures stand for.
    pub(in crate::top) count: u64,
    /// The mean, in seconds.
    pub(in crate::top) mean_s: f64,
    /// Half of them took no longer, in seconds.
    pub(in crate::top) p50_s: f64,
    /// 99 of 100 took no longer, in seconds.
    pub(in crate::top) p99_s: f64,
    /// Over which time, up to now, in seconds; `None`: since the beginning, because nothing came lately.
    pub(in crate::top) over_s: Option<f64>,
}

/// What is known now and was known before: what figures are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) now: &'a Statistics,
    /// What rates are counted from.
    pub(super) for_rates: Option<&'a Statistics>,
    /// What the use of processors is counted from.
    pub(super) for_processes: Option<&'a Statistics>,
    /// What recent spans are counted from.
    pub(super) for_spans: Option<&'a Statistics>,
}

impl Known<'_> {
    /// The time that rates are over, in seconds.
    pub(super) fn rates_over_s(&self) -> Option<f64> {
        self.over_s(self.for_rates)
    }

    fn over_s(&self, base: Option<&Statistics>) -> Option<f64> {
        let over_ns = self.now.at_ns.checked_sub(base?.at_ns)?;
        (over_ns > 0).then(|| seconds(over_ns))
    }

    /// By how much something has grown in a second; `None` before there is anything to compare with.
    pub(super) fn rate(&self, before: Option<Counter>, now: Counter) -> Option<f64> {
        let over_s = self.rates_over_s()?;
        rate(before?, now, Duration::from_secs_f64(over_s))
    }

    /// What happens on edges in a second; `None` before there is anything to compare with.
    pub(super) fn edge_rates(
        &self,
        before: Option<&EdgeCounters>,
        now: &EdgeCounters,
    ) -> Option<EdgeRates> {
        let over_s = self.rates_over_s()?;
        rates(before?, now, Duration::from_secs_f64(over_s))
    }

    /// How long something took lately, or else since the beginning; `None` when it never was.
    pub(super) fn spans(&self, before: Option<&Histogram>, now: &Histogram) -> Option<SpanFigures> {
        self.all_spans(before, now).figures()
    }

    /// What the figures of [`Known::spans`] are made of.
    pub(super) fn all_spans(&self, before: Option<&Histogram>, now: &Histogram) -> Spans {
        Spans {
            lately: before.map(|before| grown(before, now)).unwrap_or_default(),
            over_s: self.over_s(self.for_spans),
            all: *now,
        }
    }

    /// For how long something has been so, in seconds.
    pub(super) fn since_s(&self, moment_ns: u64) -> f64 {
        seconds(self.now.at_ns.saturating_sub(moment_ns))
    }
}

/// How long something took, in a form that can be added.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spans {
    lately: Histogram,
    /// Over which time `lately` is, in seconds.
    over_s: Option<f64>,
    all: Histogram,
}

impl Spans {
    /// The figures of what was lately, or else since the beginning; `None` when it never was.
    pub(super) fn figures(&self) -> Option<SpanFigures> {
        of(&self.lately, self.over_s).or_else(|| of(&self.all, None))
    }

    /// Adds what took its time elsewhere.
    pub(super) fn add(&mut self, more: &Spans) {
        add(&mut self.lately, &more.lately);
        add(&mut self.all, &more.all);
        // What is longer covers both.
        self.over_s = match (self.over_s, more.over_s) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }
}

/// Nanoseconds in seconds.
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

fn of(spans: &Histogram, over_s: Option<f64>) -> Option<SpanFigures> {
    // The first says whether there are any.
    let p50 = quantile(spans, 0.5)?;
    let count = count(spans);
    Some(SpanFigures {
        count,
        mean_s: seconds(spans.sum_ns) / count as f64,
        p50_s: p50.as_secs_f64(),
        p99_s: quantile(spans, 0.99)?.as_secs_f64(),
        over_s,
    })
}

/// What has come into a histogram.
fn grown(before: &Histogram, now: &Histogram) -> Histogram {
    let mut grown = *now;
    grown.zip(before, u64::saturating_sub);
    grown
}

/// Adds what another histogram has.
pub(super) fn add(sum: &mut Histogram, more: &Histogram) {
    sum.zip(more, u64::saturating_add);
}
