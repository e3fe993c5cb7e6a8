//! The runtime as a service on a machine that is a peer (sections 8 and 10 of the design).

mod events;
mod peers;

pub use events::AgentEvent;
pub use peers::{PeerService, PeerServiceError, PeerStart, PeersHandle};

pub(crate) use peers::{Entry, Keeper};
