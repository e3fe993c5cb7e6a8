//! YAML text to a tree in which every key and value knows its place. The only user of serde-saphyr.
//!
//! Typed deserialising stops at its first error; this tree lets the checker find all of them. Duplicate keys
//! stay in the tree for the same reason.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{AliasLimits, DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error, Location, MessageFormatter, Spanned, UserMessageFormatter};

use crate::diagnostic::Place;
use crate::limits::{ALIASED_VALUES_MAX, DEPTH_MAX, VALUES_MAX};
use crate::source::Source;

/// A key or a value.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it is written. For what an alias stands for: where that is written.
    pub(crate) place: Place,
    /// Where it is used: the alias, or the same as `place`.
    pub(crate) used_at: Place,
    /// The bytes of the text where it is used: all of a scalar or an alias, where a list or a mapping begins.
    pub(crate) bytes: Option<Range<usize>>,
    /// A plain scalar as it is written (`1.10`, not `1.1`); empty for everything else.
    written: String,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Mapping(Vec<(Value, Value)>),
}

impl Value {
    /// The text of a scalar as a person wrote it; `None` for null, lists and mappings.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Bool(value) => Some(self.written_or(value)),
            Kind::Integer(value) => Some(self.written_or(value)),
            Kind::Number(value) => Some(self.written_or(value)),
            Kind::Null | Kind::List(_) | Kind::Mapping(_) => None,
        }
    }

    fn written_or(&self, value: &impl fmt::Display) -> String {
        if self.written.is_empty() {
            value.to_string()
        } else {
            self.written.clone()
        }
    }

    /// The text, when the value is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What the value is, for a message: ``the number `3` ``, `a list`, `nothing`.
    pub(crate) fn description(&self) -> String {
        match &self.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Bool(value) => format!("the truth value `{value}`"),
            Kind::Integer(_) | Kind::Number(_) => {
                format!("the number `{}`", self.scalar_text().unwrap_or_default())
            }
            Kind::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Kind::Text(text) => format!("the text `{}`", shortened(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// At most 60 characters of `text`, for a message.
pub(crate) fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    short.push('…');
    short
}

/// Why there is no tree.
#[derive(Debug)]
pub(crate) struct ParseFailure {
    /// Which kind of failure.
    pub(crate) kind: ParseFailureKind,
    /// The parser's words.
    pub(crate) message: String,
    /// Where, when the parser knows.
    pub(crate) place: Option<Place>,
}

/// Kinds of failures, each with a diagnostic of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParseFailureKind {
    Syntax,
    UnknownAnchor,
    SeveralDocuments,
    TooDeep,
    TooManyValues,
}

/// Parses one document.
pub(crate) fn parse(source: &Source<'_>) -> Result<Value, ParseFailure> {
    let raw: Spanned<Raw> = serde_saphyr::from_str_with_options(source.text(), options())
        .map_err(|error| failure(&error, source))?;
    Ok(place(raw, source))
}

fn options() -> serde_saphyr::Options {
    let budget = serde_saphyr::budget! {
        max_depth: DEPTH_MAX,
        max_nodes: VALUES_MAX,
        max_events: 3 * VALUES_MAX,
        // Aliases are bounded by what they expand to.
        enforce_alias_anchor_ratio: false,
    };
    let mut alias_limits = AliasLimits::default();
    alias_limits.max_total_replayed_events = ALIASED_VALUES_MAX;
    alias_limits.max_replay_stack_depth = DEPTH_MAX;
    serde_saphyr::options! {
        budget: budget,
        alias_limits: alias_limits,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        // YAML 1.2: `on`, `yes` and `no` are words.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn failure(error: &Error, source: &Source<'_>) -> ParseFailure {
    let mut innermost = error.without_snippet();
    while let Error::AliasError { error, .. } = innermost {
        innermost = error;
    }
    let kind = match innermost {
        Error::MultipleDocuments { .. } => ParseFailureKind::SeveralDocuments,
        Error::UnknownAnchor { .. } => ParseFailureKind::UnknownAnchor,
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => ParseFailureKind::TooDeep,
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => ParseFailureKind::TooManyValues,
        _ => ParseFailureKind::Syntax,
    };
    ParseFailure {
        kind,
        message: UserMessageFormatter.format_message(innermost).into_owned(),
        place: error
            .location()
            .filter(|location| location.line() > 0)
            .map(|location| source.place(line_and_column(location), 1)),
    }
}

fn line_and_column(location: Location) -> (usize, usize) {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    (number(location.line()), number(location.column()))
}

/// The tree as serde builds it, before places are worked out.
enum Raw {
    Null,
    Bool(bool),
    Integer(i128),
    Number(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct RawVisitor;

        impl<'de> Visitor<'de> for RawVisitor {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any YAML value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_none<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Raw, D::Error> {
                inner.deserialize_any(RawVisitor)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Integer(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Integer(value.into()))
            }
            fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
                Ok(Raw::Integer(value))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Number(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Text(value.to_owned()))
            }
            fn visit_string<E>(self, value: String) -> Result<Raw, E> {
                Ok(Raw::Text(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut mapping = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    mapping.push(entry);
                }
                Ok(Raw::Mapping(mapping))
            }
        }

        deserializer.deserialize_any(RawVisitor)
    }
}

/// Works out the places. Recursion is bounded by [`DEPTH_MAX`].
fn place(raw: Spanned<Raw>, source: &Source<'_>) -> Value {
    let Spanned {
        value,
        referenced,
        defined,
    } = raw;
    let scalar = matches!(
        value,
        Raw::Null | Raw::Bool(_) | Raw::Integer(_) | Raw::Number(_) | Raw::Text(_)
    );
    let defined_place = located(defined, scalar, source);
    let used_at = if referenced == defined || referenced.line() == 0 {
        defined_place
    } else {
        located(referenced, true, source)
    };
    let mut written = String::new();
    let kind = match value {
        Raw::Null => Kind::Null,
        Raw::Bool(value) => {
            written = written_text(defined, source);
            Kind::Bool(value)
        }
        Raw::Integer(value) => {
            written = written_text(defined, source);
            Kind::Integer(value)
        }
        Raw::Number(value) => {
            written = written_text(defined, source);
            Kind::Number(value)
        }
        Raw::Text(text) => Kind::Text(text),
        Raw::List(items) => Kind::List(items.into_iter().map(|item| place(item, source)).collect()),
        Raw::Mapping(entries) => Kind::Mapping(
            entries
                .into_iter()
                .map(|(key, value)| (place(key, source), place(value, source)))
                .collect(),
        ),
    };
    Value {
        kind,
        place: defined_place,
        used_at,
        bytes: bytes_of(if referenced.line() == 0 {
            defined
        } else {
            referenced
        }),
        written,
    }
}

fn located(location: Location, scalar: bool, source: &Source<'_>) -> Place {
    let length = if scalar { location.span().len() } else { 1 };
    source.place(
        line_and_column(location),
        usize::try_from(length).unwrap_or(1),
    )
}

fn bytes_of(location: Location) -> Option<Range<usize>> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    Some(start..start.checked_add(usize::try_from(span.byte_len()?).ok()?)?)
}

/// The plain scalar at `location` as it stands in the text; empty when the parser does not know where.
fn written_text(location: Location, source: &Source<'_>) -> String {
    let written = bytes_of(location)
        .and_then(|bytes| source.text().get(bytes))
        .unwrap_or_default()
        .trim();
    // A tag or an anchor before the scalar belongs to its span in some positions.
    if written.starts_with(['!', '&', '*', '"', '\'']) {
        String::new()
    } else {
        written.to_owned()
    }
}
