//! YAML text to a checked description, or every diagnostic with line and column.
//!
//! [`check_file`] is the way in for dataflows, [`check_peers_file`] for files of peers. It never stops at the first error: what comes back is the description *and*
//! everything that is wrong or doubtful in it, each with a code, a place, the source line and a remedy.

mod check;
mod code;
mod dataflow;
mod diagnostic;
mod duration;
mod environment;
mod file;
pub mod limits;
mod nearest;
mod peers;
mod record;
mod source;
mod subject;
mod yaml;

use std::path::Path;
use std::time::Duration;

pub use code::Code;
pub use dataflow::{
    Dataflow, Edge, Input, InputPlace, InputSource, Model, Node, OutputPlace, Program, Requirement,
};
pub use dataflow_ids::HealthCheck;
pub use diagnostic::{Diagnostic, Excerpt, Part, Place, Related, Severity};
pub use environment::Environment;
pub use nearest::nearest;
pub use peers::{Peer, PeerCapabilities, Peers, ThisMachine};
pub use record::{RecordError, with_fingerprints};
pub use source::harmless_text;

/// What a check gives: the description, when it has no errors, and every diagnostic.
#[derive(Debug, Clone)]
pub struct Checked {
    /// `Some` exactly when no diagnostic is an error.
    pub dataflow: Option<Dataflow>,
    /// In the order of the file; at most [`DIAGNOSTICS_MAX`](limits::DIAGNOSTICS_MAX).
    pub diagnostics: Vec<Diagnostic>,
    /// Diagnostics beyond the limit.
    pub omitted: usize,
}

impl Checked {
    /// How many diagnostics are errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many diagnostics are warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        count(&self.diagnostics, severity)
    }
}

/// What a check of a file of peers gives: the peers, when it has no errors, and every diagnostic.
#[derive(Debug, Clone)]
pub struct CheckedPeers {
    /// `Some` exactly when no diagnostic is an error.
    pub peers: Option<Peers>,
    /// In the order of the file; at most [`DIAGNOSTICS_MAX`](limits::DIAGNOSTICS_MAX).
    pub diagnostics: Vec<Diagnostic>,
    /// Diagnostics beyond the limit.
    pub omitted: usize,
}

impl CheckedPeers {
    /// How many diagnostics are errors.
    pub fn errors(&self) -> usize {
        count(&self.diagnostics, Severity::Error)
    }

    /// How many diagnostics are warnings.
    pub fn warnings(&self) -> usize {
        count(&self.diagnostics, Severity::Warning)
    }
}

fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == severity)
        .count()
}

/// Reads and checks a YAML file, with the environment of this process. Relative paths in it begin at its folder.
///
/// A file that is missing, a directory, no text or too large is a diagnostic like any other.
pub fn check_file(file: impl AsRef<Path>) -> Checked {
    check_file_in(file, &Environment::of_this_process())
}

/// [`check_file`] with an environment of the caller's.
pub fn check_file_in(file: impl AsRef<Path>, environment: &Environment) -> Checked {
    file::check_file(file.as_ref(), environment, None)
}

/// [`check_file_in`], and whether the nodes have a place on these peers: the machines that they are pinned to are there,
/// and what each requires, some peer may have.
pub fn check_file_with_peers(
    file: impl AsRef<Path>,
    environment: &Environment,
    peers: &Peers,
) -> Checked {
    file::check_file(file.as_ref(), environment, Some(peers))
}

/// Checks a text that need not be a file. `file` names it in diagnostics; `folder` is where relative paths begin.
pub fn check_text(
    text: &str,
    file: impl AsRef<Path>,
    folder: impl AsRef<Path>,
    environment: &Environment,
) -> Checked {
    check::check(text, file.as_ref(), folder.as_ref(), environment, None)
}

/// Reads and checks a file of peers, `peers.yaml` (section 10 of the design).
///
/// A file that is missing, a directory, no text or too large is a diagnostic like any other.
pub fn check_peers_file(file: impl AsRef<Path>) -> CheckedPeers {
    file::check_peers_file(file.as_ref(), None)
}

/// [`check_peers_file`] on one of its machines: it is listed, no other entry leads to it, its address is one of its own,
/// and it has what it declares.
pub fn check_peers_file_on(file: impl AsRef<Path>, machine: &ThisMachine<'_>) -> CheckedPeers {
    file::check_peers_file(file.as_ref(), Some(machine))
}

/// Checks the text of a file of peers, which need not be in a file. `file` names it in diagnostics.
pub fn check_peers_text(text: &str, file: impl AsRef<Path>) -> CheckedPeers {
    check::check_peers(text, file.as_ref(), None)
}

/// [`check_peers_text`] on one of its machines, as [`check_peers_file_on`].
pub fn check_peers_text_on(
    text: &str,
    file: impl AsRef<Path>,
    machine: &ThisMachine<'_>,
) -> CheckedPeers {
    check::check_peers(text, file.as_ref(), Some(machine))
}

/// A duration as descriptions write it: `33ms`, `2min`, in the largest unit that leaves no fraction.
pub fn duration_text(duration: Duration) -> String {
    duration::format(duration)
}

/// Reads a duration as descriptions write it: `33ms`, `1.5s`, `2min`.
///
/// # Errors
///
/// What to write instead, in one line.
pub fn duration_from_text(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text).map_err(|_| duration::UNITS_HELP)
}
