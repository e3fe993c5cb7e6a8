//! The agent's control loop, while it runs: its peers, its socket, its dataflows, and its end.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use dataflow_descriptor::{PeerCapabilities, Peers};
use dataflow_ids::stats::Keeper;
use dataflow_ids::{BootId, Fingerprint, StopMode};
use dataflow_wire::peers::Offer;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::controls::AgentControl;
use super::error::AgentRunError;
use super::prepare::AgentOptions;
use super::runs::Runs;
use super::socket::{self, Served};
use super::steering::Stop;
use super::{AgentEvent, FollowStart, PeerService, PeerStart, PeersFile, PeersHandle};
use crate::env::{Task, spawn_guarded};
use crate::household::Household;
use crate::machine;
use crate::network::{Network, NetworkEvent, QuicNetwork};
use crate::options::AgentMachine;
use crate::prepare::Host;
use crate::process::watched;
use crate::registry::Registry;
use crate::statistics::{AgentStatistics, MetricsListener, show_metrics};

/// How often the control loop says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long a command may take to read how its dataflow ended, when that is the end of the agent too.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);

/// Everything that an agent is started with.
pub(super) struct Parts {
    pub(super) options: AgentOptions,
    pub(super) registry: Registry,
    pub(super) fingerprint: Fingerprint,
    pub(super) boot: BootId,
    pub(super) seed: u64,
    pub(super) network: QuicNetwork,
    pub(super) heard: UnboundedReceiver<NetworkEvent>,
    /// `None` when nobody is to read metrics.
    pub(super) metrics: Option<MetricsListener>,
    pub(super) listener: Option<UnixListener>,
    pub(super) control: UnboundedReceiver<AgentControl>,
    pub(super) events: mpsc::Sender<AgentEvent>,
}

/// Runs the agent until it is stopped, and everything on it has ended.
pub(super) async fn serve(parts: Parts) -> Result<(), AgentRunError> {
    let Parts {
        options,
        registry,
        fingerprint,
        boot,
        seed,
        network,
        heard,
        metrics,
        listener,
        mut control,
        events,
    } = parts;
    let AgentOptions {
        peers,
        this,
        version,
        mut on_beat,
        ..
    } = options;
    let address = network.address();
    let network = Rc::new(network);
    let others = peers.peers.len().saturating_sub(1);
    let followed = peers.clone();
    let service = PeerService::new(PeerStart {
        peers,
        this: this.clone(),
        listens: address,
        boot,
        version,
        fingerprint,
        found: found(),
        network: Rc::clone(&network) as Rc<dyn Network>,
        heard,
        seed,
        events: events.clone(),
    });
    let handle = service.handle();
    let own_id = this.clone();
    let doubts = move |peers: &Peers| {
        let differs = own_fingerprint_differs(peers, own_id.as_str(), fingerprint);
        differs.into_iter().collect()
    };
    let follows = PeersFile::follow(FollowStart {
        file: followed.file.clone(),
        this: this.clone(),
        peers: followed,
        handle: handle.clone(),
        doubts: Box::new(doubts),
        events: events.clone(),
    });
    let household = Household::default();
    let thread = household.statistics().map_err(AgentRunError::Statistics)?;
    let statistics = AgentStatistics::start(thread, Keeper(seed), household.served().clone());
    household.collect(statistics.clone());
    let metrics_at = metrics.as_ref().map(MetricsListener::address);
    let shown = metrics.map(|listener| show_metrics(listener, statistics.source().clone()));
    let shown = shown.transpose().map_err(AgentRunError::Metrics)?;
    let host = Host {
        household,
        is_agent: true,
    };
    let offers = handle.clone();
    let machine = Box::new(move || this_machine(&offers));
    let runs = Runs::new(registry, host, machine, events.clone());
    let (peers_task, mut peers_over) = guarded("watch of peers", async {
        service.run().await.map_err(AgentRunError::Peers)
    });
    let (socket_task, mut socket_over) = guarded(
        "socket",
        listen(
            listener,
            Rc::clone(&runs),
            handle.clone(),
            statistics.clone(),
        ),
    );
    let told = (statistics, handle.clone());
    let beats = beat(Box::new(move || {
        on_beat();
        let (statistics, peers) = &told;
        statistics.source().beat.lives();
        statistics.peers_are(peers.status(), peers.actor_row());
    }));
    ready(&events, &this, address, metrics_at, others);

    let mut broken = None;
    let mut is_ending = false;
    loop {
        tokio::select! {
            biased;
            over = &mut peers_over, if broken.is_none() => broken = Some(over_of(over)),
            over = &mut socket_over, if broken.is_none() => broken = Some(over_of(over)),
            Some(order) = control.recv() => match order {
                AgentControl::Stop => runs.stop(STOP),
                AgentControl::Force(by) => runs.force(by),
            },
            () = runs.all_ended(), if is_ending => break,
        }
        if broken.is_some() && !is_ending {
            runs.stop(STOP);
        }
        is_ending = is_ending || runs.is_ending();
    }
    if tokio::time::timeout(LAST_WORDS_MAX, runs.all_told())
        .await
        .is_err()
    {
        tracing::warn!("a command has not read how its dataflow ended, and is left");
    }
    drop((socket_task, follows));
    handle.end();
    if broken.is_none() {
        // It says goodbye to everybody.
        let _ = peers_over.await;
    }
    drop(peers_task);
    drop(beats);
    drop(shown);
    if !network.end() {
        tracing::debug!("not every peer was told goodbye");
    }
    match broken {
        Some(Err(error)) => Err(error),
        Some(Ok(())) | None => Ok(()),
    }
}

