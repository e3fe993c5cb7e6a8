//! A column of a table, and a cell of it.

use std::cmp::Ordering;

use crate::text::Side;
use crate::top::figures::{Picture, RuntimeFigures, SpanFigures};
use crate::top::line::Look;
use crate::top::numbers::{self, NONE};

use super::sheet::RowId;

/// A name of which less is seen is hardly known again.
const NAME_WIDTH_MIN: usize = 16;

/// When a column is there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// When more than one dataflow is shown.
    SeveralDataflows,
    /// When more than one runtime is shown.
    SeveralRuntimes,
    /// When one of the rows that are seen has something in it.
    NotEmpty,
}

impl When {
    /// Whether the column is there, for all that is known before its cells are.
    pub(super) fn is_so(self, picture: &Picture) -> bool {
        match self {
            When::Always | When::NotEmpty => true,
            When::SeveralRuntimes => picture.runtimes.len() > 1,
            When::SeveralDataflows => picture.dataflows().nth(1).is_some(),
        }
    }
}

/// What is known of a column without its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::top) struct Heading {
    /// What stands above it.
    pub(in crate::top) title: &'static str,
    /// What `--sort` calls it.
    pub(in crate::top) name: &'static str,
    /// What it says, for the page of help.
    pub(in crate::top) about: &'static str,
    /// On which side its cells stand.
    pub(in crate::top) side: Side,
    /// Who leaves first when there is no room: the highest. 0 never does.
    pub(super) leaves: u8,
    /// How narrow it can be made; one that can also takes the room that is left. Others are as wide as what is in them.
    pub(super) width_min: Option<usize>,
    pub(super) when: When,
}

/// One row of some runtime's figures.
#[derive(Debug)]
pub(super) struct Row<'a, F> {
    pub(super) id: RowId,
    pub(super) runtime: &'a RuntimeFigures,
    pub(super) of: &'a F,
}

/// A column of a table whose rows are `F`.
pub(super) struct Column<F> {
    pub(super) heading: Heading,
    pub(super) cell: for<'a> fn(&Row<'a, F>) -> Cell,
}

/// A column of numbers, which leaves when `leaves` says so.
pub(super) const fn number<F>(
    names: (&'static str, &'static str),
    about: &'static str,
    leaves: u8,
    cell: for<'a> fn(&Row<'a, F>) -> Cell,
) -> Column<F> {
    column(Side::Right, names, about, leaves, cell)
}

/// A column of texts.
pub(super) const fn text<F>(
    names: (&'static str, &'static str),
    about: &'static str,
    leaves: u8,
    cell: for<'a> fn(&Row<'a, F>) -> Cell,
) -> Column<F> {
    column(Side::Left, names, about, leaves, cell)
}

const fn column<F>(
    side: Side,
    (title, name): (&'static str, &'static str),
    about: &'static str,
    leaves: u8,
    cell: for<'a> fn(&Row<'a, F>) -> Cell,
) -> Column<F> {
    Column {
        heading: Heading {
            title,
            name,
            about,
            side,
            leaves,
            width_min: None,
            when: When::Always,
        },
        cell,
    }
}

impl<F> Column<F> {
    /// It can be made narrower.
    pub(super) const fn stretching(self) -> Column<F> {
        self.no_narrower_than(NAME_WIDTH_MIN)
    }

    /// It can be made narrower, but not narrower than so many characters.
    pub(super) const fn no_narrower_than(mut self, width_min: usize) -> Column<F> {
        self.heading.width_min = Some(width_min);
        self
    }

    /// It is there only then.
    pub(super) const fn when(mut self, when: When) -> Column<F> {
        self.heading.when = when;
        self
    }
}

/// By what rows are ordered.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::top) enum Key {
    /// Nothing is known: after everything else.
    None,
    /// The greatest first.
    Number(f64),
    /// In the order of the alphabet.
    Text(String),
}

impl Key {
    /// Which of two rows stands first; `is_reversed` turns it, and what is unknown stays at the end.
    pub(super) fn order(&self, other: &Key, is_reversed: bool) -> Ordering {
        let turned = |order: Ordering| match is_reversed {
            true => order.reverse(),
            false => order,
        };
        match (self, other) {
            (Key::None, Key::None) => Ordering::Equal,
            (Key::None, _) => Ordering::Greater,
            (_, Key::None) => Ordering::Less,
            (Key::Number(one), Key::Number(other)) => turned(other.total_cmp(one)),
            (Key::Text(one), Key::Text(other)) => turned(one.cmp(other)),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
        }
    }
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::top) struct Cell {
    pub(in crate::top) text: String,
    pub(in crate::top) key: Key,
    pub(in crate::top) look: Look,
}

impl Cell {
    /// A text.
    pub(super) fn text(text: impl Into<String>) -> Cell {
        let text = text.into();
        let key = match text.is_empty() {
            true => Key::None,
            false => Key::Text(text.to_lowercase()),
        };
        Cell {
            text,
            key,
            look: Look::Plain,
        }
    }

    /// A number, as `says` writes it.
    pub(super) fn number(number: f64, says: impl FnOnce(f64) -> String) -> Cell {
        Cell {
            text: says(number),
            key: Key::Number(number),
            look: Look::Plain,
        }
    }

    /// A number that may be unknown.
    pub(super) fn perhaps(number: Option<f64>, says: impl FnOnce(f64) -> String) -> Cell {
        match number {
            Some(number) => Cell::number(number, says),
            None => Cell {
                text: NONE.to_owned(),
                key: Key::None,
                look: Look::Faint,
            },
        }
    }

    /// A count.
    pub(super) fn count(count: u64) -> Cell {
        Cell::number(count as f64, |_| crate::text::count(count))
    }

    /// A number of bytes.
    pub(super) fn bytes(count: u64) -> Cell {
        Cell::number(count as f64, |_| numbers::bytes(count))
    }

    /// A number of bytes that may be unknown.
    pub(super) fn perhaps_bytes(count: Option<u64>) -> Cell {
        let says = |_| numbers::bytes(count.unwrap_or_default());
        Cell::perhaps(count.map(|count| count as f64), says)
    }

    /// So many in a second.
    pub(super) fn rate(per_s: Option<f64>) -> Cell {
        Cell::perhaps(per_s, numbers::rate)
    }

    /// The median of spans. One of long ago is faint.
    pub(super) fn p50(spans: Option<SpanFigures>) -> Cell {
        Cell::perhaps(spans.map(|spans| spans.p50_s), numbers::rough_span).of_spans(spans)
    }

    /// What 99 of 100 spans do not exceed. One of long ago is faint.
    pub(super) fn p99(spans: Option<SpanFigures>) -> Cell {
        Cell::perhaps(spans.map(|spans| spans.p99_s), numbers::rough_span).of_spans(spans)
    }

    fn of_spans(self, spans: Option<SpanFigures>) -> Cell {
        let is_recent = spans.is_some_and(|spans| spans.over_s.is_some());
        self.looking(if is_recent { Look::Plain } else { Look::Faint })
    }

    /// Zeros step back, so that the eye finds what is not.
    pub(super) fn zero_faint(self) -> Cell {
        match self.key {
            Key::Number(0.0) => self.looking(Look::Faint),
            _ => self,
        }
    }

    /// With this look when there is anything at all.
    pub(super) fn if_any(self, look: Look) -> Cell {
        match self.key {
            Key::Number(number) if number > 0.0 => self.looking(look),
            _ => self.zero_faint(),
        }
    }

    /// With another look.
    pub(super) fn looking(mut self, look: Look) -> Cell {
        self.look = look;
        self
    }
}
