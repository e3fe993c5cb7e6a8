//! How a peer stands: what is known of it becomes one of four states with a reason.

use std::time::Duration;

use dataflow_ids::PeerState;

use super::pace::{Pace, SUCCESSES};
use super::{DialFailure, LinkEnd, PeerCondition, Reason, Rejection};
use crate::Time;
use crate::broken::{Rule, is_broken};

/// What is known of a peer's health.
#[derive(Debug, Clone)]
pub(super) struct Health {
    condition: PeerCondition,
    /// Since when it has not been healthy; `None` while it is, and before it was for the first time.
    unwell_since: Option<Time>,
    /// Misses in a row.
    missed: u32,
    /// When the last miss counted.
    missed_at: Option<Time>,
    /// Answers in a row, in time, since the last miss.
    answered: u32,
    /// Since when it is connected; not looked at while it is not.
    connected_at: Time,
    /// Until then a stranger in its place is remembered.
    stranger_until: Option<Time>,
}

impl Health {
    /// A peer that is not known yet.
    pub(super) fn new(now: Time) -> Health {
        Health {
            condition: PeerCondition {
                state: PeerState::Degraded,
                reason: Reason::Connecting,
                since: now,
                outage: None,
            },
            unwell_since: None,
            missed: 0,
            missed_at: None,
            answered: 0,
            connected_at: now,
            stranger_until: None,
        }
    }

    pub(super) fn condition(&self) -> &PeerCondition {
        &self.condition
    }

    pub(super) fn state(&self) -> PeerState {
        self.condition.state
    }

    /// It is connected, and is who it should be. Whether it is well, answers will tell; that it was out of reach is not
    /// taken back before there is one, and that it was rejected not before there are enough of them.
    pub(super) fn connected(&mut self, now: Time) {
        self.missed = 0;
        self.missed_at = None;
        self.answered = 0;
        self.connected_at = now;
        self.stranger_until = None;
        match self.state() {
            PeerState::Healthy | PeerState::Rejected => {}
            state @ (PeerState::Degraded | PeerState::Unreachable) => {
                self.set(now, state, Reason::Recovering);
            }
        }
    }

    /// A probe was answered in time. `silent_for` is for how long its control loop has been silent, when that is too
    /// long: it lives, and is of no use for now.
    pub(super) fn answered(&mut self, now: Time, pace: Pace, silent_for: Option<Duration>) {
        self.missed = 0;
        if self.is_still_rejected(now, pace) {
            self.answered = self.answered.saturating_add(1);
            return;
        }
        if let Some(silent_for) = silent_for {
            self.answered = 0;
            return self.set(now, PeerState::Degraded, Reason::SlowControl { silent_for });
        }
        self.answered = self.answered.saturating_add(1);
        if self.state() == PeerState::Healthy || self.answered >= SUCCESSES {
            self.set(now, PeerState::Healthy, Reason::Answers);
        } else {
            self.set(now, PeerState::Degraded, Reason::Recovering);
        }
    }

    /// Whether one more answer is not enough to take a rejection back.
    fn is_still_rejected(&self, now: Time, pace: Pace) -> bool {
        if self.state() != PeerState::Rejected {
            return false;
        }
        // Of two agents with one id the second is connected, and answered, for as long as the first is asked: for the
        // timeout of that file, which need not be ours.
        let may_be_refused = self.condition.reason == Reason::Rejected(Rejection::OurIdTaken)
            && now.since(self.connected_at) <= pace.timeout().saturating_mul(2);
        self.answered.saturating_add(1) < SUCCESSES || may_be_refused
    }

    /// A probe was answered that had been given up: the peer lives, and is too slow to be well.
    pub(super) fn answered_late(&mut self, now: Time) {
        self.missed = 0;
        if self.state() == PeerState::Unreachable {
            self.set(now, PeerState::Degraded, Reason::Recovering);
        }
    }

    /// A probe on a living connection was not answered in time.
    pub(super) fn missed(&mut self, now: Time, pace: Pace) {
        self.count_miss(now);
        let missed = self.missed;
        let state = if missed >= pace.misses_max() {
            PeerState::Unreachable
        } else {
            match self.state() {
                PeerState::Unreachable => PeerState::Unreachable,
                // Who it is was the trouble, and that still is the best that is known.
                PeerState::Rejected => return,
                PeerState::Healthy | PeerState::Degraded => PeerState::Degraded,
            }
        };
        self.set(now, state, Reason::Silent { missed });
    }

    /// The connection has ended. That is no miss: a new one may be there at once.
    pub(super) fn lost(&mut self, now: Time, end: LinkEnd) {
        self.answered = 0;
        let state = match self.state() {
            PeerState::Healthy | PeerState::Degraded => PeerState::Degraded,
            state @ (PeerState::Unreachable | PeerState::Rejected) => state,
        };
        self.set(now, state, Reason::Lost(end));
    }

    /// A dial came to nothing.
    pub(super) fn not_reached(&mut self, now: Time, pace: Pace, failure: DialFailure) {
        let counts =
            (self.missed_at).is_none_or(|before| now.since(before) >= pace.between_misses());
        if counts && !is_broken(Rule::FailedDialsDoNotCount) {
            self.count_miss(now);
        }
        let is_out_of_reach = self.missed >= pace.misses_max();
        let state = match self.state() {
            PeerState::Rejected => {
                let is_stranger_near = self.stranger_until.is_some_and(|until| now < until);
                // Somebody was there. One silence later that is still the best that is known of it.
                if !is_out_of_reach || is_stranger_near {
                    return;
                }
                PeerState::Unreachable
            }
            PeerState::Unreachable => PeerState::Unreachable,
            _ if is_out_of_reach => PeerState::Unreachable,
            _ => PeerState::Degraded,
        };
        self.set(now, state, Reason::NotReached(failure));
    }

    /// Somebody is there who is not what the file says. Somebody is there: nothing was missed.
    pub(super) fn rejected(&mut self, now: Time, rejection: Rejection) {
        self.missed = 0;
        self.missed_at = None;
        self.answered = 0;
        self.set(now, PeerState::Rejected, Reason::Rejected(rejection));
    }

    /// Somebody who is not what the file says has come in its place, while it was not connected.
    pub(super) fn stranger(&mut self, now: Time, rejection: Rejection) {
        self.stranger_until = Some(now.after(Pace::stranger_memory()));
        self.rejected(now, rejection);
    }

    /// It is dialled under a new entry: nothing is known of that one.
    pub(super) fn begin_anew(&mut self, now: Time) {
        self.missed = 0;
        self.missed_at = None;
        self.answered = 0;
        self.stranger_until = None;
        self.set(now, PeerState::Degraded, Reason::Connecting);
    }

    fn count_miss(&mut self, now: Time) {
        self.missed = self.missed.saturating_add(1);
        self.missed_at = Some(now);
        self.answered = 0;
    }

    fn set(&mut self, now: Time, state: PeerState, reason: Reason) {
        if self.condition.state == state {
            self.condition.reason = reason;
            return;
        }
        let outage = match state {
            PeerState::Healthy => self.unwell_since.take().map(|since| now.since(since)),
            _ => None,
        };
        if self.condition.state == PeerState::Healthy {
            self.unwell_since = Some(now);
        }
        self.condition = PeerCondition {
            state,
            reason,
            since: now,
            outage,
        };
    }
}
