//! The socket that commands talk to: `ps`, `down`, and whoever stays until the end.

mod wishes;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::lifecycle::Wish;
use dataflow_wire::client::{ClientReply, ClientRequest};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::{Progress, Root, RootRef};
use crate::actors::DataflowMessage;
use crate::commands::{Answered, Greeted, accept, greet, say, say_report};
use crate::env::TaskName;
use crate::process::FramedSocket;

/// How many commands may be connected at once.
const CLIENTS_MAX: usize = 64;
/// How long a command that does not read is waited for at the end.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// How many of those that a stop waits for a command is told.
const WAITING_MAX: usize = 1000;
/// Who asked, as the report says it.
const BY_DOWN: &str = "`dataflow down`";

/// Accepts commands until the run ends.
pub(super) async fn serve(root: RootRef, listener: Rc<AsyncFd<OwnedFd>>) -> io::Result<()> {
    accept(&listener, CLIENTS_MAX, |socket, place| {
        let root_ = Rc::clone(&root);
        root.env()
            .spawn(TaskName::Client, async move {
                let _place = place;
                converse(&root_, Rc::new(socket)).await;
            })
            .detach();
    })
    .await
}

/// Answers one command until it goes, or has what it stays for.
pub(crate) async fn converse(root: &RootRef, socket: Rc<FramedSocket>) {
    // Taken before anything is asked, so that no end is missed.
    let progress = root.progress.subscribe();
    let writer = root.env().spawn(TaskName::Client, {
        let socket = Rc::clone(&socket);
        async move {
            // A command that has gone is learned from its end of the conversation.
            let _ = socket.write_queued().await;
        }
    });
    if greet(&socket, root.pid, root.is_hosted).await == Greeted::Welcome
        && answer(root, &socket, progress).await == Answered::Elsewhere
    {
        return;
    }
    // A command that does not read does not keep the run from ending.
    let _ = tokio::time::timeout(FLUSH_MAX, socket.flushed()).await;
    drop(writer);
    socket.close();
}

/// Answers what a command asks, one after the other.
async fn answer(
    root: &RootRef,
    socket: &FramedSocket,
    progress: watch::Receiver<Progress>,
) -> Answered {
    loop {
        let request = match socket.next::<ClientRequest>().await {
            Ok(Some((request, _))) => request,
            Ok(None) => return Answered::Whole,
            Err(error) => {
                let reason = error.to_string();
                say(socket, &ClientReply::Refused { reason }).await;
                return Answered::Whole;
            }
        };
        let reply = match request {
            // It was welcome before.
            ClientRequest::Hello { protocol } => ClientReply::Welcome {
                protocol,
                pid: root.pid,
                is_agent: root.is_hosted,
            },
            ClientRequest::Peers | ClientRequest::Up(_) => {
                let reason = "this is asked of an agent, and not of a dataflow".to_owned();
                say(socket, &ClientReply::Refused { reason }).await;
                return Answered::Whole;
            }
            ClientRequest::Status => ClientReply::Status(Box::new(root.status(&root.readings()))),
            ClientRequest::Watch { every } => match root.watch_statistics(socket, every) {
                Ok(()) => return Answered::Elsewhere,
                Err(reason) => {
                    say(socket, &ClientReply::Refused { reason }).await;
                    return Answered::Whole;
                }
            },
            ClientRequest::Force { by } => {
                tell(root, DataflowMessage::Force { by }).await;
                ClientReply::Accepted
            }
            ClientRequest::Stop { mode, force_after } => {
                let by = BY_DOWN;
                let stop = DataflowMessage::Stop {
                    mode,
                    force_after,
                    by,
                };
                tell(root, stop).await;
                stay(root, socket, progress).await;
                return Answered::Whole;
            }
            ClientRequest::Follow => {
                stay(root, socket, progress).await;
                return Answered::Whole;
            }
            ClientRequest::StopNode { node, kill } => {
                if wishes::fulfil(root, socket, (node, Wish::Park, kill)).await {
                    continue;
                }
                return Answered::Whole;
            }
            ClientRequest::RestartNode { node, kill } => {
                if wishes::fulfil(root, socket, (node, Wish::Restart, kill)).await {
                    continue;
                }
                return Answered::Whole;
            }
        };
        if !say(socket, &reply).await {
            let reason = "the answer cannot be sent".to_owned();
            say(socket, &ClientReply::Refused { reason }).await;
            return Answered::Whole;
        }
    }
}

/// What a command asks waits for room: one that asks without end lets itself wait, and nobody else.
async fn tell(root: &Root, message: DataflowMessage) {
    // A run that has ended has nothing left to stop.
    let _ = root.handles().dataflow.deliver(message).await;
}

/// Tells a command how the stop goes, until the end or until it goes away. It may say more meanwhile.
async fn stay(root: &Root, socket: &FramedSocket, mut progress: watch::Receiver<Progress>) {
    let mut told = progress
        .borrow()
        .waiting
        .as_ref()
        .map_or(0, |(count, _)| *count);
    loop {
        let now = progress.borrow_and_update().clone();
        if let Some(report) = now.ended {
            return say_report(socket, report).await;
        }
        if let Some((count, mut waiting)) = now.waiting
            && count > told
        {
            told = count;
            waiting.truncate(WAITING_MAX);
            if !say(socket, &ClientReply::Waiting(waiting)).await {
                return;
            }
        }
        tokio::select! {
            biased;
            changed = progress.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            request = socket.next::<ClientRequest>() => match request {
                Ok(Some((request, _))) => {
                    if !answer_meanwhile(root, socket, request).await {
                        return;
                    }
                }
                Ok(None) | Err(_) => return,
            },
        }
    }
}

/// A second request on a connection that stays: a stronger stop, a force, a look.
async fn answer_meanwhile(root: &Root, socket: &FramedSocket, request: ClientRequest) -> bool {
    let reply = match request {
        ClientRequest::Stop { mode, force_after } => {
            let by = BY_DOWN;
            let stop = DataflowMessage::Stop {
                mode,
                force_after,
                by,
            };
            tell(root, stop).await;
            return true;
        }
        ClientRequest::Force { by } => {
            tell(root, DataflowMessage::Force { by }).await;
            ClientReply::Accepted
        }
        ClientRequest::Status => ClientReply::Status(Box::new(root.status(&root.readings()))),
        // Who stays until the end wants nothing else that takes long.
        ClientRequest::Follow
        | ClientRequest::Hello { .. }
        | ClientRequest::Peers
        | ClientRequest::Up(_)
        | ClientRequest::Watch { .. }
        | ClientRequest::StopNode { .. }
        | ClientRequest::RestartNode { .. } => return true,
    };
    say(socket, &reply).await
}
