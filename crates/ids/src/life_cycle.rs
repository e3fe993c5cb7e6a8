//! The life cycle of a node: one enum for everything that reports state (section 7 of the design).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifeCycle {
    /// Named in the description, nothing done yet.
    Declared,
    /// The scheduler has reserved what it needs.
    Placed,
    /// Waiting for its models.
    Downloading,
    /// Its process has been started and has not said Ready yet.
    Starting,
    /// It has made its first `recv`, `send` or `ready()`.
    Ready,
    /// Messages flow.
    Running,
    /// It has been asked to stop and its process still lives.
    Stopping,
    /// Its process has ended; the tokens of its outputs are waited for.
    Draining,
    /// Between a crash and its restart.
    Backoff,
    /// Stopped by a person; its outputs stay open.
    Parked,
    /// Its peer is lost.
    Lost,
    /// Ended well, all tokens acknowledged.
    Finished,
    /// Ended badly, all tokens acknowledged.
    Failed,
}

impl LifeCycle {
    /// Every state, in the order of the life cycle.
    pub const ALL: [LifeCycle; 13] = [
        LifeCycle::Declared,
        LifeCycle::Placed,
        LifeCycle::Downloading,
        LifeCycle::Starting,
        LifeCycle::Ready,
        LifeCycle::Running,
        LifeCycle::Stopping,
        LifeCycle::Draining,
        LifeCycle::Backoff,
        LifeCycle::Parked,
        LifeCycle::Lost,
        LifeCycle::Finished,
        LifeCycle::Failed,
    ];

    /// Whether nothing follows: `Finished` or `Failed`.
    pub fn is_final(self) -> bool {
        matches!(self, LifeCycle::Finished | LifeCycle::Failed)
    }

    /// The state's word, as people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            LifeCycle::Declared => "declared",
            LifeCycle::Placed => "placed",
            LifeCycle::Downloading => "downloading",
            LifeCycle::Starting => "starting",
            LifeCycle::Ready => "ready",
            LifeCycle::Running => "running",
            LifeCycle::Stopping => "stopping",
            LifeCycle::Draining => "draining",
            LifeCycle::Backoff => "backoff",
            LifeCycle::Parked => "parked",
            LifeCycle::Lost => "lost",
            LifeCycle::Finished => "finished",
            LifeCycle::Failed => "failed",
        }
    }
}

impl fmt::Display for LifeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who forced an end. Only a person, or a time that a person has set, ever kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forcer {
    /// `dataflow down --force`.
    DownForce,
    /// A second Ctrl-C at an attached `dataflow up`.
    SecondInterrupt,
    /// `dataflow stop NODE --force`.
    StopForce,
    /// `dataflow restart NODE --force`.
    RestartForce,
    /// The time given with `--force-after` or `DATAFLOW_FORCE_AFTER` has passed.
    ForceAfter,
}

impl fmt::Display for Forcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Forcer::DownForce => "`down --force`",
            Forcer::StopForce => "`stop --force`",
            Forcer::RestartForce => "`restart --force`",
            Forcer::SecondInterrupt => "a second Ctrl-C",
            Forcer::ForceAfter => "`--force-after`",
        })
    }
}

/// How a node ended (I-8: every end is exactly one of these).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// It ended by itself or when asked, and every token of its outputs was acknowledged.
    Drained,
    /// It was killed on a person's word.
    Forced {
        /// On whose word.
        by: Forcer,
    },
    /// It ended in a way nobody asked for.
    Crashed {
        /// How, in one line: `exit code 3`, `killed by SIGSEGV`, `could not be started: …`.
        how: String,
    },
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Drained => f.write_str("drained"),
            End::Forced { by } => write!(f, "forced by {by}"),
            End::Crashed { how } => write!(f, "crashed: {how}"),
        }
    }
}
