//! What must be true, looked at while it happens.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{IDLE, KEEP_ALIVE, Peer, PeerCommand, PeerEvent, detection_bound};
use dataflow_ids::{PeerId, PeerState};

use super::packets::ConnectionId;
use super::plan::Plan;
use super::transport::Phase;
use super::world::World;

/// What the control loop, packets that are under way and the rounding of beats may add to a bound.
const SLACK: Duration = Duration::from_millis(1500);
/// From so long on the silence of a control loop may count.
const SILENCE_LEAST: Duration = Duration::from_secs(3);

/// What one machine may know of another.
#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    /// The other runs, both list each other rightly, and the paths are good, without a break since then.
    good_since: Option<Time>,
    /// This one runs and is not stalled, and nothing can come back from the other, without a break since then.
    deaf_since: Option<Time>,
    /// The pair is good, this one runs, and the other's control loop does not, without a break since then.
    slow_since: Option<Time>,
    /// Since when this one has held the other for not healthy, on its own clock; after it was healthy once.
    unwell_since: Option<Time>,
}

/// What is known of all pairs.
#[derive(Debug)]
pub(super) struct Looks {
    pairs: Vec<Vec<Pair>>,
}

impl Looks {
    pub(super) fn new(plan: &Plan) -> Looks {
        Looks {
            pairs: vec![vec![Pair::default(); plan.names.len()]; plan.names.len()],
        }
    }

    /// Something has happened to a machine that others may need time to get over.
    pub(super) fn touch(&mut self, now: Time, place: usize) {
        for other in 0..self.pairs.len() {
            self.reloaded(now, place, other);
            self.reloaded(now, other, place);
        }
    }

    /// A machine has read something new about another.
    pub(super) fn reloaded(&mut self, now: Time, place: usize, other: usize) {
        let pair = &mut self.pairs[place][other];
        for since in [
            &mut pair.good_since,
            &mut pair.deaf_since,
            &mut pair.slow_since,
        ] {
            *since = since.map(|_| now);
        }
    }

    /// A machine begins to watch another, and has no memory of it.
    pub(super) fn begun(&mut self, place: usize, other: usize) {
        self.pairs[place][other].unwell_since = None;
    }

    /// An agent has ended.
    pub(super) fn ended(&mut self, place: usize) {
        let fresh = vec![Pair::default(); self.pairs.len()];
        self.pairs[place] = fresh;
        for pairs in &mut self.pairs {
            pairs[place].good_since = None;
        }
    }
}

impl World {
    /// Sees what is good and what is not, after something has changed.
    pub(super) fn look_around(&mut self) {
        let now = self.now;
        for place in 0..self.plan.machines {
            for other in (0..self.plan.machines).filter(|other| *other != place) {
                let is_good = self.is_good(place, other);
                let runs_here = self.runs_freely(place);
                let is_deaf = runs_here && self.is_deaf(place, other);
                let is_slow = is_good && runs_here && self.hosts[other].control_stalls > 0;
                let pair = &mut self.looks.pairs[place][other];
                let since =
                    |before: Option<Time>, is_so: bool| is_so.then(|| before.unwrap_or(now));
                pair.good_since = since(pair.good_since, is_good);
                pair.deaf_since = since(pair.deaf_since, is_deaf);
                pair.slow_since = since(pair.slow_since, is_slow);
            }
        }
    }

    fn runs_freely(&self, place: usize) -> bool {
        let host = &self.hosts[place];
        host.agent.is_some() && host.stops == 0 && host.control_stalls == 0
    }

    fn trusts(&self, place: usize, other: usize) -> bool {
        let entry = self.hosts[place].file.get(&self.hosts[other].name);
        entry.is_some_and(|entry| entry.fingerprints.contains(&self.key(other)))
    }

    /// Whether nothing keeps the one from reaching the other, and from being answered. That the one was stalled itself
    /// is no excuse for what it says of the other.
    fn is_good(&self, place: usize, other: usize) -> bool {
        let is_found = (self.hosts[place].file.get(&self.hosts[other].name))
            .is_some_and(|entry| entry.address == self.address(other));
        self.hosts[place].agent.is_some()
            && self.hosts[other].agent.is_some()
            && self.hosts[other].stops == 0
            && is_found
            && self.trusts(place, other)
            && self.trusts(other, place)
            && self.paths[place][other].is_good()
            && self.paths[other][place].is_good()
    }

