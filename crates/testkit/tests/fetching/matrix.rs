//! Whatever goes wrong, in each place, once or again and again, with nothing or a part of the file there: a fetch ends
//! with the right file or with an error that has a name, and spoils nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dataflow_core::models::RetryRules;
use dataflow_runtime::models::cache::Hasher;
use dataflow_testkit::hub::{
    Attempts, FakeHub, Fault, Information, Place, Repository, Settings, Stage,
};

use crate::support::{Site, content, order, read};

/// What is fetched.
const FILE: &str = "model.safetensors";
const SIZE: usize = 40_000;
/// How much of it is there when it is gone on with.
const PART: usize = 15_000;
/// The least that answers have which are no file.
const ANSWER: u64 = 90;
/// What is slow takes so long.
const SLOWNESS: Duration = Duration::from_millis(50);
/// Cases that are tried at the same time: most of their time is waiting.
const AT_ONCE: usize = 16;

/// One case.
#[derive(Debug, Clone)]
struct Case {
    fault: Fault,
    stage: Stage,
    storage: Storage,
    there: There,
    often: Often,
}

/// Where the file comes from.
#[derive(Debug, Clone, Copy)]
enum Storage {
    Hub,
    Cdn,
}

/// What is there of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    Part,
}

/// How often it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Once,
    /// More often than it is tried.
    Again,
}

impl Often {
    fn attempts(self) -> Attempts {
        match self {
            Often::Once => 1.into(),
            Often::Again => (1..=8).into(),
        }
    }
}

/// Every fault of a transfer, with nothing and with a part there, once and again and again. Those of what comes before
/// a transfer go wrong as often as it is tried: once is as at any other place.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for stage in [Stage::Information, Stage::Tree, Stage::Resolve] {
        for fault in Fault::all(0..ANSWER, SLOWNESS) {
            cases.push(Case {
                fault,
                stage,
                storage: Storage::Cdn,
                there: There::Part,
                often: Often::Again,
            });
        }
    }
    for (storage, there) in [
        (Storage::Hub, There::Nothing),
        (Storage::Cdn, There::Nothing),
        (Storage::Cdn, There::Part),
    ] {
        for often in [Often::Once, Often::Again] {
            let start = if there == There::Part { PART } else { 0 };
            for fault in Fault::all(start as u64..SIZE as u64, SLOWNESS) {
                cases.push(Case {
                    fault,
                    stage: Stage::Content,
                    storage,
                    there,
                    often,
                });
            }
        }
    }
    cases
}

/// How it ends: `file`, or the code of an error.
fn outcome(case: &Case) -> Result<String, String> {
    let repository = Repository::model("acme/tiny-detector");
    let repository = match case.storage {
        Storage::Hub => repository.file(FILE, content(SIZE)),
        Storage::Cdn => repository.large_file(FILE, content(SIZE)),
    };
    let hash = repository.hash(FILE).unwrap();
    let settings = Settings {
        // The tree is asked for only when it must be; then it has two pages.
        information: match case.stage {
            Stage::Tree => Information::Names,
            _ => Information::Whole,
        },
        page_files: 1,
        ..Settings::default()
    };
    let repository = repository.file("config.json", b"{}");
    let hub = FakeHub::start_with(settings, [repository]).unwrap();
    let mut site = Site::new(&hub);
    site.limits.stall = Duration::from_secs(1);
    site.limits.retry = RetryRules {
        base: Duration::from_millis(2),
        cap: Duration::from_millis(10),
        attempts_max: 3,
        asked_max: Duration::from_secs(4),
    };
    if case.there == There::Part {
        let folder = site.repo().join(".dataflow/partial");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(&hash), &content(SIZE)[..PART]).unwrap();
    }
    let place = match case.stage {
        Stage::Resolve | Stage::Content => Place::File(case.stage, FILE.to_owned()),
        stage => Place::Stage(stage),
    };
    hub.script(place, case.often.attempts(), case.fault.clone());

    let fetcher = site.fetcher();
    let outcome = match crate::support::begin(&fetcher, order()).end() {
        Ok(snapshot) => {
            if read(&snapshot, FILE) != content(SIZE) {
                return Err("the file is wrong".to_owned());
            }
            "file".to_owned()
        }
        Err(error) => {
            if error.remedy().is_empty() {
                return Err(format!("no remedy for {error}"));
            }
            let snapshots = site.repo().join("snapshots");
            for commit in site.names("snapshots") {
                if snapshots.join(commit).join(FILE).symlink_metadata().is_ok() {
                    return Err("what failed stands in a snapshot".to_owned());
                }
            }
            error.code().to_owned()
        }
    };
    only_right_blobs(&site)?;
    if !hub.violations().is_empty() {
        return Err(format!("{:?}", hub.violations()));
    }
    if !hub
        .requests()
        .iter()
        .any(|request| !request.faults.is_empty())
    {
        return Err("nothing went wrong at all".to_owned());
    }
    // Nothing stays spoiled: when all is well again, the file comes.
    hub.clear_script();
    match crate::support::begin(&fetcher, order()).end() {
        Ok(snapshot) if read(&snapshot, FILE) == content(SIZE) => {}
        Ok(_) => return Err(format!("{outcome}, and then the file is wrong")),
        Err(error) => return Err(format!("{outcome}, and then still {error}")),
    }
    only_right_blobs(&site)?;
    Ok(outcome)
}

