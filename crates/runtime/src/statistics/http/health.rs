//! Whether a process is well, for `/healthz`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::statistics::metrics::Facts;

/// How long the control loop may be silent, and statistics may stand still. Both give a sign of life every second; a busy
/// machine is no fault of theirs.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How a process is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Health {
    /// Why it is not well, in one line each; nothing if it is.
    pub(super) reasons: Vec<String>,
    /// What is wrong with its statistics, in one line each. Dataflows do not depend on them, so this is no reason to start
    /// the process again, which would end its dataflows.
    pub(super) warnings: Vec<String>,
    facts: Value,
}

impl Health {
    /// What the facts mean.
    pub(super) fn of(facts: &Facts) -> Health {
        let Facts {
            snapshot,
            snapshot_age,
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
        let mut warnings = Vec::new();
        if *snapshot_age > SILENCE_MAX {
            warnings.push(format!(
                "the statistics stand still for {} s",
                snapshot_age.as_secs()
            ));
        }
        let mismatches = snapshot.audit().mismatches.get();
        if mismatches > 0 {
            warnings.push(format!(
                "{mismatches} sums of the statistics were not those of their members: please report it"
            ));
        }
        Health {
            reasons,
            warnings,
            facts: json!({
                "control_beat_age_s": beat_age.as_secs_f64(),
                "snapshot_age_s": snapshot_age.as_secs_f64(),
                "audit_mismatches": mismatches,
                "uptime_s": uptime.as_secs_f64(),
                "dataflows": snapshot.dataflows_len(),
            }),
        }
    }

    /// Whether the process does its work.
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
        object["warnings"] = self.warnings.clone().into();
        object
    }
}
