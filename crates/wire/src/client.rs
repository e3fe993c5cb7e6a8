//! The conversation between a command (`ps`, `down`, …) and the runtime of a dataflow, over its Unix socket.
//!
//! The command speaks first (`Hello`). Each request is answered by one reply, except `Stop` and `Follow`,
//! which are answered by a stream that ends with `Ended`.

use std::time::Duration;

use dataflow_ids::{Forcer, StopMode};
use serde::{Deserialize, Serialize};

use crate::hello::ProtocolMismatch;
use crate::status::{DataflowStatus, Report, Waiting};

/// The version of this conversation. Both sides refuse any other.
pub const CLIENT_PROTOCOL: u32 = 1;

/// Compares the version that the other side has said, in `Hello` or in `Welcome`, with [`CLIENT_PROTOCOL`].
///
/// # Errors
///
/// [`ProtocolMismatch`] when they differ; it names both and the remedy.
pub fn check_hello(theirs: u32) -> Result<(), ProtocolMismatch> {
    if theirs == CLIENT_PROTOCOL {
        return Ok(());
    }
    Err(ProtocolMismatch {
        conversation: "command",
        ours: CLIENT_PROTOCOL,
        theirs,
        remedy: "use the `dataflow` command that started this dataflow, or stop it with that one and start \
                 it again",
    })
}

/// What a command asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientRequest {
    /// The first message of all.
    Hello {
        /// [`CLIENT_PROTOCOL`] of the command.
        protocol: u32,
    },
    /// How the dataflow stands.
    Status,
    /// Stop the dataflow. Repeating it changes nothing, except that `Now` is stronger than `Graceful`.
    /// Answered by `Waiting` now and then, and by `Ended`.
    Stop {
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// Kill what still lives after this time. `None`: never.
        force_after: Option<Duration>,
    },
    /// Kill every process of the dataflow, on this person's word.
    Force {
        /// Whose word.
        by: Forcer,
    },
    /// Stay, and say how it ends.
    Follow,
}

/// What the runtime answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientReply {
    /// The answer to `Hello`.
    Welcome {
        /// [`CLIENT_PROTOCOL`] of the runtime.
        protocol: u32,
        /// The runtime's process.
        pid: u32,
    },
    /// The request is refused; the socket closes after it.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The answer to `Status`.
    Status(Box<DataflowStatus>),
    /// The answer to `Force`: it is done at once, the end follows on `Stop` and `Follow`.
    Accepted,
    /// Whom a stop waits for.
    Waiting(Vec<Waiting>),
    /// The dataflow has ended.
    Ended(Box<Report>),
}
