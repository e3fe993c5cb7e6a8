//! A node under test while it runs: what the test sends, receives, moves and asks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::StopMode;
use dataflow_node::{Input, Metadata, Node};
use dataflow_shm::edge::EdgeCounts;
use dataflow_wire::node::ToRuntime;

use super::incarnation::{Incarnation, Program};
use super::message::Received;
use super::ports::Ports;
use super::rest::{Look, Rest};
use super::runtime::TestRuntime;
use super::setup::{NodeTest, receiver};

/// A node under test, from [`NodeTest::start`].
///
/// When the value goes without [`RunningNode::end`], the node is ended and checked all the same.
///
/// # Panics
///
/// Every call panics when it names a port that was not declared, and when what it waits for cannot come any more: then
/// it says what the node does instead.
pub struct RunningNode<R: fmt::Debug + Send + 'static> {
    pub(super) test: NodeTest,
    pub(super) runtime: TestRuntime,
    pub(super) ports: Ports,
    program: Program<R>,
    pub(super) now: Incarnation<R>,
    /// Whether any incarnation has been ready: from then on its edges take messages.
    was_ready: bool,
    pub(super) is_stopped: bool,
    /// The edges that this test has damaged: nothing that they count means anything.
    pub(super) damaged: Vec<u32>,
    pub(super) is_checked: bool,
}

