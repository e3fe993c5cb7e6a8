//! `dataflow models verify`: reads what is in the cache again, and compares every hash.

use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use dataflow_descriptor::harmless_text;
use dataflow_runtime::models::ModelError;
use dataflow_runtime::models::cache::{Cache, CheckedFile, Verdict, VerifyProgress};
use dataflow_wire::status::{ModelState, ModelView};
use serde_json::{Value, json};

use super::arguments::VerifyArguments;
use super::cached::{self, Meant};
use super::progress::Progress;
use super::{interruption, view};
use crate::error::{CliError, Exit};
use crate::text::{self, counted};
use crate::{output, say};

/// How often it is looked how far a verification is.
const PAUSE: Duration = Duration::from_millis(100);

/// What happens while hashes are compared.
enum News {
    /// A signal has come.
    Interrupted,
    /// So much of the repository of this place has been read.
    Progress { place: usize, done: u64, total: u64 },
    /// Its files have been looked at, all that could be.
    Checked {
        place: usize,
        files: Result<Vec<CheckedFile>, ModelError>,
    },
}

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when a name is none, it is not in the cache, or a signal came. A wrong file is an [`Exit`]: it has been
/// said.
pub(super) fn run(arguments: &VerifyArguments) -> Result<Exit, CliError> {
    let cache = cached::cache()?;
    let meant = meant(&cache, arguments)?;
    let (sender, news) = channel();
    interruption::watch({
        let sender = sender.clone();
        move || {
            let _ = sender.send(News::Interrupted);
        }
    })?;
    let names: Vec<String> = meant.iter().map(|one| harmless_text(&one.name())).collect();
    start(meant, sender)?;
    let results = follow(&names, &news, Progress::of_people(arguments.json))?;
    report(&cache, &names, &results, arguments.json)
}

/// What these arguments mean: without any, all that is there.
fn meant(cache: &Cache, arguments: &VerifyArguments) -> Result<Vec<Meant>, CliError> {
    let mut meant = Vec::new();
    for text in &arguments.what {
        let one = Meant::new(cache, arguments.kind, text)?;
        let is_there = match &one.revision {
            Some(revision) => commit_of(&one, revision)?.is_some(),
            None => one.repo.scan()?.is_some(),
        };
        if !is_there {
            return Err(one.missing(cache));
        }
        meant.push(one);
    }
    if arguments.what.is_empty() {
        for repo in cache.scan()?.repos {
            let is_meant = arguments.kind.is_none_or(|kind| repo.kind == kind.into());
            if is_meant {
                meant.push(Meant {
                    repo: cache.repo(repo.kind, &repo.repo)?,
                    revision: None,
                });
            }
        }
    }
    Ok(meant)
}

/// The commit of a revision, when its files are there.
fn commit_of(meant: &Meant, revision: &str) -> Result<Option<String>, ModelError> {
    let Some(commit) = meant.repo.resolve_ref(revision)? else {
        return Ok(None);
    };
    let scan = meant.repo.scan()?;
    let mut commits = scan.iter().flat_map(|repo| &repo.commits);
    Ok(commits
        .any(|there| there.commit == commit)
        .then_some(commit))
}

/// Compares hashes on a thread of its own, which ends with the process when nobody waits for it any more: what is in
/// the cache is right at every moment.
fn start(meant: Vec<Meant>, news: Sender<News>) -> Result<(), CliError> {
    std::thread::Builder::new()
        .name("dataflow-verify".to_owned())
        .spawn(move || {
            for (place, one) in meant.iter().enumerate() {
                let files = check(place, one, &news);
                if news.send(News::Checked { place, files }).is_err() {
                    return;
                }
            }
        })
        .map(drop)
        .map_err(CliError::system("start a thread that compares hashes"))
}

fn check(place: usize, meant: &Meant, news: &Sender<News>) -> Result<Vec<CheckedFile>, ModelError> {
    let mut said_at = None;
    let mut progress = |far: VerifyProgress<'_>| {
        let now = Instant::now();
        if said_at.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE) {
            said_at = Some(now);
            let (done, total) = (far.done_bytes, far.total_bytes);
            if news.send(News::Progress { place, done, total }).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    let mut files = meant.repo.verify(&mut progress)?;
    if let Some(revision) = &meant.revision {
        let commit = commit_of(meant, revision)?;
        files.retain(|file| file.commit == commit);
    }
    Ok(files)
}

type Checked = Result<Vec<CheckedFile>, ModelError>;

/// Shows how far it is until all have been looked at.
fn follow(
    names: &[String],
    news: &Receiver<News>,
    mut progress: Progress,
) -> Result<Vec<Checked>, CliError> {
    let mut results: Vec<Checked> = Vec::new();
    let mut begun = Instant::now();
    while results.len() < names.len() {
        match news.recv() {
            Ok(News::Progress { place, done, total }) => {
                progress.show(&names[place], reading(done, total, begun.elapsed()));
            }
            Ok(News::Checked { place, files }) => {
                let ready = ModelView {
                    state: ModelState::Ready,
                    ..ModelView::default()
                };
                progress.show(&names[place], ready);
                results.push(files);
                begun = Instant::now();
            }
            Ok(News::Interrupted) | Err(_) => {
                progress.finish();
                return Err(CliError::BrokenOff {
                    what_stays: "what was found right stays marked as that".to_owned(),
                });
            }
        }
    }
    progress.finish();
    Ok(results)
}

