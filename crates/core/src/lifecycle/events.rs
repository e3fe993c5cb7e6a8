//! What a node's machine is told, and what it asks for.

use std::time::Duration;

use dataflow_ids::{EdgeId, End, Epoch, Forcer, LifeCycle, RestartPolicy, Sequence, StopMode};

use super::exit::Exit;

/// What the description says about a node's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSettings {
    /// Whether its program must speak to the runtime.
    pub program: Program,
    /// Its restart policy.
    pub restart: RestartPolicy,
    /// Where its jitter begins.
    pub seed: u64,
    /// What must be there before its first incarnation starts.
    pub needs: Needs,
}

/// What must be there before a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Its models: it waits for [`NodeEvent::ModelsReady`].
    Models,
}

/// Whether a program uses the node library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// It has inputs (timers too) or outputs, so it cannot do without. Ready when it says so.
    UsesLibrary,
    /// It has neither, so it may be any program. Ready when started, stopped by SIGTERM, unless it connects.
    MayLackLibrary,
}

/// A fact or a wish that concerns one node. Facts about a process name its epoch; those of another epoch than
/// the current one are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// What the node needs is reserved.
    Placed,
    /// No peer has what the node needs. It has failed before it began.
    NoPlace {
        /// Why not, in one line.
        why: String,
    },
    /// The node may start, as soon as its models are there. Ignored unless it was placed and not stopped since.
    Start,
    /// Its models are there. What was there once is not waited for again.
    ModelsReady,
    /// One of its models cannot be had. A node that waits for its models, or has not come to that, has failed before
    /// it began.
    ModelsFailed {
        /// Which one and why not, in one line.
        why: String,
    },
    /// Its process runs.
    Spawned {
        /// Which incarnation.
        epoch: Epoch,
        /// Its process.
        pid: u32,
    },
    /// Its process could not be started.
    SpawnFailed {
        /// Which incarnation.
        epoch: Epoch,
        /// Why, in one line.
        cause: String,
    },
    /// Its library has said `Hello` and was welcomed: it can be sent frames.
    Connected {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// Its library has said `Ready`.
    Ready {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// Its library has said `Running`.
    Running {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// Its process was reaped.
    Exited {
        /// Which incarnation.
        epoch: Epoch,
        /// How it ended.
        exit: Exit,
    },
    /// The stop of the dataflow has begun. Sent to every node, before any `Stop`. From now on nothing is
    /// restarted; who has no process, or is a first incarnation that is not Ready, ends.
    StopBegun,
    /// This node is told to stop: a source, a member of a cycle, or anybody when the stop is `Now`. `Now`
    /// after `Graceful` is passed on; any other repetition is ignored.
    Stop {
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// For a member of a cycle: deliver up to these, then the stop.
        upto: Vec<(EdgeId, Sequence)>,
    },
    /// The user's code has seen the stop.
    StopDelivered {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// The senders of all of its edges have ended for good, and nothing is left for another incarnation to
    /// read. Never said of a node without edges to it.
    InputsClosed,
    /// The wait that `ArmBackoff` asked for is over.
    BackoffElapsed {
        /// The epoch that `ArmBackoff` named.
        epoch: Epoch,
    },
    /// All edges from it are drained. Said after `CloseOutputs`, also of a node without edges from it.
    OutputsDrained,
    /// A person wants it killed.
    Force {
        /// On whose word.
        by: Forcer,
    },
    /// A person wants it to stop and its outputs to stay open. What is queued for it is kept.
    Park {
        /// Whether its process is killed instead of asked to end.
        kill: Option<Kill>,
    },
    /// A person wants it started again. Does not count for its restart policy. What is queued for it is kept.
    Restart {
        /// Whether its process is killed instead of asked to end.
        kill: Option<Kill>,
    },
}

/// What a person may want of one node of a running dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// [`NodeEvent::Park`].
    Park,
    /// [`NodeEvent::Restart`].
    Restart,
}

/// A process is killed on a person's word, and its node is not ended by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// The incarnation that the person has seen. A later one is spared, so that this may be told twice.
    pub epoch: Epoch,
    /// On whose word.
    pub by: Forcer,
}

/// Why a [`Wish`] cannot come true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It has not been started yet. Only a park is refused for that.
    NotStarted,
    /// The dataflow stops, or this node was told to stop with it.
    Stopping,
    /// The node has ended for good: its edges are closed.
    Ended,
}

/// What the shell of a node's machine must do, in the order given. Everything may be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeCommand {
    /// Start its process; the answer is `Spawned` or `SpawnFailed`. Done at most once for an epoch: the
    /// table of processes refuses the second.
    Spawn {
        /// The new incarnation.
        epoch: Epoch,
    },
    /// Send the frame `Stop` to its library.
    SendStop {
        /// Which incarnation.
        epoch: Epoch,
        /// After what is queued, or ahead of it.
        mode: StopMode,
        /// Deliver up to these, then the stop.
        upto: Vec<(EdgeId, Sequence)>,
    },
    /// Send the frame `Stop` to its library, such that nothing more is delivered to it and what it sends is sent:
    /// graceful, with every edge to it limited to what was delivered already.
    SendPause {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// Send SIGTERM to its process group.
    Terminate {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// Send SIGKILL to its process group. Only ever on a person's word.
    Kill {
        /// Which incarnation.
        epoch: Epoch,
    },
    /// Say `BackoffElapsed` with this epoch after the wait.
    ArmBackoff {
        /// The incarnation that ended.
        epoch: Epoch,
        /// The wait.
        after: Duration,
    },
    /// The process was reaped: repair its ends of its edges, and say `ReceiverDied` to the drain ledger.
    Repair {
        /// The incarnation that ended.
        epoch: Epoch,
    },
    /// Set "receiver ready" on the edges to it.
    MarkReady,
    /// No incarnation will read its edges again: set `receiver_gone` on the edges to it.
    CloseInputs,
    /// No incarnation will write its edges again: write `closed_at` on the edges from it and begin to drain
    /// them. `OutputsDrained` is due when none is left, at once if it has none.
    CloseOutputs,
    /// The node's state has changed.
    Report {
        /// The state before.
        from: LifeCycle,
        /// The state now.
        to: LifeCycle,
        /// Its current incarnation.
        epoch: Epoch,
        /// Which of its changes this is: the first is 1, and none is left out.
        sequence: u64,
        /// How it ended, from `Draining` on. It never changes again.
        end: Option<End>,
        /// What explains the state, in one line.
        because: Option<String>,
    },
    /// The `up` has failed with this node.
    FailUp {
        /// Why, in one line.
        why: String,
    },
}
