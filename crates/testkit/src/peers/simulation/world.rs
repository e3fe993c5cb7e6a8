//! Everything that there is in one seed, and what happens next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{CloseCode, PeerEntry, PeerTarget, SelfCheck, diff};
use dataflow_ids::{BootId, Fingerprint, PeerId};

use super::agent::Agent;
use super::looks::Looks;
use super::notes::{Notes, Simulated};
use super::packets::{ConnectionId, Content, MessageId, Packet};
use super::path::Path;
use super::plan::{self, Plan};
use crate::simulation::{Draw, Tracing};

/// So many packets wait for a process that is stopped, and no more.
const BACKLOG_MAX: usize = 100;
/// What is sent again and again waits no longer than this in between.
const RESEND_MAX: Duration = Duration::from_secs(5);
/// Within this the control loop hears what has happened on the network.
const CONTROL_LATE_MAX_US: u64 = 3000;

/// How an agent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Without a word.
    Killed,
    /// It says so to its peers.
    AsItShould,
}

/// Something that happens at a moment.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// A packet arrives.
    Arrive { at: SocketAddr, packet: Packet },
    /// What has not arrived is sent, for the time of that number.
    Send {
        place: usize,
        boot: BootId,
        packet: Packet,
        attempt: u32,
    },
    /// The timer of a connection's end.
    Timer {
        place: usize,
        boot: BootId,
        connection: ConnectionId,
    },
    /// The control loop takes what waits for it.
    Control { place: usize, boot: BootId },
    /// A peer's machine wants to be woken.
    Wake {
        place: usize,
        boot: BootId,
        peer: PeerId,
        at: Time,
    },
    /// Something begins to go wrong, or is over.
    Trouble { number: usize, is_over: bool },
    /// Everybody must be healthy.
    MustBeHealthy,
}

/// How one machine sees another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct View {
    /// How many things keep it out of the file.
    pub(super) unlisted: u32,
    /// How many things make its key a wrong one.
    pub(super) wrong_key: u32,
    /// Its key and the next one are both known.
    pub(super) has_next_key: bool,
    /// How often it has moved, as far as is known.
    pub(super) moves: usize,
}

/// A machine, and the agent on it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: PeerId,
    /// Whose key it has: its own, but for the second agent with one id.
    pub(super) key_of: usize,
    pub(super) keys_before: usize,
    pub(super) moves: usize,
    pub(super) clock_ahead: Duration,
    /// How many things keep the agent from running, stop its process, and stall its control loop.
    pub(super) downs: u32,
    pub(super) stops: u32,
    pub(super) control_stalls: u32,
    pub(super) views: Vec<View>,
    pub(super) file: BTreeMap<PeerId, PeerTarget>,
    pub(super) agent: Option<Agent>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: Time,
    pub(super) draw: Draw,
    pub(super) notes: Notes,
    pub(super) looks: Looks,
    pub(super) hosts: Vec<Host>,
    pub(super) paths: Vec<Vec<Path>>,
    pub(super) arrived: BTreeSet<MessageId>,
    pub(super) links: u64,
    pub(super) connections: u64,
    messages: u64,
    boots: u64,
    queue: BTreeMap<(Time, u64), Happening>,
    happenings: u64,
}

/// Simulates one seed.
#[must_use]
pub fn simulate(seed: u64, tracing: Tracing) -> Simulated {
    let mut world = World::new(seed, tracing);
    world.run();
    world.notes.finish(seed)
}

