//! What a node under test is connected to, and its start.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use dataflow_ids::Epoch;
use dataflow_node::Node;

use super::queue::Queue;
use super::running::RunningNode;
use super::runtime::{OUTPUT_MEMORY_BYTES, TestRuntime};

/// Who sends to the inputs of a node under test, if nothing else is said.
const SENDER: &str = "testkit";

/// How long a test waits for a node that neither waits nor ends, if nothing is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// The queue of an edge for which nothing is said: nothing is lost on it, whatever the test does.
const QUEUE_SIZE: u32 = 10;

/// A node to be tested: its name, and its ports as a description declares them.
///
/// See [the module](super) for an example.
#[derive(Debug, Clone)]
#[must_use = "`start` runs the node"]
pub struct NodeTest {
    pub(super) name: String,
    pub(super) inputs: Vec<InputSpec>,
    pub(super) outputs: Vec<(String, Queue)>,
    pub(super) timers: Vec<(String, Duration)>,
    epoch: Epoch,
    output_memory_bytes: u64,
    pub(super) patience: Duration,
    pub(super) has_threads: bool,
}

/// An input, and where its messages come from.
#[derive(Debug, Clone)]
pub(super) struct InputSpec {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) output: String,
    pub(super) queue: Queue,
}

impl NodeTest {
    /// A node without ports.
    pub fn new(name: &str) -> NodeTest {
        NodeTest {
            name: name.to_owned(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            timers: Vec::new(),
            epoch: Epoch(1),
            output_memory_bytes: OUTPUT_MEMORY_BYTES,
            patience: PATIENCE,
            has_threads: false,
        }
    }

    /// Gives it an input with a queue of 10 messages that blocks: so a test that sends much loses nothing.
    pub fn input(self, name: &str) -> NodeTest {
        self.input_with(name, Queue::block(QUEUE_SIZE))
    }

    /// Gives it an input with this queue.
    pub fn input_with(self, name: &str, queue: Queue) -> NodeTest {
        let source = format!("{SENDER}/{name}");
        self.input_from(name, &source, queue)
    }

    /// Gives it an input that comes from `source` (`camera/image`), for a node that looks at where messages come from.
    /// No two inputs have the same source.
    pub fn input_from(mut self, name: &str, source: &str, queue: Queue) -> NodeTest {
        let Some((node, output)) = source.split_once('/') else {
            panic!("the source of input `{name}` is `{source}`, and not of the form node/output");
        };
        let is_taken = |input: &InputSpec| input.source == node && input.output == output;
        assert!(
            !self.inputs.iter().any(is_taken),
            "{source} feeds another input already"
        );
        self.inputs.push(InputSpec {
            name: name.to_owned(),
            source: node.to_owned(),
            output: output.to_owned(),
            queue,
        });
        self
    }

    /// Gives it an output whose receiver has a queue of 10 messages that blocks: the node waits when it has sent 10
    /// that the test did not receive.
    pub fn output(self, name: &str) -> NodeTest {
        self.output_with(name, Queue::block(QUEUE_SIZE))
    }

    /// Gives it an output whose receiver has this queue.
    pub fn output_with(mut self, name: &str, queue: Queue) -> NodeTest {
        self.outputs.push((name.to_owned(), queue));
        self
    }

    /// Gives it a timer. It ticks when the test says so: [`RunningNode::tick`], [`RunningNode::advance`].
    pub fn timer(mut self, name: &str, period: Duration) -> NodeTest {
        assert!(!period.is_zero(), "timer {name} has no period");
        self.timers.push((name.to_owned(), period));
        self
    }

    /// The number of its first incarnation (1 if nothing is said): a later one finds what an earlier one has left.
    pub fn epoch(self, epoch: u32) -> NodeTest {
        NodeTest {
            epoch: Epoch(epoch),
            ..self
        }
    }

    /// What its outputs may take together, in bytes (256 MiB if nothing is said), as `output_memory_mb` says in a
    /// description.
    pub fn output_memory_bytes(self, output_memory_bytes: u64) -> NodeTest {
        NodeTest {
            output_memory_bytes,
            ..self
        }
    }

    /// The node does work on threads or tasks of its own while it waits for its next event. So from its waiting
    /// nothing follows for what it will still send, and a test that receives waits for it with
    /// [`NodeTest::patience`].
    pub fn has_threads(self) -> NodeTest {
        NodeTest {
            has_threads: true,
            ..self
        }
    }

    /// For how long a test waits for a node that neither waits in its library nor ends (30 s if nothing is said). No
    /// correct node ever gets there: this keeps a test from hanging.
    pub fn patience(self, patience: Duration) -> NodeTest {
        NodeTest { patience, ..self }
    }

    /// Starts `program` as the node, on a thread of its own. After a [`RunningNode::restart`] it is called again, as
    /// the next incarnation.
    ///
    /// # Panics
    ///
    /// If a name is none, or is used twice, or the machine has no descriptors or memory left.
    pub fn start<R, P>(self, program: P) -> RunningNode<R>
    where
        P: Fn(Node) -> R + Send + Sync + 'static,
        R: fmt::Debug + Send + 'static,
    {
        let runtime = self.runtime();
        RunningNode::start(self, runtime, program)
    }

    /// The runtime with this node, and those that the test sends and receives with.
    fn runtime(&self) -> TestRuntime {
        let outputs: Vec<_> = self.outputs.iter().map(|(name, _)| name.as_str()).collect();
        let mut runtime = TestRuntime::new()
            .node_with_memory(&self.name, &outputs, self.output_memory_bytes)
            .epoch(&self.name, self.epoch);
        for (name, period) in &self.timers {
            runtime = runtime.timer(&self.name, name, *period);
        }
        let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for input in &self.inputs {
            let outputs = sources.entry(&input.source).or_default();
            outputs.push(&input.output);
        }
        for (source, outputs) in sources {
            runtime = runtime.node(source, &outputs);
        }
        for input in &self.inputs {
            let from = format!("{}/{}", input.source, input.output);
            let to = format!("{}/{}", self.name, input.name);
            runtime = runtime.edge(&from, &to, input.queue.clone());
        }
        for (name, queue) in &self.outputs {
            let receiver = receiver(name);
            let from = format!("{}/{name}", self.name);
            let to = format!("{receiver}/{name}");
            runtime = runtime.node(&receiver, &[]).edge(&from, &to, queue.clone());
        }
        runtime
    }
}

/// Who receives what a node under test sends on an output.
pub(super) fn receiver(output: &str) -> String {
    format!("{SENDER}-{output}")
}