    /// Whether nothing can come back from the other, nor from one that has its name.
    fn is_deaf(&self, place: usize, other: usize) -> bool {
        let has_double = (self.hosts.iter().enumerate()).any(|(it, host)| {
            it != other && host.name == self.hosts[other].name && host.agent.is_some()
        });
        !has_double
            && self.trusts(place, other)
            && (self.hosts[other].agent.is_none()
                || self.hosts[other].stops > 0
                || self.paths[place][other].cuts > 0
                || self.paths[other][place].cuts > 0)
    }

    /// Whether a pair has been good for so long that nothing from before can be left.
    fn is_long_good(&self, place: usize, other: usize) -> bool {
        let window = IDLE + KEEP_ALIVE + self.plan.health_check.timeout * 2 + SLACK;
        let since = self.looks.pairs[place][other].good_since;
        since.is_some_and(|since| self.now.since(since) > window)
    }

    /// Looks at what a peer's machine has made of an event.
    pub(super) fn look_at_handled(
        &mut self,
        place: usize,
        peer: &PeerId,
        before: &Peer,
        after: &Peer,
        event: &PeerEvent,
        commands: &[PeerCommand],
    ) {
        let (now, local, other) = (self.now, self.local(place), self.place_of(peer));
        let says = || format!("{place} of {peer}: {event:?} -> {commands:?}");
        for command in commands {
            let is_sound = match command {
                PeerCommand::WakeAt(at) => *at > local,
                PeerCommand::Dial(_) => after.link().is_none(),
                PeerCommand::Probe { link, .. } => after.link().is_some_and(|it| it.link == *link),
                _ => true,
            };
            self.notes.check(now, is_sound, "sound commands", says);
        }
        self.look_at_condition(place, other, before, after, commands);
        if place >= self.plan.machines {
            return;
        }
        let (was, is) = (before.condition().state, after.condition().state);
        if is == PeerState::Unreachable && was != PeerState::Unreachable {
            let is_true = !self.is_long_good(place, other);
            let rule = "no live peer is unreachable";
            self.notes.check(now, is_true, rule, says);
        }
        if now > self.plan.healthy_by {
            self.notes
                .check(now, was == is, "calm when all is well", says);
        }
        if let (Some(old), Some(new)) = (before.link(), after.link())
            && old.boot != new.boot
        {
            self.notes
                .count("connections to another start of the agent");
            // Who has closed its connection itself has given up its place.
            let has_left = matches!(event, PeerEvent::LinkEnded { link, .. } if *link == old.link);
            let lives = (0..self.plan.machines)
                .any(|other| self.boot(other) == old.boot && self.is_long_good(place, other));
            self.notes.check(
                now,
                !lives || has_left,
                "a living agent keeps its place",
                says,
            );
        }
    }

    /// One change is said once, with the right times.
    fn look_at_condition(
        &mut self,
        place: usize,
        other: usize,
        before: &Peer,
        after: &Peer,
        commands: &[PeerCommand],
    ) {
        let (now, local) = (self.now, self.local(place));
        let (was, is) = (before.condition(), after.condition());
        let said: Vec<_> = (commands.iter())
            .filter_map(|command| match command {
                PeerCommand::Changed(condition) => Some(condition),
                _ => None,
            })
            .collect();
        let is_told = match was == is {
            true => said.is_empty(),
            false => said == [is],
        };
        let pair = &mut self.looks.pairs[place][other];
        let unwell_since = pair.unwell_since;
        let times_are_right = match (was.state == is.state, is.state) {
            (true, _) => is.since == was.since,
            (false, PeerState::Healthy) => {
                pair.unwell_since = None;
                is.since == local && is.outage == unwell_since.map(|since| local.since(since))
            }
            (false, _) => {
                if was.state == PeerState::Healthy {
                    pair.unwell_since = Some(local);
                }
                is.since == local && is.outage.is_none()
            }
        };
        let says = || format!("{place} of {other}: {was:?}, then {is:?}, and said {said:?}");
        let rule = "one change is said once";
        self.notes
            .check(now, is_told && times_are_right, rule, says);
    }

