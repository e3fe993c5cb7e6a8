//! Peers come under watch and go: by what the file says, and when one begins anew.

use std::rc::Rc;

use dataflow_core::peers::{CloseCode, HealthCheck, Peer, PeerEntry, PeersDiff, diff};
use dataflow_descriptor as descriptor;
use dataflow_ids::PeerId;
use dataflow_wire::peers::Offer;

use super::entry::{Entry, PeerKey, target};
use super::serve::PeerService;
use super::view::offer;
use crate::actors::{PeerActor, PeerMessage};
use crate::agent::AgentEvent;
use crate::supervision::{Handle, Mailbox};

/// How many ordinary messages may wait for one actor: strangers, of whom the next is as good as the last.
const MAILBOX_CAPACITY: usize = 16;

impl PeerService {
    pub(super) fn begin_anew(&mut self, key: &PeerKey) {
        let mut entries = self.keeper.entries();
        let Some(entry) = entries.iter_mut().find(|entry| entry.key() == key) else {
            return;
        };
        let said = entry.said().clone();
        let standing = entry.standing().clone();
        *entry = self.watch(said, entry.health_check());
        entry.inherit(standing);
        self.keeper.actor_is_rebuilt();
        self.keeper.set_entries(entries);
    }

    /// Puts a peer under watch.
    fn watch(&mut self, said: descriptor::Peer, health_check: HealthCheck) -> Rc<Entry> {
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
        let before = keeper.transitions_before(&said.id);
        let entry = Entry::new(
            key.clone(),
            handle,
            machine,
            said,
            health_check,
            now,
            before,
        );
        let entry = Rc::new(entry);
        let (kept, its) = (Rc::clone(keeper), Rc::clone(&entry));
        self.supervisor.add(now, key, mailbox, move || {
            PeerActor::new(Rc::clone(&kept), Rc::clone(&its))
        });
        entry.handle().fact(PeerMessage::Configured);
        entry
    }

    /// Lets go of a peer.
    pub(super) fn end_watch(&mut self, entry: &Entry, code: CloseCode) {
        self.keeper.retire(entry, code);
        self.rebuild_at.remove(entry.key());
        self.anew_at.remove(entry.key());
        if let Some(counts) = self.supervisor.remove(entry.key()) {
            tracing::debug!(peer = %entry.peer(), ?counts, "actor ended");
            debug_assert!(counts.balances(), "I-10: {} {counts:?}", entry.peer());
        }
    }

    /// The file says something else: only those are touched of whom it does.
    pub(super) fn apply(&mut self, peers: &descriptor::Peers) {
        let said = said(&self.keeper.entries());
        let is_another_cluster = self.keeper.settings().cluster != peers.cluster;
        let changes = diff(&said, &others(peers, &self.keeper.about().this));
        self.set_peers(peers, &changes, is_another_cluster);
        let changed: Vec<PeerId> = changes.changed.into_iter().map(|(peer, _)| peer).collect();
        let (added, removed) = (changes.added, changes.removed);
        tracing::info!(?added, ?removed, ?changed, "peers reloaded");
        self.keeper.tell(AgentEvent::Reloaded {
            added,
            removed,
            changed,
        });
    }

    /// Puts every other peer of the file under watch.
    pub(super) fn watch_all(&mut self, peers: &descriptor::Peers) {
        let changes = diff(&[], &others(peers, &self.keeper.about().this));
        self.set_peers(peers, &changes, false);
    }

    /// From now on these are the peers. Whoever is of another cluster now is met anew.
    fn set_peers(
        &mut self,
        peers: &descriptor::Peers,
        changes: &PeersDiff,
        is_another_cluster: bool,
    ) {
        let keeper = Rc::clone(&self.keeper);
        let health_check = peers.health_check;
        let is_watched_otherwise = keeper.settings().health_check != health_check;
        let declared = declared(peers, &keeper.about().this);
        let own = peers.peer(keeper.about().this.as_str());
        keeper.change_settings(|settings| {
            settings.file.clone_from(&peers.file);
            settings.cluster = peers.cluster.clone();
            settings.health_check = health_check;
            settings.declared = declared;
            settings.file_problem = None;
            settings.address = own.map_or(settings.address, |own| own.address);
        });
        let mut before = keeper.entries();
        let is_kept =
            |entry: &Rc<Entry>| !is_another_cluster && !changes.removed.contains(entry.peer());
        for entry in before.extract_if(.., |entry| !is_kept(entry)) {
            self.end_watch(&entry, CloseCode::Reconfigured);
        }
        let (mut after, mut configured) = (Vec::new(), Vec::new());
        let this = &keeper.about().this;
        for said in peers.peers.iter().filter(|peer| peer.id != *this) {
            let Some(entry) = before.iter().find(|entry| entry.peer() == &said.id) else {
                after.push(self.watch(said.clone(), health_check));
                continue;
            };
            let target = entry.target();
            entry.is_said(said.clone(), health_check);
            if is_watched_otherwise || entry.target() != target {
                configured.push(Rc::clone(entry));
            }
            after.push(Rc::clone(entry));
        }
        keeper.set_entries(after);
        // Before anybody is dialled who may show another key now.
        keeper.trust();
        for entry in configured {
            keeper.close_revoked(&entry);
            entry.handle().fact(PeerMessage::Configured);
        }
    }
}

/// What a file says of a peer, to be compared.
fn compared(said: &descriptor::Peer) -> PeerEntry<descriptor::PeerCapabilities> {
    PeerEntry {
        id: said.id.clone(),
        target: target(said),
        capabilities: said.capabilities.clone(),
    }
}

/// What is said of those under watch.
fn said(entries: &[Rc<Entry>]) -> Vec<PeerEntry<descriptor::PeerCapabilities>> {
    entries
        .iter()
        .map(|entry| compared(&entry.said()))
        .collect()
}

/// What a file says of all but this machine.
fn others(
    peers: &descriptor::Peers,
    this: &PeerId,
) -> Vec<PeerEntry<descriptor::PeerCapabilities>> {
    let others = peers.peers.iter().filter(|peer| peer.id != *this);
    others.map(compared).collect()
}

/// What the file says of this machine.
pub(super) fn declared(peers: &descriptor::Peers, this: &PeerId) -> Offer {
    let this = peers.peer(this.as_str());
    this.map(|it| offer(&it.capabilities)).unwrap_or_default()
}
