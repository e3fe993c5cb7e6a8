//! What can go wrong, one enum for each operation, each with its remedy.

use std::fmt;
use std::io;

use dataflow_ids::{InputId, NodeId, OutputId};
use dataflow_wire::frame;
use dataflow_wire::metadata::MetadataError;
use dataflow_wire::node::{CONTROL_FD_VARIABLE, NODE_PROTOCOL};

/// What `fn main() -> Result<…>` prints of an error is its `Debug`. That is how most nodes end, so it is the text
/// for people.
macro_rules! debug_for_people {
    ($($error:ident),*) => {
        $(impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        })*
    };
}

debug_for_people!(ConnectError, RecvError, SendError);

/// Why a program could not connect to its dataflow.
#[derive(thiserror::Error)]
pub enum ConnectError {
    /// The program was not started by a dataflow.
    #[error(
        "this program runs outside a dataflow ({CONTROL_FD_VARIABLE} is not set): name it as the `path` of \
         a node in a YAML file, and start that with `dataflow up FILE.yml`"
    )]
    OutsideDataflow,
    /// The variable does not name the control socket.
    #[error(
        "{CONTROL_FD_VARIABLE} is `{value}`, and that is no control socket of this process ({why}): only \
         the program that `dataflow up` starts can be the node, not one that this program starts in turn \
         with its descriptors closed"
    )]
    NoControlSocket {
        /// What the variable says.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The process has connected before.
    #[error("this process has connected before: make one `Node` and share it")]
    AlreadyConnected,
    /// The runtime refuses this node.
    #[error("the runtime refuses this node: {reason}")]
    Refused {
        /// Why, in the runtime's words.
        reason: String,
    },
    /// The runtime speaks another version.
    #[error(
        "the runtime speaks version {runtime} of the node protocol and this library version {NODE_PROTOCOL}: \
         build the program (or install the Python module) from the same release as `dataflow`"
    )]
    OtherVersion {
        /// The runtime's version.
        runtime: u32,
    },
    /// The runtime ended the conversation before it had handed over everything.
    #[error("the runtime ended while this node was connecting: look into the dataflow's log")]
    Ended,
    /// A signal arrived, and the caller had asked to be told. The conversation is over.
    #[error("interrupted by a signal while connecting")]
    Interrupted,
    /// The runtime said something that does not belong here.
    #[error("the runtime sent {what} where {expected} belongs: it is of another version")]
    Unexpected {
        /// What came.
        what: &'static str,
        /// What should have come.
        expected: &'static str,
    },
    /// The control socket cannot be written to.
    #[error("the control socket cannot be written to: {0}")]
    Send(#[from] frame::SendError),
    /// The control socket cannot be read from.
    #[error("the control socket cannot be read from: {0}")]
    Receive(#[from] frame::ReceiveError),
    /// A frame on the control socket is damaged.
    #[error("the control socket carries a damaged frame: {0}")]
    Frame(#[from] frame::FrameError),
    /// The memory of an edge, or a wake-up, cannot be used.
    #[error("the edge {edge} cannot be used: {why}")]
    Edge {
        /// The edge as people know it: `camera/image → detector/image`.
        edge: String,
        /// What went wrong.
        why: String,
    },
    /// A wake-up descriptor cannot be made or used.
    #[error(transparent)]
    EventFd(#[from] dataflow_shm::EventFdError),
    /// No guard against forks can be made.
    #[error(transparent)]
    ForkGuard(#[from] dataflow_shm::ForkGuardError),
    /// The control thread cannot be started.
    #[error("the node's control thread cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// Why `recv` gave no event.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// A signal arrived, and the caller had asked to be told.
    #[error("interrupted by a signal")]
    Interrupted,
    /// The runtime has ended, and this node was told to outlive it.
    #[error("the dataflow's runtime has ended")]
    RuntimeGone,
    /// This is a process that was forked from the node's.
    #[error("{FORKED}")]
    Forked,
    /// The receiving half was closed from another thread.
    #[error("the receiving half of this node was closed")]
    Closed,
    /// This program has closed descriptors that it had not opened, and the node cannot wait or wake any more.
    #[error("{DESCRIPTORS_CLOSED}")]
    DescriptorsClosed,
    /// The kernel refused to wait.
    #[error("waiting for an event failed: {0}")]
    Wait(rustix::io::Errno),
}

const DESCRIPTORS_CLOSED: &str = "this program has closed descriptors of its node, which can neither wait nor wake \
     others any more: close only what the program has opened";

const FORKED: &str = "this process was forked from a node and has none of its memory: use the node in the process that \
     connected, and start helpers with `spawn` instead of `fork`";

/// Why a message could not be sent, or memory for one not be lent.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The node has no such output.
    #[error("node {node} has no output `{output}`: {}", Declared(declared))]
    UnknownOutput {
        /// This node.
        node: NodeId,
        /// The output asked for.
        output: String,
        /// The outputs that the description declares.
        declared: Vec<OutputId>,
    },
    /// The node is asked to stop, and the message was refused.
    #[error(
        "the dataflow is stopping: the message for `{output}` was refused (it reached {written} of {edges} \
         inputs); let the program end"
    )]
    Stopped {
        /// The output.
        output: OutputId,
        /// On how many edges it had been sent already.
        written: usize,
        /// How many edges the output has.
        edges: usize,
    },
    /// The message can never fit.
    #[error(
        "a message of {length_bytes} bytes for `{output}` is above what the outputs of node {node} may take \
         together, {limit_bytes} bytes: set `output_memory_mb: {}` or more at the node",
        megabytes(*length_bytes as u64)
    )]
    TooLarge {
        /// This node.
        node: NodeId,
        /// The output.
        output: OutputId,
        /// What the message takes.
        length_bytes: usize,
        /// The limit.
        limit_bytes: u64,
    },
    /// The memory of the outputs is used up, and nothing that could be waited for frees any.
    #[error(
        "no memory is left for {length_bytes} bytes on `{output}`: the outputs of node {node} may take \
         {limit_bytes} bytes together, and {}; release messages sooner, or raise `output_memory_mb` at the \
         node",
        Holders(holders, *loans)
    )]
    MemoryFull {
        /// This node.
        node: NodeId,
        /// The output.
        output: OutputId,
        /// What the message takes.
        length_bytes: usize,
        /// The limit.
        limit_bytes: u64,
        /// Who has how many messages in that memory.
        holders: Vec<Holder>,
        /// How many loans of this node have not been sent yet.
        loans: usize,
    },
    /// The machine, or its control group, has no memory left.
    #[error("shared memory for {length_bytes} bytes on `{output}` cannot be had: {why}")]
    NoMemory {
        /// The output.
        output: OutputId,
        /// What the message takes.
        length_bytes: usize,
        /// What the kernel, or the check of the control group's limit, said.
        why: String,
    },
    /// An edge of the output holds what no correct receiver writes. It is closed; the message has gone to the other
    /// inputs of the output, and later ones go there without this error, as long as there are any.
    #[error(
        "the edge from `{output}` to {damaged} is damaged and closed: the message reached {written} of {edges} \
         inputs; look for what writes into shared memory in node {}, then start the dataflow again",
        damaged.node
    )]
    EdgeDamaged {
        /// The output.
        output: OutputId,
        /// The edge's other end, and what is wrong.
        damaged: DamagedEdge,
        /// On how many edges the message was sent.
        written: usize,
        /// How many edges the output has.
        edges: usize,
    },
    /// The metadata cannot travel.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A signal arrived while the message waited, and the caller had asked to be told. It was refused on the
    /// edges that it had not reached.
    #[error("interrupted by a signal")]
    Interrupted,
    /// The runtime has ended, and this node was told to outlive it.
    #[error("the dataflow's runtime has ended")]
    RuntimeGone,
    /// This is a process that was forked from the node's.
    #[error("{FORKED}")]
    Forked,
    /// This program has closed descriptors that it had not opened, and the node cannot wait or wake any more.
    #[error("{DESCRIPTORS_CLOSED}")]
    DescriptorsClosed,
    /// The kernel refused to wait.
    #[error("waiting for room on `{output}` failed: {errno}")]
    Wait {
        /// The output.
        output: OutputId,
        /// What the kernel said.
        errno: rustix::io::Errno,
    },
}

