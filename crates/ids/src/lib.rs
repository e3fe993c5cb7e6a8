//! The words of dataflow: identifiers, epochs, sequences, the life cycle. Words, no behaviour.
//!
//! Every other room speaks in these types; this room depends on none of them.

mod drop_reason;
mod hub;
mod life_cycle;
mod model;
mod names;
mod numbers;
mod peer;
mod policy;
pub mod span;
pub mod stats;
mod waiting;

pub use drop_reason::DropReason;
pub use hub::{
    PATTERN_LENGTH_MAX, PatternError, REPO_PART_LENGTH_MAX, REVISION_LENGTH_MAX, RepoError,
    RevisionError, check_pattern, check_repo, check_revision,
};
pub use life_cycle::{End, Forcer, LifeCycle};
pub use model::RepoKind;
pub use names::{
    ClusterName, DataflowName, InputId, ModelName, NAME_LENGTH_MAX, NameError, NodeId, OutputId,
    PeerId,
};
pub use numbers::{EdgeId, Epoch, ModelIndex, NodeIndex, SegmentId, Sequence};
pub use peer::{BootId, Fingerprint, FingerprintError, HealthCheck, LinkId, PeerState};
pub use policy::{OnFailure, QueuePolicy, RestartOn, RestartPolicy, StopMode};
pub use waiting::{Lacks, SenderSleep};
