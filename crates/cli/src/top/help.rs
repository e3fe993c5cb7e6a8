//! The page of help: keys, what the columns of the table are, and how the figures are made.

use super::line::{Line, Look};
use super::tables::Tab;

const KEYS: [(&str, &str); 12] = [
    ("1 … 8, ← →, Tab", "another table"),
    ("↑ ↓, PgUp PgDn, Home End", "select a row"),
    ("Enter", "everything about it; Esc goes back"),
    ("> <", "sort by the next column, by the one before"),
    ("r", "the other way round"),
    ("n", "no order: as the dataflow is written"),
    ("/", "show only rows with a text in them"),
    ("Esc", "no filter, no selected row"),
    (
        "space",
        "pause: the figures stay, and can be sorted and filtered",
    ),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "back to the shell; `fg` goes on"),
    ("q, Ctrl-C", "quit; what runs is not touched"),
];

const FIGURES: [&str; 4] = [
    "Rates (…/s, CPU %) are over the last interval, and over nine tenths of a second at least.",
    "P50 and P99 are of the last 10 to 20 seconds; faint, of all messages, when none came lately.",
    "A latency ends where the receiver's program has the message; handling, where it asks for the next.",
    "Counters count since the dataflow began, through restarts.",
];

/// The page, for the columns of this table, in lines of this width.
pub(super) fn page(tab: Tab, width: usize) -> Vec<Line> {
    let mut lines = vec![Line::of("Keys", Look::Strong)];
    lines.extend(pairs(KEYS.map(|(key, what)| (key.to_owned(), what)), width));
    lines.push(Line::default());
    let title = format!("{}: the columns, and their names for --sort", tab.title());
    lines.push(Line::of(title, Look::Strong));
    let columns = tab.headings().into_iter().map(|heading| {
        let name = match heading.title.to_lowercase() == heading.name {
            true => heading.title.to_owned(),
            false => format!("{} ({})", heading.title, heading.name),
        };
        (name, heading.about)
    });
    lines.extend(pairs(columns, width));
    lines.push(Line::default());
    lines.push(Line::of("Figures", Look::Strong));
    for text in FIGURES {
        lines.extend(
            wrapped(text, width)
                .into_iter()
                .map(|text| Line::of(text, Look::Plain)),
        );
    }
    lines
}

fn pairs(pairs: impl IntoIterator<Item = (String, &'static str)>, width: usize) -> Vec<Line> {
    let pairs: Vec<(String, &str)> = pairs.into_iter().collect();
    let widest = pairs.iter().map(|(key, _)| super::line::width(key)).max();
    let widest = widest.unwrap_or(0);
    let mut lines = Vec::new();
    for (key, what) in pairs {
        let room = width.saturating_sub(widest + 4);
        if room >= 20 {
            let mut parts = wrapped(what, room).into_iter();
            let first = parts.next().unwrap_or_default();
            lines.push(
                Line::of(format!("  {key:<widest$}  "), Look::Chosen).and(first, Look::Plain),
            );
            lines
                .extend(parts.map(|part| {
                    Line::of(format!("{}{part}", " ".repeat(widest + 4)), Look::Plain)
                }));
        } else {
            lines.push(Line::of(format!("  {key}"), Look::Chosen));
            let parts = wrapped(what, width.saturating_sub(4));
            lines.extend(
                parts
                    .into_iter()
                    .map(|part| Line::of(format!("    {part}"), Look::Plain)),
            );
        }
    }
    lines
}

/// A text in lines of at most `width` characters, cut between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| super::line::width(line));
        if line > 0 && line + 1 + super::line::width(word) > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
