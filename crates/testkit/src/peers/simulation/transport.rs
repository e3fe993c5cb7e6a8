//! One end of a connection, and what the packets that arrive do to it: QUIC, as far as it matters to who stands above.

use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{
    CloseCode, DialFailure, DialId, Direction, IDLE, KEEP_ALIVE, LinkEnd, LinkFacts, PeerEvent,
    Rejection,
};
use dataflow_ids::{BootId, LinkId, PeerId};

use super::packets::{ConnectionId, Content, Packet};
use super::plan;
use super::world::{Happening, World};

/// Who has begun a connection and does not go on is waited for for so long.
const HALF_OPEN_MAX: Duration = Duration::from_secs(5);

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// We dial; the other side has not shown its key.
    Beginning(DialId),
    /// We dial, and have said our hello.
    Greeting(DialId),
    /// The other side dials, and has shown its key.
    HalfOpen,
    /// Both hellos have passed.
    Up(LinkId),
}

/// One end of a connection. Times are those of its machine's clock.
#[derive(Debug, Clone)]
pub(super) struct ConnectionEnd {
    pub(super) peer: PeerId,
    pub(super) remote: SocketAddr,
    pub(super) direction: Direction,
    pub(super) phase: Phase,
    /// When a handshake that is not done is given up.
    give_up_at: Time,
    /// The idle time counts from then on.
    idle_from: Time,
    has_sent_since: bool,
    last_sent: Time,
    /// The timer that is set, on the world's clock.
    timer_at: Option<Time>,
}

impl ConnectionEnd {
    pub(super) fn new(
        peer: PeerId,
        remote: SocketAddr,
        phase: Phase,
        now: Time,
        timeout: Duration,
    ) -> ConnectionEnd {
        let (direction, patience) = match phase {
            Phase::HalfOpen => (Direction::Accepted, HALF_OPEN_MAX),
            _ => (Direction::Dialled, timeout),
        };
        ConnectionEnd {
            peer,
            remote,
            direction,
            phase,
            give_up_at: now.after(patience),
            idle_from: now,
            has_sent_since: false,
            last_sent: now,
            timer_at: None,
        }
    }

    /// When something is due, on its machine's clock.
    fn due_at(&self) -> Time {
        match self.phase {
            Phase::Up(_) => (self.idle_from.after(IDLE)).min(self.last_sent.after(KEEP_ALIVE)),
            _ => self.give_up_at,
        }
    }

    /// Something is sent to which the other side has to answer. The first since it was heard begins the idle time anew
    /// (RFC 9000, 10.1).
    pub(super) fn sends(&mut self, now: Time) {
        self.last_sent = now;
        if !self.has_sent_since {
            self.has_sent_since = true;
            self.idle_from = now;
        }
    }

    fn hears(&mut self, now: Time, from: SocketAddr) {
        self.idle_from = now;
        self.has_sent_since = false;
        // Who has dialled may move; who was dialled may not (RFC 9000, 9).
        if self.direction == Direction::Accepted {
            self.remote = from;
        }
    }
}

impl World {
    /// A packet arrives at a process that runs.
    pub(super) fn receive(&mut self, place: usize, packet: Packet) {
        let now = self.local(place);
        let Some(agent) = self.hosts[place].agent.as_mut() else {
            return;
        };
        let connection = packet.connection;
        let Some(end) = agent.ends.get_mut(&connection) else {
            return self.receive_unknown(place, packet);
        };
        end.hears(now, packet.from);
        let remote = end.remote;
        if packet.content.wants_answer() {
            self.send(place, remote, connection, None, Content::Acknowledged);
        }
        if packet.message.is_none_or(|it| self.arrived.insert(it)) {
            self.understand(place, connection, packet.content);
        }
        self.set_timer(place, connection);
    }

    /// A packet of a connection that is not known (any more).
    fn receive_unknown(&mut self, place: usize, packet: Packet) {
        let (connection, to) = (packet.connection, packet.from);
        match packet.content {
            Content::Begin { id, key } => {
                let agent = self.hosts[place].agent.as_ref();
                if agent.is_some_and(|agent| agent.forgotten.contains(&connection)) {
                    return self.send(place, to, connection, None, Content::Reset);
                }
                match self.judge_stranger(place, &id, key) {
                    Ok(()) => {
                        if let Some(message) = packet.message {
                            self.arrived.insert(message);
                        }
                        self.open(place, connection, id, to, Phase::HalfOpen);
                        let (id, key) = self.identity(place);
                        self.send_until_arrived(place, connection, Content::Shake { id, key });
                    }
                    Err((theirs, ours)) => {
                        self.send(place, to, connection, None, Content::Refuse(theirs));
                        if let Some(ours) = ours {
                            self.note(place, id, PeerEvent::Stranger(ours));
                        }
                    }
                }
            }
            content if content.wants_answer() => {
                let agent = self.hosts[place].agent.as_ref();
                let knew = agent.is_some_and(|agent| agent.forgotten.contains(&connection));
                if knew || self.plan.resets_survive {
                    self.send(place, to, connection, None, Content::Reset);
                }
            }
            _ => {}
        }
    }

