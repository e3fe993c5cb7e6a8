//! Peers (section 10 of the design): when one is dialled, which of its connections counts, and how it stands.

mod connection;
mod diff;
mod events;
mod health;
mod machine;
mod pace;
mod repeats;
mod settle;

pub use dataflow_ids::HealthCheck;
pub use diff::{EntryPart, PeerEntry, PeersDiff, diff};
pub use events::{
    CloseCode, DialFailure, DialId, Direction, LinkEnd, LinkFacts, PeerCommand, PeerCondition,
    PeerEvent, PeerTarget, Reason, Rejection,
};
pub use machine::Peer;
pub use pace::{
    IDLE, KEEP_ALIVE, SUCCESSES, SelfCheck, detection_bound, is_loopback, is_trusted,
    recovery_bound,
};
pub use repeats::Repeats;
pub use settle::Settle;
