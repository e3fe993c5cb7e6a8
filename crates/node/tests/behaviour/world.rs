//! A small runtime inside the test: it makes the edges, does the handshakes, forwards segments, and remembers
//! what the nodes say.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use dataflow_ids::{
    DataflowName, EdgeId, Epoch, InputId, NodeId, NodeIndex, OutputId, QueuePolicy, SegmentId,
    Sequence, StopMode,
};
use dataflow_node::{Event, Input, Node, RuntimeLost};
use dataflow_shm::EventFd;
use dataflow_shm::edge::{EdgeConfig, EdgeKeeper, EdgeReading};
use dataflow_wire::frame::{self, FrameReader, Received};
use dataflow_wire::node::{
    EdgeGrant, EdgeRole, NODE_PROTOCOL, TimerSpec, ToNode, ToRuntime, Welcome,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// How long a test waits for something that must come before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One edge, as a test wants it.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    policy: QueuePolicy,
    queue_size: u32,
    held_max: u32,
    held_bytes_max: u64,
    spin: Duration,
}

impl Edge {
    pub(crate) fn block(queue_size: u32) -> Edge {
        Edge {
            policy: QueuePolicy::Block,
            queue_size,
            held_max: 64,
            held_bytes_max: 1 << 30,
            spin: Duration::ZERO,
        }
    }

    pub(crate) fn drop_oldest(queue_size: u32) -> Edge {
        Edge {
            policy: QueuePolicy::DropOldest,
            ..Edge::block(queue_size)
        }
    }

    pub(crate) fn held_max(self, held_max: u32) -> Edge {
        Edge { held_max, ..self }
    }

    pub(crate) fn held_bytes_max(self, held_bytes_max: u64) -> Edge {
        Edge {
            held_bytes_max,
            ..self
        }
    }

    pub(crate) fn spin(self, spin: Duration) -> Edge {
        Edge { spin, ..self }
    }
}

struct NodeSide {
    index: u32,
    outputs: Vec<OutputId>,
    timers: Vec<TimerSpec>,
    memory_bytes: u64,
    receive_waiter: EventFd,
    send_waiter: EventFd,
    socket: Option<Arc<OwnedFd>>,
    said: Vec<ToRuntime>,
}

struct EdgeSide {
    source: String,
    output: OutputId,
    target: String,
    input: InputId,
    edge: Edge,
    keeper: EdgeKeeper,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<String, NodeSide>,
    edges: Vec<EdgeSide>,
    segments: Vec<(String, SegmentId, u64, OwnedFd)>,
    handing: Handing,
}

/// What this runtime does with the segments of senders.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Handing {
    /// Hands them to the receivers.
    #[default]
    Over,
    /// Keeps them: no receiver ever hears of them.
    Nothing,
    /// Hands them over as longer than they are.
    Garbled,
}

/// A dataflow whose runtime is the test.
#[derive(Clone, Default)]
pub(crate) struct World {
    state: Arc<(Mutex<State>, Condvar)>,
}

