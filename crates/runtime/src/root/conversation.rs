//! The conversation with a node over its control socket. What a node says is checked before it is believed.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::drain::DrainEvent;
use dataflow_ids::{EdgeId, Epoch, NodeIndex, Sequence};
use dataflow_wire::node::{ToNode, ToRuntime, check_hello};
use rustix::process::Signal;

use super::Root;
use super::edges::name_of;
use super::table::LifeWord;
use crate::actors::{DataflowMessage, NodeMessage};
use crate::process::Control;

/// The longest warning of a node that is logged, in bytes.
const WARNING_BYTES_MAX: usize = 4096;
/// The longest description of a damage that is kept, in characters.
const DAMAGE_CHARACTERS_MAX: usize = 500;
/// How many warnings of one incarnation are logged. They come without back-pressure, so they have an end.
const WARNINGS_MAX: u32 = 100;
/// How much of what is there is heard after the end of a process, in frames: more than the buffer of a socket holds.
/// Who has inherited the descriptor and never falls silent is not heard for ever.
const REST_FRAMES_MAX: u32 = 65_536;

impl Root {
    /// Listens to a node until it has closed its end of the conversation.
    pub(super) async fn listen(
        self: Rc<Self>,
        node: NodeIndex,
        epoch: Epoch,
        control: Rc<dyn Control>,
    ) {
        loop {
            match control.next().await {
                Ok(Some((frame, fds))) => {
                    if let Some(answer) = self.hear(node, epoch, frame, fds) {
                        // A full mailbox lets this node wait, and nobody else. An answer that is not taken is
                        // asked for again.
                        let _ = self.handles().dataflow.deliver(answer).await;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.refuse(node, epoch, &error.to_string());
                    return control.discard_rest().await;
                }
            }
        }
    }

    /// Hears everything that a node whose process has ended had said, without waiting.
    pub(super) fn hear_rest(self: &Rc<Self>, node: NodeIndex, epoch: Epoch, control: &dyn Control) {
        for _ in 0..REST_FRAMES_MAX {
            let Ok(Some((frame, fds))) = control.next_there() else {
                return;
            };
            // The dead have released what they held, so their answers about that are of no use any more.
            drop(self.hear(node, epoch, frame, fds));
        }
    }

    /// Takes what a node says. An answer about tokens is given back, to be told with patience; everything else is
    /// dealt with at once, and it is little: a node's life has few facts.
    fn hear(
        self: &Rc<Self>,
        node: NodeIndex,
        epoch: Epoch,
        frame: ToRuntime,
        fds: Vec<OwnedFd>,
    ) -> Option<DataflowMessage> {
        let (is_connected, is_refused, is_over) = {
            let table = self.table.borrow();
            let running = table.node(node).process.running(epoch)?;
            (running.is_connected, running.is_refused, running.is_over)
        };
        // The messages of a node that was refused may lie in memory that it announces only now, and its
        // receivers wait for that.
        if is_refused && !(is_connected && is_about_memory(&frame)) {
            return None;
        }
        // Who speaks up only now is not the process that was started, and has nothing in hand yet.
        if is_over && !is_connected {
            return None;
        }
        let is_hello = matches!(frame, ToRuntime::Hello { .. });
        if is_hello == is_connected {
            let why = if is_hello {
                "it said hello twice"
            } else {
                "it did not say hello first"
            };
            self.refuse(node, epoch, why);
            return None;
        }
        match frame {
            ToRuntime::Hello {
                protocol,
                library,
                pid,
            } => {
                if let Err(mismatch) = check_hello(protocol) {
                    let why = format!("its library is {library}: {mismatch}");
                    self.refuse(node, epoch, &why);
                    return None;
                }
                tracing::debug!(node = %self.spec(node).id, %library, pid, "node connected");
                if let Err(why) = self.welcome(node, epoch, pid) {
                    self.refuse(node, epoch, &why);
                    return None;
                }
                let lead = &self.handles().dataflow;
                lead.fact(DataflowMessage::Connected { node, epoch });
                let this = self.handles().node(node);
                this.fact(NodeMessage::Connected { epoch });
                None
            }
            ToRuntime::Ready => self.hear_life(node, epoch, LifeWord::Ready),
            ToRuntime::Running => self.hear_life(node, epoch, LifeWord::Running),
            ToRuntime::StopDelivered => self.hear_life(node, epoch, LifeWord::StopDelivered),
            ToRuntime::SegmentCreated { segment, length } => {
                let created =
                    self.table
                        .borrow_mut()
                        .segments
                        .created((node, epoch), segment, length, fds);
                match created {
                    Ok(()) => self.forward_segment(segment, length),
                    Err(error) => self.refuse(node, epoch, &error.to_string()),
                }
                if !self.env.launcher().has_reserve() {
                    let why = "the runtime has no descriptor left for its memory: raise the limit with \
                               `ulimit -n`";
                    self.refuse(node, epoch, why);
                }
                None
            }
            ToRuntime::SegmentRetired { segment } => {
                if segment.node == node && segment.epoch == epoch {
                    self.retire_segment(segment);
                }
                None
            }
            ToRuntime::SegmentUnmapped { segment } => {
                self.table.borrow_mut().segments.unmapped(segment, node);
                None
            }
            ToRuntime::ReleaseAck {
                edge,
                epoch: answering,
                released_upto,
                queued,
                held,
                busy_for,
            } => {
                self.hear_busy(node, epoch, busy_for);
                if released_upto == Sequence::NONE && queued == 0 && held.is_empty() {
                    // It was asked how busy it is, and for no token.
                    return None;
                }
                if self.target_of(edge) != Some(node) {
                    self.refuse(
                        node,
                        epoch,
                        "it acknowledged tokens of an edge that is not its own",
                    );
                    return None;
                }
                Some(DataflowMessage::Ack(DrainEvent::Ack {
                    edge,
                    epoch: answering,
                    released_upto,
                    queued,
                    held,
                    busy_for,
                }))
            }
            ToRuntime::EdgeDamaged { edge, what } => {
                self.edge_damaged(node, epoch, edge, &what);
                None
            }
            ToRuntime::Warning { text } => {
                self.say_warning(node, epoch, text);
                None
            }
        }
    }

    fn hear_busy(&self, node: NodeIndex, epoch: Epoch, busy_for: Duration) {
        let now = self.env.now();
        if let Some(running) = (self.table.borrow_mut().node_mut(node).process).running_mut(epoch) {
            running.busy = Some((busy_for, now));
        }
    }

    /// Writes what a node wants its reader to know into its log, if it has not said too much already.
    fn say_warning(&self, node: NodeIndex, epoch: Epoch, mut text: String) {
        {
            let mut table = self.table.borrow_mut();
            let Some(running) = table.node_mut(node).process.running_mut(epoch) else {
                return;
            };
            running.warnings = running.warnings.saturating_add(1);
            if running.warnings > WARNINGS_MAX {
                return;
            }
        }
        let mut end = text.len().min(WARNING_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        self.say(node, text);
    }

    /// Says how many warnings of an incarnation that has ended were not logged.
    pub(super) fn say_left_out(&self, node: NodeIndex, epoch: Epoch) {
        let said = (self.table.borrow().node(node).process.running(epoch))
            .map_or(0, |running| running.warnings);
        let left_out = said.saturating_sub(WARNINGS_MAX);
        if left_out > 0 {
            let plural = if left_out == 1 { "" } else { "s" };
            self.say(node, format!("left out {left_out} more warning{plural}"));
        }
    }

    /// A library speaks of its node's life: each word counts once, so that nobody can fill a mailbox with them.
    fn hear_life(&self, node: NodeIndex, epoch: Epoch, word: LifeWord) -> Option<DataflowMessage> {
        let mut table = self.table.borrow_mut();
        let said = &mut table.node_mut(node).process.running_mut(epoch)?.said;
        if !said.contains(&word) {
            said.push(word);
            self.handles().node(node).fact(match word {
                LifeWord::Ready => NodeMessage::Ready { epoch },
                LifeWord::Running => NodeMessage::Running { epoch },
                LifeWord::StopDelivered => NodeMessage::StopDelivered { epoch },
            });
        }
        None
    }

    /// Ends the conversation with a node that does not keep to it. Its library ends it at the end of its socket;
    /// a program that is none of ours gets SIGTERM. It counts as failed.
    pub(super) fn refuse(&self, node: NodeIndex, epoch: Epoch, why: &str) {
        {
            let mut table = self.table.borrow_mut();
            let Some(running) = table.node_mut(node).process.running_mut(epoch) else {
                return;
            };
            if std::mem::replace(&mut running.is_refused, true) {
                return;
            }
            let reason = why.to_owned();
            // Best effort: it may not even read.
            let _ = running
                .control
                .send(&ToNode::Refused { reason }, Vec::new());
            running.control.finish();
        }
        tracing::warn!(node = %self.spec(node).id, why, "node refused");
        let id = &self.spec(node).id;
        self.say(
            node,
            format!("the runtime ends its conversation with {id}: {why}"),
        );
        self.signal_group(node, epoch, Signal::TERM);
    }

    /// A node has found what no correct peer writes, and has closed its end of the edge.
    fn edge_damaged(&self, node: NodeIndex, epoch: Epoch, edge: EdgeId, what: &str) {
        let Some(spec) = self.dataflow.edge(edge) else {
            return;
        };
        let is_receiver = spec.target.index == node;
        if !is_receiver && spec.source.index != node {
            return;
        }
        let what: String = what.chars().take(DAMAGE_CHARACTERS_MAX).collect();
        self.say_warning(
            node,
            epoch,
            format!("edge {} is damaged and closed: {what}", name_of(spec)),
        );
        if let Some(row) = self.table.borrow_mut().edge_mut(edge) {
            row.damage.get_or_insert(what);
            if is_receiver {
                // Who sends must not wait for it.
                row.receiver_gone();
            }
        }
    }
}

/// Whether a frame says where the sender's messages lie.
fn is_about_memory(frame: &ToRuntime) -> bool {
    matches!(
        frame,
        ToRuntime::SegmentCreated { .. }
            | ToRuntime::SegmentRetired { .. }
            | ToRuntime::SegmentUnmapped { .. }
    )
}
