//! From a control socket to a node: the handshake, and everything that it hands over.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_shm::edge::{AttachError, EdgeConfig, EdgeReceiver, EdgeSender};
use dataflow_shm::{EventFd, ForkGuard, ReceivedSegments};
use dataflow_wire::frame::{self, FrameReader, Received};
use dataflow_wire::node::{
    CONTROL_FD_VARIABLE, EdgeGrant, EdgeRole, NODE_PROTOCOL, ToNode, ToRuntime, Welcome,
};

use crate::control::{Control, RuntimeLost};
use crate::edge_input::EdgeInput;
use crate::error::ConnectError;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::sender::output::OutputEdge;
use crate::shared::{Shared, SharedParts};
use crate::time::Time;
use crate::wait::{OnSignal, SignalHook, Woken, wait};

/// Set by the first connect of the process: the inherited socket can be taken once.
static CONNECTED: AtomicBool = AtomicBool::new(false);

/// Takes the control socket that the runtime has left for this process.
pub(crate) fn inherited_socket() -> Result<OwnedFd, ConnectError> {
    let Some(value) = std::env::var_os(CONTROL_FD_VARIABLE) else {
        return Err(ConnectError::OutsideDataflow);
    };
    let value = value.to_string_lossy().into_owned();
    if CONNECTED.swap(true, Ordering::AcqRel) {
        return Err(ConnectError::AlreadyConnected);
    }
    let refused = |why: String| {
        CONNECTED.store(false, Ordering::Release);
        ConnectError::NoControlSocket {
            value: value.clone(),
            why,
        }
    };
    let number = value
        .parse::<i32>()
        .map_err(|_| refused("it is no number".to_owned()))?;
    dataflow_shm::inherited_socket(number).map_err(|error| refused(error.to_string()))
}

/// What the runtime hands over.
struct Handover {
    welcome: Welcome,
    receive_wake: EventFd,
    send_wake: EventFd,
    grants: Vec<(EdgeGrant, OwnedFd, EventFd)>,
    reader: FrameReader,
    early: Vec<(ToNode, Vec<OwnedFd>)>,
}

/// Does the handshake over `socket` and starts the control thread.
pub(crate) fn connect(
    socket: OwnedFd,
    runtime_lost: RuntimeLost,
    time: Time,
    on_signal: &mut SignalHook<'_>,
) -> Result<(Sender, Receiver), ConnectError> {
    let handover = shake_hands(&socket, on_signal)?;
    let welcome = handover.welcome;
    let control_wake = EventFd::new()?;
    if let Time::Virtual(time) = &time {
        time.wakes(handover.receive_wake.try_clone()?);
    }
    let shared = Arc::new(Shared::new(SharedParts {
        dataflow: welcome.dataflow.clone(),
        node: welcome.node.clone(),
        epoch: welcome.epoch,
        fork_guard: ForkGuard::here()?,
        socket,
        segments: ReceivedSegments::new(control_wake.try_clone()?),
        time,
        receive_wake: handover.receive_wake,
        send_wake: handover.send_wake,
        control_wake,
    }));

    let mut inputs = Vec::new();
    let mut edges_out = Vec::new();
    let mut receivers = BTreeMap::new();
    for (grant, fd, peer_wake) in handover.grants {
        let config = EdgeConfig {
            edge: grant.edge,
            policy: grant.policy,
            queue_size: grant.queue_size,
            held_max: grant.held_max,
            held_bytes_max: grant.held_bytes_max,
        };
        let failed = |error: &dyn std::fmt::Display| ConnectError::Edge {
            edge: format!(
                "{}/{} → {}/{}",
                grant.source, grant.output, grant.target, grant.input
            ),
            why: error.to_string(),
        };
        match &grant.role {
            EdgeRole::Sender { output } => {
                let edge = EdgeSender::attach(fd, &config, peer_wake);
                let edge = or_damaged(edge).map_err(|error| failed(&error))?;
                if let Err(what) = &edge {
                    shared.note(&ToRuntime::EdgeDamaged {
                        edge: grant.edge,
                        what: what.clone(),
                    });
                }
                edges_out.push((output.clone(), OutputEdge::new(&grant, edge)));
            }
            EdgeRole::Receiver { spin, .. } => {
                let drained = shared.control_wake.try_clone()?;
                let edge = EdgeReceiver::attach(fd, &config, peer_wake, drained);
                let edge = or_damaged(edge).map_err(|error| failed(&error))?;
                let handle = edge.as_ref().ok().map(EdgeReceiver::handle);
                receivers.insert(grant.edge, handle);
                inputs.push(EdgeInput::new(&grant, *spin, edge));
            }
        }
    }
    let receiver = Receiver::new(shared.clone(), inputs, &welcome.timers);
    let sender = Sender::new(shared.clone(), &welcome, edges_out);
    Control {
        shared,
        reader: handover.reader,
        early: handover.early,
        receivers,
        watched: BTreeMap::new(),
        runtime_lost,
    }
    .start()
    .map_err(ConnectError::Thread)?;
    Ok((sender, receiver))
}

