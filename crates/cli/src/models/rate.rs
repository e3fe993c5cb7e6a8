//! How fast models may come: `--limit-rate`, written as for curl.

use clap::Args;

/// The steps of the letters that a number may end with: `K` is 1024.
const STEP: u64 = 1024;

#[derive(Debug, Args)]
pub(crate) struct LimitRate {
    /// Bytes of models that may come in a second, over all files together, as 500K, 10M or 1G; without it: as many as come
    #[arg(long, value_name = "BYTES", env = "DATAFLOW_LIMIT_RATE", value_parser = bytes_from_text)]
    pub(crate) limit_rate: Option<u64>,
}

/// Reads a number of bytes, with `K`, `M` or `G` (of 1024, 1024² and 1024³, as curl counts) or without, and `/s` after it
/// if somebody likes.
fn bytes_from_text(text: &str) -> Result<u64, &'static str> {
    const WRONG: &str = "a whole number of bytes a second is needed, as 500K, 10M or 1G";
    let amount = text.strip_suffix("/s").unwrap_or(text);
    let digits = amount.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let power = match amount[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" => 1,
        "M" => 2,
        "G" => 3,
        _ => return Err(WRONG),
    };
    // `parse` would take a sign.
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(WRONG);
    }
    let number: u64 = digits.parse().map_err(|_| WRONG)?;
    match number.checked_mul(STEP.pow(power)) {
        Some(0) => Err("with 0 nothing would ever come; leave it out for as many as come"),
        Some(bytes) => Ok(bytes),
        None => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_curl_reads_it() {
        let read = [
            ("1", 1),
            ("2000", 2000),
            ("700B", 700),
            ("500K", 500 * 1024),
            ("500k", 500 * 1024),
            ("10M", 10 * 1024 * 1024),
            ("10M/s", 10 * 1024 * 1024),
            ("3g", 3 * 1024 * 1024 * 1024),
        ];
        for (text, bytes) in read {
            assert_eq!(bytes_from_text(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        let wrong = [
            "",
            "M",
            "0",
            "0K",
            "-1",
            "+1",
            "1.5M",
            "1 M",
            "10MB",
            "1KK",
            "1X",
            "fast",
            "/s",
            "1é",
            "18446744073709551616",
            "18446744073709551615K",
        ];
        for text in wrong {
            assert!(bytes_from_text(text).is_err(), "{text}");
        }
    }
}
