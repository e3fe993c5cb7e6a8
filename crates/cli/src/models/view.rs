//! How a model stands, in a line for people.

use dataflow_descriptor::harmless_text;
use dataflow_ids::span;
use dataflow_wire::status::{ModelFile, ModelState, ModelView};

use crate::text;

/// The digits of a commit that people need to tell it from another.
const COMMIT_DIGITS: usize = 12;

/// A commit, as people read it.
pub(crate) fn commit(commit: &str) -> String {
    harmless_text(&commit.chars().take(COMMIT_DIGITS).collect::<String>())
}

/// How much of a whole there is, in percent. All of nothing is 100; not all is never 100.
pub(crate) fn percent(done: u64, total: u64) -> u64 {
    if done >= total {
        return 100;
    }
    u64::try_from(u128::from(done) * 100 / u128::from(total)).unwrap_or(99)
}

/// A state's word.
pub(crate) fn state(state: ModelState) -> &'static str {
    match state {
        ModelState::Waiting => "waiting",
        ModelState::Resolving => "resolving",
        ModelState::Fetching => "fetching",
        ModelState::Ready => "ready",
        ModelState::Failed => "failed",
        ModelState::Cancelled => "cancelled",
    }
}

/// How a model stands, after its name: `43 %, 12.0 MB/s, 40 s left`.
pub(crate) fn standing(view: &ModelView) -> String {
    said(view, None)
}

/// The same beside a bar, where there is room for what is there of how much.
pub(crate) fn detailed(view: &ModelView) -> String {
    said(view, Some(amount(view.bytes_done, view.bytes_total)))
}

/// How one file stands, beside its bar.
pub(crate) fn of_file(file: &ModelFile) -> String {
    let amount = amount(file.bytes_done, file.bytes_total);
    if file.bytes_done >= file.bytes_total {
        return format!("{amount}, comparing the hash");
    }
    format!("{} %, {amount}", percent(file.bytes_done, file.bytes_total))
}

fn said(view: &ModelView, amount: Option<String>) -> String {
    let said = match view.state {
        ModelState::Waiting => "beginning".to_owned(),
        ModelState::Resolving => "asking the Hub for its files".to_owned(),
        ModelState::Fetching => fetching(view, amount),
        ModelState::Ready => "ready".to_owned(),
        ModelState::Failed => match &view.failure {
            Some(failure) => failure.what.clone(),
            None => "failed".to_owned(),
        },
        ModelState::Cancelled => "cancelled".to_owned(),
    };
    harmless_text(&match &view.because {
        Some(because) if !matches!(view.state, ModelState::Ready | ModelState::Failed) => {
            format!("{said}: {because}")
        }
        _ => said,
    })
}

fn fetching(view: &ModelView, amount: Option<String>) -> String {
    if view.bytes_done >= view.bytes_total && view.files_done < view.files_total {
        return "100 %, comparing hashes".to_owned();
    }
    let mut parts = vec![format!("{} %", percent(view.bytes_done, view.bytes_total))];
    if let Some(rate) = view.bytes_per_second {
        parts.push(format!("{}/s", text::bytes(rate)));
    }
    if let Some(left) = view.time_left {
        parts.push(format!("{} left", span::rough(left)));
    }
    parts.extend(amount);
    parts.join(", ")
}

/// What is there of how much: `12.0 MB of 90.9 MB`.
pub(crate) fn amount(done: u64, total: u64) -> String {
    if done >= total {
        return text::bytes(total);
    }
    format!("{} of {}", text::bytes(done), text::bytes(total))
}

/// The files of which there is a part: those that are transferred or hashed now, or were.
pub(crate) fn in_transfer(view: &ModelView) -> impl Iterator<Item = &ModelFile> {
    let fetching = view.state == ModelState::Fetching;
    (view.files.iter()).filter(move |file| fetching && file.bytes_done > 0 && !file.is_verified)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use dataflow_wire::status::ModelFailure;

    use super::*;

    /// A model of which a part is there.
    pub(crate) fn view() -> ModelView {
        let file = |path: &str, bytes_done, bytes_total| ModelFile {
            path: path.to_owned(),
            bytes_done,
            bytes_total,
            is_verified: bytes_done == bytes_total,
        };
        ModelView {
            state: ModelState::Fetching,
            commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            files: vec![
                file("config.json", 512, 512),
                file("model.safetensors", 430_000_000, 1_000_000_000),
                file("tokenizer.json", 0, 466_000),
            ],
            files_total: 3,
            files_done: 1,
            bytes_done: 430_000_512,
            bytes_total: 1_000_466_512,
            bytes_per_second: Some(12_000_000),
            time_left: Some(Duration::from_millis(47_540)),
            ..ModelView::default()
        }
    }

    #[test]
    fn what_is_fetched_is_said_with_its_part_its_rate_and_the_time_that_is_left() {
        let mut view = view();
        assert_eq!(standing(&view), "42 %, 12.0 MB/s, 48 s left");
        let files: Vec<&str> = in_transfer(&view).map(|file| file.path.as_str()).collect();
        assert_eq!(files, ["model.safetensors"]);
        assert_eq!(
            amount(view.bytes_done, view.bytes_total),
            "430.0 MB of 1.0 GB"
        );
        (view.bytes_per_second, view.time_left) = (None, None);
        view.because = Some("another process fetches it".to_owned());
        assert_eq!(standing(&view), "42 %: another process fetches it");
        view.because = None;
        view.bytes_done = view.bytes_total;
        assert_eq!(standing(&view), "100 %, comparing hashes");
    }

    #[test]
    fn every_other_state_is_said_too() {
        let mut view = ModelView::default();
        assert_eq!(standing(&view), "beginning");
        view.state = ModelState::Resolving;
        assert_eq!(standing(&view), "asking the Hub for its files");
        view.because = Some("hub.example does not answer".to_owned());
        assert_eq!(
            standing(&view),
            "asking the Hub for its files: hub.example does not answer"
        );
        view.state = ModelState::Failed;
        view.failure = Some(ModelFailure {
            code: "not-found".to_owned(),
            what: "the model `acme/\u{1b}[31m` is not there".to_owned(),
            remedy: "check the name".to_owned(),
        });
        assert_eq!(
            standing(&view),
            "the model `acme/\u{fffd}[31m` is not there"
        );
        view.state = ModelState::Ready;
        assert_eq!(standing(&view), "ready");
    }

    #[test]
    fn a_part_is_never_a_hundred_percent() {
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(0, 3), 0);
        assert_eq!(percent(999_999, 1_000_000), 99);
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
        assert_eq!(percent(7, 7), 100);
    }
}
