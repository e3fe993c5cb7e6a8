//! The guard that each actor carries: its drop is the one thing a panic cannot skip.

use tokio::sync::mpsc::UnboundedSender;

use crate::actors::ActorName;

/// An actor has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Down {
    pub(crate) actor: ActorName,
    pub(crate) incarnation: u32,
    pub(crate) panicking: bool,
}

/// Tells the root when the actor that carries it is gone.
#[derive(Debug)]
pub(crate) struct Guard {
    actor: ActorName,
    incarnation: u32,
    /// Unbounded: at most one `Down` per incarnation goes through it, and it cannot refuse.
    to_root: UnboundedSender<Down>,
}

impl Guard {
    pub(crate) fn new(actor: ActorName, incarnation: u32, to_root: UnboundedSender<Down>) -> Guard {
        Guard {
            actor,
            incarnation,
            to_root,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A root that is gone has ended the run: there is nobody to tell.
        let _ = self.to_root.send(Down {
            actor: self.actor,
            incarnation: self.incarnation,
            panicking: std::thread::panicking(),
        });
    }
}
