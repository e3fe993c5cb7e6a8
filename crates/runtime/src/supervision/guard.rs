//! The guard that each actor carries: its drop is the one thing a panic cannot skip.

use tokio::sync::mpsc::UnboundedSender;

/// An incarnation of an actor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down<K> {
    /// Which actor.
    pub actor: K,
    /// Which of its incarnations, counted from 1.
    pub incarnation: u32,
    /// Whether it ended by a panic.
    pub panicking: bool,
}

/// Tells who supervises when the actor that carries it is gone.
#[derive(Debug)]
pub(super) struct Guard<K> {
    /// Taken when it is told.
    actor: Option<K>,
    incarnation: u32,
    /// Unbounded: at most one `Down` per incarnation goes through it, and it cannot refuse.
    to_supervisor: UnboundedSender<Down<K>>,
}

impl<K> Guard<K> {
    pub(super) fn new(
        actor: K,
        incarnation: u32,
        to_supervisor: UnboundedSender<Down<K>>,
    ) -> Guard<K> {
        Guard {
            actor: Some(actor),
            incarnation,
            to_supervisor,
        }
    }
}

impl<K> Drop for Guard<K> {
    fn drop(&mut self) {
        let Some(actor) = self.actor.take() else {
            return;
        };
        // Nobody supervises any more: the run is over, and there is nobody to tell.
        let _ = self.to_supervisor.send(Down {
            actor,
            incarnation: self.incarnation,
            panicking: std::thread::panicking(),
        });
    }
}
