//! The runtime's side of the conversation with a node: it answers what needs an answer, and remembers everything.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::{Epoch, NodeIndex, SegmentId};
use dataflow_wire::frame::{self, FrameReader, Received};
use dataflow_wire::node::{NODE_PROTOCOL, ToNode, ToRuntime};

use super::{Handing, Segment, State, TestRuntime};

/// A node that no dataflow has: its segments exist nowhere.
const NOBODY: NodeIndex = NodeIndex(u32::MAX);

impl TestRuntime {
    /// Serves one incarnation of a node until its socket ends.
    pub(super) fn serve(&self, name: &str, epoch: Epoch, socket: &Arc<OwnedFd>) {
        let mut reader = FrameReader::new();
        loop {
            loop {
                match reader.next::<ToRuntime>() {
                    Ok(Some((message, fds))) => self.hear(name, epoch, socket, message, fds),
                    Ok(None) => break,
                    Err(error) => panic!("{name} sends a damaged frame: {error}"),
                }
            }
            match reader.receive(socket.as_fd()) {
                Ok(Received::Bytes(_)) => {}
                _ => return,
            }
        }
    }

    fn hear(
        &self,
        name: &str,
        epoch: Epoch,
        socket: &Arc<OwnedFd>,
        message: ToRuntime,
        fds: Vec<OwnedFd>,
    ) {
        let mut state = self.lock();
        if state.side(name).epoch != epoch {
            // Of an incarnation that has been reaped.
            return;
        }
        match &message {
            ToRuntime::Hello { protocol, .. } => {
                assert_eq!(*protocol, NODE_PROTOCOL);
                state.hand_over(name, socket.as_fd());
                state.side_mut(name).socket = Some(socket.clone());
            }
            ToRuntime::Ready => {
                for edge in state.edges.iter().filter(|edge| edge.target == name) {
                    edge.keeper.set_receiver_ready();
                }
            }
            ToRuntime::SegmentCreated { segment, length } => {
                if let Some(fd) = fds.into_iter().next() {
                    state.forward(Segment {
                        source: name.to_owned(),
                        segment: *segment,
                        length: *length,
                        fd,
                    });
                }
            }
            ToRuntime::SegmentRetired { segment } => state.retire(name, *segment),
            _ => {}
        }
        state.side_mut(name).said.push(message);
        self.state.1.notify_all();
    }

    /// Tells a node something.
    pub fn tell(&self, node: &str, message: &ToNode) {
        let socket = self.socket_of(node);
        let told = frame::send(socket.as_fd(), message, &[]);
        told.unwrap_or_else(|error| panic!("{node} cannot be told anything: {error}"));
    }

    /// Writes bytes that are no frame to a node.
    pub fn babble(&self, node: &str, bytes: &[u8]) {
        let socket = self.socket_of(node);
        assert_eq!(rustix::io::write(&*socket, bytes), Ok(bytes.len()));
    }

    /// Ends the conversation with a node, as the death of the runtime does. Nothing happens if there is none.
    pub fn hang_up(&self, node: &str) {
        let socket = self.lock().side(node).socket.clone();
        if let Some(socket) = socket {
            // Ended already by the other side: that is what is wanted.
            let _ = rustix::net::shutdown(socket.as_fd(), rustix::net::Shutdown::Both);
        }
    }

    /// Ends the conversation with every node: nothing more will be asked of anybody.
    pub fn hang_up_all(&self) {
        let names: Vec<_> = self.lock().nodes.keys().cloned().collect();
        for name in names {
            self.hang_up(&name);
        }
    }

    /// Waits until the node's library has handled everything that it was told before. `false`: it did not in that
    /// time, or its socket has ended.
    pub(in crate::node) fn is_heard_out(&self, node: &str, patience: Duration) -> bool {
        let barrier = {
            let mut state = self.lock();
            state.barriers += 1;
            SegmentId {
                node: NOBODY,
                epoch: Epoch::NONE,
                number: state.barriers,
            }
        };
        // It never had that segment, and says so at once.
        let socket = self.socket_of(node);
        let retire = ToNode::SegmentRetire { segment: barrier };
        if frame::send(socket.as_fd(), &retire, &[]).is_err() {
            return false;
        }
        let answer = ToRuntime::SegmentUnmapped { segment: barrier };
        self.hears_within(node, patience, |said| (*said == answer).then_some(()))
            .is_some()
    }

    fn socket_of(&self, node: &str) -> Arc<OwnedFd> {
        let socket = self.lock().side(node).socket.clone();
        socket.unwrap_or_else(|| panic!("{node} is not connected"))
    }
}

impl State {
    /// Hands a new segment to the receivers of its sender that are there.
    fn forward(&mut self, new: Segment) {
        if self.handing == Handing::Nothing {
            return;
        }
        let is_garbled = self.handing == Handing::Garbled;
        let message = ToNode::Segment {
            segment: new.segment,
            length: new.length + u64::from(is_garbled),
        };
        for target in self.targets_of(&new.source) {
            if let Some(socket) = &self.side(&target).socket {
                // Who has ended needs it no more.
                let _ = frame::send(socket.as_fd(), &message, &[new.fd.as_fd()]);
            }
        }
        self.segments.push(new);
    }

    fn retire(&mut self, source: &str, segment: SegmentId) {
        self.segments.retain(|known| known.segment != segment);
        for target in self.targets_of(source) {
            if let Some(socket) = &self.side(&target).socket {
                let retire = ToNode::SegmentRetire { segment };
                let _ = frame::send(socket.as_fd(), &retire, &[]);
            }
        }
    }

    /// Everything that an incarnation has handed over was forwarded.
    pub(super) fn say_segments_complete(&self, source: &str, epoch: Epoch) {
        let sender = NodeIndex(self.side(source).index);
        for target in self.targets_of(source) {
            if let Some(socket) = &self.side(&target).socket {
                let complete = ToNode::SegmentsComplete { sender, epoch };
                let _ = frame::send(socket.as_fd(), &complete, &[]);
            }
        }
    }

    /// Who receives from a node, each once.
    fn targets_of(&self, source: &str) -> Vec<String> {
        let edges = self.edges.iter().filter(|edge| edge.source == source);
        let mut targets: Vec<_> = edges.map(|edge| edge.target.clone()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}
