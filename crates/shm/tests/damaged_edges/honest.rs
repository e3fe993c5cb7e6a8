//! The processes that keep to the protocol.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use dataflow_ids::{EdgeId, SegmentId, Sequence};
use dataflow_shm::edge::{
    AttachError, ChunkKey, ChunkMessage, EdgeDamaged, EdgeReceiver, EdgeSender, IncomingBody,
    Outgoing, OutgoingBody, OutgoingMetadata, PublishError, Published, ReceivedMetadata, Room,
    WaitFor,
};
use dataflow_shm::{EventFd, ReceivedSegments};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Part, SEGMENT_BYTES, named, segment};

/// How long somebody sleeps at most: a wake-up can be written away.
const NAP: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

impl Part {
    pub(crate) fn is_over(&self, done: u64, damaged: u64) -> bool {
        let is_enough = done >= self.wanted && (damaged > 0 || self.wanted == 0);
        is_enough && Instant::now() >= self.until
    }

    /// Attaches an end anew, as the next incarnation does; `None` as long as the damage does not let it.
    fn attached<End>(attached: Result<End, AttachError>) -> Option<End> {
        match attached {
            Ok(end) => Some(end),
            Err(AttachError::Damaged(damaged)) => {
                named(&damaged);
                None
            }
            Err(AttachError::NotThisVersion { edge }) => {
                assert_eq!(edge, EdgeId(7));
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// A correct sender: how many messages it published, and how often it found the edge damaged.
    pub(crate) fn send(mut self) -> (u64, u64) {
        let (mut published, mut damaged) = (0, 0);
        let payload = [7; 24];
        while !self.is_over(published, damaged) {
            let waiter = self.receive_waiter.try_clone().unwrap();
            let attached = EdgeSender::attach(&self.edge, &self.config, waiter);
            let Some(mut sender) = Self::attached(attached) else {
                damaged += 1;
                continue;
            };
            // Every chunk that this incarnation puts on the edge comes back at most once.
            let mut out: Vec<ChunkKey> = Vec::new();
            let mut freed = Vec::new();
            let mut number = 0;
            while !self.is_over(published, damaged) {
                number += 1;
                let chunk = ChunkKey {
                    segment: segment(),
                    offset: number % 1000 * 1024,
                };
                let is_chunk = number.is_multiple_of(2) && !out.contains(&chunk);
                let body = if is_chunk {
                    OutgoingBody::Chunk {
                        chunk,
                        payload_length: 1000,
                        metadata: OutgoingMetadata::Slot(&payload),
                    }
                } else {
                    OutgoingBody::Inline {
                        payload: &payload,
                        metadata: b"",
                    }
                };
                let message = Outgoing {
                    sent_at_ns: number,
                    waited_ns: 0,
                    body,
                };
                let step = sender.publish(&message, &mut freed).and_then(|done| {
                    published += 1;
                    if is_chunk && matches!(done, Published::Queued(_)) {
                        out.push(chunk);
                    }
                    sender.wake();
                    Ok(sender.sweep(&mut freed)?)
                });
                let step = match step {
                    Err(PublishError::Full { edge }) => {
                        assert_eq!(edge, EdgeId(7));
                        self.wait_for_room(&mut sender).map_err(PublishError::from)
                    }
                    Ok(()) if self.random.below(16) == 0 => {
                        let evicted = sender.evict_oldest(&mut freed).map(drop);
                        evicted.map_err(PublishError::from)
                    }
                    other => other,
                };
                for chunk in freed.drain(..) {
                    let place = out.iter().position(|other| *other == chunk);
                    out.swap_remove(place.expect("it was on the edge, and came back once"));
                }
                match step {
                    Ok(()) => {}
                    Err(PublishError::Damaged(error)) => {
                        named(&error);
                        damaged += 1;
                        break;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        (published, damaged)
    }

    fn wait_for_room(&self, sender: &mut EdgeSender) -> Result<(), EdgeDamaged> {
        let wait_for = match sender.room()? {
            Room::Free => return Ok(()),
            Room::QueueFull => WaitFor::Queue,
            Room::SlotsHeld => WaitFor::Release,
        };
        if sender.prepare_sleep(wait_for) {
            nap(&self.send_waiter);
        }
        sender.finish_sleep(1);
        Ok(())
    }

    /// A correct receiver, with a control thread and a thread on which messages are released: how many messages it
    /// took, and how often it found the edge damaged.
    pub(crate) fn receive(mut self) -> (u64, u64) {
        let segments = ReceivedSegments::new(EventFd::new().unwrap());
        segments
            .insert(segment(), &self.segment, SEGMENT_BYTES)
            .unwrap();
        let (elsewhere, releases) = mpsc::channel::<ChunkMessage>();
        let releaser = thread::spawn(move || releases.into_iter().for_each(drop));
        let (mut taken, mut damaged, mut sum) = (0, 0, 0);
        while !self.is_over(taken, damaged) {
            let wake_sender = self.send_waiter.try_clone().unwrap();
            let drained = EventFd::new().unwrap();
            let attached = EdgeReceiver::attach(&self.edge, &self.config, wake_sender, drained);
            let Some(mut receiver) = Self::attached(attached) else {
                damaged += 1;
                continue;
            };
            let is_over = Arc::new(AtomicBool::new(false));
            let control = {
                let (handle, is_over) = (receiver.handle(), Arc::clone(&is_over));
                thread::spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        handle.watch(Sequence(u64::MAX));
                        assert!(handle.tokens(Sequence(u64::MAX)).held.len() <= 11);
                    }
                })
            };
            let mut held = VecDeque::new();
            let mut last = 0;
            while !self.is_over(taken, damaged) {
                match receiver.take() {
                    Ok(Some(incoming)) => {
                        assert!(incoming.sequence.0 > last);
                        last = incoming.sequence.0;
                        taken += 1;
                        if let IncomingBody::Chunk(message) = incoming.body {
                            sum += read_everything(&segments, &message);
                            held.push_back(message);
                        }
                    }
                    Ok(None) => {
                        receiver.ending();
                        if receiver.prepare_sleep() {
                            nap(&self.receive_waiter);
                        }
                        receiver.finish_sleep();
                    }
                    Err(error) => {
                        named(&error);
                        damaged += 1;
                        break;
                    }
                }
                while held.len() > 4 {
                    match (held.pop_front(), self.random.below(2)) {
                        (Some(message), 0) => elsewhere.send(message).unwrap(),
                        (message, _) => drop(message),
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
            control.join().unwrap();
        }
        drop(elsewhere);
        releaser.join().unwrap();
        println!("all bytes together: {sum}");
        (taken, damaged)
    }
}

fn nap(waiter: &EventFd) {
    let mut fds = [PollFd::new(waiter, PollFlags::IN)];
    let _ = poll(&mut fds, Some(&NAP));
    waiter.drain();
}

/// Reads every byte that a message names, if it lies where something is.
fn read_everything(segments: &ReceivedSegments, message: &ChunkMessage) -> u64 {
    let id = SegmentId {
        node: segment().node,
        epoch: message.epoch,
        number: message.number,
    };
    let Ok(Some(mapping)) = segments.look_up(id) else {
        return 0;
    };
    let sum = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum + u64::from(*byte));
    let payload = mapping.slice(message.offset, message.payload_length);
    let metadata = match &message.metadata {
        ReceivedMetadata::Slot(bytes) => sum(bytes.as_slice()),
        ReceivedMetadata::Chunk { offset, length } => {
            mapping.slice(*offset, (*length).into()).map_or(0, sum)
        }
    };
    payload.map_or(0, sum) + metadata
}