/// How a verification stands, said as a download is.
fn reading(done: u64, total: u64, took: Duration) -> ModelView {
    let rate = (done as f64 / took.as_secs_f64().max(0.001)) as u64;
    let left = (total.saturating_sub(done)).checked_div(rate);
    ModelView {
        state: ModelState::Fetching,
        bytes_done: done,
        bytes_total: total,
        bytes_per_second: Some(rate),
        time_left: left.map(Duration::from_secs),
        ..ModelView::default()
    }
}

/// Says what was found.
fn report(
    cache: &Cache,
    names: &[String],
    results: &[Checked],
    is_json: bool,
) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    for result in results {
        let is_good = result.as_ref().is_ok_and(|files| !files.iter().any(is_bad));
        if !is_good {
            exit = Exit::Failed;
        }
    }
    if is_json {
        let repositories: Vec<Value> = names
            .iter()
            .zip(results)
            .map(|(name, result)| object(name, result))
            .collect();
        let object =
            json!({ "cache": cache.root().display().to_string(), "repositories": repositories });
        output::write(&format!("{object:#}\n"))?;
        return Ok(exit);
    }
    if names.is_empty() {
        output::write(&format!(
            "nothing is in the cache, {}\n",
            cache.root().display()
        ))?;
    }
    for (name, result) in names.iter().zip(results) {
        match result {
            Ok(files) => {
                output::write(&format!("{}\n", summary(name, files)))?;
                for file in files.iter().filter(|file| is_bad(file)) {
                    say(
                        &fault(name, file),
                        Some(&format!(
                            "`dataflow models pull` of {name} fetches it again"
                        )),
                    );
                }
            }
            Err(error) => say(
                &format!("{name}: {}", harmless_text(&error.to_string())),
                Some(&harmless_text(&error.remedy())),
            ),
        }
    }
    Ok(exit)
}

fn is_bad(file: &CheckedFile) -> bool {
    matches!(file.verdict, Verdict::Wrong { .. } | Verdict::Missing)
}

/// One line for a repository.
fn summary(name: &str, files: &[CheckedFile]) -> String {
    let count = |is_meant: fn(&CheckedFile) -> bool| {
        files.iter().filter(|file| is_meant(file)).count() as u64
    };
    let bytes: u64 = files
        .iter()
        .map(|file| file.size_bytes)
        .fold(0, u64::saturating_add);
    let right = count(|file| file.verdict == Verdict::Right);
    let bad = count(is_bad);
    let unknown = count(|file| file.verdict == Verdict::Unknown);
    let mut said = match (right, bad) {
        (_, 0) if right > 0 => format!("{} right, {}", counted(right, "file"), text::bytes(bytes)),
        (_, 0) => "no file to compare".to_owned(),
        (right, bad) => format!(
            "{} of {} wrong or missing",
            bad,
            counted(right + bad, "file")
        ),
    };
    if unknown > 0 {
        said += &format!(
            "; {} without a hash to compare with",
            counted(unknown, "file")
        );
    }
    format!("{name}: {said}")
}

/// What is the matter with a file.
fn fault(name: &str, file: &CheckedFile) -> String {
    let path = harmless_text(&file.path);
    let at = file.commit.as_deref().map_or(String::new(), |commit| {
        format!(" at {}", view::commit(commit))
    });
    match &file.verdict {
        Verdict::Wrong {
            expected,
            found,
            kept_aside,
        } => {
            let moved = match kept_aside {
                Some(place) => format!("it is out of the way now, in {}", place.display()),
                None => "somebody else is at it".to_owned(),
            };
            format!("{name}: `{path}`{at} hashes to {found} and not to {expected}; {moved}")
        }
        _ => format!("{name}: `{path}`{at} is missing"),
    }
}

fn object(name: &str, result: &Checked) -> Value {
    let file = |file: &CheckedFile| {
        let mut object = json!({
            "commit": file.commit,
            "path": file.path,
            "size_bytes": file.size_bytes,
            "verdict": match file.verdict {
                Verdict::Right => "right",
                Verdict::Wrong { .. } => "wrong",
                Verdict::Missing => "missing",
                Verdict::Unknown => "unknown",
            },
        });
        if let Verdict::Wrong {
            expected,
            found,
            kept_aside,
        } = &file.verdict
        {
            object["expected"] = expected.to_string().into();
            object["found"] = found.to_string().into();
            object["kept_aside"] = kept_aside
                .as_ref()
                .map(|place| place.display().to_string())
                .into();
        }
        object
    };
    match result {
        Ok(files) => json!({ "name": name, "files": files.iter().map(file).collect::<Value>() }),
        Err(error) => json!({ "name": name, "failure": cached::trouble(error) }),
    }
}
