//! The machine of one peer: which connection counts, when it is dialled and probed, and how it stands.

mod links;
mod watch;

use std::time::Duration;

use dataflow_ids::{LinkId, PeerId, PeerState};

use super::health::Health;
use super::pace::{Pace, Patience, is_trusted};
use super::{
    CloseCode, DialFailure, DialId, HealthCheck, LinkEnd, LinkFacts, PeerCommand, PeerCondition,
    PeerEvent, PeerTarget, Rejection,
};
use crate::Time;
use crate::broken::{Rule, is_broken};
use crate::random::Random;

/// One peer, as one agent sees it.
///
/// It is told what happens and when ([`Peer::handle`]), and says what to do. It can be cloned, takes a repeated fact
/// without harm, does not hear what an earlier dial or a closed connection still says, and everything that it asks for
/// may be done twice.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The agent's own id: with the peer's, it decides which of two connections is kept.
    this: PeerId,
    peer: PeerId,
    /// Its entry in the file; `None` before it is known.
    target: Option<PeerTarget>,
    pace: Pace,
    health: Health,
    /// The connection that counts.
    current: Option<Current>,
    /// A connection that takes its place, if it does not answer.
    challenger: Option<LinkFacts>,
    dialling: Option<Dialling>,
    /// When it is dialled next; `None` while it is dialled or connected, and while it may not be.
    dial_at: Option<Time>,
    /// Dials that have failed since it was healthy: the exponent of the wait.
    dials_failed: u32,
    dials: u64,
    probes: u64,
    /// Without a connection: until then it stands as before, since the next one is to be expected; and what else is said.
    held: Option<Held>,
    /// Until then the end of a connection is laid to the own stall.
    stalled_until: Option<Time>,
    told: Told,
}

/// The connection that counts, and its probes.
#[derive(Debug, Clone)]
struct Current {
    facts: LinkFacts,
    /// The probe that has to be answered.
    probe: Option<Probe>,
    /// When the next one is due; not looked at while there is one.
    probe_at: Time,
    /// The highest that was answered.
    answered: u64,
    /// We did not run since its last answer: the other side may have given it up meanwhile, without a word that came here.
    is_doubtful: bool,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    sequence: u64,
    sent_at: Time,
}

#[derive(Debug, Clone, Copy)]
struct Dialling {
    dial: DialId,
    given_up_at: Time,
    /// We were stalled meanwhile: if it fails, that says nothing.
    is_excused: bool,
}

#[derive(Debug, Clone)]
struct Held {
    until: Time,
    end: LinkEnd,
}

/// What was said last, so that nothing is said twice.
#[derive(Debug, Clone)]
struct Told {
    condition: PeerCondition,
    wake_at: Option<Time>,
}

/// What follows from one event.
struct Answer {
    commands: Vec<PeerCommand>,
    random: Random,
}

impl Answer {
    fn say(&mut self, command: PeerCommand) {
        self.commands.push(command);
    }

    fn close(&mut self, link: LinkId, code: CloseCode) {
        self.say(PeerCommand::Close { link, code });
    }
}

impl Peer {
    /// The peer `peer`, seen by the agent `this`. Nothing is done before [`PeerEvent::Configured`].
    #[must_use]
    pub fn new(this: PeerId, peer: PeerId, now: Time) -> Peer {
        let health = Health::new(now);
        Peer {
            this,
            peer,
            target: None,
            pace: Pace::new(HealthCheck::default()),
            told: Told {
                condition: health.condition().clone(),
                wake_at: None,
            },
            health,
            current: None,
            challenger: None,
            dialling: None,
            dial_at: None,
            dials_failed: 0,
            dials: 0,
            probes: 0,
            held: None,
            stalled_until: None,
        }
    }

    /// Whose machine this is.
    #[must_use]
    pub fn id(&self) -> &PeerId {
        &self.peer
    }

    /// How it stands.
    #[must_use]
    pub fn condition(&self) -> &PeerCondition {
        self.health.condition()
    }

    /// The connection that counts; `None` while there is none.
    #[must_use]
    pub fn link(&self) -> Option<&LinkFacts> {
        self.current.as_ref().map(|current| &current.facts)
    }

