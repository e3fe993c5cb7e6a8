//! `dataflow models`: what is fetched from the Hub, with no dataflow running.

pub(crate) mod arguments;
pub(crate) mod bars;
mod cached;
mod interruption;
pub(crate) mod lines;
mod ls;
pub(crate) mod pace;
mod progress;
mod pull;
pub(crate) mod rate;
mod repository;
mod rm;
pub(crate) mod terminal;
mod verify;
pub(crate) mod view;
mod wanted;

use crate::error::{CliError, Exit};

use self::arguments::{ModelsArguments, ModelsCommand};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the input is wrong, or the cache cannot be used.
pub(crate) fn run(arguments: &ModelsArguments) -> Result<Exit, CliError> {
    match &arguments.command {
        ModelsCommand::Pull(arguments) => pull::run(arguments),
        ModelsCommand::Ls(arguments) => ls::run(arguments),
        ModelsCommand::Verify(arguments) => verify::run(arguments),
        ModelsCommand::Rm(arguments) => rm::run(arguments),
    }
}
