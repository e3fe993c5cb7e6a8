//! What outlives a panic of every `PeerActor`: the peers, their connections, what was decided, and this process's own beat.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{
    CloseCode, DialId, HealthCheck, PeerCommand, PeerCondition, Rejection, SelfCheck,
};
use dataflow_core::random::Random;
use dataflow_ids::stats::{ActorRow, Gauge};
use dataflow_ids::{BootId, ClusterName, Fingerprint, LinkId, PeerId, PeerState};
use dataflow_wire::peers::Offer;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::entry::{Entry, PeerKey};
use super::remedy::remedy;
use super::strangers::Strangers;
use crate::actors::{ActorKind, KindCounts};
use crate::agent::AgentEvent;
use crate::network::{Network, Trust, Trusted};

/// Of how many peers that were let go of it is known how often their state has changed: as many as a file may name.
const GONE_MAX: usize = 4096;

/// Who this agent is. Nothing of it changes.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) this: PeerId,
    pub(super) listens: SocketAddr,
    pub(super) boot: BootId,
    pub(super) version: String,
    pub(super) fingerprint: Fingerprint,
    pub(super) found: Offer,
}

/// What the file says beside its peers, and what is wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) file: PathBuf,
    pub(super) cluster: ClusterName,
    pub(super) health_check: HealthCheck,
    /// What it says of this machine.
    pub(super) declared: Offer,
    /// Where it said that this machine listens when the agent was started, and where it says so now.
    pub(super) address_at_start: SocketAddr,
    pub(super) address: SocketAddr,
    pub(super) file_problem: Option<String>,
    pub(super) warnings: Vec<String>,
    /// What is wrong with the network itself.
    pub(super) trouble: Option<String>,
}

/// Everything that the actors of peers work with.
pub(crate) struct Keeper {
    about: About,
    network: Rc<dyn Network>,
    events: mpsc::Sender<AgentEvent>,
    random: RefCell<Random>,
    start: Instant,
    settings: RefCell<Settings>,
    /// In the order of the file.
    entries: RefCell<Vec<Rc<Entry>>>,
    /// Whose each connection is.
    owners: RefCell<BTreeMap<LinkId, PeerKey>>,
    dials: Cell<u64>,
    /// Finds out when this thread did not run.
    self_check: RefCell<SelfCheck>,
    /// For how long it did not, if nobody was told.
    stalled: Cell<Option<Duration>>,
    /// Who was refused, and how often that was said.
    strangers: RefCell<Strangers>,
    /// Peers whose actor cannot go on.
    broken: RefCell<Vec<PeerKey>>,
    /// How often the state of those has changed that were let go of, and which time each was: they may come again.
    gone: RefCell<BTreeMap<PeerId, (u64, u64)>>,
    /// What is counted of the actors of all peers.
    actors: RefCell<KindCounts>,
    /// The loop has to look again at what it waits for.
    changed: Notify,
}

impl Keeper {
    pub(super) fn new(
        about: About,
        network: Rc<dyn Network>,
        events: mpsc::Sender<AgentEvent>,
        seed: u64,
        settings: Settings,
    ) -> Rc<Keeper> {
        Rc::new(Keeper {
            about,
            network,
            events,
            random: RefCell::new(Random::new(seed)),
            start: Instant::now(),
            entries: RefCell::default(),
            owners: RefCell::default(),
            dials: Cell::default(),
            self_check: RefCell::new(SelfCheck::new(settings.health_check)),
            stalled: Cell::default(),
            settings: RefCell::new(settings),
            strangers: RefCell::default(),
            broken: RefCell::default(),
            gone: RefCell::default(),
            actors: RefCell::default(),
            changed: Notify::new(),
        })
    }

    /// The moment, on tokio's clock.
    pub(crate) fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    /// That moment on tokio's clock; one that is too far away for it is as good as never.
    pub(super) fn instant(&self, at: Time) -> Instant {
        const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.start + at.0.min(self.now().0 + FAR)
    }

    /// The next number of the agent's random source.
    pub(crate) fn random(&self) -> u64 {
        self.random.borrow_mut().draw()
    }

    pub(super) fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn network(&self) -> &dyn Network {
        &*self.network
    }

