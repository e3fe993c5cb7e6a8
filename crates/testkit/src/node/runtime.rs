//! A runtime inside the test: it makes the edges, does the handshakes, forwards segments, and remembers what the nodes
//! say.

mod conversation;
mod handover;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow_ids::{EdgeId, Epoch, InputId, NodeId, OutputId, SegmentId, Sequence, StopMode};
use dataflow_node::{Node, RuntimeLost, VirtualTime};
use dataflow_shm::EventFd;
use dataflow_shm::edge::{EdgeConfig, EdgeKeeper, EdgeReading};
use dataflow_wire::node::{TimerSpec, ToNode, ToRuntime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::queue::Queue;

/// How long a test waits for something that must come before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the outputs of a node may take together, in bytes, if nothing is said.
pub(super) const OUTPUT_MEMORY_BYTES: u64 = 256 << 20;

/// A dataflow whose runtime is the test: real node libraries in this process, real edges and segments, and nobody who
/// acts but the test. Clones are the same runtime.
///
/// [`NodeTest`](super::NodeTest) tests one node and is what most tests want. This is for tests of what several nodes
/// do together, and of the conversation with the runtime itself.
///
/// Nodes are declared first, then the edges between them; both before anybody connects. A node is named as in a
/// description; an edge is numbered from 0 in the order of its declaration.
///
/// # Panics
///
/// Every call panics when it names a node or an edge that was not declared, or when what it waits for does not come
/// within 20 s.
#[derive(Clone, Default)]
pub struct TestRuntime {
    state: Arc<(Mutex<State>, Condvar)>,
}

/// What the runtime does with the segments of senders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Handing {
    /// Hands them to the receivers.
    #[default]
    Over,
    /// Keeps them: no receiver ever hears of them.
    Nothing,
    /// Hands them over as longer than they are.
    Garbled,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<String, NodeSide>,
    edges: Vec<EdgeSide>,
    segments: Vec<Segment>,
    handing: Handing,
    barriers: u32,
}

struct NodeSide {
    index: u32,
    epoch: Epoch,
    outputs: Vec<OutputId>,
    timers: Vec<TimerSpec>,
    memory_bytes: u64,
    receive_waiter: EventFd,
    send_waiter: EventFd,
    socket: Option<Arc<OwnedFd>>,
    /// By this incarnation.
    said: Vec<ToRuntime>,
}

struct EdgeSide {
    source: String,
    output: OutputId,
    target: String,
    input: InputId,
    queue: Queue,
    keeper: EdgeKeeper,
}

/// A segment that its sender has not retired.
struct Segment {
    source: String,
    segment: SegmentId,
    length: u64,
    fd: OwnedFd,
}

