//! Numbers as a narrow column has them.

use std::time::Duration;

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

/// A span of time, also a very short one: `512 ns`, `1.2 µs`, `33.6 ms`, `1.2 s`, `3 m 12 s`.
pub(super) fn span(seconds: f64) -> String {
    // What no `Duration` can be is longer than any that there is.
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    match time.as_nanos() {
        0 => "0".to_owned(),
        nanoseconds @ 1..1_000 => format!("{nanoseconds} ns"),
        nanoseconds @ 1_000..1_000_000 => format!("{:.1} µs", nanoseconds as f64 / 1e3),
        nanoseconds @ 1_000_000..1_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => text::duration(time),
    }
}

/// A span of time from a histogram, whose buckets are wide, with the digits that it has: `510 ns`, `1.2 µs`, `34 ms`.
pub(super) fn rough_span(seconds: f64) -> String {
    if !(1e-9..60.0).contains(&seconds) {
        return span(seconds);
    }
    let digits = 10_f64.powi(seconds.log10().floor() as i32 - 1);
    let rounded = (seconds / digits).round() * digits;
    let (unit_s, unit) = match rounded {
        _ if rounded < 0.999_5e-6 => (1e-9, "ns"),
        _ if rounded < 0.999_5e-3 => (1e-6, "µs"),
        _ if rounded < 0.999_5 => (1e-3, "ms"),
        _ => (1.0, "s"),
    };
    let number = rounded / unit_s;
    match number < 9.95 {
        true => format!("{number:.1} {unit}"),
        false => format!("{number:.0} {unit}"),
    }
}

/// For how long something has been so: `340 ms`, `12.3 s`, `3 m 12 s`, `2 h 05 m`, `3 days`.
pub(super) fn duration(seconds: f64) -> String {
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    match time.as_secs() {
        0..86_400 => text::duration(time),
        seconds => text::counted(seconds / 86_400, "day"),
    }
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
    fn spans_are_said_from_nanoseconds_to_days() {
        for (seconds, text) in [
            (0.0, "0"),
            (512e-9, "512 ns"),
            (1.25e-6, "1.2 µs"),
            (0.0336, "33.6 ms"),
            (1.2, "1.2 s"),
            (192.0, "3 m 12 s"),
        ] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(duration(0.34), "340 ms");
        assert_eq!(duration(3.0 * 86_400.0), "3 days");
        // Whatever a runtime has said.
        assert!(!duration(f64::INFINITY).is_empty() && !span(f64::NAN).is_empty());
    }

    #[test]
    fn spans_of_a_histogram_have_two_digits() {
        for (seconds, text) in [
            (0.0, "0"),
            (1e-9, "1.0 ns"),
            (791.8e-6, "790 µs"),
            (999e-6, "1.0 ms"),
            (33.6e-3, "34 ms"),
            (1.24, "1.2 s"),
            (12.5, "13 s"),
            (192.0, "3 m 12 s"),
        ] {
            assert_eq!(rough_span(seconds), text);
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
