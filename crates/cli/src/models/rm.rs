//! `dataflow models rm`: takes repositories, or revisions of them, out of the cache.

use dataflow_descriptor::harmless_text;
use dataflow_runtime::models::cache::{Cache, Removed};
use serde_json::{Value, json};

use super::arguments::RmArguments;
use super::cached::{self, Meant};
use super::view;
use crate::error::{CliError, Exit};
use crate::text::{self, counted};
use crate::{output, say};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when a name is none: then nothing is removed. What could not be removed is an [`Exit`]: it has been
/// said, and keeps nothing else.
pub(super) fn run(arguments: &RmArguments) -> Result<Exit, CliError> {
    let cache = cached::cache()?;
    let meant = arguments
        .what
        .iter()
        .map(|text| Meant::new(&cache, arguments.kind, text));
    let meant = meant.collect::<Result<Vec<_>, _>>()?;
    let mut exit = Exit::Done;
    let mut objects = Vec::new();
    for one in &meant {
        match remove(&cache, one) {
            Ok(removed) if arguments.json => objects.push(object(one, &removed)),
            Ok(removed) => output::write(&format!("{}\n", line(one, &removed)))?,
            Err(error) => {
                say(&error.to_string(), error.help().as_deref());
                exit = exit.worse(error.exit());
            }
        }
    }
    if arguments.json {
        let object = json!({ "cache": cache.root().display().to_string(), "removed": objects });
        output::write(&format!("{object:#}\n"))?;
    }
    Ok(exit)
}

fn remove(cache: &Cache, meant: &Meant) -> Result<Removed, CliError> {
    let removed = match &meant.revision {
        Some(revision) => meant.repo.remove_revision(revision)?,
        None => {
            // What is not complete, and what was kept aside, goes with the repository.
            let beside = meant.repo.scan()?.map_or(0, |scan| {
                scan.partial_bytes.saturating_add(scan.quarantine_bytes)
            });
            let mut removed = meant.repo.remove()?;
            if let Some(removed) = &mut removed {
                removed.freed_bytes = removed.freed_bytes.saturating_add(beside);
            }
            removed
        }
    };
    removed.ok_or_else(|| meant.missing(cache))
}

fn line(meant: &Meant, removed: &Removed) -> String {
    let commit = match (&meant.revision, &removed.commits[..]) {
        (Some(_), [commit]) => format!(" (commit {})", view::commit(commit)),
        _ => String::new(),
    };
    format!(
        "removed {}{commit}: {}, {}",
        harmless_text(&meant.name()),
        counted(removed.files, "file"),
        text::bytes(removed.freed_bytes)
    )
}

fn object(meant: &Meant, removed: &Removed) -> Value {
    json!({
        "repo": meant.repo.name(),
        "kind": meant.repo.kind(),
        "revision": meant.revision,
        "commits": removed.commits,
        "files": removed.files,
        "freed_bytes": removed.freed_bytes,
    })
}
