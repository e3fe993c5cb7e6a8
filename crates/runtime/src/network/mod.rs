//! The network between agents: who is let in, who is dialled, and what passes on a connection.

mod accept;
mod admission;
mod diagnose;
mod dial;
mod endpoint;
mod fetch;
mod gate;
mod identity;
mod link;
mod quic;
mod rate;
mod seam;
mod settings;
mod shared;
mod socket;
mod talk;
mod verify;

pub use fetch::fetch_fingerprint;
pub use identity::{Identity, IdentityError};
pub use quic::QuicNetwork;
pub use seam::{LinkReading, Network, NetworkEvent, PeerHello, Trust, Trusted};
pub use settings::{NetworkError, NetworkLimits, NetworkSettings};
