//! A script in which everybody keeps to the protocol, and dies at any write: every message is accounted for after
//! every step (I-1, I-2), in order, and nobody finds damage.

use std::collections::{BTreeMap, VecDeque};

use dataflow_ids::{QueuePolicy, Sequence};
use dataflow_shm::edge::{
    ChunkKey, EdgeReceiver, EdgeSender, Ending, IncomingBody, PublishError, Published, Room,
    WaitFor,
};

use super::rig::{Receiver, Rig, Sender, Taken, check_limits, with_number};
use super::words::{NobodyToWake, ProcessWords};
use crate::bytes::Bytes;

/// A call writes about this often at most: who dies in it dies after fewer writes.
const STORES: usize = 64;

/// Plays the script in `data`.
///
/// # Panics
///
/// When something is not so that must be.
pub fn edge_with_deaths(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let mut script = Script::new(&mut bytes);
    while !bytes.is_empty() {
        script.rig.bound();
        script.step(&mut bytes);
        script.check();
    }
    script.rig.bound();
    script.end();
}

/// What was sent, or was about to be when its sender died.
#[derive(Debug, Clone, Copy)]
struct Sent {
    number: u64,
    chunk: Option<ChunkKey>,
}

struct Script {
    rig: Rig,
    sender: Sender,
    sender_words: ProcessWords,
    receiver: Receiver,
    receiver_words: ProcessWords,
    held: VecDeque<Taken>,
    /// By sequence.
    sent: BTreeMap<u64, Sent>,
    numbers: u64,
    last_taken: u64,
    /// Somebody dies in this step: what a call of his gives, nobody sees.
    is_dying: bool,
    is_closed: bool,
    is_receiver_gone: bool,
}