    /// Whether who dials may come in; else what it is told, and what is told of it here.
    fn judge_stranger(
        &self,
        place: usize,
        id: &PeerId,
        key: dataflow_ids::Fingerprint,
    ) -> Result<(), (Rejection, Option<Rejection>)> {
        match self.hosts[place].file.get(id) {
            None => Err((Rejection::NotListed, None)),
            Some(entry) if !entry.fingerprints.contains(&key) => Err((
                Rejection::OurKeyRefused,
                Some(Rejection::WrongKey { came: key }),
            )),
            Some(_) => Ok(()),
        }
    }

    /// What a packet means to an end that is known.
    fn understand(&mut self, place: usize, connection: ConnectionId, content: Content) {
        let Some((phase, peer, remote)) = self.end(place, connection) else {
            return;
        };
        match (content, phase) {
            (Content::Shake { id, key }, Phase::Beginning(dial)) => {
                let entry = self.hosts[place].file.get(&peer);
                let is_right = id == peer && entry.is_some_and(|it| it.fingerprints.contains(&key));
                if !is_right {
                    self.forget(place, connection);
                    self.send(place, remote, connection, None, Content::Reset);
                    let rejection = Rejection::WrongKey { came: key };
                    return self.dial_fails(place, peer, dial, DialFailure::Rejected(rejection));
                }
                self.change_phase(place, connection, Phase::Greeting(dial));
                let boot = self.boot(place);
                self.send_until_arrived(place, connection, Content::Hello(boot));
            }
            (Content::Refuse(rejection), Phase::Beginning(dial)) => {
                self.forget(place, connection);
                self.dial_fails(place, peer, dial, DialFailure::Rejected(rejection));
            }
            (Content::PortClosed, Phase::Beginning(dial)) => {
                self.forget(place, connection);
                self.dial_fails(place, peer, dial, DialFailure::Refused);
            }
            (Content::Hello(boot), Phase::HalfOpen) => {
                let facts = self.link_up(place, connection, boot);
                let own = self.boot(place);
                self.note(place, peer, PeerEvent::Accepted(facts));
                self.send_until_arrived(place, connection, Content::HelloBack(own));
            }
            (Content::HelloBack(boot), Phase::Greeting(dial)) => {
                let result = Ok(self.link_up(place, connection, boot));
                self.note(place, peer, PeerEvent::DialEnded { dial, result });
            }
            (Content::Probe(sequence), _) => {
                let control_silent_for = self.control_silent_for(place);
                let answer = Content::Answer {
                    sequence,
                    control_silent_for,
                };
                self.send_until_arrived(place, connection, answer);
            }
            (
                Content::Answer {
                    sequence,
                    control_silent_for,
                },
                Phase::Up(link),
            ) => {
                let answered = PeerEvent::Answered {
                    link,
                    sequence,
                    round_trip: Duration::ZERO,
                    control_silent_for,
                };
                self.note(place, peer, answered);
            }
            (Content::Close(code), _) => {
                self.end_connection(place, connection, LinkEnd::ByPeer(code));
            }
            (Content::Reset, _) => self.end_connection(place, connection, LinkEnd::Reset),
            _ => {}
        }
    }

    fn link_up(&mut self, place: usize, connection: ConnectionId, boot: BootId) -> LinkFacts {
        self.links += 1;
        let link = LinkId(self.links);
        self.change_phase(place, connection, Phase::Up(link));
        let (from, direction) = (self.hosts[place].agent.as_ref())
            .and_then(|agent| agent.ends.get(&connection))
            .map_or((plan::address(0, 0), Direction::Accepted), |end| {
                (end.remote, end.direction)
            });
        LinkFacts {
            link,
            direction,
            boot,
            from,
        }
    }

