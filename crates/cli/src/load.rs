//! The description that a command is about, checked.

use std::path::Path;

use dataflow_descriptor::{Dataflow, check_file};

use crate::diagnostics;
use crate::error::{CliError, Exit};

/// Reads and checks `file` before its nodes are built. Warnings are left for later: the builds remove some.
///
/// # Errors
///
/// [`CliError::Said`] when it has errors: they have been said.
pub(crate) fn load_before_build(file: &Path) -> Result<Dataflow, CliError> {
    match check_file(file).dataflow {
        Some(dataflow) => Ok(dataflow),
        None => load(file),
    }
}

/// Reads and checks `file`. Every diagnostic, warnings too, goes to standard error.
///
/// # Errors
///
/// [`CliError::Said`] when it has errors: they have been said.
pub(crate) fn load(file: &Path) -> Result<Dataflow, CliError> {
    let checked = check_file(file);
    diagnostics::say(&checked);
    checked.dataflow.ok_or(CliError::Said(Exit::WrongInput))
}
