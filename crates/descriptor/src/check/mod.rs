//! The checker: from the tree of a YAML file to a dataflow or to peers, or to everything that is wrong with it.
//!
//! It walks the tree once (`dataflow`, `node`, `model`, `input`, `restart`, `requires`, `path`), makes drafts with holes
//! where something was wrong, and then looks at the graph as a whole (`link`). A file of peers is walked by `peers`. It
//! never stops at an error.

mod dataflow;
mod environment;
mod fields;
mod input;
mod link;
mod model;
mod node;
mod path;
mod peers;
mod placeable;
mod report;
mod requires;
mod restart;
mod scalar;
mod timer;
mod wanted;

use std::path::Path;

use crate::limits::{ALIASED_VALUES_MAX, DEPTH_MAX, VALUES_MAX};
use crate::source::Source;
use crate::subject::{self, Subject};
use crate::yaml::{self, Kind, ParseFailure, ParseFailureKind, Value};
use crate::{Checked, CheckedPeers, Code, Environment, Peers, ThisMachine};

pub(crate) use report::{Checker, Report};

/// Checks a text. `folder` is where relative paths begin, as the caller names it.
///
/// With peers, nodes are compared with them.
pub(crate) fn check(
    text: &str,
    file: &Path,
    folder: &Path,
    environment: &Environment,
    peers: Option<&Peers>,
) -> Checked {
    let source = Source::new(file, text);
    let mut checker = Checker::new(&source, folder, environment);
    checker.peers = peers;
    let root = checker.root(&subject::DATAFLOW);
    let draft = root.and_then(|root| checker.dataflow(&root));
    let dataflow = draft.and_then(|draft| checker.link(draft));
    checker.finish(dataflow)
}

/// Checks the text of a file of peers; with a machine, also what it says about that one.
pub(crate) fn check_peers(
    text: &str,
    file: &Path,
    machine: Option<&ThisMachine<'_>>,
) -> CheckedPeers {
    let source = Source::new(file, text);
    let environment = Environment::default();
    let mut checker = Checker::new(&source, Path::new(""), &environment);
    let root = checker.root(&subject::PEERS);
    let peers = root.and_then(|root| checker.peers(&root, machine));
    checker.finish_peers(peers)
}

/// What a check of a file of peers gives when the file cannot be read.
pub(crate) fn no_peers(file: &Path, report: Report) -> CheckedPeers {
    let source = Source::new(file, "");
    let environment = Environment::default();
    let mut checker = Checker::new(&source, Path::new(""), &environment);
    checker.report(report);
    checker.finish_peers(None)
}

impl Checker<'_> {
    /// The tree of the text; what is no tree, or has nothing in it, is reported.
    fn root(&mut self, subject: &Subject) -> Option<Value> {
        let empty =
            || Report::error(Code::FileEmpty, None, "the file is empty").help(subject.least);
        if self.source.text().trim().is_empty() {
            self.report(empty());
            return None;
        }
        match yaml::parse(self.source) {
            Ok(root) if matches!(root.kind, Kind::Null) => {
                self.report(empty());
                None
            }
            Ok(root) => Some(root),
            Err(failure) => {
                self.report(no_tree(failure, subject));
                None
            }
        }
    }
}

fn no_tree(failure: ParseFailure, subject: &Subject) -> Report {
    let too_complex = format!(
        "{} nests at most {DEPTH_MAX} levels deep and has at most {VALUES_MAX} values, {ALIASED_VALUES_MAX} of them by \
         aliases",
        subject.noun
    );
    let (code, message, help) = match failure.kind {
        ParseFailureKind::Syntax => (
            Code::Syntax,
            format!("this is not YAML: {}", failure.message),
            "often the cause is in the line above: an indent, a missing `:` or `-`, or a bracket or quote \
             that is not closed"
                .to_owned(),
        ),
        ParseFailureKind::UnknownAnchor => (
            Code::Syntax,
            "there is no anchor of this name".to_owned(),
            "an alias `*name` stands for what `&name` marks before it; a text that begins with `*` needs quotes"
                .to_owned(),
        ),
        ParseFailureKind::SeveralDocuments => (
            Code::SeveralDocuments,
            "a second document begins here".to_owned(),
            subject.several_documents.to_owned(),
        ),
        ParseFailureKind::TooDeep => (
            Code::TooComplex,
            "lists and mappings are nested too deeply".to_owned(),
            too_complex,
        ),
        ParseFailureKind::TooManyValues => (
            Code::TooComplex,
            format!("{} is too large once its aliases are expanded", definite(subject.noun)),
            too_complex,
        ),
    };
    Report::error(code, failure.place, message).help(help)
}

/// `the description` of `a description`.
fn definite(noun: &str) -> String {
    format!("the {}", noun.trim_start_matches("a "))
}
