//! `restart`: one word, or the long form with its numbers.

use dataflow_ids::{RestartOn, RestartPolicy};

use super::fields::Schema;
use super::{Checker, Report};
use crate::Code;
use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, RESTART_WINDOW_MAX, RESTART_WINDOW_MIN, RESTARTS_MAX,
};
use crate::yaml::{Kind, Value, shortened};

const WORDS: [(&str, RestartOn); 3] = [
    ("never", RestartOn::Never),
    ("on-failure", RestartOn::OnFailure),
    ("always", RestartOn::Always),
];

const LONG_FORM: Schema = Schema {
    known: &["policy", "max", "window", "backoff"],
    reserved: &[],
    foreign: &[
        ("max_restarts", "write `max`"),
        ("restart_window", "write `window`"),
        ("restart_delay", "write `backoff: 200ms..10s`"),
        ("max_restart_delay", "write `backoff: 200ms..10s`"),
    ],
};

const BACKOFF: Schema = Schema {
    known: &["min", "max"],
    reserved: &[],
    foreign: &[],
};

impl Checker<'_> {
    /// A node's restart policy; what is wrong in it keeps its default.
    pub(crate) fn restart(&mut self, value: &Value, owner: &str) -> RestartPolicy {
        let mut policy = RestartPolicy::default();
        let what = format!("`restart` of {owner}");
        let Kind::Mapping(entries) = &value.kind else {
            if let Kind::Bool(_) = value.kind {
                self.wrong_type(
                    value,
                    &what,
                    "a policy",
                    Some("write `never`, `on-failure` or `always`".to_owned()),
                );
            } else if let Some(on) = self.word(value, &what, &WORDS, &[]) {
                policy.on = on;
            }
            return policy;
        };
        let fields = self.fields(entries, &what, value.place, &LONG_FORM);
        if let Some(on) = self
            .required(
                &fields,
                "policy",
                &what,
                "say when to restart: `policy: on-failure`",
            )
            .and_then(|value| self.word(value, &format!("`policy` of {what}"), &WORDS, &[]))
        {
            policy.on = on;
        }
        if let Some(max) = fields.get("max").and_then(|value| {
            self.integer(
                value,
                &format!("`max` of {what}"),
                1..=u64::from(RESTARTS_MAX),
            )
        }) {
            policy.restarts_max = u32::try_from(max).unwrap_or(RESTARTS_MAX);
        }
        if let Some(window) = fields.get("window").and_then(|value| {
            self.duration(
                value,
                &format!("`window` of {what}"),
                RESTART_WINDOW_MIN..=RESTART_WINDOW_MAX,
            )
        }) {
            policy.window = window;
        }
        if let Some(backoff) = fields.get("backoff") {
            self.backoff(backoff, &what, &mut policy);
        }
        policy
    }

    fn backoff(&mut self, value: &Value, owner: &str, policy: &mut RestartPolicy) {
        let what = format!("`backoff` of {owner}");
        let range = BACKOFF_MIN..=BACKOFF_MAX;
        let (min, max) = match &value.kind {
            Kind::Mapping(entries) => {
                let fields = self.fields(entries, &what, value.place, &BACKOFF);
                let mut end = |name: &str| {
                    fields.get(name).map(|value| {
                        self.duration(value, &format!("`{name}` of {what}"), range.clone())
                    })
                };
                (end("min"), end("max"))
            }
            Kind::Text(text) => {
                let Some((min, max)) = text.split_once("..") else {
                    self.report(
                        Report::error(
                            Code::BadDuration,
                            value.place,
                            format!("{what} is no range: `{}`", shortened(text)),
                        )
                        .help("write the first and the longest wait: `200ms..10s`"),
                    );
                    return;
                };
                let mut end =
                    |text: &str| Some(self.duration_text(text, value.place, &what, range.clone()));
                (end(min), end(max))
            }
            _ => {
                self.wrong_type(
                    value,
                    &what,
                    "a range of durations",
                    Some("write `200ms..10s`, or `{ min: 200ms, max: 10s }`".to_owned()),
                );
                return;
            }
        };
        // A part that is wrong has been reported; the two are compared only when both can be read.
        let (Some(min), Some(max)) = (
            min.unwrap_or(Some(policy.backoff_min)),
            max.unwrap_or(Some(policy.backoff_max)),
        ) else {
            return;
        };
        if min > max {
            self.report(
                Report::error(
                    Code::ContradictoryBackoff,
                    value.place,
                    format!(
                        "{what} waits at least {} and at most {}",
                        crate::duration::format(min),
                        crate::duration::format(max)
                    ),
                )
                .help("the first wait is the shorter one: `200ms..10s`"),
            );
            return;
        }
        policy.backoff_min = min;
        policy.backoff_max = max;
    }
}
