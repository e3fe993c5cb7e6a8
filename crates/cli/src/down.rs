//! `dataflow down`: stops a dataflow, and says for whom it waits.

use std::io::{Write, stdout};

use dataflow_ids::{Forcer, StopMode};
use dataflow_runtime::client::{Client, ClientError};
use dataflow_runtime::logs::runs;
use dataflow_runtime::registry::FoundRun;
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::status::Report;
use serde_json::json;

use crate::arguments::DownArguments;
use crate::error::{CliError, Exit};
use crate::{json, process, report, running, say, silence};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when there is nothing to stop, or the runtime vanishes.
pub(crate) fn run(arguments: &DownArguments) -> Result<Exit, CliError> {
    let found = running::one(arguments.dataflow.as_deref(), None)?;
    let vanished = |error| match error {
        ClientError::Ended => CliError::RuntimeVanished {
            name: found.name.to_string(),
            pid: found.pid,
        },
        error => CliError::Client(error),
    };
    let mut client = Client::connect_and_hear(&found, silence::said(&found, arguments.json))?;
    let is_agent = client.is_agent();
    let wait = || process::wait_for_end(&found, is_agent, silence::said(&found, arguments.json));
    let asked = ask(&mut client, arguments);
    if !arguments.json {
        line(&format!(
            "{} {}",
            if arguments.force {
                "killing"
            } else {
                "stopping"
            },
            found.name
        ));
    }
    let replies = asked.map(|()| client.replies());
    let replies: Box<dyn Iterator<Item = _>> = match replies {
        Ok(replies) => Box::new(replies),
        Err(error) => Box::new(std::iter::once(Err(error))),
    };
    for reply in replies {
        match reply {
            Err(error @ ClientError::Refused { .. }) => return Err(error.into()),
            // It did what it was asked all the same, and its report is on the disk before its process ends.
            Err(error) => {
                tracing::debug!(%error, "conversation broken off");
                break;
            }
            Ok(ClientReply::Waiting(waiting)) if arguments.json => {
                let event = json!({"event": "waiting", "waiting": json::plain(&waiting)});
                line(&event.to_string());
            }
            Ok(ClientReply::Waiting(waiting)) => {
                for waiting in waiting {
                    line(&waiting.to_string());
                }
            }
            Ok(ClientReply::Ended(ended)) => {
                tell(&ended, arguments);
                // When `down` returns, nothing of the dataflow is left.
                wait();
                return Ok(match (written(&found)?, report::exit(&ended)) {
                    (Some(_), exit) => exit,
                    (None, Exit::Done) => return Err(report_missing(&found)),
                    (None, exit) => {
                        say(&report_missing(&found).to_string(), None);
                        exit
                    }
                });
            }
            Ok(other) => tracing::debug!(?other, "reply not asked for"),
        }
    }
    wait();
    match written(&found)? {
        Some(ended) => {
            tell(&ended, arguments);
            Ok(report::exit(&ended))
        }
        None => Err(vanished(ClientError::Ended)),
    }
}

/// Asks for the stop, and to be told how it goes.
fn ask(client: &mut Client, arguments: &DownArguments) -> Result<(), ClientError> {
    if arguments.force {
        let by = Forcer::DownForce;
        client.request(&ClientRequest::Force { by })?;
        return client.send(&ClientRequest::Follow);
    }
    let mode = if arguments.now {
        StopMode::Now
    } else {
        StopMode::Graceful
    };
    client.send(&ClientRequest::Stop {
        mode,
        force_after: arguments.force_after.force_after,
    })
}

/// The report that a run has left on the disk; `None` when it was killed before it could.
fn written(found: &FoundRun) -> Result<Option<Report>, CliError> {
    let runs = runs(&found.folder, Some(&found.name))?;
    match runs.into_iter().find(|run| run.run == found.run) {
        Some(run) => Ok(run.report()?),
        None => Ok(None),
    }
}

fn report_missing(found: &FoundRun) -> CliError {
    CliError::ReportMissing {
        run: found.run.clone(),
    }
}

/// Says how it ended.
fn tell(ended: &Report, arguments: &DownArguments) {
    if arguments.json {
        let event = json!({"event": "ended", "report": json::plain(ended)});
        line(&event.to_string());
    } else {
        for text in report::lines(ended) {
            line(&text);
        }
    }
    for (what, help) in report::failures(ended) {
        say(&what, Some(&help));
    }
}

/// Writes a line. A reader that has gone does not keep anybody from stopping a dataflow.
fn line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}