impl<R: fmt::Debug + Send + 'static> RunningNode<R> {
    pub(super) fn start(
        test: NodeTest,
        runtime: TestRuntime,
        program: impl Fn(Node) -> R + Send + Sync + 'static,
    ) -> RunningNode<R> {
        let ports = Ports::connect(&test, &runtime);
        let program: Program<R> = Arc::new(program);
        let now = Incarnation::start(&test.name, &runtime, &program);
        RunningNode {
            test,
            runtime,
            ports,
            program,
            now,
            was_ready: false,
            is_stopped: false,
            damaged: Vec::new(),
            is_checked: false,
        }
    }

    /// Sends a message to an input, over a real edge. Waits until the node is ready (its first receive or send), and
    /// until there is room if the queue blocks.
    ///
    /// # Panics
    ///
    /// If the node ends without having been ready, or will not take what fills the queue.
    pub fn send(&mut self, input: &str, payload: impl AsRef<[u8]>, metadata: Metadata) {
        let place = self.input_place(input);
        let port = &self.ports.inputs[place];
        assert!(!port.is_closed, "this test has closed input `{input}`");
        let (edge, blocks_at) = (port.edge, port.blocks_at());
        self.wait_until_ready(input);
        if let Some(size) = blocks_at {
            self.wait_for(
                |node| Look::found(node.runtime.read(edge).counts.queued < size),
                |_, doing| {
                    format!(
                        "the queue of its input `{input}` is full ({size} messages), and {doing}"
                    )
                },
            );
        }
        let port = &self.ports.inputs[place];
        let (_, sender) = &mut self.ports.senders[port.sender];
        if let Err(error) = sender.send(&port.output, payload, metadata) {
            panic!("nothing can be sent to input `{input}`: {error}");
        }
    }

    fn wait_until_ready(&mut self, input: &str) {
        if self.was_ready {
            return;
        }
        let has_said_so = |node: &Self| {
            let said = node.runtime.heard(&node.test.name);
            said.contains(&ToRuntime::Ready)
        };
        self.wait_for(
            |node| {
                let is_ready = match node.rest() {
                    // Nobody waits in the library who has not said so.
                    Some(Rest::WaitsForInput | Rest::WaitsForRoom { .. }) => true,
                    Some(Rest::Ended) => {
                        let patience = node.test.patience;
                        node.runtime.is_heard_out(&node.test.name, patience);
                        has_said_so(node)
                    }
                    None => has_said_so(node),
                };
                Look::found(is_ready)
            },
            |_, doing| {
                format!(
                    "nothing can be sent to its input `{input}` before its first receive or \
                     send: {doing}"
                )
            },
        );
        self.was_ready = true;
    }

    /// Waits for the next message of an output, copies it and releases it.
    ///
    /// # Panics
    ///
    /// If none will come: the node waits for its next event or for room on another output, or has ended.
    pub fn receive(&mut self, output: &str) -> Received {
        let input = self.hold(output);
        Received::copied(output, &input)
    }

    /// As [`RunningNode::receive`], and holds the message: its memory is released when the value is dropped. (Payload
    /// and metadata of together up to 96 bytes travel without memory, and are never held: [`Input::is_held`].)
    ///
    /// # Panics
    ///
    /// As [`RunningNode::receive`].
    pub fn hold(&mut self, output: &str) -> Input {
        let place = self.output_place(output);
        let mut taken = None;
        self.wait_for(
            |node| {
                taken = node.ports.outputs[place].take();
                node.look_at(place, taken.is_some())
            },
            |node, doing| {
                format!(
                    "nothing comes on `{output}`: {doing}{}",
                    node.on_others(place)
                )
            },
        );
        taken.unwrap_or_else(|| {
            let damage = self.damage_of(place).unwrap_or("it is closed".to_owned());
            panic!(
                "node {}: nothing comes on `{output}`: {damage}",
                self.test.name
            )
        })
    }

    /// What was found of the next message of an output.
    fn look_at(&self, place: usize, is_taken: bool) -> Look {
        let port = &self.ports.outputs[place];
        if is_taken || port.is_closed {
            return Look::Found;
        }
        if port.is_coming(&self.runtime.read(port.edge).counts) {
            return Look::Coming;
        }
        Look::Nothing
    }

    /// Sees to it that nothing is there to be received from an output, and that nothing will come before the test does
    /// something.
    ///
    /// # Panics
    ///
    /// If something is there, or as [`RunningNode::settle`].
    pub fn receive_nothing(&mut self, output: &str) {
        let place = self.output_place(output);
        let rest = self.settle();
        let mut taken = None;
        self.look_until(|node| {
            taken = node.ports.outputs[place].take();
            node.look_at(place, taken.is_some()) != Look::Coming
        });
        if let Some(input) = taken {
            let found = Received::copied(output, &input);
            let name = &self.test.name;
            panic!("node {name}: nothing should be on `{output}` ({rest}), and there is {found:?}");
        }
    }

    /// Waits until the node does nothing more by itself: it waits for its next event, or for room, or has ended. This
    /// is read from its edges and its library, not timed.
    ///
    /// # Panics
    ///
    /// If it does none of these for as long as the test has patience; and always if the node has threads of its own
    /// ([`NodeTest::has_threads`]), because nobody knows when they are done.
    pub fn settle(&mut self) -> Rest {
        let name = self.test.name.clone();
        assert!(
            !self.test.has_threads,
            "node {name} has threads of its own: nobody knows when they are done"
        );
        self.rest_within_patience()
            .unwrap_or_else(|| panic!("node {name} does not come to rest: {}", self.never_rests()))
    }

    fn rest_within_patience(&mut self) -> Option<Rest> {
        let mut rest = None;
        self.look_until(|node| {
            rest = node.rest();
            rest.is_some()
        });
        rest
    }

    /// Lets a timer tick: moves the node's time to the moment at which it is next due. Other timers that are due by
    /// then tick too. Waits until the node rests before, so no tick is missed.
    ///
    /// # Panics
    ///
    /// If the node has ended, or does not come to rest.
    pub fn tick(&mut self, timer: &str) {
        let name = &self.test.name;
        let known = self.ports.timers.iter().find(|port| port.name == timer);
        let Some(period) = known.map(|port| port.period) else {
            panic!("node {name} was declared without a timer `{timer}`");
        };
        self.rest_alive(&format!("timer `{timer}` cannot tick"));
        let into_period = self.now.time.passed().as_nanos() % period.as_nanos();
        let into_period = Duration::from_nanos(u64::try_from(into_period).unwrap_or(u64::MAX));
        self.now.time.advance(period - into_period);
    }

    /// Moves the node's time on: each timer that becomes due ticks once and says how many ticks it missed, and receives
    /// with a timeout end. Waits until the node rests before.
    ///
    /// # Panics
    ///
    /// As [`RunningNode::tick`].
    pub fn advance(&mut self, duration: Duration) {
        self.rest_alive("its time cannot be moved");
        self.now.time.advance(duration);
    }

    fn rest_alive(&mut self, what: &str) {
        let doing = match self.rest_within_patience() {
            Some(Rest::Ended) => self.doing(&Rest::Ended),
            Some(_) => return,
            None => self.never_rests(),
        };
        panic!("node {}: {what}: {doing}", self.test.name);
    }

    /// The sender of an input ends for good: after what is queued the node hears that the input has closed.
    pub fn close(&mut self, input: &str) {
        let place = self.input_place(input);
        let port = &mut self.ports.inputs[place];
        port.is_closed = true;
        self.runtime.close(port.edge);
    }

    /// Asks the node to stop: it gets everything that was sent to it so far, and then the stop.
    pub fn stop(&mut self) {
        let inputs = self.ports.inputs.iter();
        let upto: Vec<_> = inputs
            .map(|port| (port.edge, self.runtime.read(port.edge).tail))
            .collect();
        self.tell_stop(StopMode::Graceful, &upto);
    }

    /// Asks the node to stop ahead of everything that waits in its queues, as `down --now` does.
    pub fn stop_now(&mut self) {
        self.tell_stop(StopMode::Now, &[]);
    }

    fn tell_stop(&mut self, mode: StopMode, upto: &[(u32, u64)]) {
        self.is_stopped = true;
        self.now.is_told = true;
        self.runtime.stop(&self.test.name, mode, upto);
    }

    /// Restarts the node as the runtime does after a crash: another incarnation, with the next epoch, finds in its
    /// queues what the last one has not taken.
    ///
    /// A program that runs still is ended first, at its next call: its library says that the runtime is gone. What it
    /// held is released by that, where the death of a process would make it lost.
    ///
    /// # Panics
    ///
    /// If the last incarnation does not end, or holds messages beyond its end, which nobody can take from it in this
    /// process.
    pub fn restart(&mut self) {
        self.runtime.hang_up(&self.test.name);
        if !self.look_until(|node| node.now.is_over()) {
            panic!(
                "node {} does not end for its restart: {}",
                self.test.name,
                self.never_rests()
            );
        }
        self.check_nothing_held();
        self.runtime.reaped(&self.test.name);
        self.is_stopped = false;
        self.now = Incarnation::start(&self.test.name, &self.runtime, &self.program);
    }

    /// What was counted on the edge of an input.
    pub fn input_counts(&self, input: &str) -> EdgeCounts {
        let port = &self.ports.inputs[self.input_place(input)];
        self.runtime.read(port.edge).counts
    }

    /// What was counted on the edge of an output.
    pub fn output_counts(&self, output: &str) -> EdgeCounts {
        let port = &self.ports.outputs[self.output_place(output)];
        self.runtime.read(port.edge).counts
    }

    /// Writes over one word of an input's edge, as a faulty sender can; the words are named in
    /// [`header`](super::header).
    pub fn damage_input(&mut self, input: &str, word: usize, value: u64) {
        let edge = self.ports.inputs[self.input_place(input)].edge;
        self.damage(edge, word, value);
    }

    /// Writes over one word of an output's edge, as a faulty receiver can.
    pub fn damage_output(&mut self, output: &str, word: usize, value: u64) {
        let edge = self.ports.outputs[self.output_place(output)].edge;
        self.damage(edge, word, value);
    }

    fn damage(&mut self, edge: u32, word: usize, value: u64) {
        self.damaged.push(edge);
        self.runtime.damage(edge, word, value);
    }

    /// What the library has said of this incarnation so far that belongs into the node's log: warnings, and edges that
    /// it found damaged.
    pub fn warnings(&self) -> Vec<String> {
        // What it has said before its answer has come by then.
        self.runtime
            .is_heard_out(&self.test.name, self.test.patience);
        let said = self.runtime.heard(&self.test.name).into_iter();
        said.filter_map(|said| match said {
            ToRuntime::Warning { text } => Some(text),
            ToRuntime::EdgeDamaged { edge, what } => {
                Some(format!("{} is damaged: {what}", self.port_of(edge.0)))
            }
            _ => None,
        })
        .collect()
    }

    /// What can be received on the other outputs, for people.
    fn on_others(&self, place: usize) -> String {
        let others = self.ports.outputs.iter().enumerate();
        let waiting = others.filter_map(|(other, port)| {
            let count = self.runtime.read(port.edge).counts.queued;
            let plural = if count == 1 { "" } else { "s" };
            let is_told = other != place && count > 0;
            is_told.then(|| format!("; it has sent {count} message{plural} on `{}`", port.name))
        });
        waiting.collect()
    }

    /// What the receiver of an output has found on its edge.
    fn damage_of(&self, place: usize) -> Option<String> {
        let said = self
            .runtime
            .heard(&receiver(&self.ports.outputs[place].name));
        said.into_iter().find_map(|said| match said {
            ToRuntime::EdgeDamaged { what, .. } => Some(format!("its edge is damaged ({what})")),
            _ => None,
        })
    }

    /// What people call an edge of the node.
    pub(super) fn port_of(&self, edge: u32) -> String {
        let input = self.ports.inputs.iter().find(|port| port.edge == edge);
        let output = self.ports.outputs.iter().find(|port| port.edge == edge);
        match (input, output) {
            (Some(port), _) => format!("input `{}`", port.name),
            (None, Some(port)) => format!("output `{}`", port.name),
            (None, None) => format!("edge e{edge}"),
        }
    }

    fn input_place(&self, name: &str) -> usize {
        let place = self.ports.inputs.iter().position(|port| port.name == name);
        place.unwrap_or_else(|| {
            panic!(
                "node {} was declared without an input `{name}`",
                self.test.name
            )
        })
    }

    fn output_place(&self, name: &str) -> usize {
        let place = self.ports.outputs.iter().position(|port| port.name == name);
        place.unwrap_or_else(|| {
            panic!(
                "node {} was declared without an output `{name}`",
                self.test.name
            )
        })
    }
}
