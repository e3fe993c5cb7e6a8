//! What the programs of the suite do, whatever they are written in.

use dataflow_ids::{Epoch, NodeIndex, SegmentId};
use dataflow_wire::node::{NODE_PROTOCOL, ToNode, ToRuntime};

/// What [`Script::IgnoresTerminate`] prints when it is deaf to the signal.
pub const DEAF: &str = "deaf\n";
/// What a program prints when it has heard [`told`], followed by the text of the descriptor and an end of line.
pub const HEARD: &str = "heard ";
/// The text in the memory that is sent, in both directions.
pub const TEXT: &str = "text in memory";
/// How much [`Script::PrintsMuch`] prints, in bytes.
pub const PRINTED_MUCH_BYTES: usize = 1024 * 1024;
/// How many frames [`Script::CountsFrames`] is told.
pub const TOLD_MANY: u32 = 40;

/// What a program does. Unless it says otherwise, it hears nothing, is ended by SIGTERM, and returns 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// There is no such program.
    Missing,
    /// Returns this code at once.
    Returns(i32),
    /// Sends itself this signal, which ends it.
    DiesOf(i32),
    /// Goes on until something ends it.
    Waits,
    /// Ignores SIGTERM, prints [`DEAF`], then does as [`Script::Hears`] without returning.
    IgnoresTerminate,
    /// Prints to both of its outputs and returns.
    Prints {
        /// To standard output.
        stdout: &'static str,
        /// To standard error.
        stderr: &'static str,
    },
    /// Prints [`PRINTED_MUCH_BYTES`] of `x`, as fast as they are read, and returns.
    PrintsMuch,
    /// Says [`hello`], [`segment_created`] with memory in which [`TEXT`] stands, and [`ready`]; then returns.
    Speaks,
    /// Says [`hello`], then bytes that are no frame; then goes on.
    TalksNonsense,
    /// Says [`hello`], closes its end of the conversation, and goes on.
    HangsUp,
    /// Says [`hello`], waits for the end of what the runtime says, says [`ready`], and returns.
    WaitsForTheEnd,
    /// Starts another process and returns. That one leaves the group, ignores SIGTERM, says [`hello_of`] its own number,
    /// and goes on.
    SpeaksThroughAnother,
    /// As [`Script::SpeaksThroughAnother`], but the other one stays in the group.
    LeavesAChild,
    /// Waits for [`told`] with memory, prints [`HEARD`], the text in that memory and an end of line, and returns.
    Hears,
    /// Waits for [`told_many`], which comes [`TOLD_MANY`] times, prints [`HEARD`] and an end of line, and returns.
    CountsFrames,
}

/// A hello that names no process of the launcher.
#[must_use]
pub fn hello() -> ToRuntime {
    hello_of(1)
}

/// The hello of a process with this number.
#[must_use]
pub fn hello_of(pid: u32) -> ToRuntime {
    ToRuntime::Hello {
        protocol: NODE_PROTOCOL,
        library: "a program of the suite".to_owned(),
        pid,
    }
}

/// A name.
#[must_use]
pub fn segment() -> SegmentId {
    SegmentId {
        node: NodeIndex(0),
        epoch: Epoch(1),
        number: 0,
    }
}

/// A frame to the runtime that comes with one descriptor.
#[must_use]
pub fn segment_created() -> ToRuntime {
    ToRuntime::SegmentCreated {
        segment: segment(),
        length: TEXT.len() as u64,
    }
}

/// A frame to the runtime that comes alone.
#[must_use]
pub fn ready() -> ToRuntime {
    ToRuntime::Ready
}

/// A frame to the node that comes with one descriptor.
#[must_use]
pub fn told() -> ToNode {
    ToNode::Segment {
        segment: segment(),
        length: TEXT.len() as u64,
    }
}

/// A frame to the node that is so long that many of them have to be queued.
#[must_use]
pub fn told_many() -> ToNode {
    ToNode::Refused {
        reason: "y".repeat(100_000),
    }
}
