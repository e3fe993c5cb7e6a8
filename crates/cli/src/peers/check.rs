//! `dataflow peers check`: everything that is wrong with a file of peers, and what it says about this machine.

use dataflow_descriptor::{check_peers_file, check_peers_file_on};
use dataflow_ids::PeerId;
use dataflow_runtime::agent::{group_that_writes, look_who_writes};
use dataflow_runtime::{machine, registry};
use serde_json::json;

use super::arguments::CheckArguments;
use super::source;
use crate::error::{CliError, Exit};
use crate::text::counted;
use crate::{diagnostics, output, say};

/// Runs the command.
///
/// # Errors
///
/// [`CliError::Said`] when the file has errors: they have been said.
pub(super) fn run(arguments: &CheckArguments) -> Result<Exit, CliError> {
    let file = source::file(arguments.file.as_deref())?;
    let this = this_machine(arguments)?;
    let checked = match &this {
        Some(this) => check_peers_file_on(&file, &machine::as_peer(this.clone())),
        None => check_peers_file(&file),
    };
    // For an agent it would be an error. A file that is only checked may yet be put where nobody else writes.
    let open = match look_who_writes(&file) {
        Ok(()) => group_that_writes(&file),
        Err(open) => Some(format!("{open}. Until then no agent takes it")),
    };
    let open = open.map(|open| dataflow_descriptor::harmless_text(&open));
    let shown = file.display();
    if arguments.json {
        let peers = checked.peers.as_ref();
        let object = json!({
            "file": shown.to_string(),
            "cluster": peers.map(|peers| peers.cluster.as_str()),
            "peers": peers.map(|peers| peers.peers.len()),
            "node": this.as_ref().map(PeerId::as_str),
            "errors": checked.errors(),
            "warnings": checked.warnings(),
            "open_to_others": open,
            "diagnostics": diagnostics::json(&checked.diagnostics),
            "omitted": checked.omitted,
        });
        output::write(&format!("{object:#}\n"))?;
    } else {
        diagnostics::say_all(&checked.diagnostics, checked.omitted);
        if let Some(open) = &open {
            say(&format!("warning: {open}"), None);
        }
        let summary = diagnostics::summary(&checked.diagnostics);
        match &checked.peers {
            Some(peers) => output::write(&format!(
                "{shown}: {}, {summary}\n",
                counted(peers.peers.len() as u64, "peer"),
            ))?,
            // What is wrong, and how much of it, belongs together.
            None => output::note(&format!("\n{shown}: {summary}")),
        }
    }
    match checked.peers {
        Some(_) => Ok(Exit::Done),
        None => Err(CliError::Said(Exit::WrongInput)),
    }
}

/// Which peer this machine is: the one that was named, else the agent that runs here, when its file is checked.
fn this_machine(arguments: &CheckArguments) -> Result<Option<PeerId>, CliError> {
    if let Some(text) = &arguments.node {
        return source::peer_id(text).map(Some);
    }
    if arguments.file.is_some() {
        return Ok(None);
    }
    Ok(registry::agent()?.map(|agent| agent.this))
}
