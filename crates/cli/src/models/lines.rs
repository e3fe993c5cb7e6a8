//! Progress without a terminal: a line when something changes, and one now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dataflow_wire::status::{ModelState, ModelView};

use super::view;
use crate::text::{self, counted};

/// How long a download is silent at most while it comes on.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// What was last said of each model, by its name.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    models: BTreeMap<String, Last>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    state: ModelState,
    because: Option<String>,
    standing: String,
    commit: Option<String>,
}

impl Lines {
    /// What is to be said of a model that stands like this; most often nothing.
    pub(crate) fn next(&mut self, name: &str, view: &ModelView, now: Instant) -> Option<String> {
        let standing = view::standing(view);
        let Some(last) = self.models.get_mut(name) else {
            let first = Last {
                at: now,
                state: ModelState::Waiting,
                because: None,
                standing: String::new(),
                commit: None,
            };
            self.models.insert(name.to_owned(), first);
            return self.next(name, view, now);
        };
        let is_overdue = now.saturating_duration_since(last.at) >= SILENCE_MAX;
        let said = match view.state {
            ModelState::Ready | ModelState::Failed | ModelState::Cancelled => {
                (last.state != view.state).then(|| end(name, view))
            }
            ModelState::Fetching if last.commit != view.commit => Some(beginning(name, view)),
            _ if last.because != view.because && view.because.is_some() => {
                Some(format!("{name}: {standing}"))
            }
            _ if is_overdue && last.standing != standing => Some(format!("{name}: {standing}")),
            _ => None,
        };
        last.state = view.state;
        if said.is_some() {
            last.at = now;
            last.because.clone_from(&view.because);
            last.commit.clone_from(&view.commit);
            last.standing = standing;
        }
        said
    }
}

/// What is known when the files are.
fn beginning(name: &str, view: &ModelView) -> String {
    let commit = view.commit.as_deref().map(view::commit).unwrap_or_default();
    let there = match view.bytes_done {
        0 => String::new(),
        _ if view.bytes_done >= view.bytes_total => ", all fetched before".to_owned(),
        bytes => format!(", {} fetched before", text::bytes(bytes)),
    };
    format!(
        "{name}: commit {commit} has {}, {}{there}",
        counted(view.files_total, "file"),
        text::bytes(view.bytes_total)
    )
}

/// What is known at the end.
pub(crate) fn end(name: &str, view: &ModelView) -> String {
    match view.state {
        ModelState::Ready => format!(
            "{name}: ready, {}, {}",
            counted(view.files_total, "file"),
            text::bytes(view.bytes_total)
        ),
        ModelState::Cancelled if view.bytes_done > 0 => {
            format!(
                "{name}: cancelled; {} are kept",
                text::bytes(view.bytes_done)
            )
        }
        ModelState::Failed => format!("{name}: failed: {}", view::standing(view)),
        _ => format!("{name}: {}", view::standing(view)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_said_at_its_beginning_now_and_then_and_at_its_end() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut lines = Lines::default();
        let mut view = view::tests::view();
        let mut resolving = ModelView {
            state: ModelState::Resolving,
            ..ModelView::default()
        };
        assert_eq!(lines.next("detector", &resolving, after(0)), None);
        resolving.because = Some("hub.example does not answer".to_owned());
        assert_eq!(
            lines.next("detector", &resolving, after(1)).as_deref(),
            Some("detector: asking the Hub for its files: hub.example does not answer")
        );
        assert_eq!(lines.next("detector", &resolving, after(9)), None);
        assert_eq!(
            lines.next("detector", &view, after(10)).as_deref(),
            Some("detector: commit 0123456789ab has 3 files, 1.0 GB, 430.0 MB fetched before")
        );
        view.bytes_done += 10_000_000;
        assert_eq!(lines.next("detector", &view, after(14)), None);
        assert_eq!(
            lines.next("detector", &view, after(15)).as_deref(),
            Some("detector: 43 %, 12.0 MB/s, 48 s left")
        );
        assert_eq!(lines.next("detector", &view, after(30)), None);
        view.state = ModelState::Ready;
        assert_eq!(
            lines.next("detector", &view, after(31)).as_deref(),
            Some("detector: ready, 3 files, 1.0 GB")
        );
        assert_eq!(lines.next("detector", &view, after(99)), None);
    }

    #[test]
    fn models_are_said_apart() {
        let now = Instant::now();
        let mut lines = Lines::default();
        let view = view::tests::view();
        for name in ["one", "two"] {
            let said = lines.next(name, &view, now).unwrap();
            assert!(said.starts_with(&format!("{name}: commit")), "{said}");
            assert_eq!(lines.next(name, &view, now), None);
        }
    }
}
