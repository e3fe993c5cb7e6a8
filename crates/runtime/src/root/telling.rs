//! What nodes are told over their control sockets.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_ids::{EdgeId, Epoch, NodeIndex, SegmentId, Sequence, StopMode};
use dataflow_wire::node::ToNode;

use super::Root;

/// From here on, what will be said again anyway is not queued.
const QUEUE_BYTES_PATIENT: usize = 64 * 1024;
/// What a question names that is about no edge.
const NO_EDGE: EdgeId = EdgeId(u32::MAX);

impl Root {
    /// Hands a new segment to every receiver of its sender that is there.
    pub(super) fn forward_segment(self: &Rc<Self>, segment: SegmentId, length: u64) {
        let mut receivers: Vec<NodeIndex> = (self.edges_from(segment.node))
            .map(|edge| edge.target.index)
            .collect();
        receivers.sort_unstable();
        receivers.dedup();
        for receiver in receivers {
            let fd = {
                let mut table = self.table.borrow_mut();
                let process = &table.node(receiver).process;
                // One that connects later is given it with its welcome.
                if !process
                    .running(process.epoch())
                    .is_some_and(|running| running.is_connected)
                {
                    continue;
                }
                (table.segments.give(segment, receiver)).map(|fd| fd.try_clone_to_owned())
            };
            match fd {
                Some(Ok(fd)) => {
                    self.tell_node(receiver, &ToNode::Segment { segment, length }, vec![fd]);
                }
                Some(Err(error)) => {
                    let epoch = self.table.borrow().node(receiver).process.epoch();
                    let why = format!(
                        "segment {segment} cannot be handed over ({error}): raise the limit with `ulimit -n`"
                    );
                    self.refuse(receiver, epoch, &why);
                }
                None => {}
            }
        }
    }

    /// An incarnation has ended, and everything that it handed over was forwarded. A receiver that waits for another
    /// segment of it waits in vain, and hears so now; one that connects later hears it with its welcome.
    pub(super) fn say_segments_complete(self: &Rc<Self>, sender: NodeIndex, epoch: Epoch) {
        let mut receivers: Vec<_> = {
            let table = self.table.borrow();
            let edges = self.edges_from(sender);
            let lacking = edges.filter(|edge| table.lacks_a_segment(edge, epoch));
            lacking.map(|edge| edge.target.index).collect()
        };
        receivers.sort_unstable();
        receivers.dedup();
        for receiver in receivers {
            let complete = ToNode::SegmentsComplete { sender, epoch };
            self.tell_node(receiver, &complete, Vec::new());
        }
    }

    /// No slot will name a segment any more: its receivers are told, and it is closed once they have let go.
    pub(super) fn retire_segment(self: &Rc<Self>, segment: SegmentId) {
        let receivers = self.table.borrow_mut().segments.retire(segment);
        for receiver in receivers {
            self.tell_node(receiver, &ToNode::SegmentRetire { segment }, Vec::new());
        }
    }

    /// Tells a node to stop.
    pub(crate) fn send_stop(
        self: &Rc<Self>,
        node: NodeIndex,
        epoch: Epoch,
        mode: StopMode,
        upto: Vec<(EdgeId, Sequence)>,
    ) {
        if self.table.borrow().node(node).process.epoch() == epoch {
            self.tell_node(node, &ToNode::Stop { mode, upto }, Vec::new());
        }
    }

    /// Tells a node to stop with what it has in hand: what is queued is kept for its next incarnation.
    pub(crate) fn send_pause(self: &Rc<Self>, node: NodeIndex, epoch: Epoch) {
        let inputs = self.edges_into(node);
        let upto = inputs.map(|edge| (edge.id, Sequence::NONE)).collect();
        self.send_stop(node, epoch, StopMode::Graceful, upto);
    }

    /// Asks a receiver for its tokens. It is asked again, so this may go missing.
    pub(crate) fn send_release_request(
        self: &Rc<Self>,
        edge: EdgeId,
        epoch: Epoch,
        upto: Sequence,
        attempt: u32,
    ) {
        if let Some(node) = self.target_of(edge) {
            self.ask(node, edge, epoch, upto, attempt);
        }
    }

    fn ask(
        self: &Rc<Self>,
        node: NodeIndex,
        edge: EdgeId,
        epoch: Epoch,
        upto: Sequence,
        attempt: u32,
    ) {
        let is_asked = {
            let table = self.table.borrow();
            table
                .node(node)
                .process
                .running(epoch)
                .is_some_and(|running| {
                    running.is_connected && running.control.queued_bytes() < QUEUE_BYTES_PATIENT
                })
        };
        if is_asked {
            let request = ToNode::ReleaseRequest {
                edge,
                epoch,
                upto,
                attempt,
            };
            self.tell_node(node, &request, Vec::new());
        }
    }

    /// Asks every node for how long its user's code has run. What it says about that is at hand when it is named
    /// to a person who waits.
    pub(crate) fn ask_how_busy(self: &Rc<Self>) {
        for spec in &self.dataflow.nodes {
            self.ask_how_busy_it_is(spec.index);
        }
    }

    /// As [`Root::ask_how_busy`], one node. It may go missing: who waits asks again.
    pub(crate) fn ask_how_busy_it_is(self: &Rc<Self>, node: NodeIndex) {
        let epoch = self.table.borrow().node(node).process.epoch();
        self.ask(node, NO_EDGE, epoch, Sequence::NONE, 1);
    }

    fn tell_node(self: &Rc<Self>, node: NodeIndex, frame: &ToNode, fds: Vec<OwnedFd>) {
        let (epoch, sent) = {
            let table = self.table.borrow();
            let process = &table.node(node).process;
            let epoch = process.epoch();
            let Some(running) = process.running(epoch).filter(|it| it.is_connected) else {
                return;
            };
            (epoch, running.control.send(frame, fds))
        };
        if let Err(error) = sent {
            self.refuse(node, epoch, &error.to_string());
        }
    }
}
