//! An agent's control loop: it beats, hears what has happened, and does what the machines of its peers want.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{CloseCode, Peer, PeerCommand, PeerEvent, SelfCheck};
use dataflow_ids::{BootId, LinkId, PeerId};

use super::packets::{ConnectionId, Content, Packet};
use super::transport::{ConnectionEnd, Phase};
use super::world::{Happening, World};

/// An agent that was started. Times are those of its machine's clock.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) boot: BootId,
    /// Packets that have arrived while the process was stopped.
    pub(super) backlog: VecDeque<Packet>,
    /// What waits for the control loop.
    pub(super) inbox: VecDeque<(PeerId, PeerEvent)>,
    /// The control loop is about to look.
    pub(super) is_called: bool,
    pub(super) peers: BTreeMap<PeerId, Watched>,
    pub(super) self_check: SelfCheck,
    pub(super) last_beat: Time,
    pub(super) beat_at: Time,
    pub(super) ends: BTreeMap<ConnectionId, ConnectionEnd>,
    /// Connections that it has had.
    pub(super) forgotten: BTreeSet<ConnectionId>,
}

/// A peer of an agent.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) peer: Peer,
    pub(super) wake_at: Option<Time>,
}

impl World {
    /// Something has happened that a peer's machine is to hear.
    pub(super) fn note(&mut self, place: usize, peer: PeerId, event: PeerEvent) {
        if let Some(agent) = &mut self.hosts[place].agent {
            agent.inbox.push_back((peer, event));
            self.call_control(place);
        }
    }

    /// A timer of a peer's machine has come.
    pub(super) fn wake(&mut self, place: usize, peer: PeerId, at: Time) {
        let is_wanted = (self.hosts[place].agent.as_ref())
            .and_then(|agent| agent.peers.get(&peer))
            .is_some_and(|watched| watched.wake_at == Some(at));
        if is_wanted && self.hosts[place].stops == 0 {
            self.note(place, peer, PeerEvent::Wake);
        }
    }

    /// Timers that were passed over while the process was stopped, or by a jump of the clock.
    pub(super) fn wake_those_due(&mut self, place: usize) {
        let now = self.local(place);
        let Some(agent) = &self.hosts[place].agent else {
            return;
        };
        let due: Vec<_> = (agent.peers.iter())
            .filter(|(_, watched)| watched.wake_at.is_some_and(|at| at <= now))
            .map(|(peer, _)| peer.clone())
            .collect();
        for peer in due {
            self.note(place, peer, PeerEvent::Wake);
        }
    }

    /// For how long the control loop has been silent.
    pub(super) fn control_silent_for(&self, place: usize) -> Duration {
        let agent = self.hosts[place].agent.as_ref();
        agent.map_or(Duration::ZERO, |agent| {
            self.local(place).since(agent.last_beat)
        })
    }

    /// The control loop runs, if it can: first it looks whether it was stalled, and then takes everything that waits.
    pub(super) fn run_control(&mut self, place: usize) {
        let (now, host) = (self.local(place), &mut self.hosts[place]);
        let Some(agent) = &mut host.agent else {
            return;
        };
        agent.is_called = false;
        if host.stops > 0 || host.control_stalls > 0 {
            return;
        }
        if agent.beat_at <= now {
            agent.last_beat = now;
            let every = agent.self_check.beat_every();
            agent.beat_at = now.after(every);
            let stalled = agent.self_check.beat(now, Duration::ZERO);
            let boot = agent.boot;
            let at = self.now.after(every);
            self.later(at, Happening::Control { place, boot });
            if let Some(stalled) = stalled {
                self.notes.count("own stalls that were noticed");
                for peer in self.peers_of(place) {
                    self.tell(place, &peer, PeerEvent::Stalled(stalled));
                }
            }
            self.look_at_peers(place);
        }
        while let Some((peer, event)) =
            (self.hosts[place].agent.as_mut()).and_then(|agent| agent.inbox.pop_front())
        {
            self.tell(place, &peer, event);
        }
    }

    fn peers_of(&self, place: usize) -> Vec<PeerId> {
        let agent = self.hosts[place].agent.as_ref();
        agent.map_or_else(Vec::new, |agent| agent.peers.keys().cloned().collect())
    }

    /// A peer is in the file from now on.
    pub(super) fn add_peer(&mut self, place: usize, peer: &PeerId) {
        let (now, this) = (self.local(place), self.hosts[place].name.clone());
        if let Some(agent) = &mut self.hosts[place].agent {
            let watched = Watched {
                peer: Peer::new(this, peer.clone(), now),
                wake_at: None,
            };
            agent.peers.insert(peer.clone(), watched);
        }
        let other = self.place_of(peer);
        self.looks.begun(place, other);
        self.looks.reloaded(self.now, place, other);
        self.configure_peer(place, peer);
    }

