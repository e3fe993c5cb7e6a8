//! The service's own task: it supervises the actors of all peers, passes on what the network says, and wakes who wants it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use dataflow_core::peers::{CloseCode, Peer};
use dataflow_core::random::Random;
use dataflow_descriptor as descriptor;
use dataflow_ids::{BootId, Fingerprint, PeerId};
use dataflow_wire::peers::Offer;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::entry::{Entry, PeerKey};
use super::handle::{PeersHandle, Request};
use super::keeper::{About, Keeper, Settings};
use super::view::{health_check, offer};
use crate::actors::{PeerActor, PeerMessage};
use crate::agent::AgentEvent;
use crate::network::{Network, NetworkEvent};
use crate::supervision::{ACTOR_POLICY, Down, Handle, Mailbox, Supervisor, Verdict};

/// How many ordinary messages may wait for one actor: strangers, of whom the next is as good as the last.
const MAILBOX_CAPACITY: usize = 16;
/// How many events of the network are passed on before it is looked whether a machine is to be woken.
const EVENTS_AT_ONCE_MAX: usize = 256;
/// How long a peer rests whose actor cannot go on, before it begins anew.
const BEGINS_ANEW_AFTER: Duration = Duration::from_secs(30);

/// After how long a machine is woken again that has not heard of it.
const WOKEN_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What it takes to watch peers.
pub struct PeerStart {
    /// The file of peers, in which this machine is.
    pub peers: descriptor::Peers,
    /// Which of them this machine is.
    pub this: PeerId,
    /// Where it listens.
    pub listens: SocketAddr,
    /// This start of it.
    pub boot: BootId,
    /// The version of its `dataflow`.
    pub version: String,
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// What this machine has.
    pub found: Offer,
    /// Reaches the others.
    pub network: Rc<dyn Network>,
    /// What happens there.
    pub heard: UnboundedReceiver<NetworkEvent>,
    /// What every jitter depends on.
    pub seed: u64,
    /// Who is told what happens.
    pub events: mpsc::Sender<AgentEvent>,
}

impl fmt::Debug for PeerStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerStart({})", self.this)
    }
}

/// Why peers are not watched any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerServiceError {
    /// The network has gone.
    #[error(
        "the network between agents has ended by itself: restart the agent, and please report it"
    )]
    NetworkEnded,
}

/// The control loop's part for peers, on the current arbiter, before and while it runs. Dropping it ends it: every
/// peer is told goodbye.
pub struct PeerService {
    keeper: Rc<Keeper>,
    handle: PeersHandle,
    supervisor: Supervisor<PeerKey>,
    downs: UnboundedReceiver<Down<PeerKey>>,
    heard: UnboundedReceiver<NetworkEvent>,
    requests: UnboundedReceiver<Request>,
    /// Jitters the waits before an actor is built again.
    random: Random,
    /// How often a peer was put under watch.
    lives: u64,
    next_beat: Instant,
    /// When actors that are gone are built again.
    rebuild_at: BTreeMap<PeerKey, Instant>,
    /// When peers begin anew whose actor cannot go on.
    anew_at: BTreeMap<PeerKey, Instant>,
}

impl fmt::Debug for PeerService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerService({})", self.keeper.about().this)
    }
}

/// Which of several moments came first, if it has come.
fn due(moments: &BTreeMap<PeerKey, Instant>, now: Instant) -> Option<PeerKey> {
    let mut due = moments.iter().filter(|(_, at)| **at <= now);
    due.next().map(|(key, _)| key.clone())
}

impl PeerService {
    /// Puts every other peer of the file under watch; its actor begins. From here on they may come in.
    ///
    /// # Panics
    ///
    /// On a thread without an actix system.
    #[must_use]
    pub fn new(start: PeerStart) -> PeerService {
        let peers = start.peers;
        let about = About {
            this: start.this,
            listens: start.listens,
            boot: start.boot,
            version: start.version,
            fingerprint: start.fingerprint,
            found: start.found,
        };
        let settings = Settings {
            file: peers.file.clone(),
            cluster: peers.cluster.clone(),
            health_check: health_check(&peers.health_check),
            declared: declared(&peers, &about.this),
            file_problem: None,
            warnings: Vec::new(),
            trouble: None,
        };
        let mut random = Random::new(start.seed);
        let keeper = Keeper::new(about, start.network, start.events, random.draw(), settings);
        let (to_owner, downs) = unbounded_channel();
        let (to_service, requests) = unbounded_channel();
        let mut service = PeerService {
            handle: PeersHandle::new(Rc::clone(&keeper), to_service),
            supervisor: Supervisor::new(ACTOR_POLICY, to_owner),
            downs,
            heard: start.heard,
            requests,
            random,
            lives: 0,
            next_beat: Instant::now(),
            rebuild_at: BTreeMap::new(),
            anew_at: BTreeMap::new(),
            keeper,
        };
        service.set_peers(&peers);
        service
    }

