//! `dataflow models pull`: fetches models with no dataflow running.

use std::path::Path;
use std::sync::Arc;

use dataflow_runtime::models::{
    FetchLimits, HubSettings, ModelService, Models, Wanted as Want, pins,
};
use dataflow_wire::status::{ModelState, ModelView};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::arguments::PullArguments;
use super::progress::Progress;
use super::wanted::{self, Wanted};
use super::{interruption, view};
use crate::error::{CliError, Exit};
use crate::text::{self, counted};
use crate::{json, output, say};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the input is wrong, nothing can be begun, or a signal came. A model that cannot be had is an
/// [`Exit`]: it has been said.
pub(super) fn run(arguments: &PullArguments) -> Result<Exit, CliError> {
    let wanted = wanted::of(arguments)?;
    if wanted.is_empty() && !arguments.json {
        output::write("no node wants a model: there is nothing to fetch\n")?;
    }
    let pinned = wanted.iter().map(pinned).collect::<Result<Vec<_>, _>>()?;
    let interrupted = Arc::new(Notify::new());
    interruption::watch({
        let interrupted = Arc::clone(&interrupted);
        move || interrupted.notify_one()
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(CliError::system("wait for downloads"))?;
    let mut progress = Progress::of(arguments.json);
    let limits = FetchLimits {
        bytes_per_second: arguments.limit_rate.limit_rate,
        ..FetchLimits::default()
    };
    let service = ModelService::for_hub(HubSettings::from_environment()?, limits)?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            biased;
            () = interrupted.notified() => None,
            () = follow(&service, &wanted, &mut progress) => Some(()),
        }
    });
    // What is still awaited ends with the tasks that await it.
    drop(runtime);
    // When it cannot be waited for, some room on the disk is given back by the next download.
    let _ = service.end();
    let views = progress.finish();
    let view_of = |wanted: &Wanted| views.get(&wanted.name).cloned().unwrap_or_default();
    if outcome.is_none() {
        let kept = wanted.iter().map(|one| view_of(one).bytes_done);
        let what_stays = match kept.fold(0, u64::saturating_add) {
            0 => "nothing had come yet".to_owned(),
            bytes => format!(
                "{} of what was wanted are there, and stay",
                text::bytes(bytes)
            ),
        };
        return Err(CliError::BrokenOff { what_stays });
    }
    let ended: Vec<Ended<'_>> = wanted
        .iter()
        .zip(&pinned)
        .map(|(wanted, was)| Ended {
            wanted,
            was: was.as_deref(),
            view: view_of(wanted),
        })
        .collect();
    report(&ended, arguments.json)
}

/// The commit that a description has pinned for what it wants.
fn pinned(wanted: &Wanted) -> Result<Option<String>, CliError> {
    let Some(file) = &wanted.order.pins else {
        return Ok(None);
    };
    let spec = &wanted.order.spec;
    let pins = pins::read(file)?;
    Ok(pins
        .commit(spec.kind, &spec.repo, &spec.revision)
        .map(str::to_owned))
}

/// Wants all of them, and shows how they stand until each is ready or cannot be had.
async fn follow(models: &dyn Models, wanted: &[Wanted], progress: &mut Progress) {
    let (sender, mut views) = mpsc::unbounded_channel();
    for (place, one) in wanted.iter().enumerate() {
        let want = models.want(one.order.clone());
        tokio::spawn(watch(place, want, sender.clone()));
    }
    drop(sender);
    while let Some((place, view)) = views.recv().await {
        progress.show(&wanted[place].name, view);
    }
}

/// Says how it stands, again and again, until that does not change any more.
async fn watch(place: usize, mut want: Want, views: mpsc::UnboundedSender<(usize, ModelView)>) {
    loop {
        let view = want.view();
        let has_ended = has_ended(view.state);
        if views.send((place, view)).is_err() || has_ended || !want.changed().await {
            return;
        }
    }
}

fn has_ended(state: ModelState) -> bool {
    matches!(
        state,
        ModelState::Ready | ModelState::Failed | ModelState::Cancelled
    )
}

/// What became of something that was wanted.
struct Ended<'w> {
    wanted: &'w Wanted,
    /// The commit that was pinned for it before.
    was: Option<&'w str>,
    view: ModelView,
}

/// Says what became of them.
fn report(ended: &[Ended<'_>], is_json: bool) -> Result<Exit, CliError> {
    if is_json {
        let models: Vec<Value> = ended.iter().map(Ended::json).collect();
        output::write(&format!(
            "{}\n",
            json!({ "event": "ended", "models": models })
        ))?;
    } else {
        let lines: Vec<String> = ended.iter().flat_map(Ended::lines).collect();
        output::write(
            &lines
                .iter()
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        )?;
    }
    let mut exit = Exit::Done;
    for one in ended
        .iter()
        .filter(|one| one.view.state != ModelState::Ready)
    {
        exit = Exit::Failed;
        let name = &one.wanted.name;
        match &one.view.failure {
            Some(failure) => say(&format!("{name}: {}", failure.what), Some(&failure.remedy)),
            None => say(
                &format!("{name}: the download has ended without a word"),
                None,
            ),
        }
    }
    Ok(exit)
}

impl Ended<'_> {
    /// For people, when it is there; what went wrong is said as an error.
    fn lines(&self) -> Vec<String> {
        if self.view.state != ModelState::Ready {
            return Vec::new();
        }
        let spec = self.wanted.order.spec.to_string();
        let mut about = Vec::new();
        if self.wanted.name != spec {
            about.push(spec);
        }
        about.extend(
            self.view
                .commit
                .as_deref()
                .map(|commit| format!("commit {}", view::commit(commit))),
        );
        about.push(counted(self.view.files_total, "file"));
        about.push(text::bytes(self.view.bytes_total));
        let mut lines = vec![format!("{}: {}", self.wanted.name, about.join(", "))];
        lines.extend(
            self.view
                .path
                .iter()
                .map(|path| format!("  {}", path.display())),
        );
        lines.extend(self.pin().map(|pin| format!("  {pin}")));
        lines
    }

    /// What pins the commit, and how it can be moved.
    fn pin(&self) -> Option<String> {
        let file = self.wanted.file.as_deref()?;
        let now = self.view.commit.as_deref()?;
        let file = file.file_name().map_or(file, Path::new).display();
        Some(match self.was {
            Some(was) if was != now => {
                format!(
                    "moved: {} → {}, and pinned there in dataflow.lock",
                    view::commit(was),
                    view::commit(now)
                )
            }
            Some(_) if self.wanted.order.is_update => {
                "not moved: that is still what the revision means".to_owned()
            }
            Some(_) => {
                format!("pinned in dataflow.lock; `dataflow models pull --update {file}` moves it")
            }
            None => "now pinned in dataflow.lock".to_owned(),
        })
    }

    fn json(&self) -> Value {
        let spec = &self.wanted.order.spec;
        json!({
            "model": self.wanted.name,
            "repo": spec.repo,
            "kind": spec.kind,
            "revision": spec.revision,
            "commit_before": self.was,
            "view": json::plain(&self.view),
        })
    }
}
