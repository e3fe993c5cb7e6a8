//! The table of the life cycle: which state may follow which (section 7 of the design).

use dataflow_ids::LifeCycle::{
    self, Backoff, Declared, Downloading, Draining, Failed, Finished, Parked, Placed, Ready,
    Running, Starting, Stopping,
};

/// Whether `to` may follow `from`. A node never goes from a state to the same state.
#[must_use]
pub fn transition_allowed(from: LifeCycle, to: LifeCycle) -> bool {
    matches!(
        (from, to),
        (Declared, Placed | Draining)
            | (Placed, Downloading | Starting | Draining)
            | (Downloading, Starting | Draining)
            | (Starting, Ready | Stopping | Backoff | Draining)
            | (Ready, Running | Stopping | Backoff | Draining)
            | (Running, Stopping | Backoff | Draining)
            | (Stopping, Starting | Parked | Draining)
            | (Backoff, Starting | Parked | Draining)
            | (Parked, Starting | Draining)
            | (Draining, Finished | Failed)
    )
}
