//! The service's own task: it supervises the actors of all peers, passes on what the network says, and wakes who wants it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use dataflow_core::peers::{CloseCode, Repeats};
use dataflow_core::random::Random;
use dataflow_descriptor as descriptor;
use dataflow_ids::{BootId, Fingerprint, PeerId};
use dataflow_wire::peers::Offer;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::apply::declared;
use super::entry::PeerKey;
use super::handle::{PeersHandle, Request};
use super::keeper::{About, Keeper, Settings};
use crate::actors::PeerMessage;
use crate::agent::AgentEvent;
use crate::network::{Network, NetworkEvent};
use crate::supervision::{ACTOR_POLICY, Down, Supervisor, Verdict};

/// How many events of the network are passed on before it is looked whether a machine is to be woken.
const EVENTS_AT_ONCE_MAX: usize = 256;
/// How long a peer rests whose actor cannot go on, before it begins anew.
const BEGINS_ANEW_AFTER: Duration = Duration::from_secs(30);

/// That this process did not run is said at most so often: on a machine that is too busy it happens all the time.
const STALLS_TOLD_EVERY: Duration = Duration::from_secs(60);
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
    pub(super) keeper: Rc<Keeper>,
    handle: PeersHandle,
    pub(super) supervisor: Supervisor<PeerKey>,
    downs: UnboundedReceiver<Down<PeerKey>>,
    heard: UnboundedReceiver<NetworkEvent>,
    requests: UnboundedReceiver<Request>,
    /// Jitters the waits before an actor is built again.
    pub(super) random: Random,
    /// How often a peer was put under watch.
    pub(super) lives: u64,
    next_beat: Instant,
    /// How often it was said that this process did not run.
    stalls_told: Repeats,
    /// When actors that are gone are built again.
    pub(super) rebuild_at: BTreeMap<PeerKey, Instant>,
    /// When peers begin anew whose actor cannot go on.
    pub(super) anew_at: BTreeMap<PeerKey, Instant>,
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
        let own = peers.peer(about.this.as_str()).map(|own| own.address);
        let settings = Settings {
            file: peers.file.clone(),
            cluster: peers.cluster.clone(),
            health_check: peers.health_check,
            declared: declared(&peers, &about.this),
            address_at_start: own.unwrap_or(about.listens),
            address: own.unwrap_or(about.listens),
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
            stalls_told: Repeats::new(STALLS_TOLD_EVERY, STALLS_TOLD_EVERY),
            rebuild_at: BTreeMap::new(),
            anew_at: BTreeMap::new(),
            keeper,
        };
        service.watch_all(&peers);
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
            let now = self.keeper.now();
            if let Some(more) = self.stalls_told.tell(now, 1) {
                tracing::warn!(
                    ?stalled,
                    more,
                    "this agent did not run: what was missed meanwhile counts for nothing"
                );
            }
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
                self.keeper.actor_is_rebuilt();
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
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Drop for PeerService {
    fn drop(&mut self) {
        for entry in self.keeper.entries() {
            self.end_watch(&entry, CloseCode::Ending);
        }
    }
}
