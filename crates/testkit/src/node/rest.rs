//! Whether a node under test does something still, as its edges and its library say, and waiting for what it does.

use std::fmt;
use std::time::{Duration, Instant};

use dataflow_wire::node::ToRuntime;

use super::ports::InputPort;
use super::running::RunningNode;

/// Between two looks at what the node does. Nobody is told when it begins to wait; its end cuts this short.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// How often is looked before there are such pauses: most nodes are done within microseconds.
const LOOKS_AT_ONCE: u32 = 200;

/// What a node does that does nothing more by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// It waits for its next event, and there is none.
    WaitsForInput,
    /// It waits in a send or a loan: these outputs have no room, or who receives them holds its memory.
    WaitsForRoom {
        /// The outputs, in the order of their declaration.
        outputs: Vec<String>,
    },
    /// Its program has returned or panicked.
    Ended,
}

/// What a look found of that which is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is there.
    Found,
    /// It is not there, but on its way, whatever the node does.
    Coming,
    /// It is not there.
    Nothing,
}

impl Look {
    pub(super) fn found(is_found: bool) -> Look {
        if is_found { Look::Found } else { Look::Nothing }
    }
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rest::WaitsForInput => f.write_str("it waits for its next event, and there is none"),
            Rest::WaitsForRoom { outputs } => {
                let names: Vec<_> = outputs.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "it waits for room on {}", names.join(" and "))
            }
            Rest::Ended => f.write_str("it has ended"),
        }
    }
}

impl<R: fmt::Debug + Send + 'static> RunningNode<R> {
    /// What the node does at this moment, if it does nothing more by itself.
    ///
    /// The facts are read in an order in which none can be stale: a wake-up can be seen until the node has looked at
    /// what it was for, so who waits and was not woken has looked at everything; and nobody wakes it but the test.
    pub(super) fn rest(&mut self) -> Option<Rest> {
        if self.now.is_over() {
            return Some(Rest::Ended);
        }
        let name = self.test.name.as_str();
        if self.now.is_told {
            // A stop shows itself only when the library has heard of it.
            self.now.is_told = !self.runtime.is_heard_out(name, BETWEEN_LOOKS);
            if self.now.is_told {
                return None;
            }
        }
        if !self.runtime.sender_is_woken(name) && self.now.handle.waits_for_room() {
            let outputs = self.ports.outputs.iter();
            let blocked =
                outputs.filter(|port| self.runtime.read(port.edge).sender_sleep.is_some());
            let outputs: Vec<_> = blocked.map(|port| port.name.clone()).collect();
            if !outputs.is_empty() {
                return Some(Rest::WaitsForRoom { outputs });
            }
        }
        if !self.runtime.receiver_is_woken(name) && self.now.handle.waits_for_event() {
            let damaged = self.found_damaged();
            let is_idle = |port: &InputPort| {
                damaged.contains(&port.edge) || self.runtime.read(port.edge).receiver_idle
            };
            if self.ports.inputs.iter().all(is_idle) {
                return Some(Rest::WaitsForInput);
            }
        }
        None
    }

    /// Edges that the node has found damaged: it does not write them any more.
    fn found_damaged(&self) -> Vec<u32> {
        let said = self.runtime.heard(&self.test.name).into_iter();
        said.filter_map(|said| match said {
            ToRuntime::EdgeDamaged { edge, .. } => Some(edge.0),
            _ => None,
        })
        .collect()
    }

    /// Waits until `look` has found it. Panics when it is not there and the node rests, so that it cannot come any
    /// more; `why` then makes the text from what the node does instead.
    pub(super) fn wait_for(
        &mut self,
        mut look: impl FnMut(&mut Self) -> Look,
        why: impl FnOnce(&mut Self, &str) -> String,
    ) {
        let mut rest = None;
        let is_known = self.look_until(|node| {
            // First, so that what the node did before it rested is there to be found.
            rest = node.rest();
            match look(node) {
                Look::Found => {
                    rest = None;
                    return true;
                }
                Look::Coming => return false,
                Look::Nothing => {}
            }
            let is_final = !node.test.has_threads || rest == Some(Rest::Ended);
            rest.is_some() && is_final
        });
        let doing = match rest {
            Some(rest) => self.doing(&rest),
            None if is_known => return,
            None => self.never_rests(),
        };
        let why = why(self, &doing);
        panic!("node {}: {why}", self.test.name);
    }

    /// Looks until `is_over`, or for as long as the test has patience: then gives `false`.
    pub(super) fn look_until(&mut self, mut is_over: impl FnMut(&mut Self) -> bool) -> bool {
        let until = Instant::now() + self.test.patience;
        let mut looks = 0;
        while !is_over(self) {
            if Instant::now() >= until {
                return false;
            }
            looks += 1;
            if looks < LOOKS_AT_ONCE {
                std::thread::yield_now();
            } else {
                std::thread::park_timeout(BETWEEN_LOOKS);
            }
        }
        true
    }

    /// What the node does, for people.
    pub(super) fn doing(&mut self, rest: &Rest) -> String {
        match self.now.outcome() {
            Some(outcome) if *rest == Rest::Ended => outcome.to_string(),
            _ => rest.to_string(),
        }
    }

    /// What a node does that neither waits nor ends, for people.
    pub(super) fn never_rests(&self) -> String {
        let busy = self.now.handle.busy_for();
        let patience = self.test.patience;
        if self.now.handle.waits_for_event() {
            format!("for {patience:?} nothing has come, and it waits for its next event")
        } else if busy >= patience / 2 {
            format!("its program has run for {busy:.1?} since its last call into the library")
        } else {
            format!(
                "for {patience:?} it has called its library again and again, and neither waits nor ends"
            )
        }
    }
}
