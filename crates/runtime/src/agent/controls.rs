//! Stopping an agent from another thread.

use dataflow_ids::Forcer;
use tokio::sync::mpsc::UnboundedSender;

/// What a person asks of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentControl {
    Stop,
    Force(Forcer),
}

/// Steers an agent from any thread. Works from [`prepare`](super::prepare()) on.
#[derive(Debug, Clone)]
pub struct AgentControls {
    to_agent: UnboundedSender<AgentControl>,
}

impl AgentControls {
    pub(super) fn new(to_agent: UnboundedSender<AgentControl>) -> AgentControls {
        AgentControls { to_agent }
    }

    /// Stops it: no other dataflow begins, those that run are stopped as `down` does it, and when the last of them has
    /// ended, the agent says goodbye to its peers and ends. Repeating it changes nothing.
    pub fn stop(&self) {
        self.send(AgentControl::Stop);
    }

    /// Stops it, and kills every process of every dataflow on a person's word. It is reported as forced, by name.
    pub fn force(&self, by: Forcer) {
        self.send(AgentControl::Force(by));
    }

    fn send(&self, control: AgentControl) {
        // An agent that has ended has nothing left to stop.
        let _ = self.to_agent.send(control);
    }
}
