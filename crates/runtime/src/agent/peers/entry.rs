//! All that is known of one peer, where a panic of its actor does not reach.

use std::cell::{Cell, Ref, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{
    DialId, HealthCheck, Peer, PeerCommand, PeerCondition, PeerEvent, PeerTarget, Reason, Rejection,
};
use dataflow_descriptor as descriptor;
use dataflow_ids::{LinkId, PeerId, PeerState};

use super::links::Links;
use crate::actors::{Committed, PeerMessage};
use crate::network::PeerHello;
use crate::supervision::Handle;

/// A peer, and which time that it was put under watch: what is said of an earlier one is not about this one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerKey {
    pub(super) peer: PeerId,
    pub(super) life: u64,
}

/// How a peer stands, and how that came.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) condition: PeerCondition,
    pub(super) transitions: u64,
    /// What it said of itself when it was connected last.
    pub(super) known: Option<PeerHello>,
    /// Why its actor cannot go on, until it begins anew.
    pub(super) broken: Option<String>,
}

/// A change of a peer's state.
pub(super) struct Transition {
    pub(super) from: PeerState,
    pub(super) lasted: Duration,
}

/// One peer.
pub(crate) struct Entry {
    key: PeerKey,
    handle: Handle<PeerMessage>,
    machine: Committed<Peer, PeerCommand>,
    said: RefCell<descriptor::Peer>,
    health_check: Cell<HealthCheck>,
    wake_at: Cell<Option<Time>>,
    stalled: Cell<Option<Duration>>,
    is_retired: Cell<bool>,
    standing: RefCell<Standing>,
    links: RefCell<Links>,
    stranger: RefCell<Option<Stranger>>,
}

/// Somebody who was refused in its place.
#[derive(Debug, Clone)]
pub(super) struct Stranger {
    pub(super) from: SocketAddr,
    pub(super) rejection: Rejection,
    /// How many more since the last that was told.
    pub(super) more: u64,
}

impl Entry {
    pub(super) fn new(
        key: PeerKey,
        handle: Handle<PeerMessage>,
        machine: Peer,
        said: descriptor::Peer,
        health_check: HealthCheck,
        now: Time,
        transitions_before: u64,
    ) -> Entry {
        let condition = PeerCondition {
            state: PeerState::Degraded,
            reason: Reason::Connecting,
            since: now,
            outage: None,
        };
        Entry {
            key,
            handle,
            machine: Committed::new(machine),
            said: RefCell::new(said),
            health_check: Cell::new(health_check),
            wake_at: Cell::default(),
            stalled: Cell::default(),
            is_retired: Cell::default(),
            standing: RefCell::new(Standing {
                condition,
                transitions: transitions_before,
                known: None,
                broken: None,
            }),
            links: RefCell::default(),
            stranger: RefCell::default(),
        }
    }

    pub(super) fn key(&self) -> &PeerKey {
        &self.key
    }

    pub(super) fn peer(&self) -> &PeerId {
        &self.key.peer
    }

    pub(super) fn handle(&self) -> &Handle<PeerMessage> {
        &self.handle
    }

    /// What its actor has decided.
    pub(crate) fn machine(&self) -> &Committed<Peer, PeerCommand> {
        &self.machine
    }