    /// Takes an event, and gives what is to be done, in this order. `random` is any number; it jitters.
    ///
    /// Whoever performs the commands has to tell [`PeerEvent::Wake`] when the moment of the last
    /// [`PeerCommand::WakeAt`] has come; until then nothing is due.
    pub fn handle(&mut self, now: Time, random: u64, event: PeerEvent) -> Vec<PeerCommand> {
        let mut answer = Answer {
            commands: Vec::new(),
            random: Random::new(random),
        };
        // Whoever wakes up this late was not running, even if nobody has told it so yet.
        if let Some(due) = self.told.wake_at
            && now.since(due) > self.pace.stall()
        {
            self.excuse(now);
        }
        let was_woken = event == PeerEvent::Wake;
        // The event comes first, and then what is due: an answer that was there in time and waited for us is one.
        self.hear(now, event, &mut answer);
        self.do_what_is_due(now, &mut answer);
        self.speak(was_woken, &mut answer);
        answer.commands
    }

    /// Leaves the peer: its entry is gone, or the agent ends. What is open is closed, and nothing else follows.
    pub fn leave(&mut self, code: CloseCode) -> Vec<PeerCommand> {
        self.target = None;
        self.held = None;
        self.dial_at = None;
        let links = (self.current.take().map(|current| current.facts))
            .into_iter()
            .chain(self.challenger.take())
            .map(|facts| PeerCommand::Close {
                link: facts.link,
                code,
            });
        (self.dialling.take())
            .map(|dialling| PeerCommand::Cancel(dialling.dial))
            .into_iter()
            .chain(links)
            .collect()
    }

    fn hear(&mut self, now: Time, event: PeerEvent, answer: &mut Answer) {
        match event {
            PeerEvent::Configured {
                target,
                health_check,
            } => self.configured(now, target, health_check, answer),
            PeerEvent::Wake => {}
            PeerEvent::DialEnded { dial, result } => self.dial_ended(now, dial, result, answer),
            PeerEvent::Accepted(facts) => self.link_up(now, facts, answer),
            PeerEvent::LinkEnded { link, end } => self.link_ended(now, link, end, answer),
            PeerEvent::Answered {
                link,
                sequence,
                control_silent_for,
                ..
            } => self.answered(now, link, sequence, control_silent_for, answer),
            PeerEvent::Stranger(rejection) => self.stranger(now, rejection),
            PeerEvent::Stalled(_) => self.excuse(now),
        }
    }

    /// Its entry in the file is new, or has changed.
    fn configured(
        &mut self,
        now: Time,
        target: PeerTarget,
        health_check: HealthCheck,
        answer: &mut Answer,
    ) {
        let pace = Pace::new(health_check);
        if pace != self.pace {
            self.pace = pace;
            if let Some(current) = &mut self.current {
                let next = now.after(pace.steady(answer.random.draw()));
                current.probe_at = current.probe_at.min(next);
            }
        }
        if self.target.as_ref() == Some(&target) && !is_broken(Rule::ReloadTouchesAll) {
            return;
        }
        let is_first = self.target.is_none();
        let keeps_link = self
            .target
            .as_ref()
            .is_some_and(|before| before.address == target.address && keeps_keys(before, &target));
        let is_trusted = is_trusted(&target);
        self.target = Some(target);
        let keeps_link = keeps_link && !is_broken(Rule::ReloadTouchesAll);
        if is_trusted && keeps_link && self.current.is_some() {
            return;
        }
        // Whatever was under way was meant for another address, or for another key.
        if let Some(dialling) = self.dialling.take() {
            answer.say(PeerCommand::Cancel(dialling.dial));
        }
        if let Some(challenger) = self.challenger.take() {
            answer.close(challenger.link, CloseCode::Reconfigured);
        }
        let was_held = self.held.take().is_some();
        let ended = self.current.take().map(|current| {
            answer.close(current.facts.link, CloseCode::Reconfigured);
        });
        self.dials_failed = 0;
        self.dial_at = is_trusted.then_some(now);
        if !is_trusted {
            self.health.rejected(now, Rejection::NoFingerprint);
        } else if ended.is_some() || was_held {
            // We have closed it ourselves: that is no news about the peer, unless the new entry leads nowhere.
            self.hold(now, LinkEnd::Other("its entry has changed".to_owned()));
        } else if !is_first {
            self.health.begin_anew(now);
        }
    }

    /// Somebody else was refused in its place. While it is connected, or just changes its connection, that says nothing
    /// about it: anybody may claim to be it.
    fn stranger(&mut self, now: Time, rejection: Rejection) {
        let is_refused_anyway = !self.target.as_ref().is_some_and(is_trusted);
        if self.current.is_none()
            && self.held.is_none()
            && self.health.state() != PeerState::Healthy
            && !is_refused_anyway
        {
            self.health.stranger(now, rejection);
        }
    }

