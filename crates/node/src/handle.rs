//! What may be asked of a node at any moment and from any thread: nothing here waits for anybody.

use std::sync::Arc;
use std::time::Duration;

use crate::activity::WaitsFor;
use crate::shared::Shared;

/// A node, as seen from beside: for who binds the library to another language, and must answer while threads of
/// the program wait in its halves.
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// Whether this is a process that was forked from the node's. Nothing of the node works here, and locks
    /// that its threads had at the fork stay locked for ever.
    pub fn is_forked(&self) -> bool {
        !self.shared.fork_guard.holds()
    }

    /// Whether a thread or a future of the program waits for an event at this moment. Who was woken counts until it
    /// has run again.
    pub fn waits_for_event(&self) -> bool {
        self.shared.activity.is_waiting(WaitsFor::Event)
    }

    /// Whether a thread of the program waits in a send or a loan at this moment: for room, for memory, or for a
    /// receiver that is not ready yet. Who was woken counts until it has run again.
    pub fn waits_for_room(&self) -> bool {
        self.shared.activity.is_waiting(WaitsFor::Room)
    }

    /// For how long the program's code has run since its last call into the library; zero while it waits there.
    pub fn busy_for(&self) -> Duration {
        self.shared.activity.busy_for()
    }

    /// Ends every receive, under way or later, with [`RecvError::Closed`](crate::RecvError::Closed).
    pub fn close_receiver(&self) {
        self.shared.set_receiver_closed();
        self.shared.wake_receiver();
    }
}
