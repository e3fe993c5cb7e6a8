//! How the hub hands out a file: a relative redirect and the file itself for small ones, a link to the CDN for
//! large ones.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::answer::{Answer, Piece};
use super::content::{Content, hexadecimal};
use super::repository::{Repository, StoredFile};
use super::request::{Asked, Head, encode};
use super::routes::plural;
use super::shared::{Shared, State};

/// How long a link says that it works when its lifetime has no end.
const LINK_SAYS: Duration = Duration::from_secs(3600);

/// Says where a file is, and gives a link to the CDN out for a large one.
pub(super) fn resolve(
    shared: &Shared,
    state: &mut State,
    repository: &Repository,
    commit: &str,
    path: &str,
    file: &Arc<StoredFile>,
    head: &Head,
) -> (Answer, Option<usize>) {
    let Some(large) = &file.large else {
        let location = format!(
            "/api/resolve-cache/{}/{}/{commit}/{}?{}=&etag=%22{}%22",
            plural(repository.kind),
            encode(&repository.name),
            encode(path),
            encode(head.target.split('?').next().unwrap_or_default()).replace('/', "%2F"),
            hexadecimal(&file.blob)
        );
        // Its length is that of this sentence, not the file's.
        let sentence = format!("Temporary Redirect. Redirecting to {location}");
        let answer = Answer::text(307, &sentence)
            .with("Location", &location)
            .with("Accept-Ranges", "bytes")
            .with("Vary", "Origin, Accept")
            .with("X-Repo-Commit", commit);
        return (answer, None);
    };
    let link = state.give_link(path, file);
    let lifetime = shared.settings.link_lifetime.unwrap_or(LINK_SAYS);
    let expires = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| (now + lifetime).as_secs());
    let location = format!(
        "{}/repos/{}/{}?response-content-disposition=attachment%3B+filename%3D%22{}%22&Expires={expires}&Signature={link:016x}&Key-Pair-Id=FAKE",
        shared.addresses.cdn,
        &large.sha256[..2],
        large.sha256,
        encode(path.rsplit('/').next().unwrap_or(path)),
    );
    let answer = Answer::text(302, &format!("Found. Redirecting to {location}"))
        .with("Location", &location)
        .with("Accept-Ranges", "bytes")
        .with("Vary", "Origin, Accept")
        .with("X-Repo-Commit", commit)
        .with("X-Linked-Size", &file.content.size_bytes().to_string())
        .with("X-Linked-Etag", &format!("\"{}\"", large.sha256));
    (answer, Some(link))
}

/// What a file's content is served from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) content: Content,
    /// In quotes.
    pub(super) etag: String,
    /// Header lines that come with it.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Source {
    /// A small file, from the hub.
    pub(super) fn cached(file: &StoredFile, commit: &str) -> Source {
        Source {
            content: file.content.clone(),
            etag: format!("\"{}\"", hexadecimal(&file.blob)),
            headers: vec![
                ("X-Repo-Commit", commit.to_owned()),
                (
                    "Content-Security-Policy",
                    "default-src 'none'; sandbox".to_owned(),
                ),
            ],
        }
    }
}

/// A file, or the part of it that is asked for.
pub(super) fn part_of(source: &Source, head: &Head) -> Answer {
    let size = source.content.size_bytes();
    // Whoever holds a part of another version gets the whole of this one.
    let is_same = head
        .header("if-range")
        .is_none_or(|have| have == source.etag);
    let (status, part) = match head.range(size) {
        Asked::Part(first, last) if is_same => (206, first..last + 1),
        Asked::Unsatisfiable if is_same => {
            return Answer::text(416, "Range Not Satisfiable")
                .with("Content-Range", &format!("bytes */{size}"));
        }
        _ => (200, 0..size),
    };
    let range = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
    let mut answer = Answer {
        status,
        headers: Vec::new(),
        body: vec![Piece::Part(source.content.clone(), part)],
    }
    .with("Content-Type", "application/octet-stream")
    .with("Accept-Ranges", "bytes")
    .with("ETag", &source.etag);
    for (name, value) in &source.headers {
        answer = answer.with(name, value);
    }
    if status == 206 {
        answer.with("Content-Range", &range)
    } else {
        answer
    }
}
