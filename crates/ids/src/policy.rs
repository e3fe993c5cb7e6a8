//! Choices that a description makes: queues, restarts, stops. What follows from them is decided in `core`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What happens on an edge whose queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueuePolicy {
    /// The oldest queued message is dropped and counted.
    #[default]
    DropOldest,
    /// `DropOldest` with a queue of one.
    Latest,
    /// The sender waits: nothing is lost.
    Block,
}

impl fmt::Display for QueuePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            QueuePolicy::DropOldest => "drop-oldest",
            QueuePolicy::Latest => "latest",
            QueuePolicy::Block => "block",
        })
    }
}

/// When something that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    /// Never.
    #[default]
    Never,
    /// After a crash.
    OnFailure,
    /// After any end that nobody asked for.
    Always,
}

/// One restart policy serves actors, operators and processes (section 7 of the design).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Which ends are followed by a restart.
    pub on: RestartOn,
    /// At most this many restarts within `window`.
    pub restarts_max: u32,
    /// The sliding window in which restarts are counted; also the stable running time that resets the backoff.
    pub window: Duration,
    /// The first wait before a restart.
    pub backoff_min: Duration,
    /// The longest wait before a restart.
    pub backoff_max: Duration,
}

impl Default for RestartPolicy {
    /// Never restarts; the long form's numbers are max 5 in 60 s, backoff 200 ms to 10 s.
    fn default() -> Self {
        RestartPolicy {
            on: RestartOn::Never,
            restarts_max: 5,
            window: Duration::from_secs(60),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
        }
    }
}

/// What a dataflow does when one of its nodes has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The dataflow is stopped, drained.
    #[default]
    Stop,
    /// The other nodes go on.
    Continue,
}

/// How a node is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopMode {
    /// After everything that was sent to it.
    Graceful,
    /// Ahead of what is queued; the report lists what was left unread.
    Now,
}
