//! The sending half: one message to all edges of an output, one step at a time.

use std::time::Duration;

use dataflow_ids::StopMode;
use dataflow_shm::edge::{ChunkKey, INLINE_BYTES_MAX, Outgoing, OutgoingBody, OutgoingMetadata};
use dataflow_shm::{AllocateError, Growth};
use dataflow_wire::node::ToRuntime;

use super::Library;
use crate::process::observation::Observation;
use crate::process::payload::{STAMP_BYTES, Stamp};

/// How many sends of a message in memory come between two looks for idle segments.
const SENDS_BETWEEN_LOOKS: u64 = 8;

/// A send that is under way.
#[derive(Debug)]
pub(in crate::process) struct Sending {
    output: usize,
    length: usize,
    stage: Stage,
    stamp: Option<Stamp>,
    payload: Vec<u8>,
    chunk: Option<ChunkKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Begin,
    /// Waits until every receiver is ready.
    Receivers,
    /// Waits for memory. `fresh`: wake-ups were forgotten before the last look.
    Memory {
        fresh: bool,
    },
    /// Writes the edges, one after the other; these had no room.
    Write {
        next: usize,
        full: Vec<usize>,
    },
    /// All are written; wakes their receivers.
    Wake {
        full: Vec<usize>,
    },
    /// Waits for room on these.
    Room {
        full: Vec<usize>,
    },
}

/// What a step of a send came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::process) enum SendStep {
    /// There is more to do.
    GoesOn,
    /// It sleeps until the send waiter is woken.
    Sleeps,
    /// It is over.
    Done,
    /// It was refused: the node is told to stop.
    Stopped,
}

impl Sending {
    /// A send of `length` bytes on the output at this place.
    pub(in crate::process) fn new(output: usize, length: usize) -> Sending {
        Sending {
            output,
            length: length.max(STAMP_BYTES),
            stage: Stage::Begin,
            stamp: None,
            payload: Vec::new(),
            chunk: None,
        }
    }

    /// Whether some edges may be written and others not.
    pub(in crate::process) fn is_half_done(&self) -> bool {
        matches!(
            self.stage,
            Stage::Write { next: 1.., .. } | Stage::Wake { .. }
        )
    }

    /// Whether it has waited for room.
    pub(in crate::process) fn is_blocked(&self) -> bool {
        matches!(self.stage, Stage::Room { .. })
    }
}

impl Library {
    /// Goes on with a send, by one step.
    pub(in crate::process) fn send_step(
        &mut self,
        sending: &mut Sending,
        now: Duration,
    ) -> SendStep {
        self.last_call = Some(now);
        match std::mem::replace(&mut sending.stage, Stage::Begin) {
            Stage::Begin => self.begin_send(sending),
            Stage::Receivers => self.wait_for_receivers(sending),
            Stage::Memory { fresh } => self.obtain(sending, fresh),
            Stage::Write { next, full } => self.write(sending, next, full, now),
            Stage::Wake { full } => self.wake(sending, full),
            Stage::Room { full } => self.write_where_there_is_room(sending, full, now),
        }
    }

    fn begin_send(&mut self, sending: &mut Sending) -> SendStep {
        if self.stop.asked.is_some() && !self.stop.is_received && !self.stop.is_delivered {
            // A source that never receives learns of the stop in this way.
            self.say_stop_delivered(false);
            return SendStep::Stopped;
        }
        self.say_ready();
        sending.stage = Stage::Receivers;
        SendStep::GoesOn
    }

    /// Whether a send that has begun may wait.
    fn may_wait(&mut self) -> bool {
        if self.stop.asked == Some(StopMode::Now) {
            self.say_stop_delivered(false);
            return false;
        }
        true
    }

