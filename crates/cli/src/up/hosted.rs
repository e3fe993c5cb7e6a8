//! `up` beside an agent: the dataflow runs there, and everything is said here as if it ran here.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dataflow_descriptor::Dataflow;
use dataflow_ids::PeerId;
use dataflow_runtime::RunEvent;
use dataflow_runtime::client::{Client, ClientError, HostedControls, OnSilence};
use dataflow_runtime::registry::FoundAgent;
use dataflow_wire::client::{ClientReply, ClientRequest, OnLeave, RunNews, UpRefusal, UpRequest};
use dataflow_wire::frame::{EncodeError, SendError};
use dataflow_wire::status::Phase;

use super::speaker::{Said, Speaker};
use super::started::Started;
use super::{Ground, finish};
use crate::arguments::{MB, UpArguments};
use crate::error::{CliError, Exit};
use crate::output::note;
use crate::signals::Signals;
use crate::{running, say};

/// How often whoever waits for the agent looks whether a signal has come.
const SIGNAL_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Has the agent run the dataflow, and waits until it has ended; with `-d`, until it is up.
pub(super) fn run(
    agent: &FoundAgent,
    dataflow: &Dataflow,
    arguments: &UpArguments,
    ground: Ground,
    speaker: &Speaker,
    signals: &Signals,
) -> Result<Exit, CliError> {
    // Where downloads have their bars, no node draws.
    let terminal = ground.terminal.filter(|_| dataflow.models.is_empty());
    let draws = terminal.is_some() && !arguments.detach;
    let request = UpRequest {
        file: dataflow.file.clone(),
        folder: running::here()?.into_os_string(),
        environment: std::env::vars_os().collect(),
        force_after: arguments.force_after.force_after,
        log_bytes_max: Some(arguments.log_mb * MB),
        fetch_bytes_per_second_max: arguments.limit_rate.limit_rate,
        terminal: terminal.filter(|_| !arguments.detach),
        wants_lines: ground.has_lines && !arguments.detach,
        on_leave: match arguments.detach {
            true => OnLeave::GoOn,
            false => OnLeave::Stop,
        },
    };
    if arguments.metrics.metrics.is_some() {
        note(&format!(
            "the agent `{}` runs it: its metrics are with those of the agent, where `dataflow agent --metrics` shows \
             them. --metrics of `up` is for a process of its own (--no-agent)",
            agent.this
        ));
    }
    let (mut client, controls) = ask(agent, request, signals)?;
    signals.go_to_hosted(controls);
    let followed = follow(&mut client, agent, dataflow, arguments, speaker);
    signals.go_to_report();
    if draws {
        speaker.say(Said::TerminalIsFree);
    }
    match followed {
        Err(CliError::AgentVanished { agent, pid, .. }) if signals.has_left() => {
            Err(CliError::LeftAgent {
                agent,
                pid,
                dataflow: dataflow.name.to_string(),
            })
        }
        followed => followed,
    }
}

/// Connects to the agent and asks it, until a signal comes: one that is stopped does not even say hello.
fn ask(
    agent: &FoundAgent,
    request: UpRequest,
    signals: &Signals,
) -> Result<(Client, HostedControls), CliError> {
    let (to_us, asked) = mpsc::channel();
    let (found, heard) = (agent.clone(), signals.clone());
    // Nobody waits for it when a signal has come: it ends with this process.
    thread::Builder::new()
        .name("dataflow-asks".to_owned())
        .spawn(move || {
            let _ = to_us.send(ask_patiently(&found, request, &heard));
        })
        .map_err(CliError::system("start the thread that asks the agent"))?;
    loop {
        match asked.recv_timeout(SIGNAL_LOOK_EVERY) {
            Ok(asked) => return asked,
            Err(RecvTimeoutError::Timeout) if !signals.interrupted() => {}
            // It sends before it ends, if it does not panic, and then nothing was started either.
            Err(_) => return Err(CliError::Interrupted),
        }
    }
}