    /// Where others reach it.
    #[must_use]
    pub fn handle(&self) -> PeersHandle {
        self.handle.clone()
    }

    /// Goes on until it is ended.
    ///
    /// # Errors
    ///
    /// When the network has gone: nobody can be watched any more.
    pub async fn run(mut self) -> Result<(), PeerServiceError> {
        let mut events = Vec::with_capacity(EVENTS_AT_ONCE_MAX);
        loop {
            let next_wake = self.keeper.next_wake();
            let wake_at = next_wake.map(|at| self.keeper.instant(at));
            let anew = self.rebuild_at.values().chain(self.anew_at.values());
            let build_at = anew.min().copied();
            let keeper = Rc::clone(&self.keeper);
            tokio::select! {
                biased;
                () = sleep_until(self.next_beat) => {}
                Some(down) = self.downs.recv() => self.down(&down),
                () = until(build_at), if build_at.is_some() => {}
                Some(request) = self.requests.recv() => match request {
                    Request::Apply(peers) => self.apply(&peers),
                    Request::End => return Ok(()),
                },
                count = self.heard.recv_many(&mut events, EVENTS_AT_ONCE_MAX) => {
                    if count == 0 {
                        return Err(PeerServiceError::NetworkEnded);
                    }
                }
                () = until(wake_at), if wake_at.is_some() => {}
                () = keeper.until_changed() => {}
            }
            // Whatever has waited: first whether it was this process that did not run, and last whether time is up.
            self.look_at_itself();
            self.build_again();
            events.drain(..).for_each(|event| self.pass_on(event));
            self.wake();
        }
    }

    /// Says that the control loop lives, and tells every peer's actor when it did not.
    fn look_at_itself(&mut self) {
        self.keeper.look_at_itself();
        if let Some(stalled) = self.keeper.take_stalled() {
            tracing::warn!(
                ?stalled,
                "this agent did not run: what was missed meanwhile counts for nothing"
            );
            for entry in self.keeper.entries() {
                entry.handle().fact(PeerMessage::Stalled);
            }
        }
        let now = Instant::now();
        if self.next_beat <= now {
            self.next_beat = now + self.keeper.beat_every();
            self.keeper.network().beat();
        }
    }

    /// Wakes the machines whose moment has come.
    fn wake(&self) {
        let now = self.keeper.now();
        for entry in self.keeper.entries() {
            if entry.wake_at().is_some_and(|at| at <= now) {
                // Until it was heard.
                entry.set_wake(Some(now.after(WOKEN_AGAIN_AFTER)));
                entry.handle().fact(PeerMessage::Wake);
            }
        }
    }

    /// An actor has ended: another one is built, which goes on with what the keeper holds.
    fn down(&mut self, down: &Down<PeerKey>) {
        let random = self.random.draw();
        let (peer, incarnation) = (&down.actor.peer, down.incarnation);
        match self.supervisor.down(self.keeper.now(), random, down) {
            Verdict::Nothing => {}
            Verdict::Rebuild {
                after,
                what,
                is_poisoned,
            } => {
                tracing::error!(%peer, incarnation, %what, "actor of a peer panicked");
                if let Some(entry) = self.keeper.entry_of(&down.actor)
                    && is_poisoned
                {
                    // What was lost with the message stands in the keeper.
                    entry.handle().fact(PeerMessage::Adopt);
                }
                let at = Instant::now() + after;
                self.rebuild_at.insert(down.actor.clone(), at);
            }
            Verdict::GiveUp { what } => self.breaks(&down.actor, &what),
        }
    }

    /// The actor of a peer cannot go on: it rests, and begins anew. Nobody else is touched.
    fn breaks(&mut self, key: &PeerKey, what: &str) {
        let Some(entry) = self.keeper.entry_of(key) else {
            return;
        };
        tracing::error!(peer = %key.peer, %what, "actor of a peer cannot go on, and begins anew");
        entry.breaks(what);
        self.end_watch(&entry, CloseCode::Ending);
        let at = Instant::now() + BEGINS_ANEW_AFTER;
        self.anew_at.insert(key.clone(), at);
    }

