//! How a dataflow stands and how it ended: what `ps`, `down`, `--json` and the report file show.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::{
    DataflowName, EdgeId, End, Epoch, Forcer, InputId, LifeCycle, ModelName, NodeId, OutputId,
    QueuePolicy, RepoKind,
};
use serde::{Deserialize, Serialize};

use crate::waits::NodeWait;

/// A dataflow at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataflowStatus {
    /// Its name.
    pub name: DataflowName,
    /// The run's name, as in the names of its memfds and its folder of logs.
    pub run: String,
    /// The YAML it was started from.
    pub file: PathBuf,
    /// The runtime's process.
    pub pid: u32,
    /// For how long it has been up.
    pub up_for: Duration,
    /// Where it stands.
    pub phase: Phase,
    /// Its nodes, in the order of the description.
    pub nodes: Vec<NodeStatus>,
    /// Its edges, in the order of the description.
    pub edges: Vec<EdgeStatus>,
    /// Its models, in the order of the description.
    pub models: Vec<ModelStatus>,
    /// While stopping: whom it waits for.
    pub waiting: Vec<Waiting>,
}

/// Where a dataflow stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Not every node is Ready yet.
    Starting,
    /// Every node has been Ready once.
    Running,
    /// Asked to stop, or ending by itself because a node failed.
    Stopping,
    /// Every node has ended.
    Ended,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Phase::Starting => "starting",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Ended => "ended",
        })
    }
}

/// A node at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub node: NodeId,
    /// Where it stands.
    pub state: LifeCycle,
    /// For how long it has been in that state.
    pub state_for: Duration,
    /// Its incarnation.
    pub epoch: Epoch,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Messages it has sent, on all edges together.
    pub sent: u64,
    /// Messages delivered to it, on all edges together.
    pub delivered: u64,
    /// How it ended, when it has.
    pub end: Option<End>,
    /// What has brought it there, in one line.
    pub because: Option<String>,
    /// What it waits for; nothing while it works, or waits for its next message.
    pub waits: Vec<NodeWait>,
    /// What it has said and is not in its log.
    pub log: LogLosses,
}

impl NodeStatus {
    /// What it waits for, in one line, if it waits for something.
    #[must_use]
    pub fn waits_in_words(&self) -> Option<String> {
        let waits: Vec<String> = self.waits.iter().map(ToString::to_string).collect();
        (!waits.is_empty()).then(|| waits.join("; "))
    }

    /// What has brought it where it stands and what it waits for, in one line, if anything is known.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        match (&self.because, self.waits_in_words()) {
            (Some(because), Some(waits)) => Some(format!("{because}; {waits}")),
            (because, waits) => because.clone().or(waits),
        }
    }
}

/// What a node has said and is not in its log, or not any more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogLosses {
    /// Its oldest lines, which made room for later ones.
    pub lines_thrown_away: u64,
    /// How many bytes of the disk they had taken.
    pub bytes_thrown_away: u64,
    /// Lines that the disk did not take.
    pub lines_unwritten: u64,
    /// How many bytes of text they had.
    pub bytes_unwritten: u64,
    /// Why the last of them were not written.
    pub why: Option<String>,
}

/// An edge at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// Its number.
    pub edge: EdgeId,
    /// The sender.
    pub source: NodeId,
    /// The sender's output.
    pub output: OutputId,
    /// The receiver.
    pub target: NodeId,
    /// The receiver's input.
    pub input: InputId,
    /// What a full queue does.
    pub policy: QueuePolicy,
    /// How many messages may be queued.
    pub queue_size: u32,
    /// Whether a sender waits on it at this moment.
    pub blocked: bool,
    /// Whether its sender has ended for good.
    pub closed: bool,
    /// Whether every token of it has been acknowledged after its end.
    pub drained: bool,
    /// What was found there that no correct process writes, if anything was: the counts cannot be relied on then.
    pub damage: Option<String>,
    /// What was counted.
    pub counts: EdgeCounts,
}

