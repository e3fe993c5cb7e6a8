//! Peers (section 10 of the design): when one is dialled, which of its connections counts, and how it stands.

mod events;

pub use events::{
    CloseCode, DialFailure, DialId, Direction, HealthCheck, LinkEnd, LinkFacts, PeerCommand,
    PeerCondition, PeerEvent, PeerTarget, Reason, Rejection,
};
