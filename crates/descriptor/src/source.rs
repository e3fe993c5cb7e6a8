//! The text of a description, cut into lines, so that a diagnostic can show where it points.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Excerpt, Place};

/// Characters of a line that an excerpt shows at most.
const EXCERPT_CHARACTERS_MAX: usize = 120;
/// Characters shown before the marked part of a line that is too long.
const EXCERPT_LEAD_CHARACTERS: usize = 40;
/// In a line longer than this, a part of a scalar is not looked for.
const PART_LINE_BYTES_MAX: usize = 4096;

/// A description's text and name.
pub(crate) struct Source<'a> {
    file: PathBuf,
    text: &'a str,
    lines: Vec<&'a str>,
    /// Characters of each line, counted once: a hostile file has all of its values in one.
    characters: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(file: &Path, text: &'a str) -> Source<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines: Vec<&str> = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect();
        Source {
            file: file.to_owned(),
            text,
            characters: lines.iter().map(|line| line.chars().count()).collect(),
            lines,
        }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The text without a byte order mark.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// A place that is sure to lie in the text: line and column are moved in when they do not, and the length
    /// ends with its line.
    pub(crate) fn place(&self, (line, column): (usize, usize), length: usize) -> Place {
        let mut line = line.clamp(1, self.lines.len());
        let mut column = column.max(1);
        // The end of a file is after its last line end, where there is nothing to show.
        if line == self.lines.len() && self.lines[line - 1].is_empty() {
            while line > 1 && self.lines[line - 1].trim().is_empty() {
                line -= 1;
                column = usize::MAX;
            }
        }
        let characters = self.characters[line - 1];
        let column = column.min(characters + 1);
        let length = length.clamp(1, (characters + 1 - column).max(1));
        Place {
            line,
            column,
            length,
        }
    }

    /// The place of the characters `from..from + length` of a scalar, when it stands at `place` as it is, plain
    /// or in quotes.
    pub(crate) fn part(
        &self,
        place: Place,
        scalar: &str,
        from: usize,
        length: usize,
    ) -> Option<Place> {
        let line = self
            .lines
            .get(place.line - 1)
            .filter(|line| line.len() <= PART_LINE_BYTES_MAX)?;
        let (start, _) = line.char_indices().nth(place.column - 1)?;
        let rest = &line[start..];
        let quote = usize::from(rest.starts_with(['"', '\'']));
        rest[quote..]
            .starts_with(scalar)
            .then(|| self.place((place.line, place.column + quote + from), length.max(1)))
    }

    /// The line of a place, cropped when it is long, without control characters.
    pub(crate) fn excerpt(&self, place: Place) -> Excerpt {
        let line = self.lines.get(place.line - 1).copied().unwrap_or_default();
        let marked_from = place.column - 1;
        let characters = line.chars().count();
        let (skip, take) = if characters <= EXCERPT_CHARACTERS_MAX {
            (0, characters)
        } else {
            (
                marked_from.saturating_sub(EXCERPT_LEAD_CHARACTERS),
                EXCERPT_CHARACTERS_MAX,
            )
        };
        let mut text = String::new();
        let mut marked_from = marked_from - skip;
        if skip > 0 {
            text.push('…');
            marked_from += 1;
        }
        text.extend(line.chars().skip(skip).take(take).map(harmless));
        if skip + take < characters {
            text.push('…');
        }
        let shown = text.chars().count();
        Excerpt {
            marked_length: place
                .length
                .clamp(1, shown.saturating_sub(marked_from).max(1)),
            text,
            marked_from,
        }
    }
}

/// A character that no terminal obeys: a tab keeps its place as a blank, other control characters are replaced.
pub(crate) fn harmless(character: char) -> char {
    match character {
        '\t' => ' ',
        _ if character.is_control() => '\u{fffd}',
        // Marks that reorder or hide text.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        _ => character,
    }
}

/// A text that no terminal obeys: control characters, and marks that reorder or hide text, are replaced.
pub fn harmless_text(text: &str) -> String {
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cropped_around_its_mark() {
        let text = format!("{}needle{}", "a".repeat(500), "b".repeat(500));
        let source = Source::new(Path::new("long.yml"), &text);
        let excerpt = source.excerpt(source.place((1, 501), 6));
        let marked: String = excerpt
            .text
            .chars()
            .skip(excerpt.marked_from)
            .take(excerpt.marked_length)
            .collect();
        assert_eq!(marked, "needle");
        assert!(excerpt.text.chars().count() <= EXCERPT_CHARACTERS_MAX + 2);
    }

    #[test]
    fn places_outside_the_text_are_moved_in() {
        let source = Source::new(Path::new("short.yml"), "one\ntwo\n");
        for place in [(0, 0), (9, 9), (2, 80), (usize::MAX, usize::MAX)] {
            let place = source.place(place, usize::MAX);
            assert!(place.line >= 1 && place.line <= 2, "{place:?}");
            let _ = source.excerpt(place);
        }
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let source = Source::new(Path::new("x.yml"), "a: \u{1b}[31m");
        let excerpt = source.excerpt(source.place((1, 4), 1));
        assert!(!excerpt.text.contains('\u{1b}'));
    }
}
