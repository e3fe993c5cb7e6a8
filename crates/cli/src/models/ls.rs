//! `dataflow models ls`: what is in the cache, whoever has fetched it.

use std::io::stdout;
use std::time::{SystemTime, UNIX_EPOCH};

use dataflow_descriptor::harmless_text;
use dataflow_ids::span;
use dataflow_runtime::models::cache::{CacheScan, CachedCommit, CachedRepo};
use serde_json::{Value, json};

use super::arguments::LsArguments;
use super::cached::{self, named};
use super::view;
use crate::error::{CliError, Exit};
use crate::style::Style;
use crate::text::{self, Side, counted};
use crate::{output, say};

/// Runs the command.
///
/// # Errors
///
/// [`CliError::Models`] when the cache cannot be read. A part of it that cannot hides no other.
pub(super) fn run(arguments: &LsArguments) -> Result<Exit, CliError> {
    let cache = cached::cache()?;
    let scan = cache.scan()?;
    let place = cache.root().display();
    output::write(&if arguments.json {
        let object = json!({
            "cache": place.to_string(),
            "repositories": scan.repos.iter().map(repository).collect::<Value>(),
            "troubles": scan.troubles.iter().map(cached::trouble).collect::<Value>(),
        });
        format!("{object:#}\n")
    } else if scan.repos.is_empty() {
        format!("nothing is in the cache, {place}\n")
    } else {
        let lines = lines(&scan, SystemTime::now(), Style::of(&stdout()));
        let all: u64 = scan.repos.iter().map(on_the_disk).sum();
        let repos = match scan.repos.len() {
            1 => "1 repository".to_owned(),
            count => format!("{} repositories", text::count(count as u64)),
        };
        format!(
            "{}\n\n{repos}, {} in {place}\n",
            lines.join("\n"),
            text::bytes(all)
        )
    })?;
    if arguments.json {
        return Ok(if scan.troubles.is_empty() {
            Exit::Done
        } else {
            Exit::Failed
        });
    }
    for trouble in &scan.troubles {
        say(
            &harmless_text(&trouble.to_string()),
            Some(&harmless_text(&trouble.remedy())),
        );
    }
    Ok(if scan.troubles.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn on_the_disk(repo: &CachedRepo) -> u64 {
    (repo.size_bytes)
        .saturating_add(repo.partial_bytes)
        .saturating_add(repo.quarantine_bytes)
}

/// A table with a line for each commit, and what it has no room for.
fn lines(scan: &CacheScan, now: SystemTime, style: Style) -> Vec<String> {
    use Side::{Left, Right};
    let heading = [
        "REPOSITORY",
        "KIND",
        "REVISION",
        "COMMIT",
        "FILES",
        "SIZE",
        "USED",
    ];
    let sides = [Left, Left, Left, Left, Right, Right, Right];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for repo in &scan.repos {
        let used = repo.last_used.and_then(|at| now.duration_since(at).ok());
        let used = used.map_or("–".to_owned(), |ago| format!("{} ago", span::rough(ago)));
        let row = |revision: String, commit: String, files: u64, size_bytes: u64| {
            vec![
                harmless_text(&repo.repo),
                repo.kind.to_string(),
                harmless_text(&revision),
                commit,
                text::count(files),
                text::bytes(size_bytes),
                used.clone(),
            ]
        };
        if repo.commits.is_empty() {
            rows.push(row(
                "–".to_owned(),
                "–".to_owned(),
                repo.files,
                repo.size_bytes,
            ));
        }
        rows.extend(repo.commits.iter().map(|commit| {
            let revision = match commit.refs.is_empty() {
                true => "–".to_owned(),
                false => commit.refs.join(", "),
            };
            row(
                revision,
                view::commit(&commit.commit),
                commit.files,
                commit.size_bytes,
            )
        }));
    }
    let mut lines = text::table(&sides, &rows);
    if let Some(heading) = lines.first_mut() {
        *heading = style.faint(heading);
    }
    let details: Vec<String> = scan.repos.iter().flat_map(details).collect();
    if !details.is_empty() {
        lines.push(String::new());
        lines.extend(details);
    }
    lines
}

fn details(repo: &CachedRepo) -> Vec<String> {
    let name = harmless_text(&named(repo.kind, &repo.repo));
    let mut lines = Vec::new();
    if repo.partial_bytes > 0 {
        lines.push(format!(
            "{name}: {} of files that are not complete; the next pull goes on from there",
            text::bytes(repo.partial_bytes)
        ));
    }
    if repo.quarantine_bytes > 0 {
        lines.push(format!(
            "{name}: {} that came with wrong content and are kept aside; nobody uses them",
            text::bytes(repo.quarantine_bytes)
        ));
    }
    if repo.verified_files < repo.files {
        lines.push(format!(
            "{name}: {} fetched by another program; compared when they are wanted, or by `dataflow models verify`",
            counted(repo.files - repo.verified_files, "file")
        ));
    }
    lines
}

fn repository(repo: &CachedRepo) -> Value {
    let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let milliseconds = |at| u64::try_from(since(at).as_millis()).unwrap_or(u64::MAX);
    json!({
        "repo": repo.repo,
        "kind": repo.kind,
        "files": repo.files,
        "verified_files": repo.verified_files,
        "size_bytes": repo.size_bytes,
        "partial_bytes": repo.partial_bytes,
        "quarantine_bytes": repo.quarantine_bytes,
        "last_used_ms": repo.last_used.map(milliseconds),
        "commits": repo.commits.iter().map(commit).collect::<Value>(),
    })
}

fn commit(commit: &CachedCommit) -> Value {
    json!({
        "commit": commit.commit,
        "revisions": commit.refs,
        "files": commit.files,
        "size_bytes": commit.size_bytes,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::RepoKind;

    use super::*;

    #[test]
    fn each_commit_has_a_line_and_what_is_not_complete_is_said_below() {
        let commit = |digit: &str, refs: &[&str]| CachedCommit {
            commit: digit.repeat(40),
            refs: refs.iter().map(|name| (*name).to_owned()).collect(),
            files: 4,
            size_bytes: 90_900_000,
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let repo = CachedRepo {
            kind: RepoKind::Model,
            repo: "acme/tiny-detector".to_owned(),
            size_bytes: 100_000_000,
            files: 5,
            verified_files: 3,
            commits: vec![commit("1", &["main", "v1.0"]), commit("2", &[])],
            partial_bytes: 12_000_000,
            quarantine_bytes: 7,
            last_used: Some(now - Duration::from_secs(300)),
        };
        let begun = CachedRepo {
            kind: RepoKind::Dataset,
            repo: "acme/faces".to_owned(),
            size_bytes: 0,
            files: 0,
            verified_files: 0,
            commits: Vec::new(),
            partial_bytes: 5_000,
            quarantine_bytes: 0,
            last_used: None,
        };
        let scan = CacheScan {
            repos: vec![repo, begun],
            troubles: Vec::new(),
        };
        assert_eq!(
            lines(&scan, now, Style::PLAIN).join("\n"),
            "\
REPOSITORY          KIND     REVISION    COMMIT        FILES     SIZE          USED
acme/tiny-detector  model    main, v1.0  111111111111      4  90.9 MB  5 m 00 s ago
acme/tiny-detector  model    –           222222222222      4  90.9 MB  5 m 00 s ago
acme/faces          dataset  –           –                 0  0 bytes             –

acme/tiny-detector: 12.0 MB of files that are not complete; the next pull goes on from there
acme/tiny-detector: 7 bytes that came with wrong content and are kept aside; nobody uses them
acme/tiny-detector: 2 files fetched by another program; compared when they are wanted, or by `dataflow models verify`
dataset acme/faces: 5.0 kB of files that are not complete; the next pull goes on from there"
        );
    }
}
