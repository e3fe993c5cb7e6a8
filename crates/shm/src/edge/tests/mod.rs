//! The edge protocol with all three roles in one process.

mod blocked;
mod closing;
mod damage;
mod held;
mod histograms;
mod look;
mod order;
mod policies;
mod repair;

use dataflow_ids::{EdgeId, Epoch, NodeIndex, QueuePolicy, SegmentId, Sequence};

use super::*;
use crate::eventfd::EventFd;

/// An edge with both of its ends, and the waiters of all three.
struct Rig {
    config: EdgeConfig,
    keeper: EdgeKeeper,
    sender: EdgeSender,
    receiver: EdgeReceiver,
    send_waiter: EventFd,
    receive_waiter: EventFd,
    control_waiter: EventFd,
    freed: Vec<ChunkKey>,
}

fn rig(policy: QueuePolicy, queue_size: u32, held_max: u32) -> Rig {
    let config = EdgeConfig {
        edge: EdgeId(7),
        policy,
        queue_size,
        held_max,
        held_bytes_max: 1 << 20,
    };
    let [send_waiter, receive_waiter, control_waiter] = [(); 3].map(|()| EventFd::new().unwrap());
    let keeper = EdgeKeeper::create(
        "unit",
        &config,
        send_waiter.try_clone().unwrap(),
        receive_waiter.try_clone().unwrap(),
    )
    .unwrap();
    let rig = Rig {
        sender: EdgeSender::attach(keeper.fd(), &config, receive_waiter.try_clone().unwrap())
            .unwrap(),
        receiver: EdgeReceiver::attach(
            keeper.fd(),
            &config,
            send_waiter.try_clone().unwrap(),
            control_waiter.try_clone().unwrap(),
        )
        .unwrap(),
        config,
        keeper,
        send_waiter,
        receive_waiter,
        control_waiter,
        freed: Vec::new(),
    };
    rig.keeper.set_sender_epoch(Epoch(1));
    rig.keeper.set_receiver_epoch(Epoch(1));
    rig.keeper.set_receiver_ready();
    rig.forget_wakes();
    rig
}

/// The chunk that the tests' messages are in.
fn chunk(number: u64) -> ChunkKey {
    ChunkKey {
        segment: SegmentId {
            node: NodeIndex(3),
            epoch: Epoch(1),
            number: number as u32,
        },
        offset: number * 64,
    }
}

impl Rig {
    /// Sends `value` inline.
    fn try_send(&mut self, value: u64) -> Result<Published, PublishError> {
        let published = self.sender.publish(
            &Outgoing {
                sent_at_ns: value,
                waited_ns: 0,
                body: OutgoingBody::Inline {
                    payload: &value.to_le_bytes(),
                    metadata: b"meta",
                },
            },
            &mut self.freed,
        );
        self.sender.wake();
        published
    }

    fn send(&mut self, value: u64) -> Published {
        self.try_send(value).unwrap()
    }

    /// Sends a message of 1000 bytes in chunk `number`.
    fn try_send_chunk(&mut self, number: u64) -> Result<Published, PublishError> {
        let published = self.sender.publish(
            &Outgoing {
                sent_at_ns: number,
                waited_ns: 0,
                body: OutgoingBody::Chunk {
                    chunk: chunk(number),
                    payload_length: 1000,
                    metadata: OutgoingMetadata::Slot(b"of a chunk"),
                },
            },
            &mut self.freed,
        );
        self.sender.wake();
        published
    }

    fn send_chunk(&mut self, number: u64) -> Published {
        self.try_send_chunk(number).unwrap()
    }

    /// Takes an inline message: its sequence and value.
    fn take(&mut self) -> Option<(u64, u64)> {
        self.receiver.take().unwrap().map(|incoming| {
            let IncomingBody::Inline(inline) = incoming.body else {
                panic!("an inline message was sent");
            };
            assert_eq!(inline.metadata(), b"meta");
            let value = u64::from_le_bytes(inline.payload().try_into().unwrap());
            assert_eq!(incoming.sent_at_ns, value);
            (incoming.sequence.0, value)
        })
    }

    /// Takes a message in a chunk.
    fn take_chunk(&mut self) -> Option<ChunkMessage> {
        self.receiver.take().unwrap().map(|incoming| {
            let IncomingBody::Chunk(message) = incoming.body else {
                panic!("a message in a chunk was sent");
            };
            let key = chunk(u64::from(message.number));
            assert_eq!(key.segment.epoch, message.epoch);
            assert_eq!(key.offset, message.offset);
            assert_eq!(message.payload_length, 1000);
            let ReceivedMetadata::Slot(metadata) = &message.metadata else {
                panic!("the metadata was short");
            };
            assert_eq!(metadata.as_slice(), b"of a chunk");
            message
        })
    }

    /// Frees what was released, and gives the numbers of the chunks that came back since the last time.
    fn freed(&mut self) -> Vec<u32> {
        self.sender.sweep(&mut self.freed).unwrap();
        let mut numbers: Vec<_> = self.freed.drain(..).map(|key| key.segment.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The counts, which must balance.
    fn counts(&self) -> EdgeCounts {
        let counts = self.keeper.read().counts;
        assert!(counts.balances(), "{counts:?}");
        counts
    }

    fn forget_wakes(&self) {
        for waiter in [
            &self.send_waiter,
            &self.receive_waiter,
            &self.control_waiter,
        ] {
            waiter.drain();
        }
    }

    /// The words, as a process sees them that writes what it likes.
    fn words(&self) -> MappedWords {
        MappedWords::attach(self.keeper.fd(), &self.config).unwrap()
    }

    fn layout(&self) -> Layout {
        Layout::new(&self.config).unwrap()
    }

    /// The sender's process has died and another incarnation begins.
    fn restart_sender(&mut self) {
        self.keeper.repair_sender();
        self.sender = EdgeSender::attach(
            self.keeper.fd(),
            &self.config,
            self.receive_waiter.try_clone().unwrap(),
        )
        .unwrap();
    }

    /// The receiver's process has died and another incarnation begins. Gives what was lost.
    fn restart_receiver(&mut self) -> Vec<u64> {
        let lost = self.keeper.repair_receiver();
        self.receiver = EdgeReceiver::attach(
            self.keeper.fd(),
            &self.config,
            self.send_waiter.try_clone().unwrap(),
            self.control_waiter.try_clone().unwrap(),
        )
        .unwrap();
        lost.into_iter().map(|sequence| sequence.0).collect()
    }
}

fn sequence(number: u64) -> Sequence {
    Sequence(number)
}
