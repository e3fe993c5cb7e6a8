//! The network of an agent: QUIC, on a thread of its own, so that whatever else the process does delays no answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use dataflow_core::peers::{CloseCode, DialId, PeerTarget};
use dataflow_ids::{LinkId, PeerId};
use dataflow_wire::peer::Goodbye;
use quinn::{Endpoint, VarInt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::accept;
use super::dial::{Order, dial};
use super::endpoint::{bind, dialler};
use super::gate::Gate;
use super::link::goodbye_of;
use super::seam::{LinkReading, Network, NetworkEvent, Trust};
use super::settings::{NetworkError, NetworkSettings};
use super::shared::{Shared, canonical};
use super::socket::{Listening, is_lost, open};
use super::talk::goodbye;

/// What the thread is called.
const THREAD: &str = "dataflow-network";
/// How long the end waits until the goodbyes are sent.
const GOODBYE_WITHIN: Duration = Duration::from_millis(500);

/// What the thread is told.
enum Command {
    Dial(Order),
    Cancel(PeerId, DialId),
    #[cfg(any(test, feature = "faults"))]
    LoseSockets,
    End(std::sync::mpsc::Sender<()>),
}

/// The network of an agent. Dropping it ends every connection.
#[derive(Debug)]
pub struct QuicNetwork {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    address: SocketAddr,
}

impl QuicNetwork {
    /// Binds the port and starts the thread. Nobody comes in before [`Network::trust`] says who may. When nothing more
    /// comes on the receiver, the network has gone.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] when the port is taken, the address is not ours, or the system gives no thread.
    pub fn start(
        settings: NetworkSettings,
    ) -> Result<(QuicNetwork, mpsc::UnboundedReceiver<NetworkEvent>), NetworkError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(NetworkError::Thread)?;
        let (life, network, heard) = {
            let _inside = runtime.enter();
            begin(settings)?
        };
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || runtime.block_on(life))
            .map_err(NetworkError::Thread)?;
        Ok((network, heard))
    }

    /// As [`start`](QuicNetwork::start), on the event loop that this is called in, and so at the mercy of whatever else
    /// runs there: to show in a test that this would not do.
    ///
    /// # Errors
    ///
    /// As [`start`](QuicNetwork::start).
    #[cfg(any(test, feature = "faults"))]
    pub fn start_here(
        settings: NetworkSettings,
    ) -> Result<(QuicNetwork, mpsc::UnboundedReceiver<NetworkEvent>), NetworkError> {
        let (life, network, heard) = begin(settings)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "what it is for is to share somebody else's event loop"
        )]
        tokio::spawn(life);
        Ok((network, heard))
    }

    /// Where it listens: with the port that the system gave, when any would do.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says goodbye to every peer, and waits until that is sent, for at most half a second. Gives whether it was.
    /// Blocks.
    pub fn end(&self) -> bool {
        let (done, ended) = std::sync::mpsc::channel();
        self.command(Command::End(done));
        ended.recv_timeout(GOODBYE_WITHIN * 2).is_ok()
    }

    /// Takes its sockets away, as the system does it when it is short of memory.
    #[cfg(any(test, feature = "faults"))]
    pub fn lose_sockets(&self) {
        self.command(Command::LoseSockets);
    }

    /// A thread that is gone has ended everything.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

impl Network for QuicNetwork {
    fn trust(&self, trust: Trust) {
        self.shared.set_trust(trust);
    }

    fn dial(&self, peer: PeerId, dial: DialId, target: PeerTarget, timeout: Duration) {
        self.command(Command::Dial(Order {
            peer,
            dial,
            target,
            timeout,
        }));
    }

    fn cancel(&self, peer: &PeerId, dial: DialId) {
        self.command(Command::Cancel(peer.clone(), dial));
    }

    fn probe(&self, link: LinkId, sequence: u64) {
        self.shared.probe(link, sequence);
    }

    fn close(&self, link: LinkId, code: CloseCode) {
        if let Some(connection) = self.shared.forget(link) {
            goodbye(&connection, goodbye_of(code));
        }
    }

    fn reading(&self, link: LinkId) -> Option<LinkReading> {
        let connection = self.shared.connection(link)?;
        let path = connection.stats().path;
        Some(LinkReading {
            address: canonical(connection.remote_address()),
            round_trip: path.rtt,
            packets_sent: path.sent_packets,
            packets_lost: path.lost_packets,
        })
    }

    fn beat(&self) {
        self.shared.beat();
    }
}

impl Drop for QuicNetwork {
    fn drop(&mut self) {
        let (done, _) = std::sync::mpsc::channel();
        self.command(Command::End(done));
    }
}

/// Binds the socket, on the event loop that this is called in. The future is the network's life.
fn begin(
    settings: NetworkSettings,
) -> Result<
    (
        impl Future<Output = ()> + Send + 'static,
        QuicNetwork,
        mpsc::UnboundedReceiver<NetworkEvent>,
    ),
    NetworkError,
