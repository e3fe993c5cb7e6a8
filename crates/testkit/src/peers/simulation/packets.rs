//! What goes over the simulated network.

use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::peers::{CloseCode, Rejection};
use dataflow_ids::{BootId, Fingerprint, PeerId};

/// One connection, as both of its ends know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// One thing that is sent until it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageId(pub(super) u64);

/// A packet on its way.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// The address of who has sent it.
    pub(super) from: SocketAddr,
    pub(super) connection: ConnectionId,
    /// With a packet that is sent until it has arrived.
    pub(super) message: Option<MessageId>,
    pub(super) content: Content,
}

/// What is in a packet.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// The dialler begins: who it is, and with which key.
    Begin {
        id: PeerId,
        key: Fingerprint,
    },
    /// Who was dialled takes it, and shows its own key.
    Shake {
        id: PeerId,
        key: Fingerprint,
    },
    /// Who was dialled does not take it.
    Refuse(Rejection),
    /// The dialler has seen the key, and says its hello.
    Hello(BootId),
    /// Who was dialled has seen the hello, and says its own.
    HelloBack(BootId),
    Probe(u64),
    Answer {
        sequence: u64,
        control_silent_for: Duration,
    },
    Close(CloseCode),
    KeepAlive,
    /// Something has arrived.
    Acknowledged,
    /// The machine that it was sent to knows nothing of the connection.
    Reset,
    /// Nobody listens there.
    PortClosed,
}

impl Content {
    /// Whether who receives it has to say so.
    pub(super) fn wants_answer(&self) -> bool {
        !matches!(
            self,
            Content::Acknowledged
                | Content::Reset
                | Content::PortClosed
                | Content::Close(_)
                | Content::Refuse(_)
        )
    }
}
