//! A sender that breaks its word: its message lies in a segment that it never hands over.

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};

use dataflow_ids::SegmentId;
use dataflow_node::monotonic_now_ns;
use dataflow_shm::edge::{
    ChunkKey, EdgeConfig, EdgeSender, Outgoing, OutgoingBody, OutgoingMetadata,
};
use dataflow_shm::{EventFd, inherited_socket};
use dataflow_wire::frame::{self, FrameReader, Received};
use dataflow_wire::node::{CONTROL_FD_VARIABLE, EdgeGrant, NODE_PROTOCOL, ToNode, ToRuntime};
use rustix::event::{PollFd, PollFlags, poll};

/// Connects as a node with one output and one edge, and sends such a message on it, without the library.
///
/// # Errors
///
/// Whatever keeps it from that.
pub fn send_hollow_message() -> Result<(), Box<dyn Error>> {
    let number = std::env::var(CONTROL_FD_VARIABLE)?.parse()?;
    let socket = inherited_socket(number)?;
    let hello = ToRuntime::Hello {
        protocol: NODE_PROTOCOL,
        library: "hollow".to_owned(),
        pid: std::process::id(),
    };
    frame::send(socket.as_fd(), &hello, &[])?;
    let mut reader = FrameReader::new();
    let (mut welcome, mut edge) = (None, None);
    loop {
        match next(&socket, &mut reader)? {
            (ToNode::Welcome(it), waiters) => welcome = Some((it, waiters)),
            (ToNode::Edge(grant), ends) => edge = Some((grant, ends)),
            (ToNode::Begin, _) => break,
            _ => {}
        }
    }
    let (welcome, waiters) = welcome.ok_or("no welcome")?;
    let [_, send_waiter] = <[OwnedFd; 2]>::try_from(waiters).map_err(|_| "two waiters")?;
    let (grant, ends) = edge.ok_or("no edge")?;
    let [memory, receiver] = <[OwnedFd; 2]>::try_from(ends).map_err(|_| "two ends")?;
    let mut edge = EdgeSender::attach(memory, &config(&grant), EventFd::from_fd(receiver)?)?;

    frame::send(socket.as_fd(), &ToRuntime::Ready, &[])?;
    let send_waiter = EventFd::from_fd(send_waiter)?;
    while !edge.receiver_ready() {
        poll(&mut [PollFd::new(&send_waiter, PollFlags::IN)], None)?;
        send_waiter.drain();
    }
    let segment = SegmentId {
        node: welcome.index,
        epoch: welcome.epoch,
        number: 0,
    };
    let message = Outgoing {
        sent_at_ns: monotonic_now_ns(),
        waited_ns: 0,
        body: OutgoingBody::Chunk {
            chunk: ChunkKey { segment, offset: 0 },
            payload_length: 4096,
            metadata: OutgoingMetadata::Slot(&[]),
        },
    };
    edge.publish(&message, &mut Vec::new())?;
    edge.wake();
    Ok(())
}

fn config(grant: &EdgeGrant) -> EdgeConfig {
    EdgeConfig {
        edge: grant.edge,
        policy: grant.policy,
        queue_size: grant.queue_size,
        held_max: grant.held_max,
        held_bytes_max: grant.held_bytes_max,
    }
}

fn next(
    socket: &OwnedFd,
    reader: &mut FrameReader,
) -> Result<(ToNode, Vec<OwnedFd>), Box<dyn Error>> {
    loop {
        if let Some(message) = reader.next()? {
            return Ok(message);
        }
        poll(&mut [PollFd::new(socket, PollFlags::IN)], None)?;
        if reader.receive(socket.as_fd())? == Received::End {
            return Err("the runtime has ended".into());
        }
    }
}
