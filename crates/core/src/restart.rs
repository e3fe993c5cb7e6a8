//! Whether something that ended is started again, and when (section 7 of the design).
//!
//! One type serves nodes, operators and actors.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use dataflow_ids::{RestartOn, RestartPolicy};

use crate::backoff;
use crate::broken::{Rule, is_broken};
use crate::time::Time;

/// How an incarnation ended, as far as a restart is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It returned, as a program does that has done its work.
    Well,
    /// It crashed.
    Badly,
}

/// What follows an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this wait.
    Restart {
        /// The wait.
        after: Duration,
    },
    /// The policy would restart it, but it has been restarted too often.
    GiveUp {
        /// How often.
        why: Exhausted,
    },
    /// The policy does not restart after such an end.
    Done,
}

/// The limit that a restart would have exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// How many restarts there were.
    pub restarts: u32,
    /// In which time.
    pub window: Duration,
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} restarts within {} s",
            self.restarts,
            self.window.as_secs_f64()
        )
    }
}

/// Remembers the restarts of one thing. Restarts that a person asks for are not told to it and do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartTracker {
    policy: RestartPolicy,
    /// When restarts were granted, oldest first; only those that are still in the window.
    granted: VecDeque<Time>,
    /// Restarts since it last ran stably: the exponent of the backoff.
    streak: u32,
}

impl RestartTracker {
    /// A tracker that has seen no restart yet.
    #[must_use]
    pub fn new(policy: RestartPolicy) -> Self {
        RestartTracker {
            policy,
            granted: VecDeque::new(),
            streak: 0,
        }
    }

    /// Decides what follows an end at `now` of what was started at `started_at`. `random` jitters the wait.
    ///
    /// In any stretch of time as long as the policy's window, at most `restarts_max` restarts are granted.
    /// After having run for a whole window the backoff begins anew.
    pub fn on_exit(&mut self, now: Time, ended: Ended, started_at: Time, random: u64) -> Decision {
        let wanted = match self.policy.on {
            RestartOn::Never => is_broken(Rule::NeverIsIgnored),
            RestartOn::OnFailure => ended == Ended::Badly && !is_broken(Rule::CrashIsTheEnd),
            RestartOn::Always => true,
        };
        if !wanted {
            return Decision::Done;
        }
        if now.since(started_at) >= self.policy.window {
            self.streak = 0;
        }
        while let Some(oldest) = self.granted.front()
            && now.since(*oldest) >= self.policy.window
        {
            self.granted.pop_front();
        }
        let restarts = u32::try_from(self.granted.len()).unwrap_or(u32::MAX);
        if restarts >= self.policy.restarts_max && !is_broken(Rule::RestartsHaveNoEnd) {
            let why = Exhausted {
                restarts,
                window: self.policy.window,
            };
            return Decision::GiveUp { why };
        }
        let after = backoff::delay(
            self.policy.backoff_min,
            self.policy.backoff_max,
            self.streak,
            random,
        );
        self.granted.push_back(now);
        self.streak = self.streak.saturating_add(1);
        Decision::Restart { after }
    }
}