    /// Looks at how an agent sees its peers, at a beat of its control loop.
    pub(super) fn look_at_peers(&mut self, place: usize) {
        if place >= self.plan.machines {
            return;
        }
        let (now, check) = (self.now, self.plan.health_check);
        for other in (0..self.plan.machines).filter(|other| *other != place) {
            let Some(watched) = (self.hosts[place].agent.as_ref())
                .and_then(|agent| agent.peers.get(&self.hosts[other].name))
            else {
                continue;
            };
            let condition = watched.peer.condition().clone();
            let pair = self.looks.pairs[place][other];
            let says = || format!("{place} of {other}: {condition:?}, {pair:?}");
            if let Some(since) = pair.deaf_since {
                // Who cannot hear us goes on speaking until its own idle time is over.
                let still_speaks = self.runs_freely(other) && self.paths[other][place].cuts == 0;
                let allowed = detection_bound(check)
                    + check.timeout * 2
                    + SLACK
                    + if still_speaks {
                        IDLE + KEEP_ALIVE
                    } else {
                        Duration::ZERO
                    };
                let is_known = !matches!(condition.state, PeerState::Healthy | PeerState::Degraded);
                let holds = is_known || now.since(since) <= allowed;
                self.notes
                    .check(now, holds, "a dead peer is detected in time", says);
                if is_known && now.since(since) > allowed {
                    self.notes.count("looks at a peer that is rightly given up");
                }
            }
            if let Some(since) = pair.slow_since {
                let silence = check.timeout.max(SILENCE_LEAST);
                let allowed =
                    silence + check.interval + check.interval / 10 + check.timeout + SLACK;
                let holds = condition.state != PeerState::Healthy || now.since(since) <= allowed;
                self.notes
                    .check(now, holds, "a slow control loop is seen", says);
                if holds && now.since(since) > allowed {
                    self.notes
                        .count("looks at a control loop that is rightly slow");
                }
            }
        }
    }

    /// An entry that has not changed is told once more: nothing may follow.
    pub(super) fn look_that_the_same_entry_does_nothing(&mut self, place: usize, peer: &PeerId) {
        let (now, local) = (self.now, self.local(place));
        let Some(target) = self.hosts[place].file.get(peer).cloned() else {
            return;
        };
        let Some(watched) = (self.hosts[place].agent.as_ref())
            .and_then(|agent| agent.peers.get(peer))
            .filter(|watched| watched.wake_at.is_some_and(|at| local < at))
        else {
            return;
        };
        let configured = PeerEvent::Configured {
            target,
            health_check: self.plan.health_check,
        };
        let commands = watched.peer.clone().handle(local, 0, configured);
        let says = || format!("{place} of {peer}: {commands:?}");
        let rule = "a reload touches what has changed";
        self.notes.check(now, commands.is_empty(), rule, says);
    }

    /// Nothing has been wrong for long enough.
    pub(super) fn look_that_all_are_healthy(&mut self) {
        let now = self.now;
        for place in 0..self.plan.machines {
            for other in (0..self.plan.machines).filter(|other| *other != place) {
                let watched = (self.hosts[place].agent.as_ref())
                    .and_then(|agent| agent.peers.get(&self.hosts[other].name));
                let condition = watched.map(|watched| watched.peer.condition().clone());
                let is_healthy =
                    (condition.as_ref()).is_some_and(|it| it.state == PeerState::Healthy);
                self.notes.check(now, is_healthy, "nobody is stuck", || {
                    format!("{place} of {other}: {condition:?}")
                });
            }
        }
    }

    /// Between any two there is one connection, and both use it.
    pub(super) fn look_at_the_end(&mut self) {
        let now = self.now;
        for place in 0..self.plan.machines {
            for other in place + 1..self.plan.machines {
                let (ours, theirs) = (self.used(place, other), self.used(other, place));
                let all = [self.open_to(place, other), self.open_to(other, place)];
                let is_one = ours.is_some() && ours == theirs && all == [1, 1];
                self.notes.check(now, is_one, "one connection", || {
                    format!("{place} uses {ours:?}, {other} uses {theirs:?}, open are {all:?}")
                });
            }
        }
    }

    /// The connection that a machine uses to another.
    fn used(&self, place: usize, other: usize) -> Option<ConnectionId> {
        let agent = self.hosts[place].agent.as_ref()?;
        let link = agent.peers.get(&self.hosts[other].name)?.peer.link()?.link;
        let mut ends = agent.ends.iter();
        ends.find(|(_, end)| end.phase == Phase::Up(link))
            .map(|(connection, _)| *connection)
    }

    /// How many connections a machine has to another.
    fn open_to(&self, place: usize, other: usize) -> usize {
        let name = &self.hosts[other].name;
        let agent = self.hosts[place].agent.as_ref();
        agent.map_or(0, |agent| {
            agent.ends.values().filter(|end| end.peer == *name).count()
        })
    }
}
