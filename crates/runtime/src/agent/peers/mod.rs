//! The control loop's part for peers: one `PeerActor` a peer, and what outlives its panics.

mod apply;
mod entry;
mod handle;
mod hear;
mod keeper;
mod links;
mod remedy;
mod serve;
mod strangers;
mod view;

pub use handle::PeersHandle;
pub use serve::{PeerService, PeerServiceError, PeerStart};

pub(crate) use entry::Entry;
pub(crate) use keeper::Keeper;