/// What was counted on an edge. At rest `sent = delivered + dropped + queued` and
/// `delivered = released + held + lost` (I-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EdgeCounts {
    /// Messages sent.
    pub sent: u64,
    /// Messages that reached the receiver.
    pub delivered: u64,
    /// Messages whose token came back.
    pub released: u64,
    /// Messages that a receiver held when it died.
    pub lost: u64,
    /// Messages dropped because the queue was full.
    pub dropped_full: u64,
    /// Messages dropped because the receiver has ended for good.
    pub dropped_receiver_closed: u64,
    /// Messages dropped to make room in the sender's memory.
    pub dropped_memory: u64,
    /// Messages that wait in the queue.
    pub queued: u64,
    /// Messages that the receiver holds.
    pub held: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// How long the sender has waited on this edge.
    pub blocked_ns: u64,
}

impl EdgeCounts {
    /// Every message that was not delivered and will not be. A faulty process can write any counts into an edge,
    /// so the sum stops at the greatest number there is.
    pub fn dropped(&self) -> u64 {
        self.dropped_full
            .saturating_add(self.dropped_receiver_closed)
            .saturating_add(self.dropped_memory)
    }

    /// Whether the two sums of I-2 hold, whatever the counts are.
    pub fn balances(&self) -> bool {
        let arrived = self.delivered.checked_add(self.dropped());
        let settled = self.released.checked_add(self.held);
        arrived.and_then(|sum| sum.checked_add(self.queued)) == Some(self.sent)
            && settled.and_then(|sum| sum.checked_add(self.lost)) == Some(self.delivered)
    }
}

/// Somebody that a stop waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The node.
    pub node: NodeId,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// For how long its user's code has run without a call into the library, if it said so.
    pub busy_for: Option<Duration>,
    /// What is waited for.
    pub what: WaitingFor,
}

/// What a stop waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WaitingFor {
    /// Its process to end.
    Exit,
    /// Its new incarnation to be ready.
    Ready {
        /// What is known of why it is not.
        because: Option<String>,
    },
    /// Messages that it holds, or has not read yet.
    Tokens {
        /// Whose output: `camera/image`.
        source: NodeId,
        /// Which output.
        output: OutputId,
        /// How many it holds.
        held: u64,
        /// How many wait in its queue.
        queued: u64,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting for {}", self.node)?;
        let mut facts = Vec::new();
        if let Some(pid) = self.pid {
            facts.push(format!("pid {pid}, alive"));
        }
        if let Some(busy_for) = self.busy_for.filter(|busy_for| !busy_for.is_zero()) {
            facts.push(format!("in user code for {:.1} s", busy_for.as_secs_f64()));
        }
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        match &self.what {
            WaitingFor::Exit => f.write_str(": its process has not ended"),
            WaitingFor::Ready { because: None } => f.write_str(": it is not ready"),
            WaitingFor::Ready {
                because: Some(because),
            } => write!(f, ": it is not ready: {because}"),
            WaitingFor::Tokens {
                source,
                output,
                held,
                queued,
            } => match (*held, *queued) {
                (0, queued) => {
                    write!(
                        f,
                        ": has {queued} message{} of {source}/{output} to read",
                        plural(queued)
                    )
                }
                (held, 0) => write!(
                    f,
                    ": holds {held} message{} of {source}/{output}",
                    plural(held)
                ),
                (held, queued) => write!(
                    f,
                    ": holds {held} message{} of {source}/{output} and has {queued} to read",
                    plural(held)
                ),
            },
        }
    }
}

/// A model that a dataflow wants, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelStatus {
    /// Its name in the description.
    pub model: ModelName,
    /// The repository: `acme/tiny-detector`.
    pub repo: String,
    /// What kind of repository it is.
    pub kind: RepoKind,
    /// The revision that the description names.
    pub revision: String,
    /// How it stands.
    pub view: ModelView,
}

/// How many files of a model are shown one by one. A repository may have hundreds of thousands, and how it stands is said
/// several times a second.
pub const MODEL_FILES_SHOWN_MAX: usize = 32;

