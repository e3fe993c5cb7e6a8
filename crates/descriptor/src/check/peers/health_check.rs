//! `health_check`: how peers are watched.

use crate::check::fields::Schema;
use crate::check::{Checker, Report};
use crate::limits::{
    PROBE_INTERVAL_MAX, PROBE_INTERVAL_MIN, PROBE_TIMEOUT_MAX, PROBE_TIMEOUT_MIN,
    UNREACHABLE_AFTER_MAX,
};
use crate::yaml::Value;
use crate::{Code, HealthCheck, duration_text};

const SCHEMA: Schema = Schema {
    known: &["interval", "timeout", "unreachable_after"],
    reserved: &[],
    foreign: &[
        ("interval_ms", "write `interval: 500ms`"),
        ("interval_s", "write `interval: 30s`"),
        ("timeout_ms", "write `timeout: 500ms`"),
        ("timeout_s", "write `timeout: 5s`"),
        ("retries", "write `unreachable_after`"),
        ("failures", "write `unreachable_after`"),
        ("period", "write `interval`"),
    ],
};

impl Checker<'_> {
    /// What `health_check` says; what is wrong in it keeps its default.
    pub(super) fn health_check(&mut self, value: &Value) -> HealthCheck {
        let what = "`health_check`";
        let mut health_check = HealthCheck::default();
        let Some(entries) = self.entries(
            value,
            what,
            "write `health_check: { interval: 30s, timeout: 5s, unreachable_after: 3 }`",
        ) else {
            return health_check;
        };
        let fields = self.fields(entries, what, value.place, &SCHEMA);
        if let Some(interval) = fields.get("interval").and_then(|value| {
            self.duration(
                value,
                "`interval` of `health_check`",
                PROBE_INTERVAL_MIN..=PROBE_INTERVAL_MAX,
            )
        }) {
            health_check.interval = interval;
            // Who asks more often than every 5 s and says nothing about answers does not mean to wait for them longer.
            health_check.timeout = health_check.timeout.min(interval);
        }
        if let Some(value) = fields.get("timeout")
            && let Some(timeout) = self.duration(
                value,
                "`timeout` of `health_check`",
                PROBE_TIMEOUT_MIN..=PROBE_TIMEOUT_MAX,
            )
        {
            if timeout > health_check.interval {
                self.report(
                    Report::error(
                        Code::ContradictoryHealthCheck,
                        value.place,
                        format!(
                            "an answer may take {}, and every {} the next is asked for",
                            duration_text(timeout),
                            duration_text(health_check.interval)
                        ),
                    )
                    .help("lower `timeout`, or raise `interval`"),
                );
            }
            health_check.timeout = timeout;
        }
        if let Some(number) = fields.get("unreachable_after").and_then(|value| {
            self.integer(
                value,
                "`unreachable_after` of `health_check`",
                1..=u64::from(UNREACHABLE_AFTER_MAX),
            )
        }) {
            health_check.unreachable_after = u32::try_from(number).unwrap_or(UNREACHABLE_AFTER_MAX);
        }
        health_check
    }
}
