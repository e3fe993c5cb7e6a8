//! Somebody who keeps statistics, and a control loop that hands sockets over to the thread of statistics.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Book, GROUPS_MAX, Snapshot, Transition};
use dataflow_ids::stats::{Keeper, NodeKey, RunNumber, Statistics};
use dataflow_ids::{DataflowName, Epoch, LifeCycle, NodeId, NodeIndex, PeerId};
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::frame::encode_frame;

use crate::client::{Client, Watcher};
use crate::commands::{Greeted, greet, say};
use crate::process::FramedSocket;
use crate::statistics::{Publisher, Source, StatisticsThread, watch};

/// Longer than anything here takes. Only a fault is found by it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// As often as anybody is told.
pub(super) const OFTEN: Duration = Duration::from_millis(100);

/// Statistics of one dataflow, whose nodes go round in their lives.
pub(super) struct Kept {
    book: Book,
    run: RunNumber,
    nodes: u32,
    next: u32,
    now: Duration,
}

impl Kept {
    /// With so many nodes, which are placed.
    pub(super) fn with_nodes(nodes: u32) -> Kept {
        Kept::kept_by(1, nodes)
    }

    /// As [`Kept::with_nodes`], by this keeper.
    pub(super) fn kept_by(keeper: u64, nodes: u32) -> Kept {
        let mut book = Book::new(Keeper(keeper), GROUPS_MAX);
        let peer = PeerId::new("here").unwrap();
        let name = DataflowName::new("flow").unwrap();
        let run = book.add_dataflow(Time::START, peer, "flow-1".to_owned(), name);
        for node in (0..nodes).map(NodeIndex) {
            let id = NodeId::new(format!("node-{}", node.0)).unwrap();
            book.add_node(Time::START, NodeKey { run, node }, &id)
                .unwrap();
        }
        let mut kept = Kept {
            book,
            run,
            nodes,
            next: 0,
            now: Duration::ZERO,
        };
        for node in 0..nodes {
            kept.transition(NodeIndex(node), LifeCycle::Placed, Epoch::NONE);
        }
        kept
    }

    fn transition(&mut self, node: NodeIndex, to: LifeCycle, epoch: Epoch) {
        self.now += Duration::from_micros(10);
        let at = Time(self.now);
        let key = NodeKey {
            run: self.run,
            node,
        };
        let transition = Transition {
            node,
            to,
            epoch,
            sequence: self.book.node(key).unwrap().transitions.get() + 1,
            at,
        };
        self.book.transition(self.run, transition).unwrap();
    }

    /// The next node has failed and is to begin anew, or begins.
    pub(super) fn change(&mut self) {
        let (round, node) = (self.next / self.nodes, NodeIndex(self.next % self.nodes));
        self.next += 1;
        let (to, epoch) = match round % 2 {
            0 => (LifeCycle::Starting, round / 2 + 1),
            _ => (LifeCycle::Backoff, round.div_ceil(2)),
        };
        self.transition(node, to, Epoch(epoch));
    }

    pub(super) fn publish(&mut self) -> Arc<Snapshot> {
        self.now += Duration::from_micros(1);
        self.book.publish(Time(self.now))
    }
}

/// A source with its thread.
pub(super) struct Served {
    thread: Arc<StatisticsThread>,
    source: Source,
}

impl Served {
    /// What this publishes.
    pub(super) fn new(publisher: &Publisher) -> Served {
        let thread = Arc::new(StatisticsThread::start().unwrap());
        Served::of(thread, publisher.source().clone())
    }

    /// On this thread.
    pub(super) fn of(thread: Arc<StatisticsThread>, source: Source) -> Served {
        Served { thread, source }
    }

    /// Accepts a command as a control loop does, and gives the command's end.
    pub(super) fn accept(&self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (thread, source) = (Arc::clone(&self.thread), self.source.clone());
        std::thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let socket = FramedSocket::new(ours.into(), 1 << 20).unwrap();
                if greet(&socket, 4711, false).await == Greeted::Refused {
                    return;
                }
                let request = socket.next::<ClientRequest>().await;
                if let Ok(Some((ClientRequest::Watch { every }, _))) = request
                    && let Err(refused) = watch(&thread, &source, &socket, every)
                {
                    let reason = refused.to_string();
                    say(&socket, &ClientReply::Refused { reason }).await;
                }
            });
        });
        theirs
    }

    /// Somebody watches.
    pub(super) fn watcher(&self, every: Duration) -> Watcher {
        let client = Client::over(self.accept(), 0, Box::new(|_| {}));
        Watcher::new(client.unwrap(), every).unwrap()
    }

    /// How often something was encoded for those who watch.
    pub(super) fn encoded(&self) -> usize {
        self.source.encoded.lock().unwrap().count
    }

    /// How much of what was encoded is kept.
    pub(super) fn kept_encoded(&self) -> usize {
        self.source.encoded.lock().unwrap().kept()
    }

    /// How many more may watch.
    pub(super) fn places(&self) -> usize {
        self.source.places.free()
    }

    /// Waits until so many may watch.
    pub(super) fn wait_for_places(&self, wanted: usize) {
        let places = Arc::clone(&self.source.places);
        let waits = async { tokio::time::timeout(PATIENCE, places.are_free(wanted)).await };
        let came = actix_rt::System::new().block_on(waits);
        came.unwrap_or_else(|_| panic!("there never are {wanted} places"));
    }

    /// Waits until so many of those who have a place take nothing.
    pub(super) fn wait_for_stalled(&self, wanted: usize) {
        let places = Arc::clone(&self.source.places);
        let waits = async { tokio::time::timeout(PATIENCE, places.are_stalled(wanted)).await };
        let came = actix_rt::System::new().block_on(waits);
        came.unwrap_or_else(|_| panic!("there never are {wanted} who take nothing"));
    }

    /// Waits until so many read.
    pub(super) fn wait_for_readers(&self, wanted: usize) {
        self.wait_for_readers_of(&self.source, wanted);
    }

    /// Waits until so many look at this.
    pub(super) fn wait_for_readers_of(&self, source: &Source, wanted: usize) {
        let readers = Arc::clone(&source.readers);
        let waits = async { tokio::time::timeout(PATIENCE, readers.are(wanted)).await };
        let came = actix_rt::System::new().block_on(waits);
        came.unwrap_or_else(|_| panic!("there never are {wanted} readers"));
    }
}

/// Watches to the end on a thread of its own. Gives what it knew last, and how often it was told something.
pub(super) fn watch_to_the_end(mut watcher: Watcher) -> JoinHandle<(Statistics, u32)> {
    std::thread::spawn(move || {
        let mut told = 0;
        while let Some(now) = watcher.next().unwrap() {
            assert!(now.at_ns > 0);
            told += 1;
        }
        (watcher.last().unwrap().clone(), told)
    })
}

/// Runs something that must come to its end.
pub(super) fn joined<T: Send + 'static>(thread: JoinHandle<T>) -> T {
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || done.send(thread.join()));
    match waits.recv_timeout(PATIENCE) {
        Ok(joined) => joined.unwrap(),
        Err(_) => panic!("it never ends"),
    }
}

/// As it goes over a wire.
pub(super) fn bytes(statistics: &Statistics) -> Vec<u8> {
    encode_frame(statistics).unwrap()
}
