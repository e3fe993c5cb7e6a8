//! Durations as people write them: `33ms`, `1.5s`, `2min`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DurationError {
    /// Not a number and a unit.
    Malformed,
    /// A number without a unit.
    NoUnit,
    /// A unit that does not exist.
    UnknownUnit,
    /// More than the program can count.
    TooLong,
}

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The units, for a help line.
pub(crate) const UNITS_HELP: &str =
    "write a number and one of ns, us, ms, s, min, h, such as `33ms` or `1.5s`";

/// Reads a decimal number and a unit. A bare `0` needs no unit.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    let number_end = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || (number.contains('.') && fraction.is_empty()) {
        return Err(DurationError::Malformed);
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return if number.bytes().all(|digit| matches!(digit, b'0' | b'.')) {
            Ok(Duration::ZERO)
        } else {
            Err(DurationError::NoUnit)
        };
    }
    let unit_ns = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, unit_ns)| *unit_ns)
        .ok_or(DurationError::UnknownUnit)?;
    // 20 digits hold a u64 of nanoseconds; below a nanosecond nothing can be told apart.
    if whole.len() > 20 || fraction.len() > 20 {
        return Err(DurationError::TooLong);
    }
    let digits = |text: &str| text.parse::<u128>().map_err(|_| DurationError::TooLong);
    let mut total_ns = digits(whole)?
        .checked_mul(unit_ns)
        .ok_or(DurationError::TooLong)?;
    if !fraction.is_empty() {
        let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| DurationError::TooLong)?);
        // At most 10^20 × 3.6·10^12, below 2^127.
        total_ns += (digits(fraction)? * unit_ns + scale / 2) / scale;
    }
    let total_ns = u64::try_from(total_ns).map_err(|_| DurationError::TooLong)?;
    Ok(Duration::from_nanos(total_ns))
}

/// A duration as [`parse`] reads it, in the largest unit that leaves no fraction.
pub(crate) fn format(duration: Duration) -> String {
    let total_ns = duration.as_nanos();
    if total_ns == 0 {
        return "0".to_owned();
    }
    UNITS
        .iter()
        .rev()
        .find(|(name, unit_ns)| name.is_ascii() && total_ns.is_multiple_of(*unit_ns))
        .map_or_else(
            || format!("{total_ns}ns"),
            |(name, unit_ns)| format!("{}{name}", total_ns / unit_ns),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, ns) in [
            ("33ms", 33_000_000),
            ("1.5s", 1_500_000_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("50us", 50_000),
            ("50µs", 50_000),
            ("7ns", 7),
            ("0.1 ms", 100_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
        for (text, error) in [
            ("", DurationError::Malformed),
            ("ms", DurationError::Malformed),
            ("-1s", DurationError::Malformed),
            ("1.s", DurationError::Malformed),
            ("1.2.3s", DurationError::Malformed),
            ("5", DurationError::NoUnit),
            ("5 parsecs", DurationError::UnknownUnit),
            ("99999999999999999999h", DurationError::TooLong),
            ("999999999999999999999999999s", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert_eq!(
            parse("0.99999999999999999999h"),
            Ok(Duration::from_secs(3600))
        );
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["33ms", "1500ms", "2min", "1h", "50us", "7ns", "0"] {
            assert_eq!(parse(text).map(format), Ok(text.to_owned()));
        }
    }
}