> {
    let listen = settings.listen;
    let failed = |source| NetworkError::Listen {
        address: listen,
        source,
    };
    let socket = bind(listen)?;
    let address = socket.local_addr().map_err(failed)?;
    let (events, heard) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new(settings, events));
    let endpoint = open(&shared, socket)?;
    let (commands, orders) = mpsc::unbounded_channel();
    let life = run(Arc::clone(&shared), endpoint, address, orders);
    let network = QuicNetwork {
        shared,
        commands,
        address,
    };
    Ok((life, network, heard))
}

/// However the life of the network ends: nothing more is told.
struct Life(Arc<Shared>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The life of the thread.
async fn run(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    address: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<Command>,
) {
    let _life = Life(Arc::clone(&shared));
    let gate = Gate::default();
    let mut tasks = JoinSet::new();
    let mut dials = Dials::new(address);
    let mut listening = Listening::new(endpoint, address);
    let ended = loop {
        // Biased: orders are few, and come from this very agent. Callers come next, each of which costs little before
        // its address is proven; tasks that have ended are only taken away.
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                Some(Command::Dial(order)) => {
                    dials.begin(&shared, order, listening.endpoint(), &mut tasks);
                }
                Some(Command::Cancel(peer, dial)) => dials.cancel(peer, dial),
                #[cfg(any(test, feature = "faults"))]
                Some(Command::LoseSockets) => {
                    let main = listening.endpoint().into_iter();
                    main.chain(dials.others.values()).for_each(|it| it.close(VarInt::from_u32(0), b""));
                }
                Some(Command::End(done)) => break Some(done),
                None => break None,
            },
            incoming = listening.next(&shared) => come(&shared, &gate, incoming, &mut tasks),
            Some(_) = tasks.join_next() => {}
        }
    };
    dials.end();
    if let Some(endpoint) = listening.endpoint() {
        endpoint.close(VarInt::from_u32(Goodbye::Ending.code()), b"");
        // Whoever waits for it goes on after a while in any case.
        let _ = tokio::time::timeout(GOODBYE_WITHIN, endpoint.wait_idle()).await;
    }
    if let Some(done) = ended {
        let _ = done.send(());
    }
}

fn come(shared: &Arc<Shared>, gate: &Gate, incoming: quinn::Incoming, tasks: &mut JoinSet<()>) {
    if let Some((incoming, place)) = accept::look(shared, gate, incoming) {
        tasks.spawn(accept::accept(Arc::clone(shared), incoming, place));
    }
}

/// The dials in progress, and the sockets that they go out from.
struct Dials {
    listens: SocketAddr,
    /// For addresses that the listening socket does not reach; made when one is dialled.
    others: BTreeMap<bool, Endpoint>,
    running: BTreeMap<(PeerId, DialId), oneshot::Sender<()>>,
}

impl Dials {
    fn new(listens: SocketAddr) -> Dials {
        Dials {
            listens,
            others: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// Begins one. `main` is the endpoint that listens, when there is one.
    fn begin(
        &mut self,
        shared: &Arc<Shared>,
        order: Order,
        main: Option<&Endpoint>,
        tasks: &mut JoinSet<()>,
    ) {
        self.running.retain(|_, cancel| !cancel.is_closed());
        let endpoint = match self.endpoint(order.target.address, main) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                let what = format!("no socket for {}: {error}", order.target.address);
                shared.tell(NetworkEvent::DialEnded {
                    peer: order.peer,
                    dial: order.dial,
                    result: Err(dataflow_core::peers::DialFailure::Other(what)),
                });
                return;
            }
        };
        let (cancel, cancelled) = oneshot::channel();
        let name = (order.peer.clone(), order.dial);
        self.running.insert(name, cancel);
        tasks.spawn(dial(Arc::clone(shared), endpoint, order, cancelled));
    }

    /// Dropping the sender is what cancels.
    fn cancel(&mut self, peer: PeerId, dial: DialId) {
        self.running.remove(&(peer, dial));
    }

    /// The socket that reaches this address: the one that listens, so that we come from where our file entry says.
    fn endpoint(&mut self, towards: SocketAddr, main: Option<&Endpoint>) -> io::Result<Endpoint> {
        if reaches(self.listens, towards) {
            let gone = || io::Error::other("the system has taken it away");
            return main.cloned().ok_or_else(gone);
        }
        self.others.retain(|_, endpoint| !is_lost(endpoint));
        if let Some(endpoint) = self.others.get(&towards.is_ipv6()) {
            return Ok(endpoint.clone());
        }
        let endpoint = dialler(towards)?;
        self.others.insert(towards.is_ipv6(), endpoint.clone());
        Ok(endpoint)
    }

    fn end(&self) {
        for endpoint in self.others.values() {
            endpoint.close(VarInt::from_u32(Goodbye::Ending.code()), b"");
        }
    }
}

/// Whether packets of a socket that listens at `listens` get to `towards`.
fn reaches(listens: SocketAddr, towards: SocketAddr) -> bool {
    match (listens, towards) {
        (SocketAddr::V6(v6), SocketAddr::V4(_)) => v6.ip().is_unspecified(),
        (SocketAddr::V4(_), SocketAddr::V6(_)) => false,
        _ => !listens.ip().is_loopback() || towards.ip().is_loopback(),
    }
}
