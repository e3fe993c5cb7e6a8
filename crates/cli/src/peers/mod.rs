//! `dataflow peers`: who the others are and how they stand, and the keys by which they are known.

pub(crate) mod arguments;
mod check;
mod id;
mod list;
pub(crate) mod offer;
mod pin;
mod record;
pub(crate) mod source;

use self::arguments::{PeersArguments, PeersCommand};
use crate::error::{CliError, Exit};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when no agent runs, or what was asked for cannot be done.
pub(crate) fn run(arguments: &PeersArguments) -> Result<Exit, CliError> {
    match &arguments.command {
        None => list::run(arguments.json),
        Some(PeersCommand::Check(arguments)) => check::run(arguments),
        Some(PeersCommand::Id(arguments)) => id::run(arguments),
        Some(PeersCommand::Pin(arguments)) => pin::run(arguments),
    }
}
