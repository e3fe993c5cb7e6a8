//! The socket that commands talk to: `ps`, `down`, and whoever stays until the end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};
use tokio::sync::watch;

use super::readiness::watched;
use super::socket::FramedSocket;
use super::{Progress, Root, RootRef};
use crate::actors::DataflowMessage;
use crate::env::TaskName;

/// How much may wait for a command to read it, in bytes.
const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many commands may be connected at once.
const CLIENTS_MAX: usize = 64;
/// How long accepting waits when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long a command that does not read is waited for at the end.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Who asked, as the report says it.
const BY_DOWN: &str = "`dataflow down`";

/// Accepts commands until the run ends.
pub(super) async fn serve(root: RootRef, listener: UnixListener) -> io::Result<()> {
    let listener = watched(OwnedFd::from(listener))?;
    let connected = Rc::new(());
    loop {
        let mut ready = listener.readable().await?;
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

async fn converse(root: &RootRef, socket: Rc<FramedSocket>) {
    // Taken before anything is asked, so that no end is missed.
    let progress = root.progress.subscribe();
    let writer = root.env().spawn(TaskName::Client, {
        let socket = Rc::clone(&socket);
        async move {
            // A command that has gone is learned from its end of the conversation.
            let _ = socket.write_queued().await;
        }
    });
    let say = |reply: &ClientReply| socket.send(reply, Vec::new()).is_ok();
    let mut is_welcome = false;
    loop {
        let request = match socket.next::<ClientRequest>().await {
            Ok(Some((request, _))) => request,
            Ok(None) => break,
            Err(error) => {
                let reason = error.to_string();
                say(&ClientReply::Refused { reason });
                break;
            }
        };
        let reply = match request {
            ClientRequest::Hello { protocol } if protocol != CLIENT_PROTOCOL => {
                let reason = format!(
                    "this command speaks version {protocol} of the conversation and the runtime speaks \
                     {CLIENT_PROTOCOL}: use the `dataflow` that started it"
                );
                say(&ClientReply::Refused { reason });
                break;
            }
            ClientRequest::Hello { protocol } => {
                is_welcome = true;
                let pid = std::process::id();
                ClientReply::Welcome { protocol, pid }
            }
            _ if !is_welcome => {
                let reason = "a conversation begins with `Hello`".to_owned();
                say(&ClientReply::Refused { reason });
                break;
            }
            ClientRequest::Status => ClientReply::Status(Box::new(root.status())),
            ClientRequest::Force { by } => {
                let lead = &root.handles().dataflow;
                lead.fact(DataflowMessage::Force { by });
                ClientReply::Accepted
            }
            ClientRequest::Stop { mode, force_after } => {
                root.handles().dataflow.fact(DataflowMessage::Stop {
                    mode,
                    force_after,
                    by: BY_DOWN,
                });
                stay(root, &socket, progress).await;
                break;
            }
            ClientRequest::Follow => {
                stay(root, &socket, progress).await;
                break;
            }
        };
        if !say(&reply) {
            break;
        }
    }
    // A command that does not read does not keep the run from ending.
    let _ = tokio::time::timeout(FLUSH_MAX, socket.flushed()).await;
    drop(writer);
    socket.close();
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
            let _ = socket.send(&ClientReply::Ended(report), Vec::new());
            return;
        }
        if let Some((count, waiting)) = now.waiting
            && count > told
        {
            told = count;
            if (socket.send(&ClientReply::Waiting(waiting), Vec::new())).is_err() {
                return;
            }
        }
        tokio::select! {
            changed = progress.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            request = socket.next::<ClientRequest>() => match request {
                Ok(Some((request, _))) => {
                    if !answer_meanwhile(root, socket, request) {
                        return;
                    }
                }
                Ok(None) | Err(_) => return,
            },
        }
    }
}

/// A second request on a connection that stays: a stronger stop, a force, a look.
fn answer_meanwhile(root: &Root, socket: &FramedSocket, request: ClientRequest) -> bool {
    let lead = &root.handles().dataflow;
    let reply = match request {
        ClientRequest::Stop { mode, force_after } => {
            lead.fact(DataflowMessage::Stop {
                mode,
                force_after,
                by: BY_DOWN,
            });
            return true;
        }
        ClientRequest::Force { by } => {
            lead.fact(DataflowMessage::Force { by });
            ClientReply::Accepted
        }
        ClientRequest::Status => ClientReply::Status(Box::new(root.status())),
        ClientRequest::Follow | ClientRequest::Hello { .. } => return true,
    };
    socket.send(&reply, Vec::new()).is_ok()
}
