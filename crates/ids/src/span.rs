//! How long something takes or has been so, as people read it: the one place that writes spans of time.

use std::time::Duration;

const DAY_S: u64 = 86_400;

/// With the precision that matters: `340 ms`, `12.3 s`, `3 m 12 s`, `2 h 05 m`, `3 days`.
pub fn plain(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{}.{} s", seconds, time.subsec_millis() / 100),
        60..3_600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3_600..DAY_S => format!("{} h {:02} m", seconds / 3_600, seconds / 60 % 60),
        _ => match seconds / DAY_S {
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        },
    }
}

/// In whole seconds, rounded up, for what is a guess, as the time that is left: `48 s`, `3 m 12 s`, `2 h 05 m`, `3 days`.
pub fn rough(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    match seconds {
        0..60 => format!("{seconds} s"),
        _ => plain(Duration::from_secs(seconds)),
    }
}

/// Also a very short one: `512 ns`, `1.2 µs`, `33.6 ms`, `1.2 s`, and then as [`plain`]; no time is `0`.
pub fn fine(time: Duration) -> String {
    match time.as_nanos() {
        0 => "0".to_owned(),
        nanoseconds @ 1..1_000 => format!("{nanoseconds} ns"),
        nanoseconds @ 1_000..1_000_000 => format!("{:.1} µs", nanoseconds as f64 / 1e3),
        nanoseconds @ 1_000_000..1_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => plain(time),
    }
}

/// From a histogram, whose buckets are wide, with the two digits that it has: `510 ns`, `1.2 µs`, `34 ms`; from a minute on
/// as [`plain`].
pub fn two_digits(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if !(1e-9..60.0).contains(&seconds) {
        return fine(time);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_precision_that_matters() {
        for (ms, text) in [
            (0, "0 ms"),
            (340, "340 ms"),
            (999, "999 ms"),
            (12_340, "12.3 s"),
            (59_999, "59.9 s"),
            (192_000, "3 m 12 s"),
            (7_500_000, "2 h 05 m"),
            (86_399_999, "23 h 59 m"),
            (86_400_000, "1 day"),
            (3 * 86_400_000, "3 days"),
        ] {
            assert_eq!(plain(Duration::from_millis(ms)), text);
        }
        // Whatever a process has said.
        assert!(plain(Duration::MAX).ends_with(" days"));
    }

    #[test]
    fn what_is_left_is_never_said_to_be_less_than_it_is() {
        for (ms, text) in [
            (0, "0 s"),
            (1, "1 s"),
            (47_001, "48 s"),
            (59_001, "1 m 00 s"),
            (7_500_000, "2 h 05 m"),
        ] {
            assert_eq!(rough(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn fine_ones_begin_with_nanoseconds() {
        for (ns, text) in [
            (0, "0"),
            (512, "512 ns"),
            (1_250, "1.2 µs"),
            (33_600_000, "33.6 ms"),
            (1_200_000_000, "1.2 s"),
            (192_000_000_000, "3 m 12 s"),
        ] {
            assert_eq!(fine(Duration::from_nanos(ns)), text);
        }
    }

    #[test]
    fn those_of_a_histogram_have_two_digits() {
        for (ns, text) in [
            (0, "0"),
            (1, "1.0 ns"),
            (791_800, "790 µs"),
            (999_000, "1.0 ms"),
            (33_600_000, "34 ms"),
            (1_240_000_000, "1.2 s"),
            (12_500_000_000, "13 s"),
            (192_000_000_000, "3 m 12 s"),
        ] {
            assert_eq!(two_digits(Duration::from_nanos(ns)), text);
        }
    }
}
