//! `dataflow peers id`: the fingerprint of this machine's key.

use dataflow_runtime::network::Identity;
use serde_json::json;

use super::arguments::IdArguments;
use crate::error::{CliError, Exit};
use crate::output;

/// Runs the command.
///
/// # Errors
///
/// [`CliError::Agent`] when the key cannot be read or made.
pub(super) fn run(arguments: &IdArguments) -> Result<Exit, CliError> {
    let file = match &arguments.identity {
        Some(file) => file.clone(),
        None => Identity::default_file()?,
    };
    let fingerprint = Identity::load_or_make(&file)?.fingerprint();
    output::write(&match arguments.json {
        true => {
            let file = std::path::absolute(&file).unwrap_or(file);
            let object = json!({"fingerprint": fingerprint, "file": file.to_string_lossy()});
            format!("{object:#}\n")
        }
        false => format!("{fingerprint}\n"),
    })?;
    Ok(Exit::Done)
}
