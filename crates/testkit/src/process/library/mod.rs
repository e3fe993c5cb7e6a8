//! The node library of a simulated process: the same conversation, edges and memory as the real one's, without its
//! threads. Whoever owns it says which of its two threads does something next.

mod conversation;
mod input;
mod output;
mod receive;
mod send;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::Duration;

use dataflow_ids::{EdgeId, Sequence, StopMode};
use dataflow_shm::edge::{ChunkKey, EdgeConfig, EdgeReceiver, EdgeReceiverHandle, EdgeSender};
use dataflow_shm::{EventFd, ReceivedSegments, SegmentPool, SegmentPoolConfig};
use dataflow_wire::node::{EdgeGrant, EdgeRole, NODE_PROTOCOL, ToNode, ToRuntime, Welcome};

use super::observation::Observation;
use input::Input;
use output::Output;

pub(super) use input::HeldMessage;
pub(super) use receive::Polled;
pub(super) use send::{SendStep, Sending};

/// A frame, and the descriptors that come with it.
pub(super) type Frame<T> = (T, Vec<OwnedFd>);

/// What the runtime has handed over so far.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    run: u32,
    welcome: Option<(Welcome, [EventFd; 2])>,
    grants: Vec<(EdgeGrant, OwnedFd, EventFd)>,
    early: Vec<Frame<ToNode>>,
}

/// What `Stop` has asked for.
#[derive(Debug, Default)]
struct Stop {
    asked: Option<StopMode>,
    upto: Vec<(EdgeId, Sequence)>,
    is_delivered: bool,
    /// Whether the user's code receives: then it learns of the stop in that way.
    is_received: bool,
}

/// How far the receiving half is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Receiving,
    Stopping,
    Ended,
}

/// A timer among the inputs.
#[derive(Debug)]
struct Timer {
    period: Duration,
    next: Option<Duration>,
}

/// The node library of a simulated process.
#[derive(Debug)]
pub(super) struct Library {
    run: u32,
    pub(super) welcome: Welcome,
    segments: ReceivedSegments,
    receive_wake: EventFd,
    send_wake: EventFd,
    control_wake: EventFd,
    incoming: BTreeMap<EdgeId, EdgeReceiverHandle>,
    watched: BTreeMap<EdgeId, Sequence>,
    inputs: Vec<Input>,
    timers: Vec<Timer>,
    outputs: Vec<Output>,
    memory: SegmentPool,
    freed: Vec<ChunkKey>,
    stop: Stop,
    phase: Phase,
    next: usize,
    open: usize,
    is_ready_said: bool,
    is_running_said: bool,
    /// When the user's code last called; `None` while it waits inside.
    pub(super) last_call: Option<Duration>,
    /// When it last did anything.
    pub(super) last_step: Duration,
    says: VecDeque<Frame<ToRuntime>>,
    observed: Vec<Observation>,
}

impl Handshake {
    /// Nothing was handed over yet. `run` stands in what the node sends.
    pub(super) fn new(run: u32) -> Handshake {
        Handshake {
            run,
            ..Handshake::default()
        }
    }

    /// What the process says first.
    pub(super) fn hello(pid: u32) -> ToRuntime {
        ToRuntime::Hello {
            protocol: NODE_PROTOCOL,
            library: "simulated".to_owned(),
            pid,
        }
    }

    /// Takes the next frame; gives the library when it was the last one of the handshake.
    ///
    /// # Errors
    ///
    /// What the runtime should not have said.
    pub(super) fn take(
        &mut self,
        (frame, descriptors): Frame<ToNode>,
    ) -> Result<Option<Library>, String> {
        match frame {
            ToNode::Welcome(welcome) => {
                let [receive, send] = pair(descriptors)?;
                if self.welcome.replace((welcome, [receive, send])).is_some() {
                    return Err("it was welcomed twice".to_owned());
                }
            }
            ToNode::Edge(grant) => {
                let [memory, wake] = <[OwnedFd; 2]>::try_from(descriptors)
                    .map_err(|_| "an edge comes with two descriptors".to_owned())?;
                let wake = EventFd::from_fd(wake).map_err(|error| error.to_string())?;
                self.grants.push((grant, memory, wake));
            }
            ToNode::Refused { reason } => return Err(format!("it was refused: {reason}")),
            ToNode::Begin => return std::mem::take(self).begin().map(Some),
            early => self.early.push((early, descriptors)),
        }
        Ok(None)
    }