fn ask_patiently(
    agent: &FoundAgent,
    request: UpRequest,
    signals: &Signals,
) -> Result<(Client, HostedControls), CliError> {
    let refused = |source| CliError::AgentRefuses {
        agent: agent.this.clone(),
        source,
    };
    let mut client = Client::connect_to_agent(agent, silence_of(agent)).map_err(refused)?;
    let controls = client
        .hosted_controls()
        .map_err(CliError::system("listen to the agent"))?;
    if signals.interrupted() {
        return Err(CliError::Interrupted);
    }
    client
        .send(&ClientRequest::Up(Box::new(request)))
        .map_err(|error| match error {
            ClientError::Send(SendError::Encode(EncodeError::TooLong { bytes, bytes_max })) => {
                CliError::EnvironmentTooLarge { bytes, bytes_max }
            }
            error => refused(error),
        })?;
    Ok((client, controls))
}

fn silence_of(agent: &FoundAgent) -> OnSilence {
    let mut said = false;
    let (this, pid) = (agent.this.clone(), agent.pid);
    Box::new(move |silence| {
        if silence.is_stopped() && !std::mem::replace(&mut said, true) {
            let what = format!("waiting for the agent `{this}` (pid {pid}): it does not answer");
            say(&what, crate::silence::remedy(silence).as_deref());
        }
    })
}

/// Says what happens, until it has ended, or with `-d` is up.
fn follow(
    client: &mut Client,
    agent: &FoundAgent,
    dataflow: &Dataflow,
    arguments: &UpArguments,
    speaker: &Speaker,
) -> Result<Exit, CliError> {
    let mut begun = None;
    // How it ended, when its report is not on the disk.
    let mut not_written = None;
    loop {
        match client.next_reply() {
            Ok(ClientReply::UpRefused(refusal)) => return Err(error_of(refusal, &agent.this)),
            Ok(ClientReply::Begun { run }) => {
                let started = Started::on_agent(dataflow, &run, agent);
                if !arguments.detach {
                    speaker.say(Said::Started(started.clone()));
                }
                begun = Some(started);
            }
            Ok(ClientReply::News(news)) => {
                for news in news {
                    let is_up = matches!(news, RunNews::Event(RunEvent::Phase(Phase::Running)));
                    if !arguments.detach {
                        speaker.say(said(news));
                    } else if let (true, Some(started)) = (is_up, &begun) {
                        speaker.say(Said::UpInBackground(started.clone()));
                        return Ok(Exit::Done);
                    } else if let Some(said) = said_while_starting(news) {
                        speaker.say(said);
                    }
                }
            }
            Ok(ClientReply::BrokeOff {
                why,
                has_ended: false,
            }) => return Err(CliError::BrokeOffOnAgent { why }),
            Ok(ClientReply::BrokeOff { why, .. }) => not_written = Some(why),
            Ok(ClientReply::Ended(report)) => {
                let exit = finish(*report, speaker);
                let Some(why) = not_written else {
                    return Ok(exit);
                };
                let error = CliError::BrokeOffOnAgent { why };
                if exit == Exit::Done {
                    return Err(error);
                }
                say(&error.to_string(), None);
                return Ok(exit);
            }
            Ok(other) => tracing::debug!(?other, "reply not asked for"),
            Err(ClientError::Ended) => {
                return Err(CliError::AgentVanished {
                    agent: agent.this.clone(),
                    pid: agent.pid,
                    dataflow: begun.is_some().then(|| dataflow.name.to_string()),
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn said(news: RunNews) -> Said {
    match news {
        RunNews::Event(event) => Said::Event(event),
        RunNews::Dropped(count) => Said::Dropped(count),
    }
}

/// What an `up -d` says before the dataflow is up.
fn said_while_starting(news: RunNews) -> Option<Said> {
    match news {
        RunNews::Event(event @ RunEvent::Model(_)) => Some(Said::Event(event)),
        RunNews::Event(RunEvent::Waiting(waiting)) => Some(Said::Waiting(waiting)),
        _ => None,
    }
}

fn error_of(refusal: UpRefusal, agent: &PeerId) -> CliError {
    match refusal {
        UpRefusal::RunsAlready { name, pid, file } => CliError::RunsAlready {
            name: name.to_string(),
            pid,
            file,
        },
        UpRefusal::Interrupted => CliError::Interrupted,
        UpRefusal::AgentEnds => CliError::AgentEnds {
            agent: agent.clone(),
        },
        UpRefusal::Input { why } => CliError::RefusedByAgent {
            why,
            exit: Exit::WrongInput,
        },
        UpRefusal::Failure { why } => CliError::RefusedByAgent {
            why,
            exit: Exit::Failed,
        },
    }
}
