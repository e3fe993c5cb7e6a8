//! What can go wrong in a command.

use std::io;
use std::path::PathBuf;

use dataflow_descriptor::{RecordError, harmless_text};
use dataflow_ids::{End, LifeCycle, PeerId};
use dataflow_runtime::agent::{AgentError, AgentRunError};
use dataflow_runtime::client::ClientError;
use dataflow_runtime::logs::LogsError;
use dataflow_runtime::models::ModelError;
use dataflow_runtime::network::IdentityError;
use dataflow_runtime::registry::RegistryError;
use dataflow_runtime::{RunError, UpError};

use super::Exit;
use crate::wish::Wish;

fn in_brackets(because: &Option<String>) -> String {
    because
        .as_ref()
        .map_or(String::new(), |because| format!(" ({because})"))
}

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// No dataflow runs where one was looked for.
    #[error("no dataflow runs in {} or below", .folder.display())]
    NothingRuns {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The dataflow that was named does not run.
    #[error("no dataflow `{which}` runs in {} or below", .folder.display())]
    DoesNotRun {
        /// As it was named.
        which: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Several run, and one was asked for.
    #[error("several dataflows run here: {}", .names.join(", "))]
    Several {
        /// Their names, or their files where names repeat.
        names: Vec<String>,
        /// What stands before the name of one on the command line: an option, or nothing.
        option: Option<&'static str>,
    },
    /// The dataflow runs already.
    #[error("`{name}` runs already (pid {pid}, {})", .file.display())]
    RunsAlready {
        /// Its name.
        name: String,
        /// The process that runs it.
        pid: u32,
        /// The YAML it was started from.
        file: PathBuf,
    },
    /// A run could not begin.
    #[error(transparent)]
    Up(UpError),
    /// A run broke off.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A path that the registry and the reports, which are text, could not name.
    #[error("the path {path:?} is not UTF-8 text")]
    PathNotText {
        /// The path, absolute.
        path: PathBuf,
    },
    /// A node's `build` command failed.
    #[error("node `{node}`: its build command failed ({how}): {command}")]
    BuildFailed {
        /// The node.
        node: String,
        /// How it ended.
        how: String,
        /// The command.
        command: String,
    },
    /// A signal came before anything was started.
    #[error("interrupted: nothing was started")]
    Interrupted,
    /// The runtime of `up -d` ended without a word.
    #[error("the runtime ended before the dataflow was up ({how})")]
    BackgroundEnded {
        /// How it ended.
        how: String,
    },
    /// The agent of this machine cannot be talked to.
    #[error("the agent `{agent}` of this machine cannot be asked to run it: {source}")]
    AgentRefuses {
        /// Its id.
        agent: PeerId,
        /// What went wrong.
        source: ClientError,
    },
    /// The agent of this machine does not run a dataflow, and says why.
    #[error("{why}")]
    RefusedByAgent {
        /// Why, and what to do.
        why: String,
        /// Whose turn it is.
        exit: Exit,
    },
    /// The agent of this machine is stopping.
    #[error("the agent `{agent}` of this machine is stopping")]
    AgentEnds {
        /// Its id.
        agent: PeerId,
    },
    /// The agent could not go on with a dataflow.
    #[error("{why}")]
    BrokeOffOnAgent {
        /// Why, and what to do.
        why: String,
    },
    /// The agent ended while somebody waited for it.
    #[error("the agent `{agent}` (pid {pid}) ended{}", match dataflow { Some(name) => format!(" before {name} did, and {name} with it"), None => String::new() })]
    AgentVanished {
        /// Its id.
        agent: PeerId,
        /// Its process.
        pid: u32,
        /// The dataflow that it ran for this command.
        dataflow: Option<String>,
    },
    /// A person left an agent that does not end the dataflow.
    #[error(
        "the agent `{agent}` (pid {pid}) has not ended {dataflow}, and was left: it kills it as soon as it can"
    )]
    LeftAgent {
        /// Its id.
        agent: PeerId,
        /// Its process.
        pid: u32,
        /// What it runs.
        dataflow: String,
    },
    /// It is not known which file of peers is meant.
    #[error(
        "it is not known which file of peers is meant: no agent runs here, and this folder has no peers.yaml"
    )]
    NoPeersFile,
    /// What was typed cannot be a peer's id.
    #[error("`{}` is no id of a peer: {why}", harmless_text(.text))]
    BadPeerId {
        /// As it was typed.
        text: String,
        /// Why not.
        why: String,
    },
    /// The file has no such peer.
    #[error("{} has no peer `{}`", .file.display(), harmless_text(.peer))]
    UnknownPeer {
        /// As it was named.
        peer: String,
        /// The file.
        file: PathBuf,
        /// A peer that was perhaps meant.
        near: Option<String>,
        /// The peers that it has.
        known: String,
    },
    /// Somebody must say yes, and nobody can be asked.
    #[error("a key is recorded when a person has compared it, and standard input is no terminal")]
    CannotAsk,
    /// Fingerprints cannot be written into the file.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No agent runs.
    #[error("no agent runs on this machine as this user")]
    NoAgent,
    /// An agent cannot begin.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// An agent broke off.
    #[error(transparent)]
    AgentRun(#[from] AgentRunError),
    /// The environment of this command is too large for an agent.
    #[error("the environment of this command has {bytes} bytes, and an agent takes {bytes_max}")]
    EnvironmentTooLarge {
        /// How many it has.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },
    /// The runtime was killed while somebody waited for its end.
    #[error("the runtime of `{name}` (pid {pid}) ended without a report")]
    RuntimeVanished {
        /// The dataflow.
        name: String,
        /// Its process.
        pid: u32,
    },
    /// There are no logs where they were looked for.
    #[error("there are no logs of {what} in {}", .folder.display())]
    NoLogs {
        /// Of what: a dataflow, a run, anything.
        what: String,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// The dataflow has no such node.
    #[error("`{dataflow}` has no node `{node}`")]
    UnknownNode {
        /// The dataflow.
        dataflow: String,
        /// As it was named.
        node: String,
        /// The nodes it has.
        known: Vec<String>,
    },
    /// The dataflow stops, and its nodes with it.
    #[error("`{dataflow}` stops, and `{node}` ends with it")]
    Stops {
        /// The dataflow.
        dataflow: String,
        /// The node.
        node: String,
    },
    /// The node has ended for good.
    #[error("`{node}` of `{dataflow}` has ended for good ({end})")]
    NodeEnded {
        /// The dataflow.
        dataflow: String,
        /// The node.
        node: String,
        /// How.
        end: End,
    },
    /// The node has not been started yet.
    #[error("`{node}` of `{dataflow}` has not been started yet")]
    NodeNotStarted {
        /// The dataflow.
        dataflow: String,
        /// The node.
        node: String,
    },
    /// Somebody else has wished something else meanwhile, or a stop has begun.
    #[error("`{node}` of `{dataflow}` {}: it is {state}{}", .wish.not_so(), in_brackets(.because))]
    NodeElsewhere {
        /// The dataflow.
        dataflow: String,
        /// The node.
        node: String,
        /// What was wished.
        wish: Wish,
        /// How it stands.
        state: LifeCycle,
        /// Why.
        because: Option<String>,
    },
    /// What was typed cannot be a repository, a revision or a pattern of files.
    #[error("`{}` is no {what}: {why}", harmless_text(.text))]
    BadModel {
        /// `repository`, `revision`, `pattern`.
        what: &'static str,
        /// As it was typed.
        text: String,
        /// Why not.
        why: String,
    },
    /// A signal has ended a command that fetches or reads for a long time.
    #[error("interrupted: {what_stays}")]
    BrokenOff {
        /// What was not in vain, in a few words.
        what_stays: String,
    },
    /// Nothing of that name is in the cache of models.
    #[error("{what} is not in the cache, {}", .cache.display())]
    NotInCache {
        /// Which repository, and which revision of it.
        what: String,
        /// The cache's folder.
        cache: PathBuf,
        /// A repository that was perhaps meant.
        near: Option<String>,
    },
    /// A model cannot be had, or the cache cannot be used.
    #[error("{}", harmless_text(&.0.to_string()))]
    Models(#[from] ModelError),
    /// An option that says of a repository what a description says itself.
    #[error("`{option}` is for a repository, and {} says itself what it wants", .file.display())]
    OptionOfRepositories {
        /// The option.
        option: &'static str,
        /// The description.
        file: PathBuf,
    },
    /// A live table was asked for, and there is no terminal to show it.
    #[cfg(feature = "top")]
    #[error("there is no terminal that could show it")]
    NoTerminal,
    /// A live table was asked for, and this binary was built without it.
    #[cfg(not(feature = "top"))]
    #[error("this `dataflow` was built without the live table")]
    NoLiveTable,
    /// The registry cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A running dataflow could not be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Logs cannot be read.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// A run has ended, and its report is not on the disk.
    #[error("the report of this run could not be written: {source}")]
    ReportNotWritten {
        /// What went wrong.
        source: LogsError,
    },
    /// A run has ended, and its report is not where it should be.
    #[error("the report of this run ({run}) is not on the disk")]
    ReportMissing {
        /// The run's name.
        run: String,
    },
    /// The folder of a run cannot be watched.
    #[error("cannot watch {}: {source}", .folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: notify::Error,
    },
    /// The system refused something.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// It has been said already, to standard error.
    #[error("")]
    Said(Exit),
}

impl From<UpError> for CliError {
    fn from(error: UpError) -> CliError {
        match error {
            UpError::RunsAlready { name, pid, file } => CliError::RunsAlready {
                name: name.to_string(),
                pid,
                file,
            },
            UpError::Interrupted => CliError::Interrupted,
            error => CliError::Up(error),
        }
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> CliError {
        CliError::Agent(error.into())
    }
}

impl CliError {
    /// The error of a system call, said with what was tried.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> CliError {
        let what = what.into();
        move |source| CliError::System { what, source }
    }
}
