//! The checker: from the tree of a YAML file to a dataflow, or to everything that is wrong with it.
//!
//! It walks the tree once (`dataflow`, `node`, `model`, `input`, `restart`, `requires`, `path`), makes drafts with holes
//! where something was wrong, and then looks at the graph as a whole (`link`). It never stops at an error.

mod dataflow;
mod environment;
mod fields;
mod input;
mod link;
mod model;
mod node;
mod path;
mod report;
mod requires;
mod restart;
mod scalar;
mod timer;
mod wanted;

use std::path::Path;

use crate::source::Source;
use crate::yaml::{self, Kind, ParseFailureKind};
use crate::{Checked, Code, Environment};

pub(crate) use report::{Checker, Report};

/// Checks a text. `folder` is where relative paths begin, as the caller names it.
pub(crate) fn check(text: &str, file: &Path, folder: &Path, environment: &Environment) -> Checked {
    let source = Source::new(file, text);
    let mut checker = Checker::new(&source, folder, environment);
    if source.text().trim().is_empty() {
        return empty(checker);
    }
    let root = match yaml::parse(&source) {
        Ok(root) => root,
        Err(failure) => {
            let too_complex = format!(
                "a description nests at most {} levels deep and has at most {} values, {} of them by aliases",
                crate::limits::DEPTH_MAX,
                crate::limits::VALUES_MAX,
                crate::limits::ALIASED_VALUES_MAX
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
                    "one file describes one dataflow: remove the `---`, or make two files".to_owned(),
                ),
                ParseFailureKind::TooDeep => (
                    Code::TooComplex,
                    "lists and mappings are nested too deeply".to_owned(),
                    too_complex,
                ),
                ParseFailureKind::TooManyValues => (
                    Code::TooComplex,
                    "the description is too large once its aliases are expanded".to_owned(),
                    too_complex,
                ),
            };
            checker.report(Report::error(code, failure.place, message).help(help));
            return checker.finish(None);
        }
    };
    if matches!(root.kind, Kind::Null) {
        return empty(checker);
    }
    let draft = checker.dataflow(&root);
    let dataflow = draft.and_then(|draft| checker.link(draft));
    checker.finish(dataflow)
}

fn empty(mut checker: Checker<'_>) -> Checked {
    checker.report(
        Report::error(Code::FileEmpty, None, "the file is empty").help(
            "a dataflow has at least `nodes:` with one node, such as `nodes: [{id: hello, path: ./hello.py}]`",
        ),
    );
    checker.finish(None)
}
