//! A diagnostic: one thing that is wrong in a description, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// Whether a dataflow may run with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The dataflow cannot run.
    Error,
    /// The dataflow can run, and probably not as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
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

/// A second place that belongs to a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Where.
    pub place: Place,
    /// The text of that line, without its end.
    pub source_line: String,
    /// What is there, in a few words.
    pub label: String,
}

/// One thing that is wrong, or doubtful, in a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of thing.
    pub code: crate::Code,
    /// Whether the dataflow may run with it.
    pub severity: Severity,
    /// What is wrong, naming the thing.
    pub message: String,
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Where; `None` when it concerns the whole file.
    pub place: Option<Place>,
    /// The text of the line of `place`, without its end.
    pub source_line: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// The file as the caller named it.
    pub fn file(&self) -> &Path {
        &self.file
    }
}