/// Somebody who has messages in this node's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The receiver.
    pub node: NodeId,
    /// Its input.
    pub input: InputId,
    /// How many messages it holds or has not read yet.
    pub messages: u64,
}

/// The receiver's end of an edge that was found damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedEdge {
    /// The receiver.
    pub node: NodeId,
    /// Its input.
    pub input: InputId,
    /// What is wrong.
    pub what: String,
    /// How many messages were not sent on it so far.
    pub refused: u64,
}

impl fmt::Display for DamagedEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DamagedEdge {
            node,
            input,
            what,
            refused,
        } = self;
        write!(f, "{node}/{input} ({what}; {refused} not sent so far)")
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

struct Declared<'a>(&'a [OutputId]);

impl fmt::Display for Declared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("its description declares none; add it to the node's `outputs`");
        }
        let names: Vec<_> = self.0.iter().map(OutputId::as_str).collect();
        write!(
            f,
            "its description declares {}; add it to the node's `outputs`, or use one of these",
            names.join(", ")
        )
    }
}

struct Holders<'a>(&'a [Holder], usize);

impl fmt::Display for Holders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count| if count == 1 { "" } else { "s" };
        let mut facts: Vec<String> = self
            .0
            .iter()
            .map(|holder| {
                let Holder {
                    node,
                    input,
                    messages,
                } = holder;
                let plural = if *messages == 1 { "" } else { "s" };
                format!("{node} has {messages} message{plural} in its input {input}")
            })
            .collect();
        if self.1 > 0 {
            facts.push(format!(
                "this node has {} loan{} not sent yet",
                self.1,
                plural(self.1)
            ));
        }
        if facts.is_empty() {
            facts.push("what is free is too scattered".to_owned());
        }
        f.write_str(&facts.join(", "))
    }
}