impl World {
    pub(crate) fn new() -> World {
        World::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    pub(crate) fn node(self, name: &str, outputs: &[&str]) -> World {
        self.node_with_memory(name, outputs, 256 << 20)
    }

    pub(crate) fn node_with_memory(self, name: &str, outputs: &[&str], memory_bytes: u64) -> World {
        let mut state = self.lock();
        let index = state.nodes.len() as u32;
        let side = NodeSide {
            index,
            outputs: outputs.iter().map(|o| OutputId::new(*o).unwrap()).collect(),
            timers: Vec::new(),
            memory_bytes,
            receive_waiter: EventFd::new().unwrap(),
            send_waiter: EventFd::new().unwrap(),
            socket: None,
            said: Vec::new(),
        };
        state.nodes.insert(name.to_owned(), side);
        drop(state);
        self
    }

    pub(crate) fn timer(self, node: &str, input: &str, period: Duration) -> World {
        self.lock()
            .nodes
            .get_mut(node)
            .unwrap()
            .timers
            .push(TimerSpec {
                input: InputId::new(input).unwrap(),
                period,
            });
        self
    }

    /// `from`: `camera/image`; `to`: `detector/frames`.
    pub(crate) fn edge(self, from: &str, to: &str, edge: Edge) -> World {
        let (source, output) = from.split_once('/').unwrap();
        let (target, input) = to.split_once('/').unwrap();
        let mut state = self.lock();
        let id = EdgeId(state.edges.len() as u32);
        let config = EdgeConfig {
            edge: id,
            policy: edge.policy,
            queue_size: edge.queue_size,
            held_max: edge.held_max,
            held_bytes_max: edge.held_bytes_max,
        };
        let keeper = EdgeKeeper::create(
            "test",
            &config,
            state.nodes[source].send_waiter.try_clone().unwrap(),
            state.nodes[target].receive_waiter.try_clone().unwrap(),
        )
        .unwrap();
        keeper.set_sender_epoch(Epoch(1));
        keeper.set_receiver_epoch(Epoch(1));
        state.edges.push(EdgeSide {
            source: source.to_owned(),
            output: OutputId::new(output).unwrap(),
            target: target.to_owned(),
            input: InputId::new(input).unwrap(),
            edge,
            keeper,
        });
        drop(state);
        self
    }

    /// Connects a node: plays the runtime's side of the handshake, and of everything after it.
    pub(crate) fn connect(&self, name: &str) -> Node {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let ours = Arc::new(ours);
        let world = self.clone();
        let runtime_name = name.to_owned();
        let socket = ours.clone();
        std::thread::spawn(move || world.serve(&runtime_name, &socket));
        Node::connect_to(theirs, RuntimeLost::GoOn).unwrap()
    }

    fn serve(&self, name: &str, socket: &Arc<OwnedFd>) {
        let mut reader = FrameReader::new();
        loop {
            while let Some((message, fds)) = reader.next::<ToRuntime>().unwrap() {
                self.hear(name, socket, message, fds);
            }
            match reader.receive(socket.as_fd()) {
                Ok(Received::Bytes(_)) => {}
                _ => return,
            }
        }
    }

    fn hear(&self, name: &str, socket: &Arc<OwnedFd>, message: ToRuntime, fds: Vec<OwnedFd>) {
        let mut state = self.lock();
        match &message {
            ToRuntime::Hello { protocol, .. } => {
                assert_eq!(*protocol, NODE_PROTOCOL);
                state.hand_over(name, socket.as_fd());
                state.nodes.get_mut(name).unwrap().socket = Some(socket.clone());
            }
            ToRuntime::Ready => {
                for edge in state.edges.iter().filter(|edge| edge.target == name) {
                    edge.keeper.set_receiver_ready();
                }
            }
            ToRuntime::SegmentCreated { .. } if state.handing == Handing::Nothing => {}
            ToRuntime::SegmentCreated { segment, length } => {
                let [fd] = <[OwnedFd; 1]>::try_from(fds).unwrap();
                let is_garbled = state.handing == Handing::Garbled;
                let message = ToNode::Segment {
                    segment: *segment,
                    length: length + u64::from(is_garbled),
                };
                for edge in state.edges.iter().filter(|edge| edge.source == name) {
                    if let Some(to) = &state.nodes[&edge.target].socket {
                        let _ = frame::send(to.as_fd(), &message, &[fd.as_fd()]);
                    }
                }
                state
                    .segments
                    .push((name.to_owned(), *segment, *length, fd));
            }
            _ => {}
        }
        state.nodes.get_mut(name).unwrap().said.push(message);
        self.state.1.notify_all();
    }

    /// Waits until the node has said something that `find` knows; gives what that makes of it.
    pub(crate) fn hears<T>(&self, node: &str, mut find: impl FnMut(&ToRuntime) -> Option<T>) -> T {
        self.eventually(&format!("{node} says what is expected"), |state| {
            state.nodes[node].said.iter().find_map(&mut find)
        })
    }

    /// Everything that the node has said so far.
    pub(crate) fn heard(&self, node: &str) -> Vec<ToRuntime> {
        self.lock().nodes[node].said.clone()
    }

    fn eventually<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let (next, waited) = self.state.1.wait_timeout(state, PATIENCE).unwrap();
            assert!(!waited.timed_out(), "in vain: {what}");
            state = next;
        }
    }

    /// From now on does this with segments.
    pub(crate) fn hand(&self, handing: Handing) {
        self.lock().handing = handing;
    }

    /// Writes bytes that are no frame to a node.
    pub(crate) fn babble(&self, node: &str, bytes: &[u8]) {
        let socket = self.lock().nodes[node].socket.clone().unwrap();
        assert_eq!(rustix::io::write(&*socket, bytes), Ok(bytes.len()));
    }

    /// Tells a node something.
    pub(crate) fn tell(&self, node: &str, message: &ToNode) {
        let socket = self.lock().nodes[node].socket.clone().unwrap();
        frame::send(socket.as_fd(), message, &[]).unwrap();
    }

    pub(crate) fn stop(&self, node: &str, mode: StopMode, upto: &[(u32, u64)]) {
        let upto = upto
            .iter()
            .map(|(edge, upto)| (EdgeId(*edge), Sequence(*upto)))
            .collect();
        self.tell(node, &ToNode::Stop { mode, upto });
    }

    /// Ends the conversation with a node, as the death of the runtime does.
    pub(crate) fn hang_up(&self, node: &str) {
        let socket = self.lock().nodes[node].socket.clone().unwrap();
        rustix::net::shutdown(socket.as_fd(), rustix::net::Shutdown::Both).unwrap();
    }

    /// The sender's end is final.
    pub(crate) fn close(&self, edge: u32) -> u64 {
        self.lock().edges[edge as usize].keeper.close().0
    }

    /// The receiver has ended for good.
    pub(crate) fn receiver_gone(&self, edge: u32) {
        self.lock().edges[edge as usize].keeper.receiver_gone();
    }

    pub(crate) fn read(&self, edge: u32) -> EdgeReading {
        self.lock().edges[edge as usize].keeper.read()
    }

    /// Waits until the sender sleeps because of this edge.
    pub(crate) fn until_blocked(&self, edge: u32) {
        let until = std::time::Instant::now() + PATIENCE;
        while !self.read(edge).sender_blocked {
            assert!(std::time::Instant::now() < until, "nobody waits on e{edge}");
            std::thread::yield_now();
        }
    }

    /// Waits until the receiver sleeps on this edge.
    pub(crate) fn until_idle(&self, edge: u32) {
        let until = std::time::Instant::now() + PATIENCE;
        while !self.read(edge).receiver_idle {
            assert!(
                std::time::Instant::now() < until,
                "nobody receives on e{edge}"
            );
            std::thread::yield_now();
        }
    }

    /// Writes garbage over one word of an edge.
    pub(crate) fn damage(&self, edge: u32, word: usize, value: u64) {
        let state = self.lock();
        let fd = state.edges[edge as usize].keeper.fd();
        rustix::io::pwrite(fd, &value.to_ne_bytes(), word as u64 * 8).unwrap();
    }
}