    fn wait_for_receivers(&mut self, sending: &mut Sending) -> SendStep {
        let output = &mut self.outputs[sending.output];
        if !output.begun {
            self.send_wake.drain();
            if !output
                .edges
                .iter()
                .all(super::output::OutputEdge::may_begin)
            {
                if !self.may_wait() {
                    return SendStep::Stopped;
                }
                sending.stage = Stage::Receivers;
                return SendStep::Sleeps;
            }
            output.begun = true;
        }
        if output.edges.is_empty() {
            return SendStep::Done;
        }
        sending.stage = if sending.length <= INLINE_BYTES_MAX {
            Stage::Write {
                next: 0,
                full: Vec::new(),
            }
        } else {
            Stage::Memory { fresh: false }
        };
        SendStep::GoesOn
    }

    fn sweep(&mut self) {
        let freed = &mut self.freed;
        for edge in self.outputs.iter_mut().flat_map(|output| &mut output.edges) {
            if let Err(what) = edge.sweep(freed) {
                self.observed.push(Observation::Wrong { what });
            }
        }
        self.release_freed();
    }

    /// Gives back what the edges have freed; says whether that was anything.
    fn release_freed(&mut self) -> bool {
        let any = !self.freed.is_empty();
        for key in self.freed.drain(..) {
            // A chunk of an earlier incarnation is not of this pool.
            let _ = self.memory.release(key);
        }
        any
    }

    fn obtain(&mut self, sending: &mut Sending, fresh: bool) -> SendStep {
        self.sweep();
        let bytes = match self.memory.allocate(sending.length) {
            Ok(chunk) => {
                // It is written when its stamp is known, which is after the wait.
                let mut chunk = chunk;
                let stamp = self.stamp(sending);
                stamp.write(&mut chunk.bytes_mut()[..sending.length]);
                let key = self.memory.share(chunk);
                let edges = self.outputs[sending.output].edges.len();
                // One hold for each edge; the first is the caller's own.
                let _ = self
                    .memory
                    .retain(key, u32::try_from(edges).unwrap_or(u32::MAX));
                sending.chunk = Some(key);
                sending.stage = Stage::Write {
                    next: 0,
                    full: Vec::new(),
                };
                return SendStep::GoesOn;
            }
            Err(AllocateError::NeedsSegment { bytes }) => bytes,
            Err(AllocateError::AtLimit { .. }) => return self.wait_for_memory(sending, fresh),
            Err(error @ AllocateError::TooLarge { .. }) => {
                self.wrong(error.to_string());
                return SendStep::Done;
            }
        };
        match self.memory.grow(bytes) {
            Ok(Growth { segment, retired }) => {
                for segment in retired {
                    self.note(ToRuntime::SegmentRetired { segment });
                }
                let created = ToRuntime::SegmentCreated {
                    segment: segment.segment,
                    length: segment.length,
                };
                self.says.push_back((created, vec![segment.fd]));
            }
            Err(error) => {
                self.wrong(error.to_string());
                return SendStep::Done;
            }
        }
        sending.stage = Stage::Memory { fresh };
        SendStep::GoesOn
    }

    fn wait_for_memory(&mut self, sending: &mut Sending, fresh: bool) -> SendStep {
        let freed = &mut self.freed;
        for edge in self.outputs.iter_mut().flat_map(|output| &mut output.edges) {
            if let Err(what) = edge.evict(freed) {
                self.observed.push(Observation::Wrong { what });
            }
        }
        if self.release_freed() {
            sending.stage = Stage::Memory { fresh };
            return SendStep::GoesOn;
        }
        let edges = || self.outputs.iter().flat_map(|output| &output.edges);
        if !edges().any(super::output::OutputEdge::blocks_with_chunks) {
            self.observed.push(Observation::MemoryFull);
            return SendStep::Done;
        }
        if !self.may_wait() {
            return SendStep::Stopped;
        }
        sending.stage = Stage::Memory { fresh: true };
        if fresh {
            let mut edges = self.outputs.iter_mut().flat_map(|output| &mut output.edges);
            if edges.all(super::output::OutputEdge::prepare_sleep_for_chunks) {
                return SendStep::Sleeps;
            }
            self.awake();
        }
        self.send_wake.drain();
        SendStep::GoesOn
    }

