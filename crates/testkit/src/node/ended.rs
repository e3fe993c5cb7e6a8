//! The end of a test: the node is ended, and everything that it was given and has sent is accounted for.

use std::fmt;

use super::incarnation::Outcome;
use super::message::Received;
use super::rest::Rest;
use super::running::RunningNode;

/// What is left of a test after its end: [`RunningNode::end`].
#[derive(Debug, Clone, PartialEq)]
#[must_use = "`nothing_left` looks whether everything was received"]
pub struct Ended<R> {
    /// What the program returned.
    pub returned: R,
    /// What it sent and the test did not receive, by output, in order.
    pub left: Vec<Received>,
    /// How many messages it did not take, by input; inputs without any are not named.
    pub unread: Vec<(String, u64)>,
    /// What its library has written into the node's log.
    pub warnings: Vec<String>,
}

impl<R> Ended<R> {
    /// What the program returned, if everything that it sent was received and it took everything that was sent to it.
    ///
    /// # Panics
    ///
    /// If not.
    pub fn nothing_left(self) -> R {
        assert!(
            self.left.is_empty(),
            "it sent, and nobody received: {:?}",
            self.left
        );
        assert!(
            self.unread.is_empty(),
            "it ended and had not taken: {:?}",
            self.unread
        );
        self.returned
    }
}

impl<R: fmt::Debug + Send + 'static> RunningNode<R> {
    /// Ends the test: closes the inputs, or asks a node without any to stop, unless it was asked to stop already. Then
    /// waits for the program's end, and sees to it that nothing is held and every message is accounted for.
    ///
    /// # Panics
    ///
    /// If the program panicked or does not end, if it holds a message, or if the sums of an edge are wrong (I-2).
    pub fn end(mut self) -> Ended<R> {
        self.finish()
    }

    fn finish(&mut self) -> Ended<R> {
        // Once: when this fails, the value's end has nothing to add.
        self.is_checked = true;
        if !self.is_stopped {
            for port in &mut self.ports.inputs {
                port.is_closed = true;
                self.runtime.close(port.edge);
            }
            if self.ports.inputs.is_empty() {
                self.stop();
            }
        }
        let mut left = Vec::new();
        self.wait_for_the_end(&mut left);
        let name = self.test.name.clone();
        let returned = match self.now.take_outcome() {
            Some(Outcome::Returned(value)) => value,
            Some(outcome @ Outcome::Panicked(_)) => panic!("node {name}: {outcome}"),
            None => unreachable!("it was waited for"),
        };
        self.receive_the_rest(&mut left);
        self.check_nothing_held();
        self.check_sums();
        let warnings = self.warnings();
        self.runtime.hang_up_all();
        let unread = self.ports.inputs.iter().filter_map(|port| {
            let queued = self.runtime.read(port.edge).counts.queued;
            (queued > 0).then(|| (port.name.clone(), queued))
        });
        Ended {
            returned,
            left,
            unread: unread.collect(),
            warnings,
        }
    }

    /// Waits until the program has ended. What it sends meanwhile is received, so that room does not keep it.
    fn wait_for_the_end(&mut self, left: &mut Vec<Received>) {
        let mut held = None;
        let is_known = self.look_until(|node| match node.rest() {
            Some(Rest::Ended) => true,
            Some(Rest::WaitsForRoom { outputs }) => {
                let before = left.len();
                for port in &mut node.ports.outputs {
                    if outputs.contains(&port.name)
                        && let Some(input) = port.take()
                    {
                        left.push(Received::copied(&port.name, &input));
                    }
                }
                // Nothing to be taken, and no room: the test has it all.
                if left.len() == before
                    && node.rest()
                        == Some(Rest::WaitsForRoom {
                            outputs: outputs.clone(),
                        })
                {
                    held = Some(outputs);
                }
                held.is_some()
            }
            _ => false,
        });
        let name = &self.test.name;
        if let Some(outputs) = held {
            let rest = Rest::WaitsForRoom { outputs };
            panic!(
                "node {name} does not end: {rest}, and this test holds its messages: drop them before the end"
            );
        }
        if !is_known {
            let asked = if self.is_stopped {
                "it was asked to stop"
            } else {
                "its inputs have closed"
            };
            panic!(
                "node {name} does not end: {asked}, and {}",
                self.never_rests()
            );
        }
    }

    /// Receives what is there still.
    fn receive_the_rest(&mut self, left: &mut Vec<Received>) {
        for place in 0..self.ports.outputs.len() {
            self.runtime.close(self.ports.outputs[place].edge);
            let is_known = self.look_until(|node| {
                let port = &mut node.ports.outputs[place];
                while let Some(input) = port.take() {
                    left.push(Received::copied(&port.name, &input));
                }
                port.is_closed
            });
            let port = &self.ports.outputs[place];
            assert!(
                is_known,
                "output `{}` is closed, and does not come to its end",
                port.name
            );
        }
        left.sort_by_key(|left| {
            let place = self
                .ports
                .outputs
                .iter()
                .position(|port| port.name == left.output);
            (place, left.sequence)
        });
    }

    /// Nobody holds what came in by an input after the program's end.
    pub(super) fn check_nothing_held(&mut self) {
        for place in 0..self.ports.inputs.len() {
            let edge = self.ports.inputs[place].edge;
            if self.damaged.contains(&edge) {
                continue;
            }
            // Threads of the node may need a moment longer.
            let has_threads = self.test.has_threads;
            self.look_until(|node| !has_threads || node.runtime.held(edge).is_empty());
            let held = self.runtime.held(edge);
            let numbers: Vec<_> = held.iter().map(ToString::to_string).collect();
            assert!(
                held.is_empty(),
                "node {} has ended and still holds messages of its input `{}` ({}): it never released them",
                self.test.name,
                self.ports.inputs[place].name,
                numbers.join(", ")
            );
        }
    }

    /// I-2, on every edge.
    fn check_sums(&self) {
        let inputs = self.ports.inputs.iter().map(|port| port.edge);
        let outputs = self.ports.outputs.iter().map(|port| port.edge);
        for edge in inputs
            .chain(outputs)
            .filter(|edge| !self.damaged.contains(edge))
        {
            let counts = self.runtime.read(edge).counts;
            let port = self.port_of(edge);
            assert!(
                counts.balances(),
                "{port}: messages are not accounted for: {counts:?}"
            );
        }
    }
}

impl<R: fmt::Debug + Send + 'static> Drop for RunningNode<R> {
    fn drop(&mut self) {
        if !self.is_checked && !std::thread::panicking() {
            let _ = self.finish();
        }
        // Who waits still ends by that.
        self.runtime.hang_up_all();
    }
}
