//! Probes: when they are due, and what their answers and their absence mean.

use std::time::Duration;

use dataflow_ids::{LinkId, PeerState};

use super::{Answer, Peer, Probe};
use crate::Time;
use crate::broken::{Rule, is_broken};
use crate::peers::connection::code_for;
use crate::peers::{LinkEnd, PeerCommand};

impl Peer {
    pub(super) fn answered(
        &mut self,
        now: Time,
        link: LinkId,
        sequence: u64,
        control_silent_for: Duration,
        answer: &mut Answer,
    ) {
        // An answer to what was never asked is not believed, and none counts twice.
        let Some(current) = (self.current.as_mut()).filter(|it| {
            it.facts.link == link && it.answered < sequence && sequence <= self.probes
        }) else {
            return;
        };
        current.answered = sequence;
        if (current.probe.take_if(|probe| probe.sequence == sequence)).is_none() {
            return self.health.answered_late(now);
        }
        current.is_doubtful = false;
        let is_slow = control_silent_for > self.pace.control_silence()
            && !is_broken(Rule::SlowControlIsIgnored);
        if is_slow && is_broken(Rule::SlowControlIsAMiss) {
            current.probe_at = now.after(self.pace.quick());
            return self.health.missed(now, self.pace);
        }
        (self.health).answered(now, self.pace, is_slow.then_some(control_silent_for));
        let wait = match self.health.state() {
            PeerState::Healthy => {
                self.dials_failed = 0;
                self.pace.steady(answer.random.draw())
            }
            _ => self.pace.quick(),
        };
        current.probe_at = now.after(wait);
        let winner = current.facts.clone();
        if let Some(challenger) = self.challenger.take() {
            self.refuse(&challenger, &winner, answer);
        }
    }

    /// The probe that has to be answered was not, in time.
    pub(super) fn probe_missed(&mut self, now: Time, answer: &mut Answer) {
        let timeout = self.pace.timeout();
        let Some(current) = &mut self.current else {
            return;
        };
        let is_late = |probe: &mut Probe| probe.sent_at.after(timeout) <= now;
        if current.probe.take_if(is_late).is_none() {
            return;
        }
        if let Some(challenger) = &self.challenger {
            answer.close(current.facts.link, code_for(&current.facts, challenger));
            self.give_way(now, answer);
            return;
        }
        if current.is_doubtful {
            // It has broken while we did not run. Whether the peer is there, a dial has to tell.
            self.give_up_link(now, answer);
            return self.hold(now, LinkEnd::Idle);
        }
        current.probe_at = now.after(self.pace.quick());
        if !is_broken(Rule::MissedProbesDoNotCount) {
            self.health.missed(now, self.pace);
        }
        if self.health.state() == PeerState::Unreachable {
            self.give_up_link(now, answer);
        }
    }

    pub(super) fn probe_due(&mut self, now: Time, answer: &mut Answer) {
        let Some(current) = &mut self.current else {
            return;
        };
        if current.probe.is_some() || now < current.probe_at {
            return;
        }
        self.probes += 1;
        let sequence = self.probes;
        current.probe = Some(Probe {
            sequence,
            sent_at: now,
        });
        let link = current.facts.link;
        answer.say(PeerCommand::Probe { link, sequence });
    }
}
