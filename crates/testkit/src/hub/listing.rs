//! What the hub says about a repository and its files.

use serde_json::{Value, json};

use super::answer::Answer;
use super::content::hexadecimal;
use super::git;
use super::repository::{Access, Files, Repository, StoredFile};
use super::request::Head;
use super::settings::Information;
use super::shared::Shared;

/// When everything was made that the Hub has.
const MADE_AT: &str = "2023-11-14T22:13:20.000Z";

/// What a repository is and has.
pub(super) fn information(
    shared: &Shared,
    repository: &Repository,
    commit: &str,
    files: &Files,
    head: &Head,
) -> Answer {
    let with_blobs = shared.settings.information == Information::Whole
        && head
            .query("blobs")
            .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let siblings: Vec<Value> = files
        .iter()
        .map(|(path, file)| sibling(path, file, with_blobs))
        .collect();
    let author = repository.name.split_once('/').map(|(owner, _)| owner);
    let gated = match repository.access {
        Access::Gated(_) => json!("auto"),
        _ => json!(false),
    };
    Answer::json(
        200,
        &json!({
            "_id": "64b5f3c1a2d4e5f60718293a",
            "id": repository.name,
            "modelId": repository.name,
            "author": author,
            "sha": commit,
            "lastModified": MADE_AT,
            "createdAt": MADE_AT,
            "private": matches!(repository.access, Access::Private(_)),
            "gated": gated,
            "disabled": false,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "spaces": [],
            "siblings": siblings,
            "usedStorage": files.values().map(|file| file.content.size_bytes()).sum::<u64>(),
        }),
    )
}

fn sibling(path: &str, file: &StoredFile, with_blobs: bool) -> Value {
    let mut sibling = json!({ "rfilename": path });
    if with_blobs {
        sibling["size"] = json!(file.content.size_bytes());
        sibling["blobId"] = json!(hexadecimal(&file.blob));
        if let Some(large) = &file.large {
            sibling["lfs"] = json!({
                "sha256": large.sha256,
                "size": file.content.size_bytes(),
                "pointerSize": large.pointer_bytes,
            });
        }
    }
    sibling
}

/// The files and folders below `folder`, a page of them.
pub(super) fn tree(
    shared: &Shared,
    files: &Files,
    commit: &str,
    folder: &str,
    head: &Head,
) -> Answer {
    let prefix = match folder {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let is_recursive = head
        .query("recursive")
        .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
    let is_wanted = |path: &str| {
        path.strip_prefix(&prefix)
            .is_some_and(|rest| is_recursive || !rest.contains('/'))
    };
    let folders = git::folders(files);
    let mut entries: Vec<(&str, Value)> = Vec::new();
    for (path, id) in folders.iter().filter(|(path, _)| is_wanted(path)) {
        entries.push((
            path,
            json!({ "type": "directory", "oid": id, "size": 0, "path": path }),
        ));
    }
    for (path, file) in files.iter().filter(|(path, _)| is_wanted(path)) {
        let mut entry = json!({
            "type": "file",
            "oid": hexadecimal(&file.blob),
            "size": file.content.size_bytes(),
            "path": path,
        });
        if let Some(large) = &file.large {
            entry["lfs"] = json!({
                "oid": large.sha256,
                "size": file.content.size_bytes(),
                "pointerSize": large.pointer_bytes,
            });
        }
        entries.push((path, entry));
    }
    if entries.is_empty() && !folder.is_empty() {
        let message = format!("{folder} does not exist on \"{commit}\"");
        return Answer::refusal(404, Some("EntryNotFound"), &message);
    }
    entries.sort_by_key(|(path, _)| *path);

    let begin = head
        .query("cursor")
        .and_then(|cursor| usize::from_str_radix(&cursor, 16).ok())
        .unwrap_or(0)
        .min(entries.len());
    let limit = head
        .query("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(usize::MAX)
        .min(shared.settings.page_files)
        .max(1);
    let end = begin.saturating_add(limit).min(entries.len());
    let page: Vec<Value> = entries[begin..end]
        .iter()
        .map(|(_, entry)| entry.clone())
        .collect();
    let answer = Answer::json(200, &Value::Array(page)).with("X-Repo-Commit", commit);
    if end == entries.len() {
        return answer;
    }
    let path = head.target.split('?').next().unwrap_or_default();
    let next = format!(
        "<{}{path}?recursive={is_recursive}&limit={limit}&cursor={end:x}>; rel=\"next\"",
        shared.addresses.hub
    );
    answer.with("Link", &next)
}
