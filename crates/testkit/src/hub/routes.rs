//! Which answer belongs to which request.

use std::sync::Arc;

use dataflow_ids::RepoKind;

use super::answer::Answer;
use super::cdn;
use super::files::{self, Source};
use super::listing;
use super::record::{Listener, Stage};
use super::repository::{Access, Files, Repository};
use super::request::{Head, encode};
use super::shared::{Shared, State};

/// The answer to a request, and what it is about.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) stage: Stage,
    /// The file's path in its repository.
    pub(super) file: Option<String>,
    pub(super) answer: Answer,
    /// What the file's content is served from, when it is.
    pub(super) source: Option<Source>,
    /// The link to the CDN that was given or used.
    pub(super) link: Option<usize>,
}

impl From<Answer> for Routed {
    /// An answer; what it is about is said by others.
    fn from(answer: Answer) -> Routed {
        Routed {
            stage: Stage::Other,
            file: None,
            answer,
            source: None,
            link: None,
        }
    }
}

/// The path that redirects to itself, on each listener.
pub(super) const LOOP: &str = "/-/loop";

/// What a target of the hub means.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Information {
        revision: Option<String>,
    },
    Tree {
        revision: String,
        folder: String,
    },
    Resolve {
        revision: String,
        path: String,
    },
    /// The second half of a resolve: the commit is known.
    Cached {
        commit: String,
        path: String,
    },
}

/// Answers a request.
pub(super) fn answer(shared: &Shared, listener: Listener, head: &Head) -> Routed {
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return nothing(Answer::refusal(405, None, "Method Not Allowed"));
    }
    if head.target == LOOP {
        let here = format!("{}{LOOP}", shared.addresses.of(listener));
        return nothing(Answer::text(302, "Found").with("Location", &here));
    }
    if listener != Listener::Hub {
        return cdn::answer(shared, head);
    }
    let parts = head.parts();
    let Some((kind, name, target)) = understand(&parts) else {
        return nothing(Answer::refusal(404, None, "Sorry, we can't find that page"));
    };
    let (stage, file) = match &target {
        Target::Information { .. } => (Stage::Information, None),
        Target::Tree { .. } => (Stage::Tree, None),
        Target::Resolve { path, .. } => (Stage::Resolve, Some(path.clone())),
        Target::Cached { path, .. } => (Stage::Content, Some(path.clone())),
    };
    let mut state = shared.state();
    let routed = match allowed(shared, &state, kind, &name, &target, head) {
        Err(refusal) => Routed::from(*refusal),
        Ok(repository) => {
            let repository = repository.clone();
            inside(shared, &mut state, &repository, &target, head)
        }
    };
    Routed {
        stage,
        file,
        ..routed
    }
}

/// An answer that is about nothing that the Hub has.
pub(super) fn nothing(answer: Answer) -> Routed {
    Routed::from(answer)
}

/// The repository and what is wanted of it.
fn understand(parts: &[String]) -> Option<(RepoKind, String, Target)> {
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["api", "resolve-cache", kind, rest @ ..] => {
            let kind = kind_of(kind)?;
            // The commit ends the name.
            let place = rest.iter().position(|part| is_commit(part))?;
            let target = Target::Cached {
                commit: rest[place].to_owned(),
                path: rest.get(place + 1..)?.join("/"),
            };
            Some((kind, rest[..place].join("/"), target))
        }
        ["api", kind, rest @ ..] => {
            let kind = kind_of(kind)?;
            let verb = rest
                .iter()
                .position(|part| matches!(*part, "revision" | "tree"))
                .filter(|place| (1..=2).contains(place));
            let (name, target) = match verb {
                None => (rest, Target::Information { revision: None }),
                Some(place) => {
                    let revision = (*rest.get(place + 1)?).to_owned();
                    let target = match rest[place] {
                        "revision" => Target::Information {
                            revision: Some(revision),
                        },
                        _ => Target::Tree {
                            revision,
                            folder: rest[place + 2..].join("/"),
                        },
                    };
                    (&rest[..place], target)
                }
            };
            (1..=2)
                .contains(&name.len())
                .then(|| (kind, name.join("/"), target))
        }
        rest => {
            let (kind, rest) = match rest {
                ["datasets", rest @ ..] => (RepoKind::Dataset, rest),
                ["spaces", rest @ ..] => (RepoKind::Space, rest),
                rest => (RepoKind::Model, rest),
            };
            let place = rest.iter().position(|part| *part == "resolve")?;
            if !(1..=2).contains(&place) {
                return None;
            }
            let target = Target::Resolve {
                revision: (*rest.get(place + 1)?).to_owned(),
                path: rest.get(place + 2..)?.join("/"),
            };
            Some((kind, rest[..place].join("/"), target))
        }
    }
}