impl World {
    fn new(seed: u64, tracing: Tracing) -> World {
        let plan = Plan::of(seed);
        let hosts = plan.names.iter().enumerate();
        let hosts = hosts.map(|(place, name)| Host {
            name: name.clone(),
            key_of: if place < plan.machines { place } else { 0 },
            keys_before: 0,
            moves: 0,
            clock_ahead: Duration::ZERO,
            downs: 0,
            stops: 0,
            control_stalls: 0,
            views: vec![View::default(); plan.names.len()],
            file: BTreeMap::new(),
            agent: None,
        });
        World {
            now: Time::START,
            draw: Draw::new(seed, 2),
            notes: Notes::new(tracing),
            looks: Looks::new(&plan),
            hosts: hosts.collect(),
            paths: plan.paths.clone(),
            arrived: BTreeSet::new(),
            links: 0,
            connections: 0,
            messages: 0,
            boots: 0,
            queue: BTreeMap::new(),
            happenings: 0,
            plan,
        }
    }

    fn run(&mut self) {
        let plan = &self.plan;
        let (end, healthy_by) = (plan.end, plan.healthy_by);
        let began = format!(
            "{} machines, {:?}, refuses: {}, resets survive: {}",
            plan.machines, plan.health_check, plan.refuses, plan.resets_survive
        );
        self.notes.trace(self.now, || began);
        let moments: Vec<_> = (plan.troubles.iter().enumerate())
            .flat_map(|(number, (from, until, _))| [(*from, number, false), (*until, number, true)])
            .collect();
        for (at, number, is_over) in moments {
            self.later(at, Happening::Trouble { number, is_over });
        }
        self.later(healthy_by, Happening::MustBeHealthy);
        (0..self.plan.machines).for_each(|place| self.start(place));
        self.look_around();
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            if at > end || self.notes.is_wrong() {
                break;
            }
            self.now = at;
            self.happen(happening);
        }
        self.look_at_the_end();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { at, packet } => self.arrive(at, packet),
            Happening::Send {
                place,
                boot,
                packet,
                attempt,
            } if self.is_alive(place, boot) => self.send_once_more(place, packet, attempt),
            Happening::Timer {
                place,
                boot,
                connection,
            } if self.runs(place, boot) => self.timer(place, connection),
            Happening::Control { place, boot } if self.is_alive(place, boot) => {
                self.run_control(place);
            }
            Happening::Wake {
                place,
                boot,
                peer,
                at,
            } if self.is_alive(place, boot) => self.wake(place, peer, at),
            Happening::Trouble { number, is_over } => self.trouble(number, is_over),
            Happening::MustBeHealthy => self.look_that_all_are_healthy(),
            // Meant for an agent that has ended.
            _ => {}
        }
    }

    /// Something is to happen.
    pub(super) fn later(&mut self, at: Time, happening: Happening) {
        self.happenings += 1;
        self.queue
            .insert((at.max(self.now), self.happenings), happening);
    }

    /// What time a machine has.
    pub(super) fn local(&self, place: usize) -> Time {
        self.now.after(self.hosts[place].clock_ahead)
    }

    fn is_alive(&self, place: usize, boot: BootId) -> bool {
        (self.hosts[place].agent.as_ref()).is_some_and(|agent| agent.boot == boot)
    }

    fn runs(&self, place: usize, boot: BootId) -> bool {
        self.is_alive(place, boot) && self.hosts[place].stops == 0
    }

    fn arrive(&mut self, at: SocketAddr, packet: Packet) {
        let mut places = 0..self.hosts.len();
        let Some(place) = places.find(|place| self.address(*place) == at) else {
            return;
        };
        let host = &mut self.hosts[place];
        match &mut host.agent {
            None if self.plan.refuses && matches!(packet.content, Content::Begin { .. }) => {
                let to = packet.from;
                self.send(place, to, packet.connection, None, Content::PortClosed);
            }
            None => {}
            Some(_) if host.stops == 0 => self.receive(place, packet),
            Some(agent) if agent.backlog.len() < BACKLOG_MAX => agent.backlog.push_back(packet),
            Some(_) => {}
        }
    }

    /// Sends a packet, once.
    pub(super) fn send(
        &mut self,
        place: usize,
        to: SocketAddr,
        connection: ConnectionId,
        message: Option<MessageId>,
        content: Content,
    ) {
        let mut places = 0..self.hosts.len();
        let Some(target) = places.find(|place| self.address(*place) == to) else {
            return;
        };
        let Some(takes) = self.paths[place][target].carry(&mut self.draw) else {
            return self.notes.count("packets lost");
        };
        self.notes.count("packets that arrived");
        let packet = Packet {
            from: self.address(place),
            connection,
            message,
            content,
        };
        self.later(self.now.after(takes), Happening::Arrive { at: to, packet });
    }

    /// Sends something again and again, until it has arrived or the connection has ended.
    pub(super) fn send_until_arrived(
        &mut self,
        place: usize,
        connection: ConnectionId,
        content: Content,
    ) {
        self.messages += 1;
        let packet = Packet {
            from: self.address(place),
            connection,
            message: Some(MessageId(self.messages)),
            content,
        };
        self.send_once_more(place, packet, 0);
    }

    fn send_once_more(&mut self, place: usize, packet: Packet, attempt: u32) {
        let now = self.local(place);
        let (stops, boot) = (self.hosts[place].stops, self.boot(place));
        let end = (self.hosts[place].agent.as_mut())
            .and_then(|agent| agent.ends.get_mut(&packet.connection));
        let has_arrived = packet.message.is_some_and(|it| self.arrived.contains(&it));
        let Some(end) = end.filter(|_| !has_arrived) else {
            return;
        };
        let wait = (self.plan.resend)
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX))
            .min(RESEND_MAX);
        // A process that is stopped sends nothing, and goes on later.
        if stops == 0 {
            end.sends(now);
            let remote = end.remote;
            let (message, content) = (packet.message, packet.content.clone());
            self.send(place, remote, packet.connection, message, content);
        }
        let again = Happening::Send {
            place,
            boot,
            packet,
            attempt: attempt + u32::from(stops == 0),
        };
        self.later(self.now.after(wait), again);
    }

    /// Something has happened that the control loop will hear of soon.
    pub(super) fn call_control(&mut self, place: usize) {
        let late = Duration::from_micros(self.draw.between(0, CONTROL_LATE_MAX_US));
        let at = self.now.after(late);
        if let Some(agent) = &mut self.hosts[place].agent
            && !agent.is_called
        {
            agent.is_called = true;
            let boot = agent.boot;
            self.later(at, Happening::Control { place, boot });
        }
    }

    /// Starts an agent.
    pub(super) fn start(&mut self, place: usize) {
        if self.hosts[place].agent.is_some() {
            return;
        }
        self.boots += 1;
        let boot = BootId(self.boots);
        self.hosts[place].agent = Some(Agent {
            boot,
            backlog: VecDeque::new(),
            inbox: VecDeque::new(),
            is_called: false,
            peers: BTreeMap::new(),
            self_check: SelfCheck::new(self.plan.health_check),
            last_beat: self.local(place),
            beat_at: self.local(place),
            ends: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        });
        self.hosts[place].file = self.file_of(place);
        let names: Vec<PeerId> = self.hosts[place].file.keys().cloned().collect();
        let now = self.now;
        self.notes
            .trace(now, || format!("{place} starts as {boot}"));
        names.iter().for_each(|peer| self.add_peer(place, peer));
        self.call_control(place);
    }

    /// Ends an agent.
    pub(super) fn kill(&mut self, place: usize, end: End) {
        if end == End::AsItShould && self.hosts[place].stops == 0 {
            let ends = self.hosts[place].agent.as_ref();
            let ends: Vec<_> = ends.map_or_else(Vec::new, |it| it.ends.keys().copied().collect());
            for connection in ends {
                self.close(place, connection, CloseCode::Ending);
            }
        }
        self.hosts[place].agent = None;
        self.looks.ended(place);
    }

    /// The process goes on: what has waited arrives, and what is over is seen to be; which comes first is chance.
    pub(super) fn resume(&mut self, place: usize) {
        if self.hosts[place].stops > 0 {
            return;
        }
        let packets_first = self.draw.percent(50);
        if !packets_first {
            self.look_at_clock(place);
        }
        let waiting = (self.hosts[place].agent.as_mut()).map(|it| std::mem::take(&mut it.backlog));
        for packet in waiting.into_iter().flatten() {
            self.receive(place, packet);
        }
        if packets_first {
            self.look_at_clock(place);
        }
        self.run_control(place);
    }

    /// Sees what is over by now on a machine's clock.
    pub(super) fn look_at_clock(&mut self, place: usize) {
        if self.hosts[place].stops > 0 {
            return;
        }
        let ends = self.hosts[place].agent.as_ref();
        let ends: Vec<_> = ends.map_or_else(Vec::new, |it| it.ends.keys().copied().collect());
        ends.into_iter().for_each(|end| self.timer(place, end));
        self.call_control(place);
        self.wake_those_due(place);
    }

    /// The file of a machine as it has to be now.
    fn file_of(&self, place: usize) -> BTreeMap<PeerId, PeerTarget> {
        let own = &self.hosts[place].name;
        let others = (0..self.plan.machines).filter(|other| self.hosts[*other].name != *own);
        others
            .filter_map(|other| {
                let view = self.hosts[place].views[other];
                let fingerprints: Vec<Fingerprint> = match (view.wrong_key, view.has_next_key) {
                    (0, false) => vec![plan::key(other, 0)],
                    (0, true) => vec![plan::key(other, 0), plan::key(other, 1)],
                    _ => vec![plan::key(other, 99)],
                };
                let target = PeerTarget {
                    address: plan::address(other, view.moves),
                    fingerprints,
                };
                let is_listed = view.unlisted == 0;
                is_listed.then(|| (self.hosts[other].name.clone(), target))
            })
            .collect()
    }

    /// The file of a machine may have changed: only what is different is touched.
    pub(super) fn reload(&mut self, place: usize) {
        let entries = |file: &BTreeMap<PeerId, PeerTarget>| -> Vec<PeerEntry<()>> {
            let entry = |(id, target): (&PeerId, &PeerTarget)| PeerEntry {
                id: id.clone(),
                target: target.clone(),
                capabilities: (),
            };
            file.iter().map(entry).collect()
        };
        let newer = self.file_of(place);
        let diff = diff(&entries(&self.hosts[place].file), &entries(&newer));
        self.hosts[place].file = newer;
        if self.hosts[place].agent.is_none() {
            return;
        }
        if !diff.is_empty() {
            self.notes.count("reloads that changed something");
            let now = self.now;
            self.notes
                .trace(now, || format!("{place} reloads: {diff:?}"));
        }
        for peer in &diff.removed {
            self.remove_peer(place, peer);
        }
        for peer in &diff.added {
            self.add_peer(place, peer);
        }
        for (peer, _) in &diff.changed {
            self.looks.reloaded(self.now, place, self.place_of(peer));
            self.configure_peer(place, peer);
        }
        for peer in &diff.unchanged {
            self.look_that_the_same_entry_does_nothing(place, peer);
        }
    }

    /// The place of the machine that a name in the file means.
    pub(super) fn place_of(&self, name: &PeerId) -> usize {
        (self.plan.names.iter().position(|it| it == name)).expect("the name of a machine")
    }

    pub(super) fn address(&self, place: usize) -> SocketAddr {
        plan::address(place, self.hosts[place].moves)
    }

    pub(super) fn identity(&self, place: usize) -> (PeerId, Fingerprint) {
        (self.hosts[place].name.clone(), self.key(place))
    }

    pub(super) fn key(&self, place: usize) -> Fingerprint {
        let host = &self.hosts[place];
        plan::key(host.key_of, self.hosts[host.key_of].keys_before)
    }

    pub(super) fn boot(&self, place: usize) -> BootId {
        (self.hosts[place].agent.as_ref()).map_or(BootId(0), |agent| agent.boot)
    }
}
