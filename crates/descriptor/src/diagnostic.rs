//! A diagnostic: one thing that is wrong in a description, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::Code;

/// Whether a dataflow may run with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The dataflow cannot run.
    Error,
    /// The dataflow can run, and probably not as meant.
    Warning,
}

impl Severity {
    /// The severity's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A place in the file. Lines and columns count from 1, columns and lengths in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// Length in characters, within the line; at least 1.
    pub length: usize,
}

/// A line of the file with a marked part, ready to be shown: a long line is cropped around the mark, and
/// control characters are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line.
    pub text: String,
    /// Characters of `text` before the marked part.
    pub marked_from: usize,
    /// Characters of the marked part; at least 1.
    pub marked_length: usize,
}

/// A second place that belongs to a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// The line of `place`.
    pub excerpt: Excerpt,
    /// What is there, in a few words.
    pub label: String,
}

/// One thing that is wrong, or doubtful, in a description. Its `Display` is the whole report, in several lines,
/// without a line end after the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of thing.
    pub code: Code,
    /// Whether the dataflow may run with it.
    pub severity: Severity,
    /// What is wrong, naming the thing.
    pub message: String,
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Where, with its line; `None` when it concerns the whole file.
    pub place: Option<(Place, Excerpt)>,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

/// How a part of a rendered diagnostic is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `error[DF0010]`.
    Error,
    /// `warning[DF0040]`.
    Warning,
    /// The message.
    Message,
    /// The mark under the place.
    Mark,
    /// The mark under a related place, and its label.
    Related,
    /// Line numbers and the bars beside them.
    Margin,
    /// The word `help`.
    Help,
}

impl Diagnostic {
    /// The report as text; `paint` puts colour (or nothing) around a part.
    pub fn render(&self, paint: &dyn Fn(Part, &str) -> String) -> String {
        let mut lines = Vec::new();
        let (name, mark) = match self.severity {
            Severity::Error => (Part::Error, Part::Mark),
            Severity::Warning => (Part::Warning, Part::Mark),
        };
        let file = crate::source::harmless_text(&self.file.to_string_lossy());
        let place = match &self.place {
            Some((place, _)) => format!("{file}:{}:{}", place.line, place.column),
            None => file,
        };
        lines.push(format!(
            "{place}: {}: {}",
            paint(name, &format!("{}[{}]", self.severity, self.code)),
            paint(Part::Message, &self.message)
        ));

        let width = self
            .place
            .iter()
            .map(|(place, _)| place.line)
            .chain(self.related.iter().map(|related| related.place.line))
            .max()
            .map_or(1, |line| line.to_string().len());
        let mut show = |place: &Place, excerpt: &Excerpt, sign: &str, part: Part, label: &str| {
            let bar = paint(Part::Margin, &format!("{:width$} |", place.line));
            lines.push(format!(" {bar} {}", excerpt.text).trim_end().to_owned());
            let bar = paint(Part::Margin, &format!("{:width$} |", ""));
            let mut marks = sign.repeat(excerpt.marked_length);
            if !label.is_empty() {
                marks.push(' ');
                marks.push_str(label);
            }
            let indent = " ".repeat(excerpt.marked_from);
            lines.push(format!(" {bar} {indent}{}", paint(part, &marks)));
        };
        if let Some((place, excerpt)) = &self.place {
            show(place, excerpt, "^", mark, "");
        }
        for related in &self.related {
            show(
                &related.place,
                &related.excerpt,
                "-",
                Part::Related,
                &related.label,
            );
        }
        if let Some(help) = &self.help {
            let sign = paint(Part::Margin, "=");
            lines.push(format!(
                " {:width$} {sign} {}: {help}",
                "",
                paint(Part::Help, "help")
            ));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&|_, text| text.to_owned()))
    }
}
