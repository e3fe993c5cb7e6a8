//! `dataflow down`: stops a dataflow, and says for whom it waits.

use std::io::{Write, stdout};
use std::os::fd::OwnedFd;

use dataflow_ids::{Forcer, StopMode};
use dataflow_runtime::client::{Client, ClientError};
use dataflow_wire::client::{ClientReply, ClientRequest};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::json;

use crate::arguments::DownArguments;
use crate::error::{CliError, Exit};
use crate::{json, report, running, say};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when there is nothing to stop, or the runtime vanishes.
pub(crate) fn run(arguments: &DownArguments) -> Result<Exit, CliError> {
    let found = running::one(arguments.dataflow.as_deref())?;
    let vanished = |error| match error {
        ClientError::Ended => CliError::RuntimeVanished {
            name: found.name.to_string(),
            pid: found.pid,
        },
        error => CliError::Client(error),
    };
    let mut client = Client::connect(&found)?;
    let process = Process::of(client.pid());
    if arguments.force {
        let by = Forcer::DownForce;
        client
            .request(&ClientRequest::Force { by })
            .map_err(vanished)?;
        client.send(&ClientRequest::Follow)?;
    } else {
        let mode = if arguments.now {
            StopMode::Now
        } else {
            StopMode::Graceful
        };
        client.send(&ClientRequest::Stop {
            mode,
            force_after: arguments.force_after.force_after,
        })?;
    }
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
    for reply in client.replies() {
        match reply.map_err(vanished)? {
            ClientReply::Waiting(waiting) if arguments.json => {
                let event = json!({"event": "waiting", "waiting": json::plain(&waiting)});
                line(&event.to_string());
            }
            ClientReply::Waiting(waiting) => {
                for waiting in waiting {
                    line(&waiting.to_string());
                }
            }
            ClientReply::Ended(ended) => {
                if arguments.json {
                    let event = json!({"event": "ended", "report": json::plain(&ended)});
                    line(&event.to_string());
                } else {
                    for text in report::lines(&ended) {
                        line(&text);
                    }
                }
                for (what, help) in report::failures(&ended) {
                    say(&what, Some(&help));
                }
                process.wait();
                return Ok(report::exit(&ended));
            }
            other => tracing::debug!(?other, "reply not asked for"),
        }
    }
    Err(vanished(ClientError::Ended))
}

/// The runtime's process: when `down` returns, nothing of the dataflow is left.
struct Process(Option<OwnedFd>);

impl Process {
    fn of(pid: u32) -> Process {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // One that is not there any more needs no waiting for.
        Process(pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()))
    }

    /// Waits until it has ended.
    fn wait(&self) {
        let Some(process) = &self.0 else { return };
        let mut ended = [PollFd::new(process, PollFlags::IN)];
        while poll(&mut ended, None) == Err(Errno::INTR) {}
    }
}

/// Writes a line. A reader that has gone does not keep anybody from stopping a dataflow.
fn line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}
