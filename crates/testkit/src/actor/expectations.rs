//! What must be true at the end of a test, unless the test has said otherwise.

use std::collections::BTreeMap;

use dataflow_runtime::actor::Counts;

/// What the test has declared.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    dead_letters: BTreeMap<String, u64>,
    waiting: BTreeMap<String, u64>,
    given_up: Vec<String>,
}

impl Expectations {
    pub(super) fn dead_letters(&mut self, actor: &str, messages: u64) {
        *self.dead_letters.entry(actor.to_owned()).or_default() += messages;
    }

    pub(super) fn waiting(&mut self, actor: &str, messages: u64) {
        *self.waiting.entry(actor.to_owned()).or_default() += messages;
    }

    pub(super) fn given_up(&mut self, actor: &str) {
        self.given_up.push(actor.to_owned());
    }

    /// What of an actor is not as it must be, one line each.
    pub(super) fn violations(
        &self,
        actor: &str,
        counts: &Counts,
        is_given_up: bool,
    ) -> Vec<String> {
        let mut violations = Vec::new();
        if !counts.balances() {
            violations.push(format!("{actor} has lost a message (I-10): {counts:?}"));
        }
        let mut compare = |what: &str, found: u64, declared: Option<&u64>| {
            let declared = declared.copied().unwrap_or(0);
            if found != declared {
                violations.push(format!("{actor} has {found} {what}, {declared} declared"));
            }
        };
        compare(
            "dead letters",
            counts.dead_lettered,
            self.dead_letters.get(actor),
        );
        compare("messages waiting", counts.waiting, self.waiting.get(actor));
        let is_declared = self.given_up.iter().any(|name| name == actor);
        match (is_given_up, is_declared) {
            (true, false) => violations.push(format!("{actor} was given up")),
            (false, true) => violations.push(format!("{actor} was not given up, as declared")),
            _ => {}
        }
        violations
    }
}
