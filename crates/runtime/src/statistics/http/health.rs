//! Whether a process is well, for `/healthz`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::statistics::metrics::Facts;

/// How long the control loop may be silent. It gives a sign of life every second; a busy machine is no fault of its own.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How a process is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Health {
    /// What is wrong, in one line each; nothing if it is well.
    pub(super) reasons: Vec<String>,
    facts: Value,
}

impl Health {
    /// What the facts mean.
    pub(super) fn of(facts: &Facts) -> Health {
        let Facts {
            snapshot,
            uptime,
            beat_age,
        } = facts;
        let mut reasons = Vec::new();
        if *beat_age > SILENCE_MAX {
            reasons.push(format!(
                "the control loop gives no sign of life for {} s",
                beat_age.as_secs()
            ));
        }
        let mismatches = snapshot.audit().mismatches.get();
        if mismatches > 0 {
            reasons.push(format!(
                "{mismatches} sums of the statistics were not those of their members: please report it"
            ));
        }
        Health {
            reasons,
            facts: json!({
                "control_beat_age_s": beat_age.as_secs_f64(),
                "audit_mismatches": mismatches,
                "uptime_s": uptime.as_secs_f64(),
                "dataflows": snapshot.dataflows_len(),
            }),
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_well(&self) -> bool {
        self.reasons.is_empty()
    }

    /// As programs read it: one object.
    pub(super) fn json(&self) -> Value {
        let mut object = self.facts.clone();
        object["status"] = match self.is_well() {
            true => "ok",
            false => "unhealthy",
        }
        .into();
        object["reasons"] = self.reasons.clone().into();
        object
    }
}
