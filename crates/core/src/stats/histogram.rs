//! What a histogram says.

use std::time::Duration;

use dataflow_ids::stats::{HISTOGRAM_BUCKETS, Histogram};

/// How many spans of time were counted; the greatest number there is if there are more.
#[must_use]
pub fn count(histogram: &Histogram) -> u64 {
    let sum = |sum: u64, more: &u64| sum.saturating_add(*more);
    histogram.buckets.iter().fold(0, sum)
}

/// The span of time below which `quantile` (from 0 to 1) of those that were counted are: 0.99 for the 99th percentile.
/// `None` when none was counted.
///
/// Inside of a bucket the spans are taken to be spread evenly, so what is said is at most twice or half of what is true;
/// in the last bucket, which has no end, its beginning is said.
#[must_use]
pub fn quantile(histogram: &Histogram, quantile: f64) -> Option<Duration> {
    let all: u128 = histogram
        .buckets
        .iter()
        .map(|count| u128::from(*count))
        .sum();
    if all == 0 {
        return None;
    }
    let share = if quantile.is_nan() {
        0.0
    } else {
        quantile.clamp(0.0, 1.0)
    };
    // The precision of a float is enough: a bucket is wide.
    let wanted = (all as f64 * share).max(f64::MIN_POSITIVE);
    let mut before = 0.0;
    let mut last = 0;
    for (bucket, count) in histogram.buckets.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        last = bucket;
        let count = *count as f64;
        if before + count >= wanted {
            return Some(inside(bucket, (wanted - before) / count));
        }
        before += count;
    }
    Some(inside(last, 1.0))
}

/// The span of time at a share of a bucket.
fn inside(bucket: usize, share: f64) -> Duration {
    let begin = if bucket == 0 {
        0
    } else {
        1_u64 << (bucket - 1)
    };
    let is_last = bucket == HISTOGRAM_BUCKETS - 1;
    let width = if is_last || bucket == 0 { 0 } else { begin };
    Duration::from_nanos(begin + (width as f64 * share) as u64)
}