impl TestRuntime {
    /// A dataflow without nodes.
    pub fn new() -> TestRuntime {
        TestRuntime::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere has said why; the state is whole after each statement.
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares a node with its outputs.
    #[must_use]
    pub fn node(self, name: &str, outputs: &[&str]) -> TestRuntime {
        let side = NodeSide {
            index: 0,
            epoch: Epoch(1),
            outputs: outputs.iter().copied().map(output_id).collect(),
            timers: Vec::new(),
            memory_bytes: OUTPUT_MEMORY_BYTES,
            receive_waiter: waiter(),
            send_waiter: waiter(),
            socket: None,
            said: Vec::new(),
        };
        let index = u32::try_from(self.lock().nodes.len()).unwrap_or(u32::MAX);
        let former = self
            .lock()
            .nodes
            .insert(node_id(name).to_string(), NodeSide { index, ..side });
        assert!(former.is_none(), "node {name} is declared twice");
        self
    }

    /// As [`TestRuntime::node`], with a limit for what its outputs may take together, in bytes (256 MiB otherwise).
    #[must_use]
    pub fn node_with_memory(self, name: &str, outputs: &[&str], memory_bytes: u64) -> TestRuntime {
        let runtime = self.node(name, outputs);
        runtime.lock().side_mut(name).memory_bytes = memory_bytes;
        runtime
    }

    /// Gives a node another first epoch than 1.
    #[must_use]
    pub fn epoch(self, node: &str, epoch: Epoch) -> TestRuntime {
        let mut state = self.lock();
        state.side_mut(node).epoch = epoch;
        state.say_epochs(node);
        drop(state);
        self
    }

    /// Gives a node a timer.
    #[must_use]
    pub fn timer(self, node: &str, input: &str, period: Duration) -> TestRuntime {
        self.lock().side_mut(node).timers.push(TimerSpec {
            input: input_id(input),
            period,
        });
        self
    }

    /// Declares an edge: `from` is `camera/image`, `to` is `detector/frames`.
    #[must_use]
    pub fn edge(self, from: &str, to: &str, queue: Queue) -> TestRuntime {
        let (source, output) = both(from);
        let (target, input) = both(to);
        let mut state = self.lock();
        let config = EdgeConfig {
            edge: EdgeId(u32::try_from(state.edges.len()).unwrap_or(u32::MAX)),
            policy: queue.policy,
            queue_size: queue.size,
            held_max: queue.held_max,
            held_bytes_max: queue.held_bytes_max,
        };
        let keeper = EdgeKeeper::create(
            "test",
            &config,
            share(&state.side(source).send_waiter),
            share(&state.side(target).receive_waiter),
        );
        let keeper = keeper.unwrap_or_else(|error| panic!("edge {from} → {to}: {error}"));
        state.edges.push(EdgeSide {
            source: source.to_owned(),
            output: output_id(output),
            target: target.to_owned(),
            input: input_id(input),
            queue,
            keeper,
        });
        state.say_epochs(source);
        state.say_epochs(target);
        drop(state);
        self
    }

    /// Connects a node: plays the runtime's side of the handshake, and of everything after it.
    pub fn connect(&self, name: &str) -> Node {
        let connected = Node::connect_to(self.socket(name), RuntimeLost::GoOn);
        connected.unwrap_or_else(|error| panic!("{name} cannot connect: {error}"))
    }

    /// As [`TestRuntime::connect`], for a node whose timers and timeouts the test moves.
    pub fn connect_in_time(&self, name: &str, time: VirtualTime) -> Node {
        let connected = Node::connect_in_time(self.socket(name), RuntimeLost::GoOn, time);
        connected.unwrap_or_else(|error| panic!("{name} cannot connect: {error}"))
    }

    /// The node's end of a control socket; the other end is served from now on.
    fn socket(&self, name: &str) -> OwnedFd {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap_or_else(|errno| panic!("no control socket for {name}: {errno}"));
        let ours = Arc::new(ours);
        let runtime = self.clone();
        let name = name.to_owned();
        let epoch = self.lock().side(&name).epoch;
        std::thread::spawn(move || runtime.serve(&name, epoch, &ours));
        theirs
    }

    /// The process of a node has ended, and another one will follow: repairs its edges as the runtime does then, and
    /// counts its epoch up. Gives the messages that it held, which are lost.
    ///
    /// Nothing of that incarnation may use an edge any more, nor hold a message: in a process of its own the kernel
    /// sees to that, here the test does.
    pub fn reaped(&self, node: &str) -> Vec<(EdgeId, Sequence)> {
        self.hang_up(node);
        let mut state = self.lock();
        let mut lost = Vec::new();
        for edge in &state.edges {
            if edge.source == node {
                edge.keeper.repair_sender();
            }
            if edge.target == node {
                let held = edge.keeper.repair_receiver();
                lost.extend(held.into_iter().map(|held| (edge.keeper.edge(), held)));
            }
        }
        let side = state.side_mut(node);
        let ended = side.epoch;
        side.epoch = side.epoch.next();
        side.socket = None;
        side.said.clear();
        state.say_epochs(node);
        state.say_segments_complete(node, ended);
        lost
    }

    /// Waits until this incarnation of the node has said something that `find` knows; gives what that makes of it.
    pub fn hears<T>(&self, node: &str, mut find: impl FnMut(&ToRuntime) -> Option<T>) -> T {
        self.hears_within(node, PATIENCE, &mut find)
            .unwrap_or_else(|| panic!("in vain: {node} says what is expected"))
    }

    /// As [`TestRuntime::hears`], with another patience.
    pub(super) fn hears_within<T>(
        &self,
        node: &str,
        patience: Duration,
        mut find: impl FnMut(&ToRuntime) -> Option<T>,
    ) -> Option<T> {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(found) = state.side(node).said.iter().find_map(&mut find) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            (state, _) = self
                .state
                .1
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Everything that this incarnation of the node has said so far.
    pub fn heard(&self, node: &str) -> Vec<ToRuntime> {
        self.lock().side(node).said.clone()
    }

    /// From now on does this with segments.
    pub fn hand(&self, handing: Handing) {
        self.lock().handing = handing;
    }

    /// Asks a node to stop: gracefully at once if it has no inputs, or after everything up to `upto` (edge, sequence);
    /// [`StopMode::Now`] is ahead of everything.
    pub fn stop(&self, node: &str, mode: StopMode, upto: &[(u32, u64)]) {
        let upto = upto
            .iter()
            .map(|(edge, upto)| (EdgeId(*edge), Sequence(*upto)))
            .collect();
        self.tell(node, &ToNode::Stop { mode, upto });
    }

    /// The sender's end is final: its input closes once everything is taken. Gives the last message's number.
    pub fn close(&self, edge: u32) -> u64 {
        self.lock().edge_side(edge).keeper.close().0
    }

    /// The receiver has ended for good: what is queued for it is dropped, and nobody waits for it.
    pub fn receiver_gone(&self, edge: u32) {
        self.lock().edge_side(edge).keeper.receiver_gone();
    }

    /// What an edge says at this moment.
    pub fn read(&self, edge: u32) -> EdgeReading {
        self.lock().edge_side(edge).keeper.read()
    }

    /// Waits until the sender sleeps for room on this edge, or for memory that comes back on it.
    pub fn until_blocked(&self, edge: u32) {
        let sleep = || self.read(edge).sender_sleep;
        let is_blocked = || sleep().is_some_and(|sleep| sleep.is_for_room());
        until(is_blocked, &format!("somebody waits for room on e{edge}"));
    }

    /// Waits until the sender sleeps because the receiver of this edge is not ready yet.
    pub fn until_waits_for_readiness(&self, edge: u32) {
        let sleep = || self.read(edge).sender_sleep;
        let waits = || sleep().is_some_and(|sleep| !sleep.is_for_room());
        until(
            waits,
            &format!("somebody waits for the receiver of e{edge}"),
        );
    }

    /// Waits until so much of the sender's waits on this edge is known.
    pub fn until_blocked_for(&self, edge: u32, wait: Duration) {
        let is_known = || Duration::from_nanos(self.read(edge).counts.blocked_ns) >= wait;
        until(
            is_known,
            &format!("somebody has waited for {wait:?} on e{edge}"),
        );
    }

    /// Waits until the receiver sleeps on this edge.
    pub fn until_idle(&self, edge: u32) {
        let is_idle = || self.read(edge).receiver_idle;
        until(is_idle, &format!("somebody waits for a message of e{edge}"));
    }

    /// Writes over one word of an edge, as a faulty process can; the words are named in
    /// [`header`](dataflow_shm::edge::header).
    pub fn damage(&self, edge: u32, word: usize, value: u64) {
        let state = self.lock();
        let fd = state.edge_side(edge).keeper.fd();
        rustix::io::pwrite(fd, &value.to_ne_bytes(), word as u64 * 8)
            .unwrap_or_else(|errno| panic!("word {word} of e{edge} cannot be written: {errno}"));
    }

    /// The messages of an edge that its receiver holds.
    pub fn held(&self, edge: u32) -> Vec<Sequence> {
        let all = Sequence(u64::MAX);
        self.lock().edge_side(edge).keeper.tokens(all).held
    }

    /// Whether somebody has woken the node's receiver and it has not looked since.
    pub(super) fn receiver_is_woken(&self, node: &str) -> bool {
        is_readable(&self.lock().side(node).receive_waiter)
    }

    /// Whether somebody has woken the node's sender and it has not looked since.
    pub(super) fn sender_is_woken(&self, node: &str) -> bool {
        is_readable(&self.lock().side(node).send_waiter)
    }
}

impl State {
    fn side(&self, node: &str) -> &NodeSide {
        let side = self.nodes.get(node);
        side.unwrap_or_else(|| panic!("node {node} was not declared"))
    }

    fn side_mut(&mut self, node: &str) -> &mut NodeSide {
        let side = self.nodes.get_mut(node);
        side.unwrap_or_else(|| panic!("node {node} was not declared"))
    }

    fn edge_side(&self, edge: u32) -> &EdgeSide {
        let side = self.edges.get(edge as usize);
        side.unwrap_or_else(|| panic!("edge e{edge} was not declared"))
    }

    fn say_epochs(&self, node: &str) {
        let epoch = self.side(node).epoch;
        for edge in &self.edges {
            if edge.source == node {
                edge.keeper.set_sender_epoch(epoch);
            }
            if edge.target == node {
                edge.keeper.set_receiver_epoch(epoch);
            }
        }
    }
}

fn until(is_so: impl Fn() -> bool, what: &str) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::yield_now();
    }
}

fn is_readable(eventfd: &EventFd) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(eventfd.as_fd(), PollFlags::IN)];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

fn waiter() -> EventFd {
    EventFd::new().unwrap_or_else(|error| panic!("{error}"))
}

fn share(waiter: &EventFd) -> EventFd {
    waiter.try_clone().unwrap_or_else(|error| panic!("{error}"))
}

fn both(port: &str) -> (&str, &str) {
    port.split_once('/')
        .unwrap_or_else(|| panic!("`{port}` is not of the form node/port"))
}

fn node_id(name: &str) -> NodeId {
    NodeId::new(name).unwrap_or_else(|error| panic!("node `{name}`: {error}"))
}

fn output_id(name: &str) -> OutputId {
    OutputId::new(name).unwrap_or_else(|error| panic!("output `{name}`: {error}"))
}

fn input_id(name: &str) -> InputId {
    InputId::new(name).unwrap_or_else(|error| panic!("input `{name}`: {error}"))
}
