//! A script in which somebody writes what he likes: nobody panics, hangs, reads outside, or frees a chunk twice,
//! and what is refused names the edge (I-3).

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use dataflow_ids::Sequence;
use dataflow_shm::edge::{
    AttachError, EdgeCounts, EdgeReceiver, EdgeSender, NO_SLOT, PublishError, Published,
    SEQUENCE_MAX, Span, WaitFor, Words, header,
};

use super::rig::{Receiver, Rig, Sender, Taken, check_limits, check_named, with_number};
use super::words::NobodyToWake;
use crate::bytes::Bytes;

/// The words of the header on which something depends.
const HOT: [usize; 22] = [
    header::MAGIC,
    header::VERSION,
    header::CLOSED_AT,
    header::RECEIVER_GONE,
    header::RECEIVER_READY,
    header::LOST,
    header::DROPPED_AT_CLOSE,
    header::TAIL,
    header::DROPPED_FULL,
    header::DROPPED_MEMORY,
    header::DROPPED_RECEIVER_CLOSED,
    header::BYTES,
    header::DROP_INTENT,
    header::HEAD,
    header::DELIVERED,
    header::RELEASED,
    header::RECEIVER_WAKE,
    header::SENDER_WAKE,
    header::WATCH,
    header::LATENCY,
    header::BLOCKED_NS,
    header::BLOCKED_SINCE,
];

/// How many words a slot has.
const SLOT_WORDS: usize = 16;

/// Plays the script in `data`.
///
/// # Panics
///
/// When something is not so that must be.
pub fn damaged_edge(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mut script = Script::new(&mut bytes);
    while !bytes.is_empty() {
        script.rig.bound();
        script.step(&mut bytes);
        script.rig.check_freed();
    }
    script.rig.bound();
    script.end();
}

struct Script {
    rig: Rig,
    sender: Option<Sender>,
    receiver: Option<Receiver>,
    held: VecDeque<Taken>,
    sent: u64,
    last_taken: u64,
    /// What the runtime has read last.
    seen: EdgeCounts,
}

impl Script {
    fn new(bytes: &mut Bytes<'_>) -> Script {
        let rig = Rig::new(bytes);
        let mut script = Script {
            rig,
            sender: None,
            receiver: None,
            held: VecDeque::new(),
            sent: 0,
            last_taken: 0,
            seen: EdgeCounts::default(),
        };
        script.attach_sender();
        script.attach_receiver();
        script
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(26) {
            0..=6 => self.damage(bytes),
            7 | 8 => self.send(false),
            9 | 10 => self.send(true),
            11..=13 => self.take(),
            14 => drop(self.held.pop_front()),
            15 => drop(self.held.pop_back()),
            16 => self.with_sender(|sender, rig| sender.sweep(&mut rig.freed)),
            17 => self.with_sender(|sender, rig| sender.evict_oldest(&mut rig.freed).map(drop)),
            18 => {
                let wait_for = [WaitFor::Queue, WaitFor::Release][bytes.below(2)];
                self.with_sender(|sender, _| {
                    let room = sender.room().map(drop);
                    sender.prepare_sleep(wait_for);
                    sender.blocked_since(1);
                    sender.finish_sleep(u64::MAX);
                    room
                });
            }
            19 => {
                if let Some(receiver) = &mut self.receiver {
                    receiver.ending();
                    receiver.prepare_sleep();
                    receiver.finish_sleep();
                    let span = Span::ALL[bytes.below(Span::ALL.len())];
                    receiver.observe(span, bytes.word(), bytes.word());
                }
            }
            20 => {
                let upto = Sequence(self.value(bytes));
                if let Some(receiver) = &mut self.receiver {
                    let handle = receiver.handle();
                    handle.watch(upto);
                    assert!(handle.tokens(upto).held.len() <= self.rig.layout.slots() as usize);
                }
            }
            21 => {
                let upto = Sequence(self.value(bytes));
                if let Some(receiver) = &mut self.receiver {
                    receiver.set_upto(upto);
                    receiver.upto_reached();
                }
            }
            22 => {
                self.rig.keeper.repair_sender();
                self.attach_sender();
            }
            23 => {
                self.rig.keeper.repair_receiver();
                self.attach_receiver();
            }
            24 => drop(self.rig.keeper.receiver_gone()),
            _ => drop(self.rig.keeper.close()),
        }
        self.look();
    }

    /// What the runtime does at any time.
    fn look(&mut self) {
        let slots = self.rig.layout.slots() as usize;
        let counts = self.rig.keeper.read().counts;
        assert!(counts.queued + counts.held <= slots as u64);
        assert!(self.rig.keeper.segments().len() <= slots);
        // No counter falls, and no sum over edges overflows.
        let before = std::mem::replace(&mut self.seen, counts);
        for (before, now) in [
            (before.sent, counts.sent),
            (before.delivered, counts.delivered),
            (before.released, counts.released),
            (before.lost, counts.lost),
            (before.dropped(), counts.dropped()),
        ] {
            assert!(before <= now && now <= 4 * SEQUENCE_MAX, "{before} → {now}");
        }
        // What a span may be is bounded where spans are added up, by the time that there was.
        assert!(before.blocked_ns <= counts.blocked_ns);
        if let Some(damage) = self.rig.keeper.damage() {
            check_named(&damage);
        }
    }

