//! The first words of a conversation: a command says its version before anything else.

use std::time::Duration;

use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};

use super::say::say;
use crate::process::FramedSocket;

/// How long a command may take to say hello. Ours does at once.
const HELLO_MAX: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// What became of the first words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeted {
    /// It is welcome, and was told so.
    Welcome,
    /// It has gone, or was refused, and was told why.
    Refused,
}

/// Where the conversation with a command has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// To its end.
    Whole,
    /// It goes on on another thread.
    Elsewhere,
}

/// Waits for the hello of a command, and answers it. `pid` is this process, for people; `is_agent` says whether it is
/// an agent's.
pub(crate) async fn greet(socket: &FramedSocket, pid: u32, is_agent: bool) -> Greeted {
    let first = tokio::time::timeout(HELLO_MAX, socket.next::<ClientRequest>()).await;
    let reason = match first {
        Ok(Ok(Some((ClientRequest::Hello { protocol }, _)))) if protocol == CLIENT_PROTOCOL => {
            let welcome = ClientReply::Welcome {
                protocol,
                pid,
                is_agent,
            };
            return match say(socket, &welcome).await {
                true => Greeted::Welcome,
                false => Greeted::Refused,
            };
        }
        Ok(Ok(Some((ClientRequest::Hello { protocol }, _)))) => format!(
            "this command speaks version {protocol} of the conversation and the runtime speaks \
             {CLIENT_PROTOCOL}: use the `dataflow` that started it"
        ),
        Ok(Ok(Some(_))) => "a conversation begins with `Hello`".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(None)) | Err(_) => return Greeted::Refused,
    };
    say(socket, &ClientReply::Refused { reason }).await;
    Greeted::Refused
}
