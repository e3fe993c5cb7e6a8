//! Numbers and tables as people read them. Spans of time are written by `dataflow_ids::span`.

use dataflow_ids::NodeId;
use dataflow_wire::status::LogLosses;
use unicode_width::UnicodeWidthStr;

/// A count with its thousands apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun: `1 message`, `2 messages`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A number of bytes: `512 bytes`, `1.5 kB`, `33.6 MB`.
pub(crate) fn bytes(number: u64) -> String {
    match number {
        0..1_000 => counted(number, "byte"),
        1_000..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number as f64 / 1e6),
        _ => format!("{:.1} GB", number as f64 / 1e9),
    }
}

/// What a node has said and is not in its log; `None` when everything is.
pub(crate) fn log_losses(node: &NodeId, losses: &LogLosses) -> Option<String> {
    let mut said = Vec::new();
    if losses.lines_unwritten > 0 {
        let why = losses.why.as_deref().unwrap_or("the disk refused");
        said.push(format!(
            "{} ({}) could not be written: {why}",
            counted(losses.lines_unwritten, "line"),
            bytes(losses.bytes_unwritten)
        ));
    }
    if losses.lines_thrown_away > 0 {
        said.push(format!(
            "the oldest {} ({}) made room for later ones",
            counted(losses.lines_thrown_away, "line"),
            bytes(losses.bytes_thrown_away)
        ));
    }
    (!said.is_empty()).then(|| format!("log of {node}: {}", said.join("; ")))
}

/// On which side a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

/// How many columns of a terminal a text takes: some characters take two, and some none.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A text with spaces beside it, so that it takes so many columns at least.
pub(crate) fn padded(text: &str, side: Side, width_min: usize) -> String {
    let free = " ".repeat(width_min.saturating_sub(width(text)));
    match side {
        Side::Left => format!("{text}{free}"),
        Side::Right => format!("{free}{text}"),
    }
}

/// Aligns the cells of `rows`; the first is the heading. No spaces at the ends of lines.
pub(crate) fn table(sides: &[Side], rows: &[Vec<String>]) -> Vec<String> {
    let widest = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| width(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..sides.len()).map(widest).collect();
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(sides)
                .zip(&widths)
                .map(|((cell, side), width)| padded(cell, *side, *width))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "message"), "1 message");
        assert_eq!(counted(0, "message"), "0 messages");
    }

    #[test]
    fn a_log_that_lacks_something_says_what() {
        let node = NodeId::new("n").unwrap();
        let mut losses = LogLosses::default();
        assert_eq!(log_losses(&node, &losses), None);
        losses.lines_thrown_away = 12_345;
        losses.bytes_thrown_away = 33_554_432;
        assert_eq!(
            log_losses(&node, &losses).unwrap(),
            "log of n: the oldest 12,345 lines (33.6 MB) made room for later ones"
        );
        losses.lines_unwritten = 1;
        losses.bytes_unwritten = 999;
        losses.why = Some("No space left".to_owned());
        assert_eq!(
            log_losses(&node, &losses).unwrap(),
            "log of n: 1 line (999 bytes) could not be written: No space left; the oldest 12,345 lines (33.6 MB) \
             made room for later ones"
        );
    }

    #[test]
    fn columns_are_aligned_by_what_characters_take_on_a_terminal() {
        let rows = [
            ["NODE", "SENT", ""],
            ["é", "12", "x"],
            ["応答", "3", "y"],
            ["long one", "1", ""],
        ];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(
            table(&[Side::Left, Side::Right, Side::Left], &rows),
            [
                "NODE      SENT",
                "é           12  x",
                "応答         3  y",
                "long one     1"
            ]
        );
    }
}
