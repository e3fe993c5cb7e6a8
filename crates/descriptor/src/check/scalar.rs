//! Texts, numbers, words, names and durations.

use std::ops::RangeInclusive;
use std::time::Duration;

use dataflow_ids::NameError;

use super::fields::list;
use super::{Checker, Report};
use crate::Code;
use crate::diagnostic::Place;
use crate::duration::{self, DurationError, UNITS_HELP};
use crate::nearest::nearest;
use crate::yaml::{Kind, Value, shortened};

impl Checker<'_> {
    pub(crate) fn wrong_type(
        &mut self,
        value: &Value,
        what: &str,
        expected: &str,
        help: Option<String>,
    ) {
        self.report(
            Report::error(
                Code::WrongType,
                value.place,
                format!("{what} must be {expected}, not {}", value.description()),
            )
            .maybe_help(help),
        );
    }

    /// A text that is not empty and that a program can be given.
    pub(crate) fn text<'v>(&mut self, value: &'v Value, what: &str) -> Option<&'v str> {
        let Some(text) = value.as_text() else {
            let help = value
                .scalar_text()
                .map(|text| format!("write it in quotes: \"{text}\""));
            self.wrong_type(value, what, "a text", help);
            return None;
        };
        if text.trim().is_empty() {
            self.report(Report::error(
                Code::BadText,
                value.place,
                format!("{what} is empty"),
            ));
            return None;
        }
        self.without_nul(text, value.place, what).then_some(text)
    }

    /// The text of any scalar: what stands in the file, `1.10` and not `1.1`.
    pub(crate) fn scalar(&mut self, value: &Value, what: &str, null_help: &str) -> Option<String> {
        let Some(text) = value.scalar_text() else {
            let help = matches!(value.kind, Kind::Null).then(|| null_help.to_owned());
            self.wrong_type(value, what, "a text, a number or a truth value", help);
            return None;
        };
        self.without_nul(&text, value.place, what).then_some(text)
    }

    fn without_nul(&mut self, text: &str, place: Place, what: &str) -> bool {
        let good = !text.contains('\0');
        if !good {
            self.report(
                Report::error(
                    Code::BadText,
                    place,
                    format!("{what} has a NUL character, which no program can be given"),
                )
                .help("remove the `\\0`"),
            );
        }
        good
    }

    /// A name of the type `N`.
    pub(crate) fn name<N>(
        &mut self,
        value: &Value,
        what: &str,
        new: impl Fn(String) -> Result<N, NameError>,
    ) -> Option<N> {
        let text = match value.as_text() {
            Some(text) => text,
            None => {
                let help = value
                    .scalar_text()
                    .map(|text| format!("write it in quotes: \"{text}\""));
                self.wrong_type(value, what, "a name", help);
                return None;
            }
        };
        match new(text.to_owned()) {
            Ok(name) => Some(name),
            Err(NameError::Empty) => {
                self.report(
                    Report::error(Code::BadName, value.place, format!("{what} has no name"))
                        .help("write a name"),
                );
                None
            }
            Err(error) => {
                self.report(
                    Report::error(
                        Code::BadName,
                        value.place,
                        format!("{what} cannot be `{}`: {error}", shortened(text)),
                    )
                    .maybe_help(suggested_name(text).map(|name| format!("`{name}` would do"))),
                );
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        value: &Value,
        what: &str,
        words: &[(&str, T)],
        foreign: &[(&str, &str)],
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let one_of = format!("one of {}", list(&names));
        let Some(text) = value.as_text() else {
            self.wrong_type(value, what, &one_of, None);
            return None;
        };
        if let Some((_, meaning)) = words.iter().find(|(name, _)| *name == text) {
            return Some(*meaning);
        }
        let help = if let Some((_, help)) = foreign.iter().find(|(name, _)| *name == text) {
            (*help).to_owned()
        } else if let Some(near) = nearest(text, names.iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            format!("write {one_of}")
        };
        self.report(
            Report::error(
                Code::UnknownWord,
                value.place,
                format!("{what} cannot be `{}`", shortened(text)),
            )
            .help(help),
        );
        None
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self, value: &Value, what: &str) -> Option<bool> {
        match value.kind {
            Kind::Bool(truth) => Some(truth),
            _ => {
                self.wrong_type(value, what, "`true` or `false`", None);
                None
            }
        }
    }

    /// A whole number within a range.
    pub(crate) fn integer(
        &mut self,
        value: &Value,
        what: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let Kind::Integer(number) = value.kind else {
            let help = value
                .as_text()
                .filter(|text| text.parse::<u64>().is_ok())
                .map(|text| format!("write it without quotes: {text}"));
            self.wrong_type(value, what, "a whole number", help);
            return None;
        };
        let within = u64::try_from(number)
            .ok()
            .filter(|number| range.contains(number));
        if within.is_none() {
            self.report(
                Report::error(
                    Code::NumberOutOfRange,
                    value.place,
                    format!("{what} cannot be {number}"),
                )
                .help(format!("it is {} to {}", range.start(), range.end())),
            );
        }
        within
    }

    /// A duration within a range.
    pub(crate) fn duration(
        &mut self,
        value: &Value,
        what: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        // `spin: 0` needs no unit, any other number does.
        let text = match &value.kind {
            Kind::Text(_) | Kind::Integer(_) | Kind::Number(_) => value.scalar_text()?,
            _ => {
                self.wrong_type(value, what, "a duration", Some(UNITS_HELP.to_owned()));
                return None;
            }
        };
        self.duration_text(&text, value.place, what, range)
    }

    /// A duration within a range, from a text at `place`.
    pub(crate) fn duration_text(
        &mut self,
        text: &str,
        place: Place,
        what: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let bad = |message: String| Report::error(Code::BadDuration, place, message);
        let shown = shortened(text);
        let report = match duration::parse(text) {
            Ok(duration) if range.contains(&duration) => return Some(duration),
            Ok(_) | Err(DurationError::TooLong) => Report::error(
                Code::DurationOutOfRange,
                place,
                format!("{what} cannot be `{shown}`"),
            )
            .help(format!(
                "it is {} to {}",
                duration::format(*range.start()),
                duration::format(*range.end())
            )),
            Err(DurationError::NoUnit) => {
                bad(format!("{what} has no unit: `{shown}`")).help(UNITS_HELP)
            }
            Err(DurationError::UnknownUnit) => {
                bad(format!("{what} has an unknown unit: `{shown}`")).help(UNITS_HELP)
            }
            Err(DurationError::Malformed) => {
                bad(format!("{what} is no duration: `{shown}`")).help(UNITS_HELP)
            }
        };
        self.report(report);
        None
    }
}

/// A name like `text` that is one: other characters become `-`.
pub(crate) fn suggested_name(text: &str) -> Option<String> {
    let mut name: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.') {
                character
            } else {
                '-'
            }
        })
        .take(dataflow_ids::NAME_LENGTH_MAX)
        .collect();
    name = name.trim_matches(['-', '.']).to_owned();
    name.chars()
        .any(|character| character.is_ascii_alphanumeric())
        .then_some(name)
}
