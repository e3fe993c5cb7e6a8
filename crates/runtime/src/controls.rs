//! The controls of a run, for another thread: stop, force, and the same for one node.

use std::time::Duration;

use dataflow_core::lifecycle::Wish;
use dataflow_ids::{Forcer, NodeId, StopMode};
use tokio::sync::mpsc::UnboundedSender;

/// What a person, through whichever door, asks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// Stop it.
    Stop {
        mode: StopMode,
        force_after: Option<Duration>,
        /// Who asked, as the report says it: `stopped by …`.
        by: &'static str,
    },
    /// Kill it.
    Force { by: Forcer },
    /// Do something about one node.
    Wish {
        node: NodeId,
        wish: Wish,
        /// On whose word its process is killed instead of told.
        kill: Option<Forcer>,
    },
}

/// Steers a run from any thread, for instance from the one that waits for signals. Works from
/// [`prepare`](crate::prepare) on, before the run has begun and after it has ended.
#[derive(Debug, Clone)]
pub struct Controls {
    to_root: UnboundedSender<Control>,
}

impl Controls {
    pub(crate) fn new(to_root: UnboundedSender<Control>) -> Self {
        Controls { to_root }
    }

    /// Stops the dataflow: after everything that was sent, or ahead of it. Repeating it changes nothing,
    /// except that `Now` is stronger than `Graceful`, and the earlier of two `force_after` counts.
    pub fn stop(&self, mode: StopMode, force_after: Option<Duration>) {
        self.stop_by(mode, force_after, "Ctrl-C or a signal");
    }

    /// As [`Controls::stop`], on somebody else's word.
    pub(crate) fn stop_by(&self, mode: StopMode, force_after: Option<Duration>, by: &'static str) {
        self.send(Control::Stop {
            mode,
            force_after,
            by,
        });
    }

    /// Kills every process of the dataflow on a person's word. It is reported as forced, by name.
    pub fn force(&self, by: Forcer) {
        self.send(Control::Force { by });
    }

    /// Parks a node: it is told to end with what it has in hand, what is queued for it is kept, and its outputs stay
    /// open. With `kill`, its process is killed on that word instead. A node that has ended, or is not there, and a
    /// dataflow that stops, change by it as little as by a repetition.
    pub fn stop_node(&self, node: NodeId, kill: Option<Forcer>) {
        let wish = Wish::Park;
        self.send(Control::Wish { node, wish, kill });
    }

    /// Starts a node again, also one that is parked or waits for its restart. It does not count for the node's restart
    /// policy. The process that runs is told, or killed, and everything else is, as in [`Controls::stop_node`].
    pub fn restart(&self, node: NodeId, kill: Option<Forcer>) {
        let wish = Wish::Restart;
        self.send(Control::Wish { node, wish, kill });
    }

    fn send(&self, control: Control) {
        // A run that has ended has nobody to tell, and nothing left to stop.
        let _ = self.to_root.send(control);
    }
}