    /// A connection ends, and not from here: whoever stands above is told so.
    pub(super) fn end_connection(&mut self, place: usize, connection: ConnectionId, end: LinkEnd) {
        let Some((phase, peer, _)) = self.end(place, connection) else {
            return;
        };
        self.forget(place, connection);
        match phase {
            Phase::Up(link) => self.note(place, peer, PeerEvent::LinkEnded { link, end }),
            Phase::Beginning(dial) | Phase::Greeting(dial) => {
                self.dial_fails(place, peer, dial, DialFailure::Other(end.to_string()));
            }
            Phase::HalfOpen => {}
        }
    }

    fn dial_fails(&mut self, place: usize, peer: PeerId, dial: DialId, failure: DialFailure) {
        let result = Err(failure);
        self.note(place, peer, PeerEvent::DialEnded { dial, result });
    }

    /// Begins to dial.
    pub(super) fn dial(&mut self, place: usize, peer: PeerId, dial: DialId) {
        let Some(target) = self.hosts[place].file.get(&peer) else {
            return self.dial_fails(place, peer, dial, DialFailure::NoAnswer);
        };
        let remote = target.address;
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        self.open(place, connection, peer, remote, Phase::Beginning(dial));
        let (id, key) = self.identity(place);
        self.send_until_arrived(place, connection, Content::Begin { id, key });
    }

    fn open(
        &mut self,
        place: usize,
        connection: ConnectionId,
        peer: PeerId,
        remote: SocketAddr,
        phase: Phase,
    ) {
        let (now, timeout) = (self.local(place), self.plan.health_check.timeout);
        if let Some(agent) = &mut self.hosts[place].agent {
            let end = ConnectionEnd::new(peer, remote, phase, now, timeout);
            agent.ends.insert(connection, end);
        }
        self.set_timer(place, connection);
    }

    /// Closes a connection from here, without a word to whoever stands above.
    pub(super) fn close(&mut self, place: usize, connection: ConnectionId, code: CloseCode) {
        if let Some((_, _, remote)) = self.end(place, connection) {
            self.forget(place, connection);
            self.send(place, remote, connection, None, Content::Close(code));
        }
    }

    fn forget(&mut self, place: usize, connection: ConnectionId) {
        if let Some(agent) = &mut self.hosts[place].agent {
            agent.ends.remove(&connection);
            agent.forgotten.insert(connection);
        }
    }

    fn change_phase(&mut self, place: usize, connection: ConnectionId, phase: Phase) {
        if let Some(agent) = &mut self.hosts[place].agent
            && let Some(end) = agent.ends.get_mut(&connection)
        {
            end.phase = phase;
        }
    }

    fn end(&self, place: usize, connection: ConnectionId) -> Option<(Phase, PeerId, SocketAddr)> {
        let end = self.hosts[place].agent.as_ref()?.ends.get(&connection)?;
        Some((end.phase, end.peer.clone(), end.remote))
    }

    /// Sets the timer of an end, unless an earlier one is set.
    pub(super) fn set_timer(&mut self, place: usize, connection: ConnectionId) {
        let (now, ahead) = (self.now, self.hosts[place].clock_ahead);
        let Some(agent) = &mut self.hosts[place].agent else {
            return;
        };
        let boot = agent.boot;
        let Some(end) = agent.ends.get_mut(&connection) else {
            return;
        };
        let at = Time(end.due_at().0.saturating_sub(ahead)).max(now);
        if end.timer_at.is_some_and(|set| now < set && set <= at) {
            return;
        }
        end.timer_at = Some(at);
        let timer = Happening::Timer {
            place,
            boot,
            connection,
        };
        self.later(at, timer);
    }

    /// The timer of an end has come.
    pub(super) fn timer(&mut self, place: usize, connection: ConnectionId) {
        let (world, now) = (self.now, self.local(place));
        let Some(end) =
            (self.hosts[place].agent.as_mut()).and_then(|it| it.ends.get_mut(&connection))
        else {
            return;
        };
        if end.timer_at == Some(world) {
            end.timer_at = None;
        }
        if now < end.due_at() {
            return self.set_timer(place, connection);
        }
        match end.phase {
            Phase::Up(_) if end.idle_from.after(IDLE) <= now => {
                return self.end_connection(place, connection, LinkEnd::Idle);
            }
            Phase::Up(_) => {
                end.sends(now);
                let remote = end.remote;
                self.send(place, remote, connection, None, Content::KeepAlive);
            }
            Phase::Beginning(dial) | Phase::Greeting(dial) => {
                let peer = end.peer.clone();
                self.close(place, connection, CloseCode::Superseded);
                return self.dial_fails(place, peer, dial, DialFailure::NoAnswer);
            }
            Phase::HalfOpen => return self.forget(place, connection),
        }
        self.set_timer(place, connection);
    }
}