    /// Says on every edge that the sender is awake.
    pub(in crate::process) fn awake(&mut self) {
        for edge in self.outputs.iter_mut().flat_map(|output| &mut output.edges) {
            edge.sender.finish_sleep(0);
        }
    }

    fn stamp(&mut self, sending: &mut Sending) -> Stamp {
        if let Some(stamp) = sending.stamp {
            return stamp;
        }
        let output = &mut self.outputs[sending.output];
        output.count += 1;
        let stamp = Stamp {
            run: self.run,
            node: self.welcome.index.0,
            output: sending.output as u32,
            epoch: self.welcome.epoch.0,
            number: output.count,
        };
        sending.stamp = Some(stamp);
        stamp
    }

    /// Publishes on one edge, without waking anybody. `false`: it has no room.
    fn publish(&mut self, sending: &mut Sending, number: usize, now: Duration) -> bool {
        let stamp = self.stamp(sending);
        let body = match sending.chunk {
            Some(chunk) => OutgoingBody::Chunk {
                chunk,
                payload_length: sending.length as u64,
                metadata: OutgoingMetadata::Slot(&[]),
            },
            None => {
                sending.payload.resize(sending.length, 0);
                stamp.write(&mut sending.payload);
                OutgoingBody::Inline {
                    payload: &sending.payload,
                    metadata: &[],
                }
            }
        };
        let outgoing = Outgoing {
            sent_at_ns: now.as_nanos() as u64,
            waited_ns: 0,
            body,
        };
        let edge = &mut self.outputs[sending.output].edges[number];
        match edge.publish(&outgoing, (stamp, sending.chunk), &mut self.freed) {
            Some(observation) => {
                self.observed.push(observation);
                true
            }
            None => false,
        }
    }

    fn write(
        &mut self,
        sending: &mut Sending,
        next: usize,
        mut full: Vec<usize>,
        now: Duration,
    ) -> SendStep {
        if next == self.outputs[sending.output].edges.len() {
            sending.stage = Stage::Wake { full };
            return SendStep::GoesOn;
        }
        if !self.publish(sending, next, now) {
            full.push(next);
        }
        sending.stage = Stage::Write {
            next: next + 1,
            full,
        };
        SendStep::GoesOn
    }

    fn wake(&mut self, sending: &mut Sending, full: Vec<usize>) -> SendStep {
        for edge in &self.outputs[sending.output].edges {
            edge.sender.wake();
        }
        self.say_running();
        if full.is_empty() {
            return self.sent(sending);
        }
        sending.stage = Stage::Room { full };
        SendStep::GoesOn
    }

    fn write_where_there_is_room(
        &mut self,
        sending: &mut Sending,
        mut full: Vec<usize>,
        now: Duration,
    ) -> SendStep {
        self.send_wake.drain();
        full.retain(|&number| {
            let is_written = self.publish(sending, number, now);
            if is_written {
                self.outputs[sending.output].edges[number].sender.wake();
            }
            !is_written
        });
        if full.is_empty() {
            return self.sent(sending);
        }
        if !self.may_wait() {
            // The edges that were not written have no use for the chunk.
            if let Some(key) = sending.chunk {
                self.freed.extend(full.iter().map(|_| key));
            }
            self.sent(sending);
            return SendStep::Stopped;
        }
        let edges = &mut self.outputs[sending.output].edges;
        let quiet = (full.iter()).all(|&number| edges[number].prepare_sleep_for_room());
        sending.stage = Stage::Room { full };
        if quiet {
            return SendStep::Sleeps;
        }
        self.awake();
        SendStep::GoesOn
    }

    /// The caller's own hold goes, and what the edges have freed meanwhile.
    fn sent(&mut self, sending: &mut Sending) -> SendStep {
        self.freed.extend(sending.chunk);
        self.release_freed();
        let count = self.outputs[sending.output].count;
        if count.is_multiple_of(SENDS_BETWEEN_LOOKS) {
            self.sweep();
            for segment in self.memory.retire_idle() {
                self.note(ToRuntime::SegmentRetired { segment });
            }
        }
        SendStep::Done
    }
}
