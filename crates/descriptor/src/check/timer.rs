//! Timers: `timer/33ms`, and as dora writes them.

use std::time::Duration;

use super::{Checker, Report};
use crate::Code;
use crate::diagnostic::Place;
use crate::duration::{self, DurationError};
use crate::limits::{TIMER_MAX, TIMER_MIN};
use crate::yaml::shortened;

const FORMS: &str =
    "timers are `timer/33ms`, `dora/timer/millis/33`, `dora/timer/secs/1` and `dora/timer/hz/30`";

enum Timer {
    Every(Duration),
    TooLong,
    Malformed(&'static str),
}

impl Checker<'_> {
    /// The period of a source that is a timer; `None` inside when it is a bad one, `None` outside when it is
    /// no timer at all.
    pub(crate) fn timer(&mut self, text: &str, place: Place) -> Option<Option<Duration>> {
        let timer = if let Some(period) = text.strip_prefix("timer/") {
            match duration::parse(period) {
                Ok(period) => Timer::Every(period),
                Err(DurationError::TooLong) => Timer::TooLong,
                Err(DurationError::NoUnit) => Timer::Malformed("its period has no unit"),
                Err(DurationError::UnknownUnit) => {
                    Timer::Malformed("its period has an unknown unit")
                }
                Err(DurationError::Malformed) => Timer::Malformed("its period is no duration"),
            }
        } else if text == "timer" {
            Timer::Malformed("it has no period")
        } else if let Some(path) = text.strip_prefix("dora/") {
            dora(path)
        } else {
            return None;
        };
        let shown = shortened(text);
        let report = match timer {
            Timer::Every(period) if (TIMER_MIN..=TIMER_MAX).contains(&period) => {
                return Some(Some(period));
            }
            Timer::Every(_) | Timer::TooLong => Report::error(
                Code::TimerOutOfRange,
                place,
                format!("the timer `{shown}` is too fast or too slow"),
            )
            .help(format!(
                "its period is {} to {}",
                duration::format(TIMER_MIN),
                duration::format(TIMER_MAX)
            )),
            Timer::Malformed(why) => Report::error(
                Code::BadTimer,
                place,
                format!("the timer `{shown}` cannot be read: {why}"),
            )
            .help(FORMS),
        };
        self.report(report);
        Some(None)
    }
}

/// What follows `dora/`.
fn dora(path: &str) -> Timer {
    let Some(timer) = path.strip_prefix("timer/") else {
        return Timer::Malformed("of dora's own sources only timers are here");
    };
    let Some((unit, number)) = timer.split_once('/') else {
        return Timer::Malformed("it has a unit and a number");
    };
    let plain = !number.is_empty()
        && number
            .chars()
            .all(|character| character.is_ascii_digit() || character == '.');
    let unit = match unit {
        "millis" => "ms",
        "secs" => "s",
        "hz" => {
            return match number.parse::<f64>() {
                Ok(hz) if plain && hz > 0.0 => {
                    let period_s = 1.0 / hz;
                    match Duration::try_from_secs_f64(period_s) {
                        Ok(period) => Timer::Every(period),
                        Err(_) => Timer::TooLong,
                    }
                }
                _ => Timer::Malformed("its frequency is no number above 0"),
            };
        }
        _ => return Timer::Malformed("its unit is none of `millis`, `secs` and `hz`"),
    };
    match duration::parse(&format!("{number}{unit}")) {
        Ok(period) if plain => Timer::Every(period),
        Err(DurationError::TooLong) => Timer::TooLong,
        _ => Timer::Malformed("its period is no number"),
    }
}
