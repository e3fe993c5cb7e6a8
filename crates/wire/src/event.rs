//! What happens in a run, as its caller is told it, and as an `up` is told it whose dataflow runs on an agent.

use std::time::SystemTime;

use dataflow_ids::{Epoch, LifeCycle, NodeId};
use serde::{Deserialize, Serialize};

use crate::log::LogStream;
use crate::status::{ModelStatus, Phase, Report, Waiting};

/// Something that happened in a run, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// A node, or the runtime on its behalf, has said something.
    Log {
        /// Which node.
        node: NodeId,
        /// Through which stream.
        stream: LogStream,
        /// When the runtime read it.
        at: SystemTime,
        /// The line, without its end.
        line: String,
    },
    /// A node has changed its state.
    State {
        /// Which node.
        node: NodeId,
        /// Where it stood.
        from: LifeCycle,
        /// Where it stands.
        to: LifeCycle,
        /// Its incarnation.
        epoch: Epoch,
        /// Why, in one line, when there is more to say than the state.
        because: Option<String>,
    },
    /// A model that the dataflow wants stands otherwise: another state, or further, a few times a second.
    Model(Box<ModelStatus>),
    /// The dataflow has changed its phase.
    Phase(Phase),
    /// Whom the stop has waited for, for a second or longer.
    Waiting(Vec<Waiting>),
    /// The dataflow has ended. Nothing follows. Over a socket the end is an answer of its own.
    Ended(Box<Report>),
}
