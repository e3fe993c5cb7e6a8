//! Progress for programs: an object when something changes, and one now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dataflow_wire::status::{ModelState, ModelView};
use serde_json::{Value, json};

use crate::json;

/// How often a program is told of a model that only comes on, at most.
const PAUSE: Duration = Duration::from_secs(1);

/// How a model stands, for programs.
pub(crate) fn event(name: &str, view: &ModelView) -> Value {
    json!({ "event": "model", "model": name, "view": json::plain(view) })
}

/// When a program is told how a model stands: whenever that is something else, and now and then while it comes on.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    told: BTreeMap<String, (Instant, ModelState, Option<String>)>,
}

impl Pace {
    /// Whether to tell it now.
    pub(crate) fn is_due(&mut self, name: &str, view: &ModelView, now: Instant) -> bool {
        let is_due = self.told.get(name).is_none_or(|(at, state, because)| {
            *state != view.state
                || *because != view.because
                || now.saturating_duration_since(*at) >= PAUSE
        });
        if is_due {
            let told = (now, view.state, view.because.clone());
            self.told.insert(name.to_owned(), told);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::super::view;
    use super::*;

    #[test]
    fn a_program_is_told_of_every_change_of_state_and_once_a_second_of_the_rest() {
        let begun = Instant::now();
        let after = |milliseconds| begun + Duration::from_millis(milliseconds);
        let mut pace = Pace::default();
        let mut view = view::tests::view();
        assert!(pace.is_due("detector", &view, after(0)));
        view.bytes_done += 1;
        assert!(!pace.is_due("detector", &view, after(999)));
        assert!(pace.is_due("words", &view, after(999)));
        assert!(pace.is_due("detector", &view, after(1000)));
        view.because = Some("another process fetches it".to_owned());
        assert!(pace.is_due("detector", &view, after(1001)));
        view.state = ModelState::Ready;
        assert!(pace.is_due("detector", &view, after(1002)));
        let event = event("detector", &view);
        assert_eq!(event["event"], "model");
        assert_eq!(event["view"]["state"], "ready");
        assert_eq!(event["view"]["time_left_s"], 47.54);
        assert_eq!(event["view"]["files"][0]["path"], "config.json");
    }
}