    /// What the file says of it.
    pub(super) fn said(&self) -> Ref<'_, descriptor::Peer> {
        self.said.borrow()
    }

    pub(super) fn health_check(&self) -> HealthCheck {
        self.health_check.get()
    }

    pub(super) fn target(&self) -> PeerTarget {
        target(&self.said.borrow())
    }

    /// The file says something else of it.
    pub(super) fn is_said(&self, said: descriptor::Peer, health_check: HealthCheck) {
        *self.said.borrow_mut() = said;
        self.health_check.set(health_check);
    }

    /// What the file says of it, for its machine.
    pub(crate) fn configured(&self) -> PeerEvent {
        PeerEvent::Configured {
            target: self.target(),
            health_check: self.health_check(),
        }
    }

    /// It is not in the file any more, or begins anew: nothing that was told of it counts.
    pub(super) fn retire(&self) {
        self.is_retired.set(true);
        self.wake_at.set(None);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.get()
    }

    pub(super) fn links(&self) -> Ref<'_, Links> {
        self.links.borrow()
    }

    pub(super) fn change_links<T>(&self, change: impl FnOnce(&mut Links) -> T) -> T {
        change(&mut self.links.borrow_mut())
    }

    pub(super) fn wake_at(&self) -> Option<Time> {
        self.wake_at.get()
    }

    pub(crate) fn set_wake(&self, at: Option<Time>) {
        self.wake_at.set(at);
    }

    /// This process did not run for so long. Of several times before it is heard, the longest counts.
    pub(super) fn stall(&self, stalled: Duration) {
        self.stalled.set(self.stalled.get().max(Some(stalled)));
    }

    /// For how long this process did not run, if that was not heard yet.
    pub(crate) fn stalled(&self) -> Option<Duration> {
        self.stalled.get()
    }

    /// It was heard that this process did not run for so long.
    pub(crate) fn stall_was_heard(&self, stalled: Duration) {
        self.stalled
            .set(self.stalled.get().filter(|&it| it > stalled));
    }

    pub(super) fn standing(&self) -> Ref<'_, Standing> {
        self.standing.borrow()
    }

    /// It goes on from where an earlier life of it has stood.
    pub(super) fn inherit(&self, standing: Standing) {
        *self.standing.borrow_mut() = standing;
    }

    /// What its actor is cannot go on.
    pub(super) fn breaks(&self, what: &str) {
        self.standing.borrow_mut().broken = Some(what.to_owned());
    }

    /// It stands otherwise. Gives the transition, when its state is another one. Saying it twice changes nothing.
    pub(super) fn stands(&self, condition: PeerCondition, now: Time) -> Option<Transition> {
        let mut standing = self.standing.borrow_mut();
        standing.broken = None;
        let before = std::mem::replace(&mut standing.condition, condition);
        if before.state == standing.condition.state {
            return None;
        }
        standing.transitions += 1;
        Some(Transition {
            from: before.state,
            lasted: now.since(before.since),
        })
    }

    /// What it has said of itself on the connection that counts stays known when that has ended.
    pub(crate) fn remember(&self) {
        let links = self.links.borrow();
        let hello = self
            .link()
            .and_then(|link| links.get(link))
            .map(|it| &it.hello);
        let mut standing = self.standing.borrow_mut();
        if hello.is_some() && standing.known.as_ref() != hello {
            standing.known = hello.cloned();
        }
    }

    /// Somebody was refused in its place.
    pub(super) fn was_refused(&self, stranger: Stranger) {
        *self.stranger.borrow_mut() = Some(stranger);
    }

    /// Who was refused last in its place for this reason.
    pub(super) fn take_stranger(&self, rejection: &Rejection) -> Option<Stranger> {
        let mut stranger = self.stranger.borrow_mut();
        stranger.take_if(|it| it.rejection == *rejection)
    }

    /// Whether a connection with it is there, or has ended and that was not heard.
    pub(crate) fn has_link(&self, link: LinkId) -> bool {
        self.links.borrow().contains(link)
    }

    /// Whether the end of a dial was not heard yet.
    pub(crate) fn awaits(&self, dial: DialId) -> bool {
        self.links.borrow().awaits(dial)
    }

    /// The end of a dial was heard.
    pub(crate) fn dial_was_heard(&self, dial: DialId) {
        self.links.borrow_mut().forget_dial(dial);
    }

    /// The connection that counts.
    pub(super) fn link(&self) -> Option<LinkId> {
        self.machine.read().link().map(|facts| facts.link)
    }

    /// Whether what was told of it was neither heard nor undone meanwhile.
    pub(crate) fn still_stands(&self, event: &PeerEvent) -> bool {
        match event {
            PeerEvent::DialEnded { dial, .. } => self.awaits(*dial),
            PeerEvent::Accepted(facts) => self.has_link(facts.link),
            PeerEvent::LinkEnded { link, .. } | PeerEvent::Answered { link, .. } => {
                self.has_link(*link)
            }
            _ => true,
        }
    }

    /// What is true and may not have been heard: everything in it may be told twice.
    pub(crate) fn what_stands(&self) -> Vec<PeerEvent> {
        let mut events = vec![self.configured()];
        events.extend(self.links.borrow().what_stands());
        events.push(PeerEvent::Wake);
        events
    }
}

/// Where the file says that a peer is, and how it is known.
pub(super) fn target(said: &descriptor::Peer) -> PeerTarget {
    PeerTarget {
        address: said.address,
        fingerprints: said.fingerprints.clone(),
    }
}
