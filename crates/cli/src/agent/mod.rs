//! `dataflow agent`: the runtime as a service, on a machine that is a peer.

mod events;
mod supervisor;

use std::io::stdout;
use std::path::absolute;
use std::sync::mpsc;

use dataflow_descriptor::harmless_text;
use dataflow_runtime::agent::{AgentOptions, prepare};
use serde_json::json;

use self::events::Listener;
use self::supervisor::Supervisor;
use crate::arguments::AgentArguments;
use crate::error::{CliError, Exit};
use crate::log::Log;
use crate::peers::source;
use crate::signals::{Heard, Signals};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the agent could not begin or broke off.
pub(crate) fn run(arguments: &AgentArguments) -> Result<Exit, CliError> {
    let supervisor = Supervisor::of_this_process()?;
    // Who does not read keeps neither the end, nor the supervisor, nor a second Ctrl-C waiting.
    let is_json = arguments.json;
    let output = Log::to(
        stdout(),
        match is_json {
            true => |count| format!("{}\n", json!({"event": "dropped", "count": count})),
            false => |count| format!("({count} lines were dropped here: nobody read them)\n"),
        },
    )
    .map_err(CliError::system("start the thread that says what happens"))?;
    let signals = Signals::watch({
        let supervisor = supervisor.clone();
        let lines = output.lines();
        move |heard| {
            let text = match heard {
                Heard::Stop => {
                    supervisor.stopping();
                    "stopping: what was sent on its dataflows will be consumed first. A second Ctrl-C forces the end."
                }
                Heard::Force => "forced: every process of its dataflows is killed",
                Heard::Leave => return,
            };
            if !is_json {
                lines.say(&harmless_text(text));
            }
        }
    })?;
    let this = source::peer_id(&arguments.node)?;
    let mut peers = source::load_on(&arguments.peers, &this)?;
    // It is read again when it changes, wherever this process is then.
    peers.file = absolute(&peers.file).unwrap_or(peers.file);
    let file = peers.file.clone();
    let agent = prepare(AgentOptions {
        peers,
        this,
        identity: arguments.identity.clone(),
        listen: arguments.listen,
        metrics: arguments.metrics.metrics,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        on_beat: supervisor.on_beat(),
    })?;
    signals.go_to_agent(agent.controls());
    let (to_listener, events) = mpsc::channel();
    let listener = Listener::new(supervisor, file, is_json, output.lines());
    let listening = std::thread::Builder::new()
        .name("dataflow-events".to_owned())
        .spawn(move || listener.listen(&events))
        .map_err(CliError::system(
            "start the thread that listens to the agent",
        ))?;
    let result = agent.block_on(to_listener);
    // All that was said comes before the end. It only says, so it cannot have panicked.
    let _ = listening.join();
    output.finish();
    result?;
    Ok(Exit::Done)
}
