//! Numbers as a narrow column has them.

use std::time::Duration;

use dataflow_ids::span;

use crate::text;

/// What stands where nothing is known.
pub(super) const NONE: &str = "–";

/// How many in a second: `0`, `0.4`, `29.8`, `1,234`.
pub(super) fn rate(per_s: f64) -> String {
    match per_s {
        // Also what is no number.
        _ if !(per_s.is_finite() && per_s > 0.0) => "0".to_owned(),
        _ if per_s < 0.05 => "<0.1".to_owned(),
        _ if per_s < 99.95 => tenths(per_s),
        _ => text::count(per_s.round() as u64),
    }
}

/// A percentage: `0`, `3.4`, `120`.
pub(super) fn percent(percent: f64) -> String {
    match percent {
        _ if !(percent.is_finite() && percent >= 0.05) => "0".to_owned(),
        _ if percent < 99.95 => tenths(percent),
        _ => text::count(percent.round() as u64),
    }
}

fn tenths(number: f64) -> String {
    let text = format!("{number:.1}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// Bytes: `0`, `512 B`, `1.5 kB`, `33.6 MB`, `1.2 TB`.
pub(super) fn bytes(number: u64) -> String {
    match number {
        0 => "0".to_owned(),
        1..1_000 => format!("{number} B"),
        1_000..1_000_000_000_000 => text::bytes(number),
        _ => format!("{:.1} TB", number as f64 / 1e12),
    }
}

/// Bytes in a second.
pub(super) fn bytes_rate(per_s: f64) -> String {
    // What is no number becomes 0.
    bytes(per_s.round() as u64)
}

/// A span of time in seconds, as `write` has it. What no `Duration` can be is longer than any that there is.
fn span_of(seconds: f64, write: fn(Duration) -> String) -> String {
    write(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// A span of time that was measured, also a very short one.
pub(super) fn span(seconds: f64) -> String {
    span_of(seconds, span::fine)
}

/// A span of time from a histogram.
pub(super) fn rough_span(seconds: f64) -> String {
    span_of(seconds, span::two_digits)
}

/// For how long something has been so.
pub(super) fn duration(seconds: f64) -> String {
    span_of(seconds, span::plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits_that_matter() {
        for (per_s, text) in [
            (0.0, "0"),
            (f64::NAN, "0"),
            (0.01, "<0.1"),
            (0.4, "0.4"),
            (30.0, "30"),
            (29.84, "29.8"),
            (99.96, "100"),
            (1234.4, "1,234"),
            (f64::INFINITY, "0"),
        ] {
            assert_eq!(rate(per_s), text);
        }
    }

    #[test]
    fn spans_are_said_whatever_a_runtime_has_said() {
        assert_eq!(span(1.25e-6), "1.2 µs");
        assert_eq!(rough_span(791.8e-6), "790 µs");
        assert_eq!(duration(3.0 * 86_400.0), "3 days");
        for seconds in [f64::NAN, f64::INFINITY, -1.0, f64::MAX] {
            for write in [span, rough_span, duration] {
                assert!(write(seconds).ends_with(" days"));
            }
        }
    }

    #[test]
    fn bytes_and_percentages_are_short() {
        assert_eq!(bytes(0), "0");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(33_554_432), "33.6 MB");
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
        assert_eq!(bytes_rate(f64::NAN), "0");
        assert_eq!(percent(3.44), "3.4");
        assert_eq!(percent(200.0), "200");
        assert_eq!(percent(0.01), "0");
    }
}