    /// Builds actors whose wait is over, and lets peers begin anew.
    fn build_again(&mut self) {
        for key in self.keeper.take_broken() {
            let what = self.supervisor.last_panic(&key);
            self.breaks(&key, &what);
        }
        let now = Instant::now();
        while let Some(key) = due(&self.rebuild_at, now) {
            self.rebuild_at.remove(&key);
            self.supervisor.build(self.keeper.now(), &key);
        }
        while let Some(key) = due(&self.anew_at, now) {
            self.anew_at.remove(&key);
            self.begin_anew(&key);
        }
    }

    fn begin_anew(&mut self, key: &PeerKey) {
        let mut entries = self.keeper.entries();
        let Some(entry) = entries.iter_mut().find(|entry| entry.key() == key) else {
            return;
        };
        let said = entry.said().clone();
        let standing = entry.standing().clone();
        *entry = self.watch(said, entry.health_check());
        entry.inherit(standing);
        self.keeper.set_entries(entries);
    }

    /// Puts a peer under watch.
    fn watch(
        &mut self,
        said: descriptor::Peer,
        health_check: dataflow_core::peers::HealthCheck,
    ) -> Rc<Entry> {
        self.lives += 1;
        let key = PeerKey {
            peer: said.id.clone(),
            life: self.lives,
        };
        let keeper = &self.keeper;
        let now = keeper.now();
        let machine = Peer::new(keeper.about().this.clone(), said.id.clone(), now);
        let mailbox = Mailbox::new(format_args!("peer {}", said.id), MAILBOX_CAPACITY);
        let handle = Handle::new(Rc::clone(&mailbox));
        let entry = Entry::new(key.clone(), handle, machine, said, health_check, now);
        let entry = Rc::new(entry);
        let (kept, its) = (Rc::clone(keeper), Rc::clone(&entry));
        self.supervisor.add(now, key, mailbox, move || {
            PeerActor::new(Rc::clone(&kept), Rc::clone(&its))
        });
        entry.handle().fact(PeerMessage::Configured);
        entry
    }

    /// Lets go of a peer.
    fn end_watch(&mut self, entry: &Entry, code: CloseCode) {
        self.keeper.retire(entry, code);
        self.rebuild_at.remove(entry.key());
        self.anew_at.remove(entry.key());
        if let Some(counts) = self.supervisor.remove(entry.key()) {
            tracing::debug!(peer = %entry.peer(), ?counts, "actor ended");
            debug_assert!(counts.balances(), "I-10: {} {counts:?}", entry.peer());
        }
    }

    /// The file says something else: only those are touched of whom it does.
    fn apply(&mut self, peers: &descriptor::Peers) {
        let changes = self.set_peers(peers);
        let (added, removed, changed) = (&changes.added, &changes.removed, &changes.changed);
        tracing::info!(?added, ?removed, ?changed, "peers reloaded");
        self.keeper.tell(AgentEvent::Reloaded {
            added: changes.added,
            removed: changes.removed,
            changed: changes.changed,
        });
    }

    fn set_peers(&mut self, peers: &descriptor::Peers) -> Changes {
        let keeper = Rc::clone(&self.keeper);
        let health_check = health_check(&peers.health_check);
        let is_another_cluster = keeper.settings().cluster != peers.cluster;
        let declared = declared(peers, &keeper.about().this);
        keeper.change_settings(|settings| {
            settings.file.clone_from(&peers.file);
            settings.cluster = peers.cluster.clone();
            settings.health_check = health_check;
            settings.declared = declared;
            settings.file_problem = None;
        });
        let mut changes = Changes::default();
        let (mut before, mut after) = (keeper.entries(), Vec::new());
        let mut configured = Vec::new();
        let this = &keeper.about().this;
        let mut others = Vec::new();
        for said in peers.peers.iter().filter(|peer| peer.id != *this) {
            let place = before.iter().position(|entry| entry.peer() == &said.id);
            match place.map(|place| before.swap_remove(place)) {
                // Whoever is of another cluster now is met anew.
                Some(entry) if !is_another_cluster => {
                    let is_same = *entry.said() == *said;
                    if !is_same {
                        changes.changed.push(said.id.clone());
                    }
                    let target = entry.target();
                    let health_before = entry.health_check();
                    entry.is_said(said.clone(), health_check);
                    if entry.target() != target || health_before != health_check {
                        configured.push(Rc::clone(&entry));
                    }
                    others.push((said, Some(entry)));
                }
                Some(entry) => {
                    changes.changed.push(said.id.clone());
                    before.push(entry);
                    others.push((said, None));
                }
                None => {
                    changes.added.push(said.id.clone());
                    others.push((said, None));
                }
            }
        }
        for entry in before {
            if peers.peer(entry.peer().as_str()).is_none() {
                changes.removed.push(entry.peer().clone());
            }
            self.end_watch(&entry, CloseCode::Reconfigured);
        }
        for (said, entry) in others {
            after.push(entry.unwrap_or_else(|| self.watch(said.clone(), health_check)));
        }
        keeper.set_entries(after);
        // Before anybody is dialled who may show another key now.
        keeper.trust();
        for entry in configured {
            entry.handle().fact(PeerMessage::Configured);
        }
        changes
    }