/// What ends a dataflow when its agent ends.
const STOP: Stop = Stop {
    mode: StopMode::Graceful,
    force_after: None,
    by: "the end of the agent",
};

fn ready(
    events: &mpsc::Sender<AgentEvent>,
    this: &dataflow_ids::PeerId,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    peers: usize,
) {
    tracing::info!(agent = %this, %address, peers, "agent is ready");
    let _ = events.send(AgentEvent::Ready {
        this: this.clone(),
        address,
        metrics,
        peers,
    });
}

type Over = Result<Result<(), AgentRunError>, oneshot::error::RecvError>;

/// How a part of the agent came to its end.
fn over_of(over: Over) -> Result<(), AgentRunError> {
    // Its sender goes only with its result.
    over.unwrap_or(Ok(()))
}

/// Runs a part of the agent. A panic in it is its end, and that of nothing else.
fn guarded(
    part: &'static str,
    runs: impl Future<Output = Result<(), AgentRunError>> + 'static,
) -> (Task, oneshot::Receiver<Result<(), AgentRunError>>) {
    let (done, over) = oneshot::channel();
    let done = Rc::new(std::cell::Cell::new(Some(done)));
    let panicked = Rc::clone(&done);
    let say = |done: &std::cell::Cell<Option<oneshot::Sender<_>>>, result| {
        if let Some(done) = done.take() {
            let _ = done.send(result);
        }
    };
    let task = spawn_guarded(
        async move {
            let result = runs.await;
            say(&done, result);
        },
        move |what| say(&panicked, Err(AgentRunError::Panicked { part, what })),
    );
    (task, over)
}

async fn listen(
    listener: Option<UnixListener>,
    runs: Rc<Runs>,
    handle: PeersHandle,
    statistics: AgentStatistics,
) -> Result<(), AgentRunError> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let listener = watched(OwnedFd::from(listener)).map_err(AgentRunError::Socket)?;
    let served = Served {
        runs,
        peers: Box::new(move || handle.status()),
        statistics,
    };
    socket::serve(Rc::new(served), listener)
        .await
        .map_err(AgentRunError::Socket)
}

/// Says once a second that the control loop lives.
fn beat(mut on_beat: Box<dyn FnMut()>) -> Task {
    let beats = async move {
        loop {
            on_beat();
            tokio::time::sleep(BEAT_EVERY).await;
        }
    };
    spawn_guarded(beats, |what| {
        tracing::error!(%what, "whoever hears the agent's beat panicked");
    })
}

/// What this machine has.
fn found() -> Offer {
    let capabilities = machine::capabilities();
    Offer {
        memory_bytes: Some(capabilities.memory_bytes),
        cpus: Some(capabilities.cpus),
        gpu: Some(capabilities.gpu),
        labels: capabilities.labels,
    }
}

/// What this machine is called, and what it offers to nodes as its file stands.
fn this_machine(handle: &PeersHandle) -> AgentMachine {
    let status = handle.status();
    let declared = PeerCapabilities {
        memory_bytes: status.declared.memory_bytes,
        cpus: status.declared.cpus,
        gpu: status.declared.gpu,
        labels: status.declared.labels,
    };
    AgentMachine {
        peer: status.this,
        capabilities: machine::offered(&declared),
    }
}

/// Says so, when the file names other keys for this machine than it has: its peers would not let it in.
fn own_fingerprint_differs(peers: &Peers, this: &str, fingerprint: Fingerprint) -> Option<String> {
    let pinned = &peers.peer(this)?.fingerprints;
    let differs = !pinned.is_empty() && !pinned.contains(&fingerprint);
    differs.then(|| {
        format!(
            "{} names another key for `{this}` than this machine has ({fingerprint}): whoever uses this file does not \
             let it in. `dataflow peers pin {this}` mends it",
            peers.file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_control_loop_that_stands_still_does_not_say_that_it_lives() {
        let count = Arc::<AtomicU32>::default();
        let beats = Arc::clone(&count);
        let on_beat = Box::new(move || {
            beats.fetch_add(1, Ordering::Relaxed);
        });
        let said = || count.load(Ordering::Relaxed);
        actix_rt::System::new().block_on(async {
            let _beats = beat(on_beat);
            let until = async |number| {
                while said() < number {
                    tokio::task::yield_now().await;
                }
            };
            until(2).await;
            let before = said();
            // The thread is held, as by a loop without an end.
            let (_held, never) = mpsc::channel::<()>();
            assert!(never.recv_timeout(3 * BEAT_EVERY).is_err());
            assert_eq!(said(), before);
            until(before + 1).await;
        });
    }
}