/// Whether an edge can be used. `Ok(Err(_))`: it cannot, because a process at its other end has written what it
/// likes there before we came. That is no reason to do without the other edges (I-3).
fn or_damaged<End>(attached: Result<End, AttachError>) -> Result<Result<End, String>, AttachError> {
    match attached {
        Ok(end) => Ok(Ok(end)),
        Err(AttachError::Damaged(damaged)) => Ok(Err(damaged.what.to_string())),
        // The runtime speaks our version, so it is not of another one.
        Err(error @ AttachError::NotThisVersion { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn shake_hands(socket: &OwnedFd, on_signal: &mut SignalHook<'_>) -> Result<Handover, ConnectError> {
    let hello = ToRuntime::Hello {
        protocol: NODE_PROTOCOL,
        library: concat!("dataflow-node ", env!("CARGO_PKG_VERSION")).to_owned(),
        pid: std::process::id(),
    };
    match frame::send(socket.as_fd(), &hello, &[]) {
        Ok(()) => {}
        Err(frame::SendError::Closed) => return Err(ConnectError::Ended),
        Err(error) => return Err(error.into()),
    }
    let mut reader = FrameReader::new();
    let (message, descriptors) = next(socket, &mut reader, on_signal)?;
    let welcome = match message {
        ToNode::Welcome(welcome) => welcome,
        ToNode::Refused { reason } => return Err(ConnectError::Refused { reason }),
        other => return Err(unexpected(&other, "a welcome")),
    };
    if welcome.protocol != NODE_PROTOCOL {
        return Err(ConnectError::OtherVersion {
            runtime: welcome.protocol,
        });
    }
    let [receive_wake, send_wake] = pair(descriptors)?;
    let mut handover = Handover {
        welcome,
        receive_wake: EventFd::from_fd(receive_wake)?,
        send_wake: EventFd::from_fd(send_wake)?,
        grants: Vec::new(),
        reader,
        early: Vec::new(),
    };
    loop {
        let (message, descriptors) = next(socket, &mut handover.reader, on_signal)?;
        match message {
            ToNode::Begin => break,
            ToNode::Edge(grant) => {
                let [memory, peer_wake] = pair(descriptors)?;
                handover
                    .grants
                    .push((grant, memory, EventFd::from_fd(peer_wake)?));
            }
            ToNode::Refused { reason } => return Err(ConnectError::Refused { reason }),
            welcome @ ToNode::Welcome(_) => return Err(unexpected(&welcome, "an edge")),
            early => handover.early.push((early, descriptors)),
        }
    }
    if handover.grants.len() != handover.welcome.edges as usize {
        return Err(ConnectError::Unexpected {
            what: "another number of edges than it had announced",
            expected: "that many",
        });
    }
    Ok(handover)
}

/// The next message, however long the runtime takes, unless a signal's hook gives up.
fn next(
    socket: &OwnedFd,
    reader: &mut FrameReader,
    on_signal: &mut SignalHook<'_>,
) -> Result<(ToNode, Vec<OwnedFd>), ConnectError> {
    loop {
        if let Some(message) = reader.next::<ToNode>()? {
            return Ok(message);
        }
        // The socket may be a blocking one, whose read would not tell of signals. An error of the wait shows
        // itself at the read.
        if let Ok(Woken::Signal) = wait(&[socket.as_fd()], None) {
            match on_signal() {
                OnSignal::GoOn => continue,
                OnSignal::GiveUp => return Err(ConnectError::Interrupted),
            }
        }
        match reader.receive(socket.as_fd())? {
            Received::Bytes(_) | Received::WouldBlock => {}
            Received::End => return Err(ConnectError::Ended),
        }
    }
}

fn pair(descriptors: Vec<OwnedFd>) -> Result<[OwnedFd; 2], ConnectError> {
    descriptors
        .try_into()
        .map_err(|_| ConnectError::Unexpected {
            what: "another number of descriptors",
            expected: "two",
        })
}

fn unexpected(message: &ToNode, expected: &'static str) -> ConnectError {
    let what = match message {
        ToNode::Welcome(_) => "a second welcome",
        ToNode::Refused { .. } => "a refusal",
        ToNode::Edge(_) => "an edge",
        ToNode::Begin => "the beginning",
        ToNode::Segment { .. } => "a segment",
        ToNode::SegmentRetire { .. } => "a retired segment",
        ToNode::SegmentsComplete { .. } => "the end of a sender's segments",
        ToNode::ReleaseRequest { .. } => "a request for tokens",
        ToNode::Stop { .. } => "a stop",
    };
    ConnectError::Unexpected { what, expected }
}
