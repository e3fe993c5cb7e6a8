//! How a command ended, and what of it is said by what went wrong.

use std::process::ExitCode;

use dataflow_runtime::ErrorClass;
use dataflow_runtime::models::ModelError;

use super::CliError;

/// How a command ended (section 14 of the design).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// A node failed, or something that was asked for rightly.
    Failed = 1,
    /// What was given is wrong.
    WrongInput = 2,
    /// Something was forced.
    Forced = 3,
}

impl Exit {
    /// Of two things that happened in one command, what counts.
    pub(crate) fn worse(self, other: Exit) -> Exit {
        match (self as u8) < (other as u8) {
            true => other,
            false => self,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Exit {
        match class {
            ErrorClass::Input => Exit::WrongInput,
            ErrorClass::Failure => Exit::Failed,
        }
    }
}

impl CliError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            CliError::NothingRuns { .. }
            | CliError::DoesNotRun { .. }
            | CliError::RunsAlready { .. }
            | CliError::Several { .. }
            | CliError::NoLogs { .. }
            | CliError::PathNotText { .. }
            | CliError::BadModel { .. }
            | CliError::OptionOfRepositories { .. }
            | CliError::NotInCache { .. }
            | CliError::Models(ModelError::BadName { .. } | ModelError::BadPins { .. })
            | CliError::UnknownNode { .. } => Exit::WrongInput,
            CliError::NoAgent
            | CliError::NoPeersFile
            | CliError::BadPeerId { .. }
            | CliError::UnknownPeer { .. }
            | CliError::CannotAsk
            | CliError::Record(_) => Exit::WrongInput,
            #[cfg(feature = "top")]
            CliError::NoTerminal => Exit::WrongInput,
            #[cfg(not(feature = "top"))]
            CliError::NoLiveTable => Exit::WrongInput,
            CliError::RefusedByAgent { exit, .. } => *exit,
            CliError::LeftAgent { .. } => Exit::Forced,
            CliError::Agent(error) => error.class().into(),
            CliError::Up(error) => error.class().into(),
            CliError::Run(error) => error.class().into(),
            CliError::Said(exit) => *exit,
            _ => Exit::Failed,
        }
    }
}
