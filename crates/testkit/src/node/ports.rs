//! What a test sends to a node and receives from it with: nodes of the same library at the other ends of its edges.

use std::time::Duration;

use dataflow_ids::QueuePolicy;
use dataflow_node::{Event, Input, Node, Polled};
use dataflow_shm::edge::EdgeCounts;
use dataflow_wire::node::ToRuntime;

use super::queue::Queue;
use super::runtime::TestRuntime;
use super::setup::{NodeTest, receiver};

/// An input of the node, and who sends to it.
pub(super) struct InputPort {
    pub(super) name: String,
    pub(super) edge: u32,
    queue: Queue,
    /// Its sender's place in `Ports::senders`, and the output there.
    pub(super) sender: usize,
    pub(super) output: String,
    pub(super) is_closed: bool,
}

impl InputPort {
    /// How many messages may wait in its queue, if its sender waits when there are more.
    pub(super) fn blocks_at(&self) -> Option<u64> {
        (self.queue.policy == QueuePolicy::Block).then_some(self.queue.size.into())
    }
}

/// An output of the node, and who receives from it.
pub(super) struct OutputPort {
    pub(super) name: String,
    pub(super) edge: u32,
    receiver: Node,
    taken: u64,
    /// Whether nothing more can be received.
    pub(super) is_closed: bool,
}

impl OutputPort {
    /// Takes the next message if it can be had.
    pub(super) fn take(&mut self) -> Option<Input> {
        match self.receiver.try_recv() {
            Ok(Polled::Event(Event::Input(input))) => {
                self.taken += 1;
                Some(input)
            }
            Ok(Polled::Nothing) => None,
            Ok(Polled::Event(_) | Polled::Ended) | Err(_) => {
                self.is_closed = true;
                None
            }
        }
    }

    /// Whether something was sent that could not be had yet: its segment is on its way to the receiver.
    pub(super) fn is_coming(&self, counts: &EdgeCounts) -> bool {
        !self.is_closed && (counts.queued > 0 || counts.delivered > self.taken)
    }
}

/// A timer of the node.
pub(super) struct TimerPort {
    pub(super) name: String,
    pub(super) period: Duration,
}

/// All of them.
pub(super) struct Ports {
    pub(super) inputs: Vec<InputPort>,
    pub(super) outputs: Vec<OutputPort>,
    pub(super) timers: Vec<TimerPort>,
    pub(super) senders: Vec<(String, Node)>,
}

impl Ports {
    /// Connects those whom the node sends to and receives from; its edges are numbered inputs first.
    pub(super) fn connect(test: &NodeTest, runtime: &TestRuntime) -> Ports {
        let mut ports = Ports {
            inputs: Vec::new(),
            outputs: Vec::new(),
            timers: Vec::new(),
            senders: Vec::new(),
        };
        let mut edges = 0..;
        let mut next_edge = || edges.next().unwrap_or(u32::MAX);
        for input in &test.inputs {
            let known = (ports.senders.iter()).position(|(known, _)| *known == input.source);
            let sender = known.unwrap_or_else(|| {
                let sender = runtime.connect(&input.source);
                ports.senders.push((input.source.clone(), sender));
                ports.senders.len() - 1
            });
            ports.inputs.push(InputPort {
                name: input.name.clone(),
                edge: next_edge(),
                queue: input.queue.clone(),
                sender,
                output: input.output.clone(),
                is_closed: false,
            });
        }
        for (name, _) in &test.outputs {
            let peer = receiver(name);
            let node = runtime.connect(&peer);
            node.ready();
            // What the runtime does then wakes everybody once, which is over before the node starts.
            runtime.hears(&peer, |said| (*said == ToRuntime::Ready).then_some(()));
            ports.outputs.push(OutputPort {
                name: name.clone(),
                edge: next_edge(),
                receiver: node,
                taken: 0,
                is_closed: false,
            });
        }
        for (name, period) in &test.timers {
            ports.timers.push(TimerPort {
                name: name.clone(),
                period: *period,
            });
        }
        ports
    }
}