/// How a model stands, whoever wants it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelView {
    /// Where it stands.
    pub state: ModelState,
    /// The commit that its revision was resolved to, once that is known.
    pub commit: Option<String>,
    /// Some of its files, once they are known, sorted by path: at most [`MODEL_FILES_SHOWN_MAX`]. Those of which a part
    /// is there come before those of which nothing is, and these before those that are done.
    pub files: Vec<ModelFile>,
    /// How many files it has, also those that are not shown; 0 until they are known.
    pub files_total: u64,
    /// How many of them are there and have the right hash.
    pub files_done: u64,
    /// Bytes that are there, of all its files.
    pub bytes_done: u64,
    /// Bytes of all its files; 0 until they are known.
    pub bytes_total: u64,
    /// Bytes a second that come in at this moment; `None` while nothing is transferred or it is too early to say.
    pub bytes_per_second: Option<u64>,
    /// The time that is left at this rate.
    pub time_left: Option<Duration>,
    /// What it waits for, in one line: another process that fetches it, a server that asked to be left alone.
    pub because: Option<String>,
    /// The folder of its files: there when it is [`ModelState::Ready`].
    pub path: Option<PathBuf>,
    /// Why it cannot be had: there when it is [`ModelState::Failed`].
    pub failure: Option<ModelFailure>,
}

/// Where a model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelState {
    /// Nobody has begun.
    #[default]
    Waiting,
    /// Its revision is being resolved to a commit, and its files are listed.
    Resolving,
    /// Its files are fetched and verified.
    Fetching,
    /// All its files are there, and their hashes are right.
    Ready,
    /// It cannot be had.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

impl ModelState {
    /// Whether nothing follows by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            ModelState::Ready | ModelState::Failed | ModelState::Cancelled
        )
    }
}

/// One file of a model at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    /// Its path in the repository.
    pub path: String,
    /// Bytes that are there.
    pub bytes_done: u64,
    /// Its length.
    pub bytes_total: u64,
    /// Whether its hash was compared and is right.
    pub is_verified: bool,
}

/// Why a model cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFailure {
    /// Which kind of failure, for scripts: `not-found`, `gated`, `no-space`, …
    pub code: String,
    /// What is wrong, in one line; it names the thing.
    pub what: String,
    /// What to do about it, in one line.
    pub remedy: String,
}

/// How a dataflow ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub name: DataflowName,
    /// The run's name.
    pub run: String,
    /// How long it was up.
    pub up_for: Duration,
    /// How long the stop took, if it was stopped.
    pub stop_took: Option<Duration>,
    /// In one word.
    pub outcome: Outcome,
    /// Why it ended, in one line: `all nodes finished`, `stopped by Ctrl-C`, `node detector failed`.
    pub because: String,
    /// Who forced it, if anybody did.
    pub forced: Option<Forcer>,
    /// Its nodes, in the order of the description.
    pub nodes: Vec<NodeReport>,
    /// Its edges, in the order of the description. What was not consumed stands here, by name and count (I-8).
    pub edges: Vec<EdgeStatus>,
}

/// How a dataflow ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every node ended well and every token was acknowledged.
    Drained,
    /// A node failed.
    Failed,
    /// Something was killed on a person's word.
    Forced,
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its name.
    pub node: NodeId,
    /// How it ended.
    pub end: End,
    /// How often it was started again.
    pub restarts: u32,
    /// Its last log lines, when it failed.
    pub last_lines: Vec<String>,
    /// What it has said and is not in its log.
    #[serde(default)]
    pub log: LogLosses,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_a_faulty_process_wrote_do_not_balance_and_do_not_overflow() {
        let counts = EdgeCounts {
            dropped_full: u64::MAX,
            dropped_receiver_closed: 2,
            dropped_memory: u64::MAX,
            ..EdgeCounts::default()
        };
        assert_eq!(counts.dropped(), u64::MAX);
        assert!(!counts.balances());
        // The sum would be right if it wrapped.
        let counts = EdgeCounts {
            dropped_full: u64::MAX,
            queued: 1,
            ..EdgeCounts::default()
        };
        assert!(!counts.balances());
    }
}
