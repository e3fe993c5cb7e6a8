//! Where diagnostics are gathered: in the order of the file, each once, with a limit.

use std::collections::HashSet;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Place, Related, Severity};
use crate::limits::DIAGNOSTICS_MAX;
use crate::source::{Source, harmless_text};
use crate::{Checked, CheckedPeers, Code, Dataflow, Environment, Peers};

/// A diagnostic before its lines are looked up.
pub(crate) struct Report {
    code: Code,
    severity: Severity,
    place: Option<Place>,
    message: String,
    help: Option<String>,
    related: Vec<(Place, String)>,
}

impl Report {
    pub(crate) fn error(
        code: Code,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> Report {
        Report {
            code,
            severity: Severity::Error,
            place: place.into(),
            message: message.into(),
            help: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn warning(
        code: Code,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> Report {
        Report {
            severity: Severity::Warning,
            ..Report::error(code, place, message)
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Report {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Report {
        self.help = help;
        self
    }

    pub(crate) fn related(mut self, place: Place, label: impl Into<String>) -> Report {
        self.related.push((place, label.into()));
        self
    }
}

/// The state of a check.
pub(crate) struct Checker<'a> {
    pub(crate) source: &'a Source<'a>,
    /// Where relative paths begin, as the caller names it.
    pub(crate) folder: &'a Path,
    pub(crate) environment: &'a Environment,
    /// Whom nodes are compared with, when there is a file of peers.
    pub(crate) peers: Option<&'a Peers>,
    diagnostics: Vec<Diagnostic>,
    /// An alias used many times has its errors once.
    seen: HashSet<(Code, Option<Place>, String)>,
    omitted: usize,
    has_errors: bool,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        source: &'a Source<'a>,
        folder: &'a Path,
        environment: &'a Environment,
    ) -> Checker<'a> {
        Checker {
            source,
            folder,
            environment,
            peers: None,
            diagnostics: Vec::new(),
            seen: HashSet::new(),
            omitted: 0,
            has_errors: false,
        }
    }

    pub(crate) fn report(&mut self, report: Report) {
        self.has_errors |= report.severity == Severity::Error;
        if self.diagnostics.len() >= DIAGNOSTICS_MAX {
            self.omitted += 1;
            return;
        }
        let message = harmless_text(&report.message);
        if !self
            .seen
            .insert((report.code, report.place, message.clone()))
        {
            return;
        }
        self.diagnostics.push(Diagnostic {
            code: report.code,
            severity: report.severity,
            message,
            file: self.source.file().to_owned(),
            place: report
                .place
                .map(|place| (place, self.source.excerpt(place))),
            help: report.help.as_deref().map(harmless_text),
            related: report
                .related
                .into_iter()
                .map(|(place, label)| Related {
                    place,
                    excerpt: self.source.excerpt(place),
                    label: harmless_text(&label),
                })
                .collect(),
        });
    }

    /// Whether what is reported from now on is only counted: looking for a good remedy is in vain then.
    pub(crate) fn is_full(&self) -> bool {
        self.diagnostics.len() >= DIAGNOSTICS_MAX
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.has_errors
    }

    pub(crate) fn finish(self, dataflow: Option<Dataflow>) -> Checked {
        let dataflow = dataflow.filter(|_| !self.has_errors);
        let (diagnostics, omitted) = self.gathered();
        Checked {
            dataflow,
            diagnostics,
            omitted,
        }
    }

    pub(crate) fn finish_peers(self, peers: Option<Peers>) -> CheckedPeers {
        let peers = peers.filter(|_| !self.has_errors);
        let (diagnostics, omitted) = self.gathered();
        CheckedPeers {
            peers,
            diagnostics,
            omitted,
        }
    }

    /// Every diagnostic in the order of the file, and how many there are beyond the limit.
    fn gathered(mut self) -> (Vec<Diagnostic>, usize) {
        self.diagnostics
            .sort_by_key(|diagnostic| diagnostic.place.as_ref().map(|(place, _)| *place));
        (self.diagnostics, self.omitted)
    }
}
