//! The control thread's part: answers the runtime, whatever the user's code does.

use std::time::Duration;

use dataflow_ids::{EdgeId, Epoch, Sequence, StopMode};
use dataflow_shm::edge::Tokens;
use dataflow_wire::node::{ToNode, ToRuntime};

use super::{Frame, Library};
use crate::process::observation::Observation;

impl Library {
    /// Handles a frame of the runtime.
    pub(in crate::process) fn hear(&mut self, (frame, descriptors): Frame<ToNode>, now: Duration) {
        match frame {
            ToNode::Segment { segment, length } => {
                let Some(fd) = descriptors.into_iter().next() else {
                    return self.wrong(format!("segment {segment} came without its memory"));
                };
                if let Err(error) = self.segments.insert(segment, fd, length) {
                    self.wrong(error.to_string());
                }
                // A message may wait for it.
                self.receive_wake.notify();
            }
            ToNode::SegmentRetire { segment } => {
                if !self.segments.retire(segment) {
                    self.note(ToRuntime::SegmentUnmapped { segment });
                }
                self.look_around(now);
            }
            ToNode::SegmentsComplete { sender, epoch } => {
                if self.segments.complete(sender, epoch) {
                    self.receive_wake.notify();
                }
            }
            ToNode::ReleaseRequest {
                edge, epoch, upto, ..
            } => self.answer(edge, epoch, upto, now),
            ToNode::Stop { mode, upto } => self.told_to_stop(mode, upto),
            ToNode::Refused { reason } => self.wrong(format!("it was refused: {reason}")),
            ToNode::Welcome(_) | ToNode::Edge(_) | ToNode::Begin => {
                self.wrong("the handshake went on after its end".to_owned());
            }
        }
    }

    fn told_to_stop(&mut self, mode: StopMode, upto: Vec<(EdgeId, Sequence)>) {
        self.observed.push(Observation::StopHeard {
            mode,
            upto: upto.clone(),
        });
        // A repeated order changes nothing: the first limits count, and the stronger mode.
        if self.stop.upto.is_empty() {
            self.stop.upto = upto;
        }
        self.stop.asked = self.stop.asked.max(Some(mode));
        self.receive_wake.notify();
        self.send_wake.notify();
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.observed.push(Observation::Wrong { what });
    }

    fn answer(&mut self, edge: EdgeId, epoch: Epoch, upto: Sequence, now: Duration) {
        if epoch != self.welcome.epoch {
            return;
        }
        if upto == Sequence::NONE {
            // It is asked how busy it is, and for no token.
            return self.say_released(edge, upto, Tokens::default(), now);
        }
        let Some(handle) = self.incoming.get(&edge) else {
            return self.wrong(format!(
                "it was asked for tokens of {edge}, which is not its own"
            ));
        };
        // Armed before it is looked at: a release in between wakes this thread once more than needed.
        handle.watch(upto);
        self.watched.insert(edge, upto);
        self.acknowledge(edge, upto, false, now);
    }

    fn acknowledge(&mut self, edge: EdgeId, upto: Sequence, is_unasked: bool, now: Duration) {
        let Some(handle) = self.incoming.get(&edge) else {
            return;
        };
        let tokens = handle.tokens(upto);
        let is_empty = tokens.is_empty();
        if is_empty {
            self.watched.remove(&edge);
        }
        self.observed.push(Observation::Acknowledged {
            edge,
            is_empty,
            is_unasked,
        });
        self.say_released(edge, upto, tokens, now);
    }

    fn say_released(&mut self, edge: EdgeId, upto: Sequence, tokens: Tokens, now: Duration) {
        self.note(ToRuntime::ReleaseAck {
            edge,
            epoch: self.welcome.epoch,
            released_upto: released_upto(&tokens, upto),
            queued: tokens.queued,
            held: tokens.held,
            busy_for: self
                .last_call
                .map_or(Duration::ZERO, |last| now.saturating_sub(last)),
        });
    }

    /// What may have happened since the last look: segments were unmapped, watched messages were released.
    pub(in crate::process) fn look_around(&mut self, now: Duration) {
        self.control_wake.drain();
        for segment in self.segments.take_unmapped() {
            self.note(ToRuntime::SegmentUnmapped { segment });
        }
        for (edge, upto) in self.watched.clone() {
            let is_over = (self.incoming.get(&edge)).is_some_and(|it| it.watch(upto));
            if is_over {
                self.acknowledge(edge, upto, true, now);
            }
        }
    }
}

/// The highest sequence up to which everything is released.
fn released_upto(tokens: &Tokens, upto: Sequence) -> Sequence {
    tokens
        .lowest
        .map_or(upto, |lowest| Sequence(lowest.0.saturating_sub(1)))
}
