//! `dataflow stop NODE` and `dataflow restart NODE`: one node of a dataflow that goes on.

use std::io::{Write, stdout};

use dataflow_ids::{Forcer, LifeCycle, NodeId};
use dataflow_runtime::client::{Client, ClientError};
use dataflow_runtime::registry::FoundRun;
use dataflow_wire::client::{ClientReply, ClientRequest, NodeRefusal};
use dataflow_wire::status::NodeStatus;
use serde_json::json;

use crate::arguments::{NodeArguments, RestartArguments, StopArguments};
use crate::error::{CliError, Exit};
use crate::text::counted;
use crate::{json, running, silence};

/// What is wanted of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Stop,
    Restart,
}

impl Wish {
    /// Said of a node that is somewhere else.
    pub(crate) fn not_so(self) -> &'static str {
        match self {
            Wish::Stop => "was not parked",
            Wish::Restart => "is not ready again",
        }
    }

    fn request(self, node: NodeId, is_forced: bool) -> ClientRequest {
        let by = |forcer| is_forced.then_some(forcer);
        match self {
            Wish::Stop => ClientRequest::StopNode {
                node,
                kill: by(Forcer::StopForce),
            },
            Wish::Restart => ClientRequest::RestartNode {
                node,
                kill: by(Forcer::RestartForce),
            },
        }
    }

    /// What is done to the node, as it is said at the beginning.
    fn doing(self, is_forced: bool) -> &'static str {
        match (self, is_forced) {
            (_, true) => "killing",
            (Wish::Stop, false) => "stopping",
            (Wish::Restart, false) => "restarting",
        }
    }

    fn is_done(self, state: LifeCycle) -> bool {
        match self {
            Wish::Stop => state == LifeCycle::Parked,
            Wish::Restart => matches!(state, LifeCycle::Ready | LifeCycle::Running),
        }
    }
}

/// Runs `dataflow stop NODE`.
///
/// # Errors
///
/// [`CliError`] when there is no such node, or it cannot be parked.
pub(crate) fn stop(arguments: &StopArguments) -> Result<Exit, CliError> {
    run(Wish::Stop, &arguments.node)
}

/// Runs `dataflow restart NODE`.
///
/// # Errors
///
/// [`CliError`] when there is no such node, or it cannot be started again.
pub(crate) fn restart(arguments: &RestartArguments) -> Result<Exit, CliError> {
    run(Wish::Restart, &arguments.node)
}

fn run(wish: Wish, arguments: &NodeArguments) -> Result<Exit, CliError> {
    let found = running::one(arguments.flow.as_deref(), Some("--flow"))?;
    let mut client = Client::connect_and_hear(&found, silence::said(&found, arguments.json))?;
    let node = match NodeId::new(&arguments.node) {
        Ok(node) => node,
        // No node has such a name.
        Err(_) => return Err(unknown(&found, arguments, known(&mut client)?)),
    };
    client.send(&wish.request(node, arguments.force))?;
    loop {
        match client.next_reply()? {
            ClientReply::Accepted => {
                if !arguments.json {
                    line(&format!(
                        "{} {} of {}",
                        wish.doing(arguments.force),
                        arguments.node,
                        found.name
                    ));
                }
                if arguments.no_wait {
                    return Ok(Exit::Done);
                }
            }
            ClientReply::Waiting(waiting) if arguments.json => {
                let event = json!({"event": "waiting", "waiting": json::plain(&waiting)});
                line(&event.to_string());
            }
            ClientReply::Waiting(waiting) => {
                for waiting in waiting {
                    line(&waiting.to_string());
                }
            }
            ClientReply::NodeRefused(refusal) => return Err(refused(&found, arguments, refusal)),
            ClientReply::NodeStands { status, killed } => {
                if arguments.json {
                    let event = json!({
                        "event": "node", "node": json::plain(&status), "killed": killed,
                    });
                    line(&event.to_string());
                }
                return judge(wish, &found, arguments, &status, killed);
            }
            _ => return Err(ClientError::Unexpected.into()),
        }
    }
}

/// Whether the node is where it was to go.
fn judge(
    wish: Wish,
    found: &FoundRun,
    arguments: &NodeArguments,
    status: &NodeStatus,
    killed: Option<Forcer>,
) -> Result<Exit, CliError> {
    if !wish.is_done(status.state) {
        return Err(CliError::NodeElsewhere {
            dataflow: found.name.to_string(),
            node: status.node.to_string(),
            wish,
            state: status.state,
            because: status.in_words(),
        });
    }
    if !arguments.json {
        line(&match wish {
            Wish::Stop => format!(
                "{} is parked: what is queued for it is kept, and `dataflow restart {}` starts it again",
                status.node, status.node
            ),
            Wish::Restart => format!(
                "{} is ready again ({}{})",
                status.node,
                status
                    .pid
                    .map_or(String::new(), |pid| format!("pid {pid}, ")),
                counted(status.restarts.into(), "restart")
            ),
        });
    }
    Ok(match killed {
        Some(_) => Exit::Forced,
        None => Exit::Done,
    })
}

fn refused(found: &FoundRun, arguments: &NodeArguments, refusal: NodeRefusal) -> CliError {
    let (dataflow, node) = (found.name.to_string(), arguments.node.clone());
    match refusal {
        NodeRefusal::Unknown { known } => unknown(
            found,
            arguments,
            known.iter().map(ToString::to_string).collect(),
        ),
        NodeRefusal::Stopping => CliError::Stops { dataflow, node },
        NodeRefusal::Ended { end } => CliError::NodeEnded {
            dataflow,
            node,
            end,
        },
        NodeRefusal::NotStarted => CliError::NodeNotStarted { dataflow, node },
    }
}

fn unknown(found: &FoundRun, arguments: &NodeArguments, known: Vec<String>) -> CliError {
    CliError::UnknownNode {
        dataflow: found.name.to_string(),
        node: arguments.node.clone(),
        known,
    }
}

/// The nodes that the dataflow has.
fn known(client: &mut Client) -> Result<Vec<String>, CliError> {
    match client.request(&ClientRequest::Status)? {
        ClientReply::Status(status) => Ok(status
            .nodes
            .iter()
            .map(|node| node.node.to_string())
            .collect()),
        _ => Err(ClientError::Unexpected.into()),
    }
}

/// Writes a line. A reader that has gone does not keep anybody from stopping a node.
fn line(text: &str) {
    let _ = writeln!(stdout(), "{text}");
}
