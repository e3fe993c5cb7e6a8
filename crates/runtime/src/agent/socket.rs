//! The agent's socket: how the peers stand, and dataflows that commands want run here.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use dataflow_ids::StopMode;
use dataflow_wire::client::{ClientReply, ClientRequest, OnLeave, UpRequest};
use dataflow_wire::peers::PeersStatus;
use tokio::io::unix::AsyncFd;

use super::runs::{RUNS_MAX, Runs};
use super::steering::{Steering, Stop};
use crate::commands::{Answered, Greeted, accept, greet, say, say_report};
use crate::env::spawn_guarded;
use crate::process::FramedSocket;
use crate::statistics::{AgentStatistics, watch};

/// How many commands may be connected at once: one for each dataflow, and some that look.
const CLIENTS_MAX: usize = RUNS_MAX + 64;
/// How long a command that does not read is waited for when there is nothing more to say.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// What the socket needs of the agent.
pub(super) struct Served {
    pub(super) runs: Rc<Runs>,
    /// How the peers stand, at once.
    pub(super) peers: Box<dyn Fn() -> PeersStatus>,
    pub(super) statistics: AgentStatistics,
}

/// Accepts commands until this is dropped.
pub(super) async fn serve(served: Rc<Served>, listener: AsyncFd<OwnedFd>) -> std::io::Result<()> {
    accept(&listener, CLIENTS_MAX, |socket, place| {
        let served = Rc::clone(&served);
        let conversation = async move {
            let _place = place;
            converse(&served, &socket).await;
        };
        spawn_guarded(conversation, |what| {
            // Its connection ends with it, and nothing else does.
            tracing::error!(%what, "conversation with a command panicked");
        })
        .detach();
    })
    .await
}

/// Answers one command until it goes, or has what it stays for.
async fn converse(served: &Served, socket: &FramedSocket) {
    let talk = async {
        if greet(socket, std::process::id(), true).await == Greeted::Welcome
            && answer(served, socket).await == Answered::Elsewhere
        {
            return Answered::Elsewhere;
        }
        let _ = tokio::time::timeout(FLUSH_MAX, socket.flushed()).await;
        Answered::Whole
    };
    let mut talk = pin!(talk);
    let answered = tokio::select! {
        biased;
        answered = &mut talk => answered,
        // A command that has gone is learned from its end of the conversation.
        _ = socket.write_queued() => talk.await,
    };
    if answered == Answered::Whole {
        socket.close();
    }
}

async fn answer(served: &Served, socket: &FramedSocket) -> Answered {
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
            ClientRequest::Peers => ClientReply::Peers(Box::new((served.peers)())),
            ClientRequest::Up(request) => {
                host(&served.runs, socket, *request).await;
                return Answered::Whole;
            }
            ClientRequest::Watch { every } => {
                let statistics = &served.statistics;
                match watch(statistics.thread(), statistics.source(), socket, every) {
                    Ok(()) => return Answered::Elsewhere,
                    Err(refused) => {
                        let reason = refused.to_string();
                        say(socket, &ClientReply::Refused { reason }).await;
                        return Answered::Whole;
                    }
                }
            }
            ClientRequest::Hello { protocol } => ClientReply::Welcome {
                protocol,
                pid: std::process::id(),
                is_agent: true,
            },
            ClientRequest::Status
            | ClientRequest::Stop { .. }
            | ClientRequest::Force { .. }
            | ClientRequest::Follow
            | ClientRequest::StopNode { .. }
            | ClientRequest::RestartNode { .. } => {
                let reason = "this is asked of a dataflow, at its own socket".to_owned();
                say(socket, &ClientReply::Refused { reason }).await;
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

/// Runs what a command asks for, and tells it what happens until the end, or until it goes.
async fn host(runs: &Rc<Runs>, socket: &FramedSocket, request: UpRequest) {
    let on_leave = request.on_leave;
    // The agent does not end before.
    let _telling = runs.telling();
    let (steering, mut news) = match runs.begin(request) {
        Ok(begun) => begun,
        Err(refusal) => {
            say(socket, &ClientReply::UpRefused(refusal)).await;
            return;
        }
    };
    let telling = async {
        while let Some(reply) = news.next().await {
            match reply {
                ClientReply::Ended(report) => say_report(socket, report).await,
                reply => {
                    say(socket, &reply).await;
                }
            }
            // No faster than it reads: what it does not read waits where there is a limit.
            socket.flushed().await;
        }
    };
    attend(telling, steer(socket, &steering), &steering, on_leave).await;
}

/// Stays until a command has been told all, or has gone. Then, and when we fail it, its dataflow stops with it.
async fn attend(
    telling: impl Future<Output = ()>,
    steered: impl Future<Output = ()>,
    steering: &Steering,
    on_leave: OnLeave,
) {
    let mut left = Left(match on_leave {
        OnLeave::Stop => Some(steering),
        OnLeave::GoOn => None,
    });
    if first(telling, steered).await == First::Told {
        left.0 = None;
    }
}

/// Stops a dataflow whose command has gone, when this is dropped.
struct Left<'s>(Option<&'s Steering>);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        if let Some(steering) = self.0 {
            steering.stop(Stop {
                mode: StopMode::Graceful,
                force_after: None,
                by: "the end of its `up`",
            });
        }
    }
}

/// Hears what the command wants, until it goes.
async fn steer(socket: &FramedSocket, steering: &Steering) {
    loop {
        match socket.next::<ClientRequest>().await {
            Ok(Some((ClientRequest::Stop { mode, force_after }, _))) => steering.stop(Stop {
                mode,
                force_after,
                by: "Ctrl-C or a signal",
            }),
            Ok(Some((ClientRequest::Force { by }, _))) => steering.force(by),
            // Who stays until the end wants nothing else.
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Which of the two was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Told,
    Left,
}

async fn first(telling: impl Future<Output = ()>, steering: impl Future<Output = ()>) -> First {
    tokio::select! {
        biased;
        () = telling => First::Told,
        () = steering => First::Left,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Whether its dataflow is stopped.
    fn stops(telling: impl Future<Output = ()>, on_leave: OnLeave) -> bool {
        let steering = Steering::default();
        let attended = catch_unwind(AssertUnwindSafe(|| {
            actix_rt::System::new().block_on(attend(telling, pending(), &steering, on_leave));
        }));
        drop(attended);
        steering.interruption().came()
    }

    #[test]
    fn a_conversation_that_panics_ends_as_one_whose_command_has_gone() {
        assert!(stops(async { panic!("on purpose") }, OnLeave::Stop));
        assert!(!stops(async { panic!("on purpose") }, OnLeave::GoOn));
        assert!(!stops(ready(()), OnLeave::Stop));
    }
}