    pub(super) fn settings(&self) -> Ref<'_, Settings> {
        self.settings.borrow()
    }

    pub(super) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.borrow_mut();
        change(&mut settings);
        let health_check = settings.health_check;
        self.self_check.borrow_mut().configure(health_check);
    }

    /// Every peer, in the order of the file.
    pub(super) fn entries(&self) -> Vec<Rc<Entry>> {
        self.entries.borrow().clone()
    }

    /// From now on these are the peers. What the actors of those have counted that are no more is kept.
    pub(super) fn set_entries(&self, entries: Vec<Rc<Entry>>) {
        let before = self.entries.replace(entries);
        let entries = self.entries.borrow();
        let stays: BTreeSet<&PeerKey> = entries.iter().map(|entry| entry.key()).collect();
        let gone = before.iter().filter(|entry| !stays.contains(entry.key()));
        let mut actors = self.actors.borrow_mut();
        gone.for_each(|entry| actors.has_gone(entry.handle().counts()));
    }

    /// How often the state of a peer has changed in earlier lives of it.
    pub(super) fn transitions_before(&self, peer: &PeerId) -> u64 {
        let gone = self.gone.borrow();
        gone.get(peer).map_or(0, |(transitions, _)| *transitions)
    }

    /// The actor of a peer is built again after a panic.
    pub(super) fn actor_is_rebuilt(&self) {
        self.actors.borrow_mut().was_rebuilt();
    }

    /// How the actors of all peers stand.
    pub(super) fn actor_row(&self) -> ActorRow {
        let entries = self.entries.borrow();
        let counts = entries.iter().map(|entry| entry.handle().counts());
        let mut row = self.actors.borrow().row(ActorKind::Peer, counts);
        // One that cannot go on is none, until it begins anew.
        let lives = entries.iter().filter(|entry| !entry.is_retired()).count();
        row.actors = Gauge::new(lives as u64);
        row
    }

    pub(super) fn entry(&self, peer: &PeerId) -> Option<Rc<Entry>> {
        let entries = self.entries.borrow();
        entries.iter().find(|entry| entry.peer() == peer).cloned()
    }

    /// The entry of a key, if it is still that one.
    pub(super) fn entry_of(&self, key: &PeerKey) -> Option<Rc<Entry>> {
        self.entry(&key.peer).filter(|entry| entry.key() == key)
    }

    /// Whose connection it is.
    pub(super) fn owner(&self, link: LinkId) -> Option<Rc<Entry>> {
        let key = self.owners.borrow().get(&link).cloned()?;
        self.entry_of(&key)
    }

    /// A connection is there, and whose it is.
    pub(super) fn owns(&self, entry: &Entry, link: LinkId) {
        (self.owners.borrow_mut()).insert(link, entry.key().clone());
    }

    /// Whoever looks at the agent is told.
    pub(super) fn tell(&self, event: AgentEvent) {
        // With nobody who listens, nobody misses it.
        let _ = self.events.send(event);
    }

    /// Who may come in, by what the file says now.
    pub(super) fn trusted(&self) -> Trust {
        let settings = self.settings.borrow();
        let entries = self.entries.borrow();
        let peers = entries.iter().map(|entry| {
            let said = entry.said();
            let trusted = Trusted {
                address: said.address,
                fingerprints: said.fingerprints.clone(),
            };
            (entry.peer().clone(), trusted)
        });
        Trust {
            this: self.about.this.clone(),
            cluster: settings.cluster.clone(),
            offer: self.about.found.clone(),
            peers: peers.collect(),
        }
    }

    /// From now on these may come in, and no others.
    pub(super) fn trust(&self) {
        self.network.trust(self.trusted());
    }

    /// Closes the connections of a peer whose entry has changed with whom may not be here any more: its machine does so
    /// with those that it knows, but what it has not heard of it could not judge by the key.
    pub(super) fn close_revoked(&self, entry: &Entry) {
        let revoked = entry.links().not_admitted(&self.trusted());
        for link in revoked {
            self.close(entry, link, CloseCode::Reconfigured);
        }
    }

    /// How often the control loop says that it lives.
    pub(super) fn beat_every(&self) -> Duration {
        self.self_check.borrow().beat_every()
    }

    /// Whether this thread has run: if it has not for half the time in which an answer must come, what was missed
    /// meanwhile says nothing about anybody else, and every peer's actor hears that before anything else.
    pub(crate) fn look_at_itself(&self) {
        let (now, slept) = (self.now(), slept());
        let Some(stalled) = self.self_check.borrow_mut().beat(now, slept) else {
            return;
        };
        for entry in &*self.entries.borrow() {
            entry.stall(stalled);
        }
        self.stalled.set(self.stalled.get().max(Some(stalled)));
        self.changed.notify_one();
    }

    /// For how long this thread did not run, if that was not asked yet.
    pub(super) fn take_stalled(&self) -> Option<Duration> {
        self.stalled.take()
    }

    /// The next moment at which some machine wants to be told.
    pub(super) fn next_wake(&self) -> Option<Time> {
        let entries = self.entries.borrow();
        entries.iter().filter_map(|entry| entry.wake_at()).min()
    }

    /// Waits until the loop has to look again at what it waits for.
    pub(super) async fn until_changed(&self) {
        self.changed.notified().await;
    }

    /// Does what a machine wants. Any of it may be done twice.
    pub(crate) fn perform(&self, entry: &Entry, command: PeerCommand) {
        match command {
            PeerCommand::Dial(dial) => self.dial(entry, dial),
            PeerCommand::Cancel(dial) => {
                if let Some((on_network, link)) = entry.change_links(|links| links.cancel(dial)) {
                    self.network.cancel(entry.peer(), on_network);
                    link.into_iter()
                        .for_each(|link| self.close(entry, link, CloseCode::Superseded));
                }
            }
            PeerCommand::Probe { link, sequence } => self.network.probe(link, sequence),
            PeerCommand::Close { link, code } => self.close(entry, link, code),
            PeerCommand::WakeAt(at) => {
                entry.set_wake(Some(at));
                self.changed.notify_one();
            }
            PeerCommand::Refused(rejection) => self.refused(entry, rejection),
            PeerCommand::Changed(condition) => self.stands(entry, condition),
        }
    }

    fn dial(&self, entry: &Entry, dial: DialId) {
        // The names of a machine's dials begin anew with the machine; those of the network must not.
        let on_network = DialId(self.dials.get());
        if entry.change_links(|links| links.dial(dial, on_network)) {
            self.dials.set(on_network.0 + 1);
            let timeout = entry.health_check().timeout;
            let peer = entry.peer().clone();
            self.network.dial(peer, on_network, entry.target(), timeout);
        }
    }

    /// Closes a connection, and forgets it.
    pub(super) fn close(&self, entry: &Entry, link: LinkId, code: CloseCode) {
        self.owners.borrow_mut().remove(&link);
        entry.change_links(|links| links.forget_link(link));
        self.network.close(link, code);
    }

    /// The end of a connection was heard.
    pub(crate) fn end_was_heard(&self, entry: &Entry, link: LinkId) {
        self.owners.borrow_mut().remove(&link);
        entry.change_links(|links| links.forget_link(link));
    }

    /// A peer stands otherwise: said once a change of its state.
    fn stands(&self, entry: &Entry, condition: PeerCondition) {
        let PeerCondition {
            state,
            ref reason,
            outage,
            ..
        } = condition;
        let because = reason.to_string();
        let remedy = remedy(&self.about.this, &entry.said(), reason);
        let Some(transition) = entry.stands(condition.clone(), self.now()) else {
            return;
        };
        let (peer, from, lasted) = (entry.peer(), transition.from, transition.lasted);
        match (state, from) {
            (PeerState::Healthy, _) => {
                tracing::info!(%peer, ?outage, "peer healthy");
            }
            (PeerState::Degraded, PeerState::Unreachable | PeerState::Rejected) => {
                tracing::info!(%peer, %from, since = ?lasted, reason = %because, "peer is back");
            }
            _ => {
                tracing::warn!(%peer, %from, since = ?lasted, reason = %because, "peer {state}");
            }
        }
        self.tell(AgentEvent::Peer {
            peer: peer.clone(),
            from,
            to: state,
            because,
            remedy,
            lasted,
            outage,
        });
    }

    /// Somebody was refused in the place of a peer.
    fn refused(&self, entry: &Entry, rejection: Rejection) {
        let stranger = entry.take_stranger(&rejection);
        let (from, more) = stranger.map_or((None, 0), |it| (Some(it.from), it.more));
        let peer = Some(entry.peer().clone());
        self.tell_stranger(from, peer, rejection, more);
    }

    /// Somebody was refused. Said ever more seldom of whoever goes on.
    pub(super) fn tell_stranger(
        &self,
        from: Option<SocketAddr>,
        peer: Option<PeerId>,
        rejection: Rejection,
        more: u64,
    ) {
        let mut strangers = self.strangers.borrow_mut();
        let Some(more) = strangers.tell(self.now(), peer.as_ref(), &rejection, more) else {
            return;
        };
        let claimed = peer.as_ref().map(tracing::field::display);
        let came_from = from.map(tracing::field::display);
        tracing::warn!(peer = claimed, from = came_from, reason = %rejection, more, "stranger refused");
        self.tell(AgentEvent::Stranger {
            from,
            peer,
            rejection,
            more,
        });
    }

    /// Lets go of everything of a peer: nothing that is said of it from here on counts.
    pub(super) fn retire(&self, entry: &Entry, code: CloseCode) {
        entry.retire();
        let mut gone = self.gone.borrow_mut();
        let standing = (entry.standing().transitions, entry.key().life);
        gone.insert(entry.peer().clone(), standing);
        if gone.len() > GONE_MAX
            && let Some(oldest) = gone.iter().min_by_key(|(_, (_, life))| *life)
        {
            let oldest = oldest.0.clone();
            gone.remove(&oldest);
        }
        drop(gone);
        let (dials, links) = entry.change_links(super::links::Links::take_all);
        for dial in dials {
            self.network.cancel(entry.peer(), dial);
        }
        (self.owners.borrow_mut()).retain(|_, owner| owner != entry.key());
        for link in links {
            self.network.close(link, code);
        }
    }

    /// An actor has given up a command: its machine will not be what it must be again, and begins anew.
    pub(crate) fn begin_anew(&self, entry: &Entry) {
        self.broken.borrow_mut().push(entry.key().clone());
        self.changed.notify_one();
    }

    /// Peers whose machine has to begin anew.
    pub(super) fn take_broken(&self) -> Vec<PeerKey> {
        std::mem::take(&mut *self.broken.borrow_mut())
    }
}

/// For how long this machine was suspended since it was started: the clock that waits are measured with stands still then.
fn slept() -> Duration {
    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order a pause between the two makes it smaller than it is.
    let booted = read(ClockId::Boottime);
    booted.saturating_sub(read(ClockId::Monotonic))
}
