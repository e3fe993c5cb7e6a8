//! Ctrl-C, and what else ends a command that fetches or reads for a long time.

use crate::error::CliError;
use crate::signals::{Heard, Signals};

/// From now on, calls `came` at each signal that asks for the end of this command.
///
/// # Errors
///
/// [`CliError::System`] when the system refuses.
pub(super) fn watch(came: impl Fn() + Send + 'static) -> Result<(), CliError> {
    let signals = Signals::watch(move |heard| {
        if heard == Heard::Leave {
            came();
        }
    })?;
    signals.go_to_command();
    match signals.interrupted() {
        false => Ok(()),
        true => Err(CliError::Interrupted),
    }
}
