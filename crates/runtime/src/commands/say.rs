//! What a command is told, at once or in parts, no faster than it reads.

use dataflow_wire::client::{ClientReply, in_parts};
use dataflow_wire::frame::{EncodeError, EnqueueError};

use crate::process::FramedSocket;

/// How many parts of a long reply wait for a command to read them.
const PARTS_WAITING_MAX: usize = 4;

/// Sends a reply; says whether it went out. One that is too long for a frame goes in parts, for as long as the
/// command takes to read them: nobody else waits for that.
pub(crate) async fn say(socket: &FramedSocket, reply: &ClientReply) -> bool {
    let said = match socket.send(reply, Vec::new()) {
        Err(EnqueueError::Encode(EncodeError::TooLong { .. })) => in_turns(socket, reply).await,
        said => said,
    };
    if let Err(error) = &said {
        tracing::warn!(%error, "reply to a command not sent");
    }
    said.is_ok()
}

async fn in_turns(socket: &FramedSocket, reply: &ClientReply) -> Result<(), EnqueueError> {
    for (number, part) in in_parts(reply)?.enumerate() {
        if number % PARTS_WAITING_MAX == 0 {
            socket.flushed().await;
        }
        socket.send(&part, Vec::new())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::rc::Rc;

    use dataflow_ids::{DataflowName, EdgeId, InputId, NodeId, OutputId, QueuePolicy};
    use dataflow_wire::client::Parts;
    use dataflow_wire::frame::{FrameReader, Received};
    use dataflow_wire::status::{DataflowStatus, EdgeCounts, EdgeStatus, Phase};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// The status of a dataflow of as many edges as there may be, with long names and high counts.
    fn status() -> ClientReply {
        let name = |letter: &str| letter.repeat(40);
        let edges = (0..10_000).map(|edge| EdgeStatus {
            edge: EdgeId(edge),
            source: NodeId::new(name("s")).unwrap(),
            output: OutputId::new(name("o")).unwrap(),
            target: NodeId::new(name("t")).unwrap(),
            input: InputId::new(name("i")).unwrap(),
            policy: QueuePolicy::Block,
            queue_size: 10,
            blocked: false,
            closed: false,
            drained: false,
            damage: None,
            counts: EdgeCounts {
                sent: u64::MAX - u64::from(edge),
                ..EdgeCounts::default()
            },
        });
        ClientReply::Status(Box::new(DataflowStatus {
            name: DataflowName::new("large").unwrap(),
            run: "large-1".to_owned(),
            file: "/large.yml".into(),
            pid: 1,
            up_for: std::time::Duration::ZERO,
            phase: Phase::Running,
            nodes: Vec::new(),
            edges: edges.collect(),
            models: Vec::new(),
            waiting: Vec::new(),
        }))
    }

    fn conversation() -> (Rc<FramedSocket>, std::os::fd::OwnedFd) {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let socket =
            Rc::new(FramedSocket::new(ours, crate::commands::accept::QUEUE_BYTES_MAX).unwrap());
        let writing = Rc::clone(&socket);
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no root here to spawn it"
        )]
        actix_rt::spawn(async move { writing.write_queued().await });
        (socket, theirs)
    }

    #[test]
    fn a_status_of_ten_thousand_edges_arrives_whole() {
        actix_rt::System::new().block_on(async {
            let (socket, theirs) = conversation();
            let reading = std::thread::spawn(move || {
                let (mut reader, mut parts) = (FrameReader::new(), Parts::default());
                let mut count = 0;
                loop {
                    while let Some((reply, _)) = reader.next::<ClientReply>().unwrap() {
                        count += 1;
                        if let Some(reply) = parts.take(reply).unwrap() {
                            return (count, reply);
                        }
                    }
                    assert_ne!(reader.receive(theirs.as_fd()).unwrap(), Received::End);
                }
            });
            let status = status();
            assert!(say(&socket, &status).await);
            socket.flushed().await;
            let (count, read) = reading.join().unwrap();
            assert!(count > PARTS_WAITING_MAX, "{count} parts");
            assert_eq!(read, status);
        });
    }

    #[test]
    fn a_command_that_goes_away_in_the_middle_keeps_nobody_waiting() {
        actix_rt::System::new().block_on(async {
            let (socket, theirs) = conversation();
            let gone = async {
                // It has what the socket holds, and reads nothing of it.
                tokio::task::yield_now().await;
                drop(theirs);
            };
            let status = status();
            tokio::join!(say(&socket, &status), gone);
        });
    }
}