fn kind_of(word: &str) -> Option<RepoKind> {
    match word {
        "models" => Some(RepoKind::Model),
        "datasets" => Some(RepoKind::Dataset),
        "spaces" => Some(RepoKind::Space),
        _ => None,
    }
}

/// A kind as the API's paths have it.
pub(super) fn plural(kind: RepoKind) -> &'static str {
    match kind {
        RepoKind::Model => "models",
        RepoKind::Dataset => "datasets",
        RepoKind::Space => "spaces",
    }
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The repository, when it is there and whoever asks may see what is asked for.
fn allowed<'a>(
    shared: &Shared,
    state: &'a State,
    kind: RepoKind,
    name: &str,
    target: &Target,
    head: &Head,
) -> Result<&'a Repository, Box<Answer>> {
    let token = head.token();
    if head.header("authorization").is_some()
        && !token.is_some_and(|token| state.tokens(&shared.settings).contains(token))
    {
        let message = "Invalid credentials in Authorization header";
        return Err(Box::new(Answer::refusal(401, None, message)));
    }
    // Whoever shows no token is not told whether there is something.
    let hidden = || {
        Box::new(match token {
            None => Answer::refusal(401, Some("RepoNotFound"), "Invalid username or password."),
            Some(_) => Answer::refusal(404, Some("RepoNotFound"), "Repository not found"),
        })
    };
    let Some(repository) = state.repositories.get(&(kind, name.to_owned())) else {
        let mut others = state.repositories.values();
        let now = others.find(|other| {
            other.kind == kind && other.former_names.iter().any(|former| former == name)
        });
        return Err(now.map_or_else(hidden, |now| Box::new(moved(now, name, head))));
    };
    match &repository.access {
        Access::Private(tokens) if !token.is_some_and(|token| tokens.contains(token)) => {
            return Err(hidden());
        }
        Access::Gated(tokens)
            if matches!(target, Target::Resolve { .. } | Target::Cached { .. })
                && !token.is_some_and(|token| tokens.contains(token)) =>
        {
            let status = if token.is_none() { 401 } else { 403 };
            let message = format!(
                "Access to {kind} {name} is restricted and you are not in the authorized list. Visit {}/{name} to ask for access.",
                shared.addresses.hub
            );
            return Err(Box::new(Answer::refusal(
                status,
                Some("GatedRepo"),
                &message,
            )));
        }
        _ => {}
    }
    Ok(repository)
}

/// Where a repository is now that had another name.
fn moved(now: &Repository, former: &str, head: &Head) -> Answer {
    let location = head.target.replacen(&encode(former), &encode(&now.name), 1);
    Answer::text(
        307,
        &format!("Temporary Redirect. Redirecting to {location}"),
    )
    .with("Location", &location)
}

/// The answer of a repository that may be seen.
fn inside(
    shared: &Shared,
    state: &mut State,
    repository: &Repository,
    target: &Target,
    head: &Head,
) -> Routed {
    let revision = match target {
        Target::Information { revision } => revision.as_deref().unwrap_or("main"),
        Target::Tree { revision, .. } | Target::Resolve { revision, .. } => revision,
        Target::Cached { commit, .. } => commit,
    };
    let Some((commit, all)) = repository.resolve(revision) else {
        let message = format!("Invalid rev id: {revision}");
        return Answer::refusal(404, Some("RevisionNotFound"), &message).into();
    };
    match target {
        Target::Information { .. } => {
            listing::information(shared, repository, &commit, all, head).into()
        }
        Target::Tree { folder, .. } => listing::tree(shared, all, &commit, folder, head).into(),
        Target::Resolve { path, .. } => match entry(all, path) {
            Err(refusal) => refusal.with("X-Repo-Commit", &commit).into(),
            Ok(file) => {
                let (answer, link) =
                    files::resolve(shared, state, repository, &commit, path, &file, head);
                Routed {
                    link,
                    ..answer.into()
                }
            }
        },
        Target::Cached { path, .. } => match entry(all, path) {
            Err(refusal) => refusal.with("X-Repo-Commit", &commit).into(),
            Ok(file) => {
                let source = Source::cached(&file, &commit);
                Routed {
                    source: Some(source.clone()),
                    ..files::part_of(&source, head).into()
                }
            }
        },
    }
}

fn entry(all: &Files, path: &str) -> Result<Arc<super::repository::StoredFile>, Box<Answer>> {
    all.get(path).cloned().ok_or_else(|| {
        Box::new(Answer::refusal(
            404,
            Some("EntryNotFound"),
            "Entry not found",
        ))
    })
}
