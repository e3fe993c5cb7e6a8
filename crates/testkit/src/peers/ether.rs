//! What lies between agents: who is where, and how each way from one to another is.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::peers::DialId;
use dataflow_core::random::Random;
use dataflow_ids::{BootId, Fingerprint, LinkId, PeerId};
use dataflow_runtime::network::{NetworkEvent, Trust};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::link::End;
use super::network::{FakeNetwork, Panics};

/// How long the transport waits before it sends again what was lost.
const SENT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub peer: PeerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// This start of it.
    pub boot: BootId,
    /// The version of its `dataflow`.
    pub version: String,
    /// The key that it has.
    pub fingerprint: Fingerprint,
    /// The version of the conversation that it speaks.
    pub protocol: u32,
}

/// The way from one agent to another; the way back is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// How long a packet takes.
    pub delay: Duration,
    /// Nothing comes through.
    pub is_cut: bool,
    /// The part of the packets that are lost and sent again, of a million.
    pub loss_ppm: u32,
}

impl Default for Path {
    fn default() -> Path {
        Path {
            delay: Duration::from_millis(1),
            is_cut: false,
            loss_ppm: 0,
        }
    }
}

/// An agent that has joined.
pub(super) struct Host {
    pub(super) agent: Agent,
    pub(super) trust: RefCell<Option<Trust>>,
    pub(super) links: RefCell<BTreeMap<LinkId, End>>,
    pub(super) cancelled: RefCell<BTreeSet<DialId>>,
    pub(super) beat_at: Cell<Instant>,
    pub(super) dials: Cell<u64>,
    pub(super) closed: RefCell<Vec<LinkId>>,
    pub(super) panics: RefCell<Option<Panics>>,
    events: UnboundedSender<NetworkEvent>,
}

impl Host {
    /// Something has happened there.
    pub(super) fn say(&self, event: NetworkEvent) {
        // An agent that is gone hears nothing.
        let _ = self.events.send(event);
    }
}

/// The network between some agents of one thread, on its virtual time. Clones are the same one.
#[derive(Clone)]
pub struct Ether {
    inner: Rc<Inner>,
}

struct Inner {
    hosts: RefCell<BTreeMap<SocketAddr, Rc<Host>>>,
    paths: RefCell<BTreeMap<(SocketAddr, SocketAddr), Path>>,
    usual: Cell<Path>,
    links: Cell<u64>,
    random: RefCell<Random>,
}

impl fmt::Debug for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.inner.hosts.borrow().keys())
            .finish()
    }
}

impl Ether {
    /// A network without agents. What is lost depends on the seed.
    #[must_use]
    pub fn new(seed: u64) -> Ether {
        Ether {
            inner: Rc::new(Inner {
                hosts: RefCell::default(),
                paths: RefCell::default(),
                usual: Cell::default(),
                links: Cell::default(),
                random: RefCell::new(Random::new(seed)),
            }),
        }
    }

    /// An agent listens, in the place of whoever was at its address. It goes on until it [vanishes](Ether::vanish).
    #[must_use]
    pub fn join(&self, agent: Agent) -> (FakeNetwork, UnboundedReceiver<NetworkEvent>) {
        let (events, heard) = unbounded_channel();
        let address = agent.address;
        let host = Rc::new(Host {
            agent,
            trust: RefCell::default(),
            links: RefCell::default(),
            cancelled: RefCell::default(),
            beat_at: Cell::new(Instant::now()),
            dials: Cell::default(),
            closed: RefCell::default(),
            panics: RefCell::default(),
            events,
        });
        let before = (self.inner.hosts.borrow_mut()).insert(address, Rc::clone(&host));
        drop(before);
        (FakeNetwork::new(self.clone(), host), heard)
    }

    /// An agent is gone without a word, as by SIGKILL: its machine refuses whoever dials it.
    pub fn vanish(&self, address: SocketAddr) {
        self.inner.hosts.borrow_mut().remove(&address);
    }

    /// How every way is of which nothing else is said.
    pub fn usually(&self, path: Path) {
        self.inner.usual.set(path);
    }

    /// How the way from one address to another is, from now on.
    pub fn path(&self, from: SocketAddr, to: SocketAddr, path: Path) {
        self.inner.paths.borrow_mut().insert((from, to), path);
    }

    /// Cuts both ways between two addresses.
    pub fn cut(&self, one: SocketAddr, other: SocketAddr) {
        self.cut_way(one, other);
        self.cut_way(other, one);
    }

    /// Cuts the way from one address to another.
    pub fn cut_way(&self, from: SocketAddr, to: SocketAddr) {
        let is_cut = true;
        let path = self.way(from, to);
        self.path(from, to, Path { is_cut, ..path });
    }

    /// Both ways between two addresses are as usual again.
    pub fn heal(&self, one: SocketAddr, other: SocketAddr) {
        let mut paths = self.inner.paths.borrow_mut();
        paths.remove(&(one, other));
        paths.remove(&(other, one));
    }

    /// How many connections an agent has, those counted that it does not know yet to be dead.
    #[must_use]
    pub fn links(&self, address: SocketAddr) -> usize {
        let host = self.host(address);
        host.map_or(0, |host| host.links.borrow().len())
    }

    /// How often an agent has dialled.
    #[must_use]
    pub fn dials(&self, address: SocketAddr) -> u64 {
        self.host(address).map_or(0, |host| host.dials.get())
    }

    pub(super) fn host(&self, address: SocketAddr) -> Option<Rc<Host>> {
        self.inner.hosts.borrow().get(&address).cloned()
    }

    /// Whether this start of an agent still runs.
    pub(super) fn is_alive(&self, host: &Rc<Host>) -> bool {
        let at_its_address = self.host(host.agent.address);
        at_its_address.is_some_and(|it| Rc::ptr_eq(&it, host))
    }

    pub(super) fn way(&self, from: SocketAddr, to: SocketAddr) -> Path {
        let paths = self.inner.paths.borrow();
        let usual = self.inner.usual.get();
        paths.get(&(from, to)).copied().unwrap_or(usual)
    }

    pub(super) fn next_link(&self) -> LinkId {
        let link = self.inner.links.get();
        self.inner.links.set(link + 1);
        LinkId(link)
    }

    /// A packet on its way. Gives whether it has arrived; what is lost is not sent again.
    pub(super) async fn packet(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let path = self.way(from, to);
        if path.is_cut || self.is_lost(path) {
            return false;
        }
        tokio::time::sleep(path.delay).await;
        !self.way(from, to).is_cut
    }

    /// Something that is sent until it has arrived, and while `is_wanted`. Gives how many packets were lost.
    pub(super) async fn reliably(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        is_wanted: impl Fn() -> bool,
    ) -> Option<u64> {
        let mut lost = 0;
        while is_wanted() {
            if self.packet(from, to).await {
                return Some(lost);
            }
            lost += 1;
            tokio::time::sleep(SENT_AGAIN_AFTER).await;
        }
        None
    }

    fn is_lost(&self, path: Path) -> bool {
        let drawn = self.inner.random.borrow_mut().draw() % 1_000_000;
        drawn < u64::from(path.loss_ppm)
    }
}
