//! Why a run could not begin, or could not go on.

use std::io;
use std::path::PathBuf;

use dataflow_ids::{DataflowName, NodeId, PeerId};
use dataflow_wire::status::Report;

use crate::logs::LogsError;
use crate::models::ModelError;
use crate::registry::RegistryError;
use crate::statistics::MetricsError;

/// What an error says about whose turn it is: it decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// What was given is wrong: exit code 2.
    Input,
    /// Something failed that was asked for rightly: exit code 1.
    Failure,
}

impl ErrorClass {
    /// The exit code of section 14 of the design.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorClass::Input => 2,
            ErrorClass::Failure => 1,
        }
    }
}

/// Why `up` could not begin. Nothing was started, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The same dataflow runs already.
    #[error(
        "`{name}` runs already (pid {pid}, {file}): stop it with `dataflow down`, or give this one another \
         `name`"
    )]
    RunsAlready {
        /// Its name.
        name: DataflowName,
        /// The process that runs it.
        pid: u32,
        /// The YAML it was started from.
        file: PathBuf,
    },
    /// The place of the run's socket cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The run's folder for logs cannot be used.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// A node is pinned to another machine.
    #[error(
        "node `{node}` is pinned to the peer `{peer}`, and placement on other peers is not in this build; {remedy}"
    )]
    OtherPeer {
        /// The first such node.
        node: NodeId,
        /// The machine that it is pinned to.
        peer: PeerId,
        /// What this machine is, and what to do.
        remedy: String,
    },
    /// A node's program is not there.
    #[error("node `{node}`: there is no file {path}{remedy}", path = path.display())]
    ProgramMissing {
        /// The node.
        node: NodeId,
        /// What its `path` stands for.
        path: PathBuf,
        /// What to do about it, with its punctuation.
        remedy: String,
    },
    /// A node's program cannot be executed.
    #[error(
        "node `{node}`: {path} is not executable: `chmod +x` it, or let `path` name a program or a `.py` file",
        path = path.display()
    )]
    ProgramNotExecutable {
        /// The node.
        node: NodeId,
        /// What its `path` stands for.
        path: PathBuf,
    },
    /// A Python does not run at all.
    #[error(
        "node `{node}`: {python} does not run ({source}): set the node's `python:` key, or make a `.venv` \
         beside the YAML",
        python = python.display()
    )]
    PythonUnusable {
        /// The first node that wants it.
        node: NodeId,
        /// The interpreter.
        python: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A Python has no module `dataflow`.
    #[error(
        "node `{node}`: {python} cannot `import dataflow` ({said}): install our wheel into it (`{python} -m pip \
         install WHEEL`), or name another interpreter with `python:`",
        python = python.display()
    )]
    PythonWithoutModule {
        /// The first node that wants it.
        node: NodeId,
        /// The interpreter.
        python: PathBuf,
        /// The last line that it said: a traceback ends with what is wrong.
        said: String,
    },
    /// [`Interruption::interrupt`](crate::Interruption::interrupt) was called.
    #[error("interrupted: nothing was started")]
    Interrupted,
    /// What says where models come from is wrong.
    #[error("models cannot be fetched: {source}; {remedy}", remedy = source.remedy())]
    Models {
        /// What is wrong.
        #[from]
        source: ModelError,
    },
    /// Nobody could read metrics there.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The limit of open descriptors is too low.
    #[error(
        "this dataflow needs {need} open descriptors in the runtime's process, and the limit is {limit}: raise \
         it with `ulimit -n {need}` or more"
    )]
    TooFewDescriptors {
        /// How many are needed, about.
        need: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The limit of open descriptors is too low for a node.
    #[error(
        "node `{node}` needs {need} open descriptors, and the limit is {limit}: raise it with \
         `ulimit -n {need}` or more"
    )]
    TooFewDescriptorsForNode {
        /// The node.
        node: NodeId,
        /// How many it needs, about.
        need: u64,
        /// The soft limit that nodes get.
        limit: u64,
    },
    /// The system refused something that every run needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl UpError {
    /// Whose turn it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            UpError::RunsAlready { .. }
            | UpError::OtherPeer { .. }
            | UpError::ProgramMissing { .. }
            | UpError::ProgramNotExecutable { .. }
            | UpError::PythonUnusable { .. }
            | UpError::PythonWithoutModule { .. }
            | UpError::Models { .. }
            | UpError::TooFewDescriptors { .. }
            | UpError::TooFewDescriptorsForNode { .. } => ErrorClass::Input,
            UpError::Metrics(error) => error.class(),
            UpError::Registry(_)
            | UpError::Logs(_)
            | UpError::Interrupted
            | UpError::System { .. } => ErrorClass::Failure,
        }
    }
}

/// Why a run broke off, and everything that it had started has been killed; or why its report is not on the disk.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused something the run cannot do without.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An edge could not be made.
    #[error("the edge of `{output}` to `{input}` cannot be made: {why}")]
    Edge {
        /// `camera/image`.
        output: String,
        /// `detector/image`.
        input: String,
        /// What the data plane said.
        why: String,
    },
    /// Everything has ended as the report says, and the report is not on the disk.
    #[error("the report of the run could not be written: {source}")]
    ReportNotWritten {
        /// What went wrong.
        source: LogsError,
        /// How the run ended.
        report: Box<Report>,
    },
    /// A part of the runtime has panicked again and again.
    #[error(
        "the runtime's {actor} actor cannot go on ({what}); every node was killed. This is a fault of ours: \
         please report it with the run's logs"
    )]
    Actor {
        /// Which one.
        actor: String,
        /// What it said.
        what: String,
    },
    /// A task of the runtime has panicked twice.
    #[error(
        "the runtime's {task} cannot go on ({what}); every node was killed. This is a fault of ours: please \
         report it with the run's logs"
    )]
    Task {
        /// Which one.
        task: String,
        /// What it said.
        what: String,
    },
}

impl RunError {
    /// Whose turn it is.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Failure
    }
}