/// I-11: each blob has the hash that is its name.
fn only_right_blobs(site: &Site) -> Result<(), String> {
    for name in site.names("blobs") {
        let bytes = read(&site.repo().join("blobs"), &name);
        let hash = name.parse().map_err(|_| format!("blobs/{name}"))?;
        let mut hasher = Hasher::new(&hash, bytes.len() as u64);
        hasher.update(&bytes);
        if hasher.finish() != hash {
            return Err(format!("blobs/{name} has another content"));
        }
    }
    Ok(())
}

/// How a case may end: the first of these, where nothing depends on chance.
fn expected(case: &Case) -> &'static [&'static str] {
    let in_file = case.stage == Stage::Content;
    let again = case.often == Often::Again;
    let resolve = case.stage == Stage::Resolve;
    let is_part = case.there == There::Part;
    // What the hub says stands; what the CDN says may be about its link.
    let from_hub = !in_file || matches!(case.storage, Storage::Hub);
    let file = &["file"][..];
    let gone = if again { &["server-gone"] } else { file };
    let wrong = if again { &["bad-answer"] } else { file };
    // Each attempt brings some more of a file, but nobody keeps half a listing. Of a redirect, only the head counts.
    let halved = if in_file || resolve { file } else { gone };
    match &case.fault {
        Fault::Drip { .. }
        | Fault::Slow { .. }
        | Fault::DelayedHead(_)
        | Fault::AbsentLength { after_bytes: None }
        | Fault::Chunked { after_bytes: None } => file,
        Fault::Mute | Fault::NoAnswer(_) | Fault::NoHttp => gone,
        Fault::Cut { after_bytes: 0, .. } | Fault::Stall { after_bytes: 0 } if in_file => gone,
        Fault::Cut { .. }
        | Fault::Stall { .. }
        | Fault::Chunked {
            after_bytes: Some(_),
        } => halved,
        // Without a length, the end of a listing is no end of JSON.
        Fault::AbsentLength {
            after_bytes: Some(_),
        } if !in_file && !resolve => wrong,
        Fault::AbsentLength {
            after_bytes: Some(_),
        } => file,
        // A server may send less than was asked for, but then it says so.
        Fault::ShortBody { .. } if is_part && in_file => file,
        Fault::ShortBody { .. } | Fault::LongBody { .. } | Fault::Gzip if !resolve => wrong,
        Fault::LyingLength { by_bytes } if !resolve => match (in_file, *by_bytes > 0) {
            (false, true) => gone,
            _ => wrong,
        },
        Fault::ShortBody { .. }
        | Fault::LongBody { .. }
        | Fault::Gzip
        | Fault::LyingLength { .. } => file,
        Fault::FlippedByte { .. } => match (in_file, resolve, again) {
            (true, _, true) => &["mismatch"],
            (true, _, false) | (_, true, _) => file,
            // What it means depends on what it hits.
            (false, false, _) => &["bad-answer", "revision-not-found", "file", "mismatch"],
        },
        Fault::ErrorPage { status: 200 } | Fault::ChunkedPage => wrong,
        Fault::ErrorPage { status } | Fault::Status { status, .. } => match (status, again) {
            (401 | 403, _) if from_hub => &["not-found"],
            (404, _) if in_file && from_hub || resolve => &["file-not-found"],
            (404, _) if from_hub => &["not-found"],
            (429, true) => &["rate-limited"],
            (408 | 500.., _) => gone,
            _ => wrong,
        },
        Fault::ExpiredLink if in_file && from_hub => &["not-found"],
        Fault::ExpiredLink if in_file || resolve => wrong,
        Fault::ChangedSize { .. } if in_file || resolve => wrong,
        // The CDN calls it as it likes; the hub must call it by its hash.
        Fault::ChangedEtag if resolve => wrong,
        // A part that nobody asked for, or another one. The others have none.
        Fault::WrongRange(_) if in_file => wrong,
        Fault::ExpiredLink
        | Fault::ChangedSize { .. }
        | Fault::ChangedEtag
        | Fault::WrongRange(_)
        | Fault::IgnoredRange => file,
        Fault::RedirectLoop => &["bad-answer"],
        // From http to http is no step down. Again and again, it is a circle.
        Fault::RedirectToPlain if resolve => file,
        Fault::RedirectToPlain => wrong,
    }
}

#[test]
fn whatever_goes_wrong_ends_in_the_right_file_or_an_error_with_a_name() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else {
                        break;
                    };
                    let outcome = outcome(case);
                    found.lock().unwrap().insert(number, outcome);
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let wrong: Vec<String> = found
        .into_iter()
        .filter_map(|(number, outcome)| {
            let (case, expected) = (&cases[number], expected(&cases[number]));
            let is_right = outcome
                .as_ref()
                .is_ok_and(|outcome| expected.contains(&outcome.as_str()));
            (!is_right).then(|| format!("{outcome:?}, and not {expected:?}: {case:?}"))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