impl Script {
    fn new(bytes: &mut Bytes<'_>) -> Script {
        let rig = Rig::new(bytes);
        let (sender, sender_words) = attach_sender(&rig);
        let (receiver, receiver_words) = attach_receiver(&rig);
        Script {
            rig,
            sender,
            sender_words,
            receiver,
            receiver_words,
            held: VecDeque::new(),
            sent: BTreeMap::new(),
            numbers: 0,
            last_taken: 0,
            is_dying: false,
            is_closed: false,
            is_receiver_gone: false,
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        self.is_dying = false;
        match bytes.below(20) {
            kind @ 0..=9 => self.act(kind),
            10..=13 => self.act(bytes.below(10)),
            14 | 15 => {
                let stores = bytes.below(STORES) as u64;
                self.sender_words.dies_after(stores);
                self.is_dying = true;
                self.act([0, 1, 6, 7, 8][bytes.below(5)]);
                self.replace_sender();
            }
            16 | 17 => {
                let stores = bytes.below(STORES) as u64;
                self.receiver_words.dies_after(stores);
                self.is_dying = true;
                self.act([2, 4, 5, 9][bytes.below(4)]);
                self.replace_receiver();
            }
            18 if bytes.below(4) == 0 => {
                self.is_receiver_gone = true;
                self.rig.keeper.receiver_gone();
            }
            19 if bytes.below(4) == 0 => {
                self.sender_words.die();
                let last = self.rig.keeper.close();
                assert_eq!(last.0, self.rig.keeper.read().tail);
                self.is_closed = true;
            }
            _ => {}
        }
    }

    fn act(&mut self, kind: usize) {
        match kind {
            0 => self.send(false),
            1 => self.send(true),
            2 | 3 => self.take(),
            4 => drop(self.held.pop_front()),
            5 => drop(self.held.pop_back()),
            9 => self.receiver_sleeps(),
            _ if self.is_closed => {}
            6 => {
                let swept = self.sender.sweep(&mut self.rig.freed);
                assert!(swept.is_ok() || self.is_dying, "{swept:?}");
            }
            7 => {
                let evicted = self.sender.evict_oldest(&mut self.rig.freed);
                assert!(evicted.is_ok() || self.is_dying, "{evicted:?}");
                assert!(evicted != Ok(true) || self.rig.config.policy != QueuePolicy::Block);
            }
            _ => {
                for wait_for in [WaitFor::Queue, WaitFor::Release] {
                    self.sender.prepare_sleep(wait_for);
                    self.sender.finish_sleep(1);
                }
            }
        }
    }

    fn send(&mut self, in_chunk: bool) {
        if self.is_closed {
            return;
        }
        self.numbers += 1;
        let number = self.numbers;
        let chunk = in_chunk.then(|| self.rig.new_chunk());
        let sequence = self.sender.last().0 + 1;
        let room = self.sender.room().expect("no damage");
        let freed = &mut self.rig.freed;
        let sender = &mut self.sender;
        let published = with_number(number, chunk, |message| sender.publish(message, freed));
        if self.is_dying {
            // If its slot was written, the runtime completes it.
            self.sent.insert(sequence, Sent { number, chunk });
            return;
        }
        match published {
            Ok(published) => {
                assert!(self.rig.config.policy != QueuePolicy::Block || room == Room::Free);
                self.sent.insert(sequence, Sent { number, chunk });
                match published {
                    Published::Queued(found) => {
                        assert!(!self.is_receiver_gone);
                        assert_eq!(found, Sequence(sequence));
                        self.rig.on_the_edge.extend(chunk);
                    }
                    Published::ReceiverClosed(_) => assert!(self.is_receiver_gone),
                    Published::DroppedFull(_) => {
                        panic!("the receiver holds no more than it may")
                    }
                }
            }
            Err(PublishError::Full { .. }) => {
                assert_eq!(self.rig.config.policy, QueuePolicy::Block);
                assert_ne!(room, Room::Free);
            }
            Err(error) => panic!("{error}"),
        }
        self.sender.wake();
    }

    fn take(&mut self) {
        if self.is_receiver_gone {
            return;
        }
        let taken = self.receiver.take();
        if self.is_dying {
            return;
        }
        let Some(taken) = taken.expect("no damage") else {
            return;
        };
        check_limits(&taken);
        let sequence = taken.sequence.0;
        if self.rig.config.policy == QueuePolicy::Block {
            assert_eq!(sequence, self.last_taken + 1, "`block` drops nothing");
        }
        assert!(sequence > self.last_taken, "order");
        self.last_taken = sequence;
        let sent = self.sent.get(&sequence).expect("it was sent");
        assert_eq!(taken.sent_at_ns, sent.number);
        match &taken.body {
            IncomingBody::Inline(inline) => {
                assert_eq!(inline.payload(), sent.number.to_le_bytes());
                assert_eq!(inline.metadata(), b"meta");
            }
            IncomingBody::Chunk(message) => {
                let chunk = sent.chunk.expect("it was in a chunk");
                assert_eq!(message.number, chunk.segment.number);
                assert_eq!(message.offset, chunk.offset);
                // As a node's library does: what is above the limit is copied and released at once.
                if self.held.len() < self.rig.config.held_max as usize {
                    self.held.push_back(taken);
                }
            }
        }
    }

    /// A receiver may sleep exactly when there is nothing for it.
    fn receiver_sleeps(&mut self) {
        if self.is_receiver_gone {
            return;
        }
        let ending = self.receiver.ending();
        let sleeps = self.receiver.prepare_sleep();
        self.receiver.finish_sleep();
        if self.is_dying {
            return;
        }
        let counts = self.rig.keeper.read().counts;
        if sleeps {
            assert_eq!(counts.queued, 0);
        }
        if let Ending::Closed {
            last,
            everything_taken,
        } = ending
        {
            assert!(self.is_closed);
            assert_eq!(last.0, counts.sent);
            assert!(!everything_taken || counts.queued == 0);
        }
    }

    /// The sender's process is reaped, and another one is started unless its end was final.
    fn replace_sender(&mut self) {
        self.sender_words.die();
        self.rig.keeper.repair_sender();
        // It has taken with it what it knew of its chunks.
        self.rig.on_the_edge.clear();
        self.rig.freed.clear();
        let tail = self.rig.keeper.read().tail;
        // A publish that had begun was completed, or was not begun.
        let begun = self.sent.last_key_value().map_or(0, |(last, _)| *last);
        assert!(tail <= begun, "message {tail} was sent by nobody");
        if !self.is_closed {
            (self.sender, self.sender_words) = attach_sender(&self.rig);
            assert_eq!(self.sender.last().0, tail);
        }
    }

    /// The receiver's process is reaped, and another one is started.
    fn replace_receiver(&mut self) {
        self.receiver_words.die();
        self.held.clear();
        self.rig.keeper.repair_receiver();
        self.last_taken = self.rig.keeper.read().head;
        (self.receiver, self.receiver_words) = attach_receiver(&self.rig);
    }

    /// Nobody is in the middle of anything, so everything adds up.
    fn check(&mut self) {
        for chunk in &self.rig.freed {
            let is_held = self.held.iter().any(|taken| match &taken.body {
                IncomingBody::Inline(_) => false,
                IncomingBody::Chunk(message) => message.number == chunk.segment.number,
            });
            assert!(!is_held, "{chunk:?} came back and is held (I-1)");
        }
        self.rig.check_freed();
        let counts = self.rig.keeper.read().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!(counts.held, self.held.len() as u64);
        assert!(counts.queued <= self.rig.layout.queue_size());
        let tokens = self.rig.keeper.tokens(Sequence(u64::MAX));
        assert_eq!(tokens.held.len(), self.held.len());
        if self.rig.config.policy == QueuePolicy::Block {
            assert_eq!(counts.dropped_full + counts.dropped_memory, 0);
        }
        if !self.is_closed {
            assert_eq!(counts.sent, self.sender.last().0);
        }
    }

    /// Both processes end, and nothing is owed any more.
    fn end(mut self) {
        self.replace_receiver();
        self.sender_words.die();
        self.rig.keeper.close();
        self.rig.keeper.receiver_gone();
        self.rig.freed.clear();
        self.is_closed = true;
        self.check();
        let counts = self.rig.keeper.read().counts;
        assert_eq!((counts.queued, counts.held), (0, 0));
        assert!(self.rig.keeper.segments().is_empty());
        self.rig.keeper.read_settled();
        assert_eq!(self.rig.keeper.damage(), None);
    }
}

fn attach_sender(rig: &Rig) -> (Sender, ProcessWords) {
    let words = rig.words.for_another();
    let sender = EdgeSender::over(words.clone(), &rig.config, NobodyToWake);
    (sender.expect("no damage"), words)
}

fn attach_receiver(rig: &Rig) -> (Receiver, ProcessWords) {
    let words = rig.words.for_another();
    let receiver = EdgeReceiver::over(words.clone(), &rig.config, NobodyToWake, NobodyToWake);
    (receiver.expect("no damage"), words)
}