    fn damage(&mut self, bytes: &mut Bytes<'_>) {
        let layout = self.rig.layout;
        let slot = |bytes: &mut Bytes<'_>| layout.slot(bytes.below(layout.slots() as usize) as u32);
        let words = &self.rig.words;
        let index = match bytes.below(6) {
            0 => bytes.below(layout.words()),
            1 => HOT[bytes.below(HOT.len())],
            2 => layout.ring(bytes.below(layout.ring_size() as usize) as u64),
            3 => slot(bytes),
            4 => slot(bytes) + bytes.below(SLOT_WORDS),
            _ => {
                let (from, to) = (slot(bytes), slot(bytes));
                for word in 0..SLOT_WORDS {
                    let value = words.load(from + word, Ordering::Relaxed);
                    words.store(to + word, value, Ordering::Relaxed);
                }
                return;
            }
        };
        let value = match bytes.below(8) {
            0 => words.load(index, Ordering::Relaxed) ^ 1 << bytes.below(64),
            1 => {
                let found = words.load(index, Ordering::Relaxed);
                found.wrapping_add(bytes.below(9) as u64).wrapping_sub(4)
            }
            _ => self.value(bytes),
        };
        self.rig.words.store(index, value, Ordering::Relaxed);
    }

    /// Numbers that are nearly right are worse than random ones.
    fn value(&self, bytes: &mut Bytes<'_>) -> u64 {
        let sequence = self.sent.saturating_add(2);
        let near = |bytes: &mut Bytes<'_>| sequence.saturating_sub(bytes.below(12) as u64);
        let below = |bytes: &mut Bytes<'_>| bytes.below(3) as u64;
        match bytes.below(9) {
            0 => bytes.word(),
            1 => near(bytes),
            2 => near(bytes) << 3 | bytes.below(8) as u64,
            3 => {
                let slot = match bytes.below(4) {
                    0 => u64::from(NO_SLOT),
                    _ => bytes.below(16) as u64,
                };
                near(bytes) << 16 | slot
            }
            4 => near(bytes) << 1 | bytes.below(2) as u64,
            5 => (bytes.below(5) as u64) << 17 | bytes.below(128) as u64,
            6 => SEQUENCE_MAX.wrapping_sub(below(bytes)).wrapping_add(1),
            7 => u64::MAX - below(bytes),
            _ => ((u64::MAX >> 3) - below(bytes)) << 3 | bytes.below(4) as u64,
        }
    }

    fn attach_sender(&mut self) {
        let words = self.rig.words.for_another();
        let attached = EdgeSender::over(words, &self.rig.config, NobodyToWake);
        // What an earlier incarnation had on the edge does not come back to this one.
        self.rig.on_the_edge.clear();
        self.rig.freed.clear();
        self.sender = attached_or_damaged(attached);
        if let Some(sender) = &self.sender {
            assert!(sender.last().0 < SEQUENCE_MAX);
        }
    }

    fn attach_receiver(&mut self) {
        self.held.clear();
        let words = self.rig.words.for_another();
        let attached = EdgeReceiver::over(words, &self.rig.config, NobodyToWake, NobodyToWake);
        self.receiver = attached_or_damaged(attached);
        self.last_taken = 0;
    }

    fn send(&mut self, in_chunk: bool) {
        let Some(sender) = &mut self.sender else {
            return;
        };
        let chunk = in_chunk.then(|| self.rig.new_chunk());
        let before = sender.last();
        let freed = &mut self.rig.freed;
        let published = with_number(self.sent, chunk, |message| sender.publish(message, freed));
        sender.wake();
        match published {
            Ok(
                Published::Queued(sequence)
                | Published::ReceiverClosed(sequence)
                | Published::DroppedFull(sequence),
            ) => {
                assert_eq!(sequence.0, before.0 + 1);
                assert_eq!(sender.last(), sequence);
                self.sent = sequence.0;
                if let (Ok(Published::Queued(_)), Some(chunk)) = (published, chunk) {
                    self.rig.on_the_edge.insert(chunk);
                }
            }
            Err(PublishError::Full { edge }) => assert_eq!(edge, super::rig::EDGE),
            Err(PublishError::Damaged(error)) => check_named(&error),
            Err(error @ PublishError::TooLong { .. }) => panic!("{error}"),
        }
    }

    fn take(&mut self) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        match receiver.take() {
            Ok(Some(taken)) => {
                check_limits(&taken);
                assert!(taken.sequence.0 > self.last_taken, "order");
                assert!(taken.sequence.0 <= SEQUENCE_MAX);
                self.last_taken = taken.sequence.0;
                self.held.push_back(taken);
            }
            Ok(None) => {}
            Err(error) => check_named(&error),
        }
    }

    fn with_sender(
        &mut self,
        act: impl FnOnce(&mut Sender, &mut Rig) -> Result<(), dataflow_shm::edge::EdgeDamaged>,
    ) {
        if let Some(sender) = &mut self.sender
            && let Err(error) = act(sender, &mut self.rig)
        {
            check_named(&error);
        }
    }

    /// Both processes end, and the runtime plays their parts.
    fn end(mut self) {
        self.held.clear();
        if let Some(receiver) = &self.receiver {
            assert_eq!(receiver.held(), (0, 0));
        }
        self.rig.keeper.repair_receiver();
        self.rig.keeper.close();
        self.rig.keeper.receiver_gone();
        self.look();
        let counts = self.rig.keeper.read_settled().counts;
        assert!(
            counts.balances() || self.rig.keeper.damage().is_some(),
            "{counts:?}"
        );
    }
}

fn attached_or_damaged<T>(attached: Result<T, AttachError>) -> Option<T> {
    match attached {
        Ok(end) => Some(end),
        Err(AttachError::Damaged(error)) => {
            check_named(&error);
            None
        }
        Err(error) => panic!("{error}"),
    }
}