    fn begin(self) -> Result<Library, String> {
        let Some((welcome, [receive_wake, send_wake])) = self.welcome else {
            return Err("it began without a welcome".to_owned());
        };
        if self.grants.len() != welcome.edges as usize {
            return Err(format!(
                "{} edges were announced, {} came",
                welcome.edges,
                self.grants.len()
            ));
        }
        let eventfd = |made: Result<EventFd, _>| made.map_err(|error| format!("{error}"));
        let control_wake = eventfd(EventFd::new())?;
        let mut library = Library {
            run: self.run,
            segments: ReceivedSegments::new(eventfd(control_wake.try_clone())?),
            receive_wake,
            send_wake,
            control_wake,
            incoming: BTreeMap::new(),
            watched: BTreeMap::new(),
            inputs: Vec::new(),
            timers: (welcome.timers.iter())
                .map(|timer| Timer {
                    period: timer.period,
                    next: None,
                })
                .collect(),
            outputs: (welcome.outputs.iter())
                .map(|id| Output::new(id.clone()))
                .collect(),
            memory: SegmentPool::new(SegmentPoolConfig {
                run: welcome.run.clone(),
                node: welcome.node.clone(),
                index: welcome.index,
                epoch: welcome.epoch,
                limit_bytes: welcome.output_memory_bytes,
            }),
            freed: Vec::new(),
            stop: Stop::default(),
            phase: Phase::Fresh,
            next: 0,
            open: 0,
            is_ready_said: false,
            is_running_said: false,
            last_call: Some(Duration::ZERO),
            last_step: Duration::ZERO,
            says: VecDeque::new(),
            observed: Vec::new(),
            welcome,
        };
        for (grant, memory, wake) in self.grants {
            library
                .attach(&grant, &memory, wake)
                .map_err(|why| format!("{} cannot be attached: {why}", grant.edge))?;
        }
        library.open = library.inputs.len();
        for frame in self.early {
            library.hear(frame, Duration::ZERO);
        }
        Ok(library)
    }
}

impl Library {
    fn attach(&mut self, grant: &EdgeGrant, memory: &OwnedFd, wake: EventFd) -> Result<(), String> {
        let config = EdgeConfig {
            edge: grant.edge,
            policy: grant.policy,
            queue_size: grant.queue_size,
            held_max: grant.held_max,
            held_bytes_max: grant.held_bytes_max,
        };
        match &grant.role {
            EdgeRole::Sender { output } => {
                let edge =
                    EdgeSender::attach(memory, &config, wake).map_err(|error| error.to_string())?;
                let Some(output) = self.outputs.iter_mut().find(|it| it.id == *output) else {
                    return Err(format!("output {output} was not declared"));
                };
                output.add(edge);
            }
            EdgeRole::Receiver { .. } => {
                let drained = (self.control_wake.try_clone()).map_err(|error| error.to_string())?;
                let edge = EdgeReceiver::attach(memory, &config, wake, drained)
                    .map_err(|error| error.to_string())?;
                self.incoming.insert(grant.edge, edge.handle());
                self.inputs.push(Input::new(grant, edge));
            }
        }
        Ok(())
    }

    /// What it has said since the last call, in order.
    pub(super) fn take_said(&mut self) -> impl Iterator<Item = Frame<ToRuntime>> + '_ {
        self.says.drain(..)
    }

    /// What happened to messages since the last call, in order.
    pub(super) fn take_observed(&mut self) -> impl Iterator<Item = Observation> + '_ {
        self.observed.drain(..)
    }

    fn note(&mut self, frame: ToRuntime) {
        self.says.push_back((frame, Vec::new()));
    }

    /// Says `Ready`, once.
    pub(super) fn say_ready(&mut self) {
        if !std::mem::replace(&mut self.is_ready_said, true) {
            self.note(ToRuntime::Ready);
        }
    }

    fn say_running(&mut self) {
        if !std::mem::replace(&mut self.is_running_said, true) {
            self.note(ToRuntime::Running);
        }
    }

    fn say_stop_delivered(&mut self, is_received: bool) {
        if !std::mem::replace(&mut self.stop.is_delivered, true) {
            self.observed.push(Observation::StopSeen { is_received });
            self.note(ToRuntime::StopDelivered);
        }
    }

    /// How many outputs it has.
    pub(super) fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Whether edges or timers lead to it.
    pub(super) fn has_inputs(&self) -> bool {
        !self.inputs.is_empty() || !self.timers.is_empty()
    }

    /// Whether `Stop` has arrived, ahead of the queues.
    pub(super) fn is_now(&self) -> bool {
        self.stop.asked == Some(StopMode::Now)
    }

    /// Forgets wake-ups of who receives; gives whether there was one.
    pub(super) fn drain_receive(&self) -> bool {
        self.receive_wake.drain()
    }

    /// Forgets wake-ups of who sends; gives whether there was one.
    pub(super) fn drain_send(&self) -> bool {
        self.send_wake.drain()
    }

    /// Forgets wake-ups of the control thread; gives whether there was one.
    pub(super) fn drain_control(&self) -> bool {
        self.control_wake.drain()
    }

    /// Ends it as the kernel does: nothing is released. Gives the messages that it had taken and not looked at.
    pub(super) fn abandon(self) -> Vec<(EdgeId, Sequence)> {
        self.inputs.into_iter().filter_map(Input::abandon).collect()
    }
}

fn pair(descriptors: Vec<OwnedFd>) -> Result<[EventFd; 2], String> {
    let mut eventfds = Vec::new();
    for descriptor in descriptors {
        eventfds.push(EventFd::from_fd(descriptor).map_err(|error| error.to_string())?);
    }
    <[EventFd; 2]>::try_from(eventfds)
        .map_err(|_| "a welcome comes with two descriptors".to_owned())
}