impl State {
    fn hand_over(&self, name: &str, socket: BorrowedFd<'_>) {
        let node = &self.nodes[name];
        let grants: Vec<_> = self
            .edges
            .iter()
            .flat_map(|edge| {
                let sender = (edge.source == name).then(|| EdgeRole::Sender {
                    output: edge.output.clone(),
                });
                let receiver = (edge.target == name).then(|| EdgeRole::Receiver {
                    input: edge.input.clone(),
                    spin: edge.edge.spin,
                });
                [sender, receiver]
                    .into_iter()
                    .flatten()
                    .map(move |role| (edge, role))
            })
            .collect();
        let welcome = ToNode::Welcome(Welcome {
            protocol: NODE_PROTOCOL,
            dataflow: DataflowName::new("test").unwrap(),
            run: "test".to_owned(),
            node: NodeId::new(name).unwrap(),
            index: NodeIndex(node.index),
            epoch: Epoch(1),
            outputs: node.outputs.clone(),
            timers: node.timers.clone(),
            edges: grants.len() as u32,
            output_memory_bytes: node.memory_bytes,
        });
        let waiters = [node.receive_waiter.as_fd(), node.send_waiter.as_fd()];
        frame::send(socket, &welcome, &waiters).unwrap();
        for (edge, role) in grants {
            let peer = match role {
                EdgeRole::Sender { .. } => &self.nodes[&edge.target].receive_waiter,
                EdgeRole::Receiver { .. } => &self.nodes[&edge.source].send_waiter,
            };
            let grant = ToNode::Edge(EdgeGrant {
                edge: edge.keeper.edge(),
                role,
                source: NodeId::new(&*edge.source).unwrap(),
                source_index: NodeIndex(self.nodes[&edge.source].index),
                output: edge.output.clone(),
                target: NodeId::new(&*edge.target).unwrap(),
                input: edge.input.clone(),
                policy: edge.edge.policy,
                queue_size: edge.edge.queue_size,
                held_max: edge.edge.held_max,
                held_bytes_max: edge.edge.held_bytes_max,
            });
            frame::send(socket, &grant, &[edge.keeper.fd(), peer.as_fd()]).unwrap();
        }
        for (source, segment, length, fd) in &self.segments {
            let receives = self
                .edges
                .iter()
                .any(|edge| edge.source == *source && edge.target == name);
            if receives {
                let message = ToNode::Segment {
                    segment: *segment,
                    length: *length,
                };
                frame::send(socket, &message, &[fd.as_fd()]).unwrap();
            }
        }
        frame::send(socket, &ToNode::Begin, &[]).unwrap();
    }
}

/// The next event, which must be a message.
pub(crate) fn message(node: &mut Node) -> Input {
    match node.recv().unwrap() {
        Some(Event::Input(input)) => input,
        other => panic!("a message was expected, not {other:?}"),
    }
}

/// `length` bytes that say which message they belong to.
pub(crate) fn pattern(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + number) as u8).collect()
}
