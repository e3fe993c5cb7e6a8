//! Connections come and go: dials that end, connections that the peer begins, and which one counts.

use dataflow_ids::LinkId;

use super::{Answer, Current, Peer};
use crate::Time;
use crate::broken::{Rule, is_broken};
use crate::peers::connection::{Verdict, code_for, judge};
use crate::peers::pace::{Pace, is_trusted};
use crate::peers::{
    CloseCode, DialFailure, DialId, Direction, LinkEnd, LinkFacts, PeerCommand, Rejection,
};

impl Peer {
    pub(super) fn dial_ended(
        &mut self,
        now: Time,
        dial: DialId,
        result: Result<LinkFacts, DialFailure>,
        answer: &mut Answer,
    ) {
        let Some(dialling) = self.dialling.take_if(|dialling| dialling.dial == dial) else {
            // It was given up. What came of it all the same is not needed, and must not stay open.
            if let Ok(facts) = result
                && !self.knows(facts.link)
            {
                answer.close(facts.link, CloseCode::Superseded);
            }
            return;
        };
        match result {
            Ok(facts) => self.link_up(now, facts, answer),
            // It has reached us meanwhile.
            Err(_) if self.current.is_some() => {}
            Err(DialFailure::Rejected(rejection)) => {
                self.held = None;
                self.health.rejected(now, rejection);
                self.dial_at = Some(now.after(Pace::rejected_wait(answer.random.draw())));
            }
            Err(failure) => {
                if !dialling.is_excused {
                    self.held = None;
                    self.health.not_reached(now, self.pace, failure);
                }
                if !is_broken(Rule::DialsHaveAnEnd) || self.dials_failed < 5 {
                    self.dial_at = Some(now.after(self.dial_wait(answer)));
                }
                self.dials_failed = self.dials_failed.saturating_add(1);
            }
        }
    }

    /// There is a connection, and both hellos have passed.
    pub(super) fn link_up(&mut self, now: Time, newcomer: LinkFacts, answer: &mut Answer) {
        if self.knows(newcomer.link) {
            return;
        }
        if !self.target.as_ref().is_some_and(is_trusted) {
            // It came in just before the file has changed.
            return answer.close(newcomer.link, CloseCode::Reconfigured);
        }
        let Some(current) = &self.current else {
            return self.adopt(now, newcomer, answer);
        };
        match judge(&self.this, &self.peer, &current.facts, &newcomer) {
            Verdict::Take => {
                let loser = current.facts.link;
                answer.close(loser, CloseCode::Superseded);
                // Its hello has just passed: it lives, and whoever waits for it to be dead waits in vain.
                if let Some(challenger) = self.challenger.take() {
                    self.refuse(&challenger, &newcomer, answer);
                }
                self.adopt(now, newcomer, answer);
            }
            Verdict::Close => answer.close(newcomer.link, CloseCode::Superseded),
            Verdict::Challenge => self.challenge(now, newcomer, answer),
        }
    }

    /// The connection that counts has to answer a probe from now on.
    fn challenge(&mut self, now: Time, newcomer: LinkFacts, answer: &mut Answer) {
        match self.challenger.replace(newcomer.clone()) {
            // One probe at a time, or a row of newcomers would put off its end for ever.
            Some(earlier) => self.refuse(&earlier, &newcomer, answer),
            None => {
                if let Some(current) = &mut self.current {
                    // An answer that is on its way may be older than the newcomer.
                    current.probe = None;
                    current.probe_at = now;
                }
            }
        }
    }

    /// Closes a connection that is not needed beside another one.
    pub(super) fn refuse(&self, loser: &LinkFacts, winner: &LinkFacts, answer: &mut Answer) {
        let code = code_for(loser, winner);
        answer.close(loser.link, code);
        if code == CloseCode::DuplicateId {
            let other = winner.from;
            answer.say(PeerCommand::Refused(Rejection::DuplicateId { other }));
        }
    }

    /// The connection that counts is dead: the one that has challenged it takes its place.
    pub(super) fn give_way(&mut self, now: Time, answer: &mut Answer) -> bool {
        let Some(challenger) = self.challenger.take() else {
            return false;
        };
        if let Some(loser) = self.current.take()
            && loser.facts.boot != challenger.boot
        {
            // The agent that was there is gone, and what it knew with it.
            self.health.lost(now, LinkEnd::StartedAnew);
        }
        self.adopt(now, challenger, answer);
        true
    }

    fn adopt(&mut self, now: Time, facts: LinkFacts, answer: &mut Answer) {
        // Of two dials at once the smaller id's is kept: that one goes on. The other is not needed.
        let is_needless = facts.direction == Direction::Accepted
            && self.peer < self.this
            && !is_broken(Rule::EachKeepsItsOwn);
        if let Some(dialling) = self.dialling.take_if(|_| is_needless) {
            answer.say(PeerCommand::Cancel(dialling.dial));
        }
        self.dial_at = None;
        self.held = None;
        self.health.connected(now);
        self.current = Some(Current {
            facts,
            probe: None,
            probe_at: now,
            answered: 0,
            is_doubtful: false,
        });
    }

    pub(super) fn link_ended(
        &mut self,
        now: Time,
        link: LinkId,
        end: LinkEnd,
        answer: &mut Answer,
    ) {
        if self.challenger.as_ref().is_some_and(|it| it.link == link) {
            self.challenger = None;
        }
        let is_current = |current: &mut Current| current.facts.link == link;
        let Some(ended) = self.current.take_if(is_current) else {
            return;
        };
        if let Some(challenger) = &self.challenger {
            if challenger.boot != ended.facts.boot {
                self.health.lost(now, end);
            }
            self.give_way(now, answer);
            return;
        }
        if self.dialling.is_none() {
            self.dial_at = Some(now.after(self.dial_wait(answer)));
        }
        match end {
            // The other side knows of another connection, which is about to be known here too.
            LinkEnd::ByPeer(CloseCode::Superseded) => {
                self.hold(now, end);
                // A dial of ours would only be one more. One that is under way goes on.
                self.dial_at = None;
            }
            // The other side has a new entry for us, and dials. So do we.
            LinkEnd::ByPeer(CloseCode::Reconfigured) => self.hold(now, end),
            LinkEnd::ByPeer(CloseCode::DuplicateId) => {
                self.health.rejected(now, Rejection::OurIdTaken);
                if self.dialling.is_none() {
                    self.dial_at = Some(now.after(Pace::rejected_wait(answer.random.draw())));
                }
            }
            LinkEnd::ByPeer(CloseCode::Ending) => self.health.lost(now, end),
            // The other side has not heard from us, because we did not run.
            _ if self.stalled_until.is_some_and(|until| now < until) => self.hold(now, end),
            _ => self.health.lost(now, end),
        }
    }

    /// Whether a connection is one of those that are open.
    fn knows(&self, link: LinkId) -> bool {
        self.link().is_some_and(|facts| facts.link == link)
            || self.challenger.as_ref().is_some_and(|it| it.link == link)
    }

    /// A connection on which nobody answers is given up: the next may be better.
    pub(super) fn give_up_link(&mut self, now: Time, answer: &mut Answer) {
        if let Some(current) = self.current.take() {
            answer.close(current.facts.link, CloseCode::Unanswered);
            if self.dialling.is_none() {
                self.dial_at = Some(now.after(self.dial_wait(answer)));
            }
        }
    }
}
