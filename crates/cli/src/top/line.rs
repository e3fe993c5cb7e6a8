//! A line of the screen: pieces of text, each with a look. What draws it decides what a look is.

use unicode_width::UnicodeWidthChar;

use crate::style::Style;
pub(super) use crate::text::width;

/// What a piece of text means, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Look {
    /// Nothing special.
    #[default]
    Plain,
    /// What matters.
    Strong,
    /// What is only there to be complete.
    Faint,
    /// As it should be.
    Good,
    /// What is doubtful.
    Doubtful,
    /// What is wrong.
    Wrong,
    /// The heading of a column.
    Heading,
    /// Where one is: the tab, the column that is sorted by.
    Chosen,
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) look: Look,
}

/// A line of the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub(super) pieces: Vec<Piece>,
    /// Whether it is the row that is selected.
    pub(super) is_selected: bool,
}

impl Line {
    /// A line of one look.
    pub(super) fn of(text: impl Into<String>, look: Look) -> Line {
        Line::default().and(text, look)
    }

    /// With some more text.
    pub(super) fn and(mut self, text: impl Into<String>, look: Look) -> Line {
        self.pieces.push(Piece {
            text: text.into(),
            look,
        });
        self
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|piece| width(&piece.text)).sum()
    }

    /// No longer than `width`: what does not fit ends with `…`.
    pub(super) fn cut(mut self, width_max: usize) -> Line {
        if self.width() <= width_max {
            return self;
        }
        let mut left = width_max;
        for piece in &mut self.pieces {
            let has = width(&piece.text);
            if has > left || (has == left && left > 0) {
                piece.text = cut(&format!("{} ", piece.text), left);
                left = 0;
            } else {
                left -= has;
            }
        }
        self.pieces.retain(|piece| !piece.text.is_empty());
        self
    }

    /// With `right` at the end of a line of `width`, if there is room for both.
    #[cfg(feature = "top")]
    pub(super) fn with_right(mut self, right: Line, width: usize) -> Line {
        let free = width.saturating_sub(self.width() + right.width());
        if right.width() > 0 && free > 0 {
            self = self.and(" ".repeat(free), Look::Plain);
            self.pieces.extend(right.pieces);
        }
        self
    }

    /// Its text.
    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        let text: String = self
            .pieces
            .iter()
            .map(|piece| piece.text.as_str())
            .collect();
        text.trim_end().to_owned()
    }

    /// As a command that ends by itself writes it.
    pub(super) fn styled(&self, style: Style) -> String {
        // Cells that have nothing in them end no line.
        let is_blank = |piece: &&Piece| piece.text.trim_end().is_empty();
        let blank = self.pieces.iter().rev().take_while(is_blank).count();
        let last = (self.pieces.len() - blank).saturating_sub(1);
        let pieces = self.pieces.iter().enumerate().map(|(place, piece)| {
            let text = match place >= last {
                true => piece.text.trim_end(),
                false => &piece.text,
            };
            match piece.look {
                _ if text.trim().is_empty() => text.to_owned(),
                Look::Plain | Look::Good => text.to_owned(),
                Look::Strong | Look::Chosen => style.strong(text),
                Look::Faint | Look::Heading => style.faint(text),
                Look::Doubtful => style.doubtful(text),
                Look::Wrong => style.wrong(text),
            }
        });
        pieces.collect::<String>()
    }
}

/// A text that takes at most `width_max` columns: of a longer one, the beginning and `…`.
pub(super) fn cut(text: &str, width_max: usize) -> String {
    if width(text) <= width_max {
        return text.to_owned();
    }
    let Some(kept) = width_max.checked_sub(1) else {
        return String::new();
    };
    let mut taken = 0;
    let fits = |character: &char| {
        taken += character.width().unwrap_or(0);
        taken <= kept
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_ends_with_a_mark_wherever_it_is_cut() {
        let line = || Line::of("abc", Look::Strong).and("def", Look::Plain);
        for (width, text) in [
            (7, "abcdef"),
            (6, "abcdef"),
            (5, "abcd…"),
            (4, "abc…"),
            (3, "ab…"),
            (1, "…"),
            (0, ""),
        ] {
            assert_eq!(line().cut(width).text(), text, "{width}");
        }
    }

    #[test]
    fn characters_that_take_two_columns_are_not_cut_in_half_and_the_mark_is_seen() {
        for (width_max, text) in [
            (8, "応答なし"),
            (7, "応答な…"),
            (6, "応答…"),
            (5, "応答…"),
            (2, "…"),
            (1, "…"),
            (0, ""),
        ] {
            let short = cut("応答なし", width_max);
            assert_eq!(short, text, "{width_max}");
            assert!(width(&short) <= width_max);
            let line = Line::of("応答", Look::Strong).and("なし", Look::Plain);
            assert_eq!(line.cut(width_max).text(), text, "{width_max}");
        }
    }

    #[test]
    fn what_is_written_as_text_has_no_spaces_at_its_end() {
        let line = Line::of("abc  ", Look::Strong);
        let line = line.and("  ", Look::Plain).and("", Look::Doubtful);
        assert_eq!(line.styled(Style::PLAIN), "abc");
        assert_eq!(Line::default().styled(Style::PLAIN), "");
    }

    #[cfg(feature = "top")]
    #[test]
    fn what_stands_at_the_right_goes_first_when_there_is_no_room() {
        let left = || Line::of("left", Look::Plain);
        let right = || Line::of("right", Look::Faint);
        assert_eq!(left().with_right(right(), 12).text(), "left   right");
        assert_eq!(left().with_right(right(), 9).text(), "left");
    }
}
