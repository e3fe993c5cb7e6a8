//! Hot reload of the file of peers: whoever saves it, and however, what it says then counts; if it is wrong, nothing
//! changes and people are told why.

mod folders;
mod follow;
mod guard;
mod judge;
mod watch;

pub use follow::{Doubts, FollowStart, PeersFile};
pub use guard::{OpenToOthers, group_that_writes, look_who_writes};
pub use judge::{AcceptedPeers, judge_peers};
