//! What can go wrong in a command, with its remedy and its exit code.

mod exit;
mod remedy;
mod what;

pub(crate) use self::exit::Exit;
pub(crate) use self::what::CliError;