    /// Passes on what the network says.
    fn pass_on(&self, event: NetworkEvent) {
        let keeper = &self.keeper;
        match event {
            NetworkEvent::DialEnded { peer, dial, result } => {
                let link = result.as_ref().ok().map(|(facts, _)| facts.link);
                let entry = keeper.entry(&peer);
                let told = entry.as_ref().and_then(|entry| {
                    let ended = entry.change_links(|links| links.dial_ended(dial, result));
                    ended.map(|ended| (entry, ended))
                });
                match (told, link) {
                    (Some((entry, (dial, result))), link) => {
                        if let Some(link) = link {
                            keeper.owns(entry, link);
                        }
                        (entry.handle()).fact(PeerMessage::DialEnded { dial, result });
                    }
                    // Nobody waits for it any more.
                    (None, Some(link)) => keeper.network().close(link, CloseCode::Superseded),
                    (None, None) => {}
                }
            }
            NetworkEvent::Accepted { facts, hello } => match keeper.entry(&hello.peer) {
                Some(entry) if !entry.is_retired() => {
                    keeper.owns(&entry, facts.link);
                    entry.change_links(|links| links.accepted(facts.clone(), hello));
                    entry.handle().fact(PeerMessage::Accepted(facts));
                }
                _ => (keeper.network()).close(facts.link, CloseCode::Reconfigured),
            },
            NetworkEvent::LinkEnded { link, end } => {
                if let Some(entry) = keeper.owner(link) {
                    entry.change_links(|links| links.link_ended(link, end.clone()));
                    entry.handle().fact(PeerMessage::LinkEnded { link, end });
                }
            }
            NetworkEvent::Answered {
                link,
                sequence,
                round_trip,
                control_silent_for,
            } => {
                if let Some(entry) = keeper.owner(link) {
                    let reading = keeper.network().reading(link);
                    entry.change_links(|links| {
                        links.answered(link, sequence, round_trip, control_silent_for, reading);
                    });
                    entry.handle().fact(PeerMessage::Answered {
                        link,
                        sequence,
                        round_trip,
                        control_silent_for,
                    });
                }
            }
            NetworkEvent::Stranger {
                from,
                peer,
                rejection,
                more,
            } => match peer.as_ref().and_then(|peer| keeper.entry(peer)) {
                Some(entry) => {
                    entry.was_refused(super::entry::Stranger {
                        from,
                        rejection: rejection.clone(),
                        more,
                    });
                    // When it finds no room, another one like it was told a moment ago.
                    let _ = entry.handle().tell(PeerMessage::Stranger(rejection));
                }
                None => keeper.tell_stranger(Some(from), peer, rejection, more),
            },
            NetworkEvent::Trouble(trouble) => {
                match &trouble {
                    Some(what) => tracing::warn!(%what, "network in trouble"),
                    None => tracing::info!("network out of trouble"),
                }
                keeper.change_settings(|settings| settings.trouble.clone_from(&trouble));
                keeper.tell(AgentEvent::Trouble(trouble));
            }
        }
    }
}

/// What a reload has changed.
#[derive(Debug, Default)]
struct Changes {
    added: Vec<PeerId>,
    removed: Vec<PeerId>,
    changed: Vec<PeerId>,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What the file says of this machine.
fn declared(peers: &descriptor::Peers, this: &PeerId) -> Offer {
    let this = peers.peer(this.as_str());
    this.map(|it| offer(&it.capabilities)).unwrap_or_default()
}

impl Drop for PeerService {
    fn drop(&mut self) {
        for entry in self.keeper.entries() {
            self.end_watch(&entry, CloseCode::Ending);
        }
    }
}