    /// A peer's entry is this now.
    pub(super) fn configure_peer(&mut self, place: usize, peer: &PeerId) {
        if let Some(target) = self.hosts[place].file.get(peer).cloned() {
            let health_check = self.plan.health_check;
            let configured = PeerEvent::Configured {
                target,
                health_check,
            };
            self.tell(place, peer, configured);
        }
    }

    /// A peer is not in the file any more.
    pub(super) fn remove_peer(&mut self, place: usize, peer: &PeerId) {
        let Some(agent) = &mut self.hosts[place].agent else {
            return;
        };
        if let Some(mut watched) = agent.peers.remove(peer) {
            let commands = watched.peer.leave(CloseCode::Reconfigured);
            self.perform(place, peer, commands);
        }
    }

    /// Tells a peer's machine something, and does what it wants.
    fn tell(&mut self, place: usize, peer: &PeerId, event: PeerEvent) {
        let (now, random) = (self.local(place), self.draw.any());
        let Some(watched) =
            (self.hosts[place].agent.as_mut()).and_then(|agent| agent.peers.get_mut(peer))
        else {
            // It is not in the file any more: what has come in for it meanwhile is closed.
            return self.close_for_nobody(place, event);
        };
        if event == PeerEvent::Wake {
            watched.wake_at = None;
        }
        let before = watched.peer.clone();
        let commands = watched.peer.handle(now, random, event.clone());
        let after = watched.peer.clone();
        self.trace_handled(place, peer, &event, &commands);
        self.look_at_handled(place, peer, &before, &after, &event, &commands);
        self.perform(place, peer, commands);
    }

    fn close_for_nobody(&mut self, place: usize, event: PeerEvent) {
        if let PeerEvent::Accepted(facts)
        | PeerEvent::DialEnded {
            result: Ok(facts), ..
        } = event
        {
            self.close_link(place, facts.link, CloseCode::Reconfigured);
        }
    }

    fn trace_handled(
        &mut self,
        place: usize,
        peer: &PeerId,
        event: &PeerEvent,
        commands: &[PeerCommand],
    ) {
        let now = self.now;
        let is_dull = |command: &PeerCommand| matches!(command, PeerCommand::WakeAt(_));
        if *event != PeerEvent::Wake || !commands.iter().all(is_dull) {
            let told: Vec<_> = commands.iter().filter(|it| !is_dull(it)).collect();
            (self.notes).trace(now, || format!("{place} of {peer}: {event:?} -> {told:?}"));
        }
    }

    fn perform(&mut self, place: usize, peer: &PeerId, commands: Vec<PeerCommand>) {
        for command in commands {
            match command {
                PeerCommand::Dial(dial) => {
                    self.notes.count("dials");
                    self.dial(place, peer.clone(), dial);
                }
                PeerCommand::Cancel(dial) => {
                    self.notes.count("dials that were cancelled");
                    let of_dial = self.find(place, |end| {
                        let phases = [Phase::Beginning(dial), Phase::Greeting(dial)];
                        end.peer == *peer && phases.contains(&end.phase)
                    });
                    if let Some(connection) = of_dial {
                        self.close(place, connection, CloseCode::Superseded);
                    }
                }
                PeerCommand::Probe { link, sequence } => {
                    if let Some(connection) = self.find(place, |end| end.phase == Phase::Up(link)) {
                        self.notes.count("probes");
                        self.send_until_arrived(place, connection, Content::Probe(sequence));
                    }
                }
                PeerCommand::Close { link, code } => {
                    self.notes.count(&format!("closes: {code:?}"));
                    self.close_link(place, link, code);
                }
                PeerCommand::Refused(_) => self.notes.count("second agents that were refused"),
                PeerCommand::WakeAt(at) => self.set_alarm(place, peer, at),
                PeerCommand::Changed(condition) => {
                    self.notes
                        .count(&format!("conditions: {}", condition.state));
                }
            }
        }
    }

    fn set_alarm(&mut self, place: usize, peer: &PeerId, at: Time) {
        let world_at = Time(at.0.saturating_sub(self.hosts[place].clock_ahead));
        let Some(agent) = &mut self.hosts[place].agent else {
            return;
        };
        let boot = agent.boot;
        if let Some(watched) = agent.peers.get_mut(peer) {
            watched.wake_at = Some(at);
            let peer = peer.clone();
            let wake = Happening::Wake {
                place,
                boot,
                peer,
                at,
            };
            self.later(world_at, wake);
        }
    }

    fn close_link(&mut self, place: usize, link: LinkId, code: CloseCode) {
        if let Some(connection) = self.find(place, |end| end.phase == Phase::Up(link)) {
            self.close(place, connection, code);
        }
    }

    /// The connection of an end.
    fn find(&self, place: usize, is_it: impl Fn(&ConnectionEnd) -> bool) -> Option<ConnectionId> {
        let mut ends = self.hosts[place].agent.as_ref()?.ends.iter();
        ends.find(|(_, end)| is_it(end))
            .map(|(connection, _)| *connection)
    }
}