    /// We did not run: what was missed meanwhile says nothing about the peer, and what breaks just after it neither.
    fn excuse(&mut self, now: Time) {
        if is_broken(Rule::OwnStallIsIgnored) {
            return;
        }
        let grace = now.after(self.pace.timeout());
        self.stalled_until = Some(grace);
        if let Some(current) = &mut self.current {
            current.is_doubtful = true;
            current.probe = None;
            current.probe_at = now;
        }
        if let Some(dialling) = &mut self.dialling {
            dialling.is_excused = true;
            dialling.given_up_at = now.after(self.pace.dial_given_up());
        }
        if let Some(held) = &mut self.held {
            held.until = held.until.max(grace);
        }
    }

    /// Without a connection it stands as before for one timeout: the next connection is to be expected.
    fn hold(&mut self, now: Time, end: LinkEnd) {
        let until = now.after(self.pace.timeout());
        self.held = Some(Held { until, end });
    }

    fn dial_wait(&self, answer: &mut Answer) -> Duration {
        let patience = match self.health.state() {
            PeerState::Unreachable => Patience::ForEver,
            _ => Patience::ToFindOut,
        };
        self.pace
            .dial_wait(self.dials_failed, patience, answer.random.draw())
    }

    fn do_what_is_due(&mut self, now: Time, answer: &mut Answer) {
        self.probe_missed(now, answer);
        self.probe_due(now, answer);
        self.held_too_long(now);
        self.dial_given_up(now, answer);
        self.dial_due(now, answer);
    }

    /// The dial is given up, of which nothing is heard.
    fn dial_given_up(&mut self, now: Time, answer: &mut Answer) {
        if let Some(dialling) = self.dialling
            && dialling.given_up_at <= now
        {
            answer.say(PeerCommand::Cancel(dialling.dial));
            self.dial_ended(now, dialling.dial, Err(DialFailure::NoAnswer), answer);
        }
    }

    fn held_too_long(&mut self, now: Time) {
        let is_over =
            |held: &mut Held| held.until <= now && !is_broken(Rule::SuccessorIsWaitedForForEver);
        if let Some(held) = self.held.take_if(is_over) {
            self.health.lost(now, held.end);
            if self.dialling.is_none() {
                self.dial_at = Some(self.dial_at.unwrap_or(now));
            }
        }
    }

    fn dial_due(&mut self, now: Time, answer: &mut Answer) {
        let may_dial = self.current.is_none() && self.dialling.is_none();
        if !may_dial || self.dial_at.is_none_or(|at| now < at) {
            return;
        }
        self.dial_at = None;
        self.dials += 1;
        let dial = DialId(self.dials);
        self.dialling = Some(Dialling {
            dial,
            given_up_at: now.after(self.pace.dial_given_up()),
            is_excused: false,
        });
        answer.say(PeerCommand::Dial(dial));
    }

    /// The next moment at which something is due.
    fn due_at(&self) -> Option<Time> {
        let probe = self.current.as_ref().map(|current| match current.probe {
            Some(probe) => probe.sent_at.after(self.pace.timeout()),
            None => current.probe_at,
        });
        let dial = self.dialling.map(|dialling| dialling.given_up_at);
        let held = (self.held.as_ref())
            .filter(|_| !is_broken(Rule::SuccessorIsWaitedForForEver))
            .map(|held| held.until);
        [probe, dial, held, self.dial_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Says what has changed. Who was woken has no timer any more, and is given one again.
    fn speak(&mut self, was_woken: bool, answer: &mut Answer) {
        if *self.health.condition() != self.told.condition || is_broken(Rule::ChangeIsSaidAgain) {
            self.told.condition = self.health.condition().clone();
            answer.say(PeerCommand::Changed(self.told.condition.clone()));
        }
        let due_at = self.due_at();
        if due_at != self.told.wake_at || was_woken {
            self.told.wake_at = due_at;
            if let Some(at) = due_at {
                answer.say(PeerCommand::WakeAt(at));
            }
        }
    }
}

/// Whether every key that a connection may have shown before may be shown now.
fn keeps_keys(before: &PeerTarget, now: &PeerTarget) -> bool {
    if before.fingerprints.is_empty() {
        // Any key has been good enough.
        return now.fingerprints.is_empty();
    }
    now.fingerprints.is_empty()
        || (before.fingerprints.iter()).all(|key| now.fingerprints.contains(key))
}
