//! The socket that commands talk to: `ps`, `down`, and whoever stays until the end.

mod say;
mod wishes;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::lifecycle::Wish;
use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use dataflow_wire::status::Report;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use self::say::say;
use super::{Progress, Root, RootRef};
use crate::actors::DataflowMessage;
use crate::env::TaskName;
use crate::process::FramedSocket;

/// How much may wait for a command to read it, in bytes.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many commands may be connected at once.
const CLIENTS_MAX: usize = 64;
/// How long accepting waits when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long a command that does not read is waited for at the end.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// How long a command may take to say hello. Ours does at once.
const HELLO_MAX: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// How many of those that a stop waits for a command is told.
const WAITING_MAX: usize = 1000;
/// What a report may take of a reply for one node's last lines, in bytes. The whole of them is in the log.
const LAST_LINES_BYTES_MAX: usize = 4096;

/// Who asked, as the report says it.
const BY_DOWN: &str = "`dataflow down`";

/// Accepts commands until the run ends.
pub(super) async fn serve(root: RootRef, listener: Rc<AsyncFd<OwnedFd>>) -> io::Result<()> {
    let connected = Rc::new(());
    loop {
        let mut ready = listener.readable().await?;
        #[cfg(test)]
        crate::supervision::faults::task_step("server");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match accept_with(listener.get_ref(), flags) {
            Ok(socket) => socket,
            Err(rustix::io::Errno::AGAIN) => {
                ready.clear_ready();
                continue;
            }
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => continue,
            Err(errno) => {
                tracing::warn!(%errno, "command not accepted");
                root.env().sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let ours = rustix::process::geteuid();
        let is_ours = socket_peercred(&socket).is_ok_and(|peer| peer.uid == ours);
        if !is_ours || Rc::strong_count(&connected) > CLIENTS_MAX {
            tracing::warn!(is_ours, "command refused");
            continue;
        }
        let Ok(socket) = FramedSocket::new(socket, QUEUE_BYTES_MAX) else {
            continue;
        };
        let (root_, guard) = (Rc::clone(&root), Rc::clone(&connected));
        root.env()
            .spawn(TaskName::Client, async move {
                let _guard = guard;
                converse(&root_, Rc::new(socket)).await;
            })
            .detach();
    }
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
    let mut is_welcome = false;
    loop {
        let request = if is_welcome {
            socket.next::<ClientRequest>().await
        } else {
            match tokio::time::timeout(HELLO_MAX, socket.next::<ClientRequest>()).await {
                Ok(request) => request,
                Err(_) => break,
            }
        };
        let request = match request {
            Ok(Some((request, _))) => request,
            Ok(None) => break,
            Err(error) => {
                let reason = error.to_string();
                say(&socket, &ClientReply::Refused { reason }).await;
                break;
            }
        };
        let reply = match request {
            ClientRequest::Hello { protocol } if protocol != CLIENT_PROTOCOL => {
                let reason = format!(
                    "this command speaks version {protocol} of the conversation and the runtime speaks \
                     {CLIENT_PROTOCOL}: use the `dataflow` that started it"
                );
                say(&socket, &ClientReply::Refused { reason }).await;
                break;
            }
            ClientRequest::Hello { protocol } => {
                is_welcome = true;
                let pid = root.pid;
                ClientReply::Welcome { protocol, pid }
            }
            _ if !is_welcome => {
                let reason = "a conversation begins with `Hello`".to_owned();
                say(&socket, &ClientReply::Refused { reason }).await;
                break;
            }
            ClientRequest::Status => ClientReply::Status(Box::new(root.status(&root.readings()))),
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
                stay(root, &socket, progress).await;
                break;
            }
            ClientRequest::Follow => {
                stay(root, &socket, progress).await;
                break;
            }
            ClientRequest::StopNode { node, kill } => {
                if wishes::fulfil(root, &socket, (node, Wish::Park, kill)).await {
                    continue;
                }
                break;
            }
            ClientRequest::RestartNode { node, kill } => {
                if wishes::fulfil(root, &socket, (node, Wish::Restart, kill)).await {
                    continue;
                }
                break;
            }
        };
        if !say(&socket, &reply).await {
            let reason = "the answer cannot be sent".to_owned();
            say(&socket, &ClientReply::Refused { reason }).await;
            break;
        }
    }
    // A command that does not read does not keep the run from ending.
    let _ = tokio::time::timeout(FLUSH_MAX, socket.flushed()).await;
    drop(writer);
    socket.close();
}

/// What a command asks waits for room: one that asks without end lets itself wait, and nobody else.
async fn tell(root: &Root, message: DataflowMessage) {
    // A run that has ended has nothing left to stop.
    let _ = root.handles().dataflow.deliver(message).await;
}

/// Says how it ended; without the nodes' last lines when they are too much for a reply.
async fn say_report(socket: &FramedSocket, mut report: Box<Report>) {
    for node in &mut report.nodes {
        keep_last(&mut node.last_lines, LAST_LINES_BYTES_MAX);
    }
    let reply = ClientReply::Ended(report);
    if say(socket, &reply).await {
        return;
    }
    if let ClientReply::Ended(mut report) = reply {
        for node in &mut report.nodes {
            node.last_lines.clear();
        }
        say(socket, &ClientReply::Ended(report)).await;
    }
}

/// Keeps the last of these lines, as many as have room.
fn keep_last(lines: &mut Vec<String>, bytes_max: usize) {
    let mut bytes = 0;
    let kept = (lines.iter().rev())
        .take_while(|line| {
            bytes += line.len();
            bytes <= bytes_max
        })
        .count();
    lines.drain(..lines.len() - kept);
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
        | ClientRequest::StopNode { .. }
        | ClientRequest::RestartNode { .. } => return true,
    };
    say(socket, &reply).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_as_far_as_there_is_room() {
        let mut lines = ["aaaa", "bb", "cc"].map(str::to_owned).to_vec();
        keep_last(&mut lines, 4);
        assert_eq!(lines, ["bb", "cc"]);
        keep_last(&mut lines, 1);
        assert!(lines.is_empty());
    }
}
