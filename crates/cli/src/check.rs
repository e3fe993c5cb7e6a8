//! `dataflow check`: everything that is wrong with a description.

use dataflow_descriptor::{
    Environment, Severity, check_file, check_file_with_peers, check_peers_file,
};
use serde_json::json;

use crate::arguments::CheckArguments;
use crate::error::{CliError, Exit};
use crate::text::counted;
use crate::{diagnostics, output};

/// Runs the command.
///
/// # Errors
///
/// [`CliError::Said`] when the description, or the file of peers that it is compared with, has errors: they have been
/// said.
pub(crate) fn run(arguments: &CheckArguments) -> Result<Exit, CliError> {
    let with = arguments.peers.as_ref().map(check_peers_file);
    let peers = with.as_ref().and_then(|with| with.peers.as_ref());
    let checked = match peers {
        Some(peers) => {
            check_file_with_peers(&arguments.file, &Environment::of_this_process(), peers)
        }
        // What else is wrong with the description is said even though its peers have errors.
        None => check_file(&arguments.file),
    };
    let can_run = checked.dataflow.is_some() && with.is_some() == peers.is_some();
    let dataflow = checked.dataflow.as_ref().filter(|_| can_run);
    let mut all = checked.diagnostics;
    let mut omitted = checked.omitted;
    if let Some(with) = &with {
        all.extend(with.diagnostics.iter().cloned());
        omitted += with.omitted;
    }
    let file = arguments.file.display();
    if arguments.json {
        let object = json!({
            "file": file.to_string(),
            "name": dataflow.map(|dataflow| dataflow.name.as_str()),
            "nodes": dataflow.map(|dataflow| dataflow.nodes.len()),
            "edges": dataflow.map(|dataflow| dataflow.edges.len()),
            "errors": diagnostics::count(&all, Severity::Error),
            "warnings": diagnostics::count(&all, Severity::Warning),
            "diagnostics": diagnostics::json(&all),
            "omitted": omitted,
        });
        output::write(&format!("{object:#}\n"))?;
    } else {
        diagnostics::say_all(&all, omitted);
        let summary = diagnostics::summary(&all);
        match dataflow {
            Some(dataflow) => output::write(&format!(
                "{file}: {}, {}, {summary}\n",
                counted(dataflow.nodes.len() as u64, "node"),
                counted(dataflow.edges.len() as u64, "edge"),
            ))?,
            // What is wrong, and how much of it, belongs together.
            None => output::note(&format!("\n{file}: {summary}")),
        }
    }
    match can_run {
        true => Ok(Exit::Done),
        false => Err(CliError::Said(Exit::WrongInput)),
    }
}
