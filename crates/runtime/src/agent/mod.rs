//! The runtime as a service on a machine that is a peer (sections 8 and 10 of the design).
//!
//! A caller prepares an agent ([`prepare()`]), keeps [`AgentControls`] for its signals, and gives its thread to
//! [`PreparedAgent::block_on`]. Commands find it through [`registry::agent`](crate::registry::agent()).

mod controls;
mod error;
mod events;
mod news;
mod peers;
mod prepare;
mod reload;
mod runs;
mod serve;
mod socket;
mod steering;

pub use controls::AgentControls;
pub use error::{AgentError, AgentRunError};
pub use events::AgentEvent;
pub use peers::{PeerService, PeerServiceError, PeerStart, PeersHandle};
#[cfg(test)]
pub(crate) use prepare::prepare_in;
pub use prepare::{AgentOptions, OnBeat, PreparedAgent, prepare};
pub use reload::{
    AcceptedPeers, Doubts, FollowStart, OpenToOthers, PeersFile, group_that_writes, judge_peers,
    look_who_writes,
};

pub(crate) use peers::{Entry, Keeper};
