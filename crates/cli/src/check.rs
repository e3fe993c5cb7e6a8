//! `dataflow check`: everything that is wrong with a description.

use dataflow_descriptor::check_file;
use serde_json::json;

use crate::arguments::CheckArguments;
use crate::error::{CliError, Exit};
use crate::text::counted;
use crate::{diagnostics, output};

/// Runs the command.
///
/// # Errors
///
/// [`CliError::Said`] when the description has errors: they have been said.
pub(crate) fn run(arguments: &CheckArguments) -> Result<Exit, CliError> {
    let checked = check_file(&arguments.file);
    let file = arguments.file.display();
    if arguments.json {
        let dataflow = checked.dataflow.as_ref();
        let object = json!({
            "file": file.to_string(),
            "name": dataflow.map(|dataflow| dataflow.name.as_str()),
            "nodes": dataflow.map(|dataflow| dataflow.nodes.len()),
            "edges": dataflow.map(|dataflow| dataflow.edges.len()),
            "errors": checked.errors(),
            "warnings": checked.warnings(),
            "diagnostics": diagnostics::json(&checked),
            "omitted": checked.omitted,
        });
        output::write(&format!("{object:#}\n"))?;
    } else {
        diagnostics::say(&checked);
        let summary = diagnostics::summary(&checked);
        match &checked.dataflow {
            Some(dataflow) => output::write(&format!(
                "{file}: {}, {}, {summary}\n",
                counted(dataflow.nodes.len() as u64, "node"),
                counted(dataflow.edges.len() as u64, "edge"),
            ))?,
            // What is wrong, and how much of it, belongs together.
            None => output::note(&format!("\n{file}: {summary}")),
        }
    }
    match checked.dataflow {
        Some(_) => Ok(Exit::Done),
        None => Err(CliError::Said(Exit::WrongInput)),
    }
}
