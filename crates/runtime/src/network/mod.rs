//! The network between agents: who is let in, who is dialled, and what passes on a connection.

mod seam;

pub use seam::{LinkReading, Network, NetworkEvent, PeerHello, Trust, Trusted};
