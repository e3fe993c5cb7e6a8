//! The ends of an edge: the sender's, which follows what it sent, and the receiver's, which drops it.

use super::*;

#[test]
fn a_closed_edge_is_over_after_its_last_message() {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send(1);
    rig.send(2);
    assert_eq!(rig.receiver.ending(), Ending::Open);
    assert_eq!(rig.keeper.close(), sequence(2));
    assert!(rig.receive_waiter.drain() && rig.send_waiter.drain());
    let last = sequence(2);
    assert_eq!(
        rig.receiver.ending(),
        Ending::Closed {
            last,
            everything_taken: false
        }
    );
    rig.take();
    rig.take();
    assert_eq!(
        rig.receiver.ending(),
        Ending::Closed {
            last,
            everything_taken: true
        }
    );
    assert_eq!(rig.keeper.close(), last, "closing twice changes nothing");
    assert!(
        rig.receiver.prepare_sleep(),
        "an ending that was told keeps nobody awake"
    );
}

#[test]
fn an_edge_that_carried_nothing_closes_too() {
    let mut rig = rig(QueuePolicy::DropOldest, 4, 1);
    assert!(rig.receiver.prepare_sleep());
    assert_eq!(rig.keeper.close(), Sequence::NONE);
    assert!(
        !rig.receiver.prepare_sleep(),
        "the ending has not been told"
    );
    let last = Sequence::NONE;
    assert_eq!(
        rig.receiver.ending(),
        Ending::Closed {
            last,
            everything_taken: true
        }
    );
}

#[test]
fn when_the_input_closes_for_good_what_is_queued_is_dropped_and_its_chunks_come_back() {
    let mut rig = rig(QueuePolicy::Block, 4, 2);
    (1..=4).for_each(|number| {
        rig.send_chunk(number);
    });
    std::mem::forget(rig.take_chunk().unwrap());
    assert!(rig.sender.prepare_sleep(WaitFor::Release));
    assert_eq!(rig.keeper.repair_receiver(), [sequence(1)]);
    assert_eq!(rig.keeper.receiver_gone(), 3);
    assert_eq!(rig.keeper.receiver_gone(), 0);
    assert!(rig.send_waiter.drain(), "a blocked sender learns of it");
    assert!(rig.sender.receiver_gone());
    assert_eq!(rig.sender.room(), Ok(Room::Free));
    assert_eq!(rig.freed(), [1, 2, 3, 4]);
    for number in 5..=100 {
        assert_eq!(
            rig.send_chunk(number),
            Published::ReceiverClosed(sequence(number))
        );
        assert_eq!(
            rig.freed(),
            [] as [u32; 0],
            "the caller still has the chunk"
        );
    }
    let counts = rig.counts();
    assert_eq!(
        (counts.sent, counts.lost, counts.dropped_receiver_closed),
        (100, 1, 99)
    );
    assert_eq!(rig.keeper.close(), sequence(100));
    assert!(rig.keeper.tokens(sequence(100)).is_empty());
}

#[test]
fn a_limit_that_the_sender_has_dropped_past_is_reached_and_no_damage() {
    let mut rig = rig(QueuePolicy::DropOldest, 4, 1);
    (1..=10).for_each(|value| {
        rig.send(value);
    });
    rig.receiver.set_upto(sequence(10));
    // More than a whole ring: nothing is left of the entry of message 10.
    (11..=30).for_each(|value| {
        rig.send(value);
    });
    assert_eq!(rig.take(), None);
    assert!(rig.receiver.upto_reached());
    let counts = rig.counts();
    assert_eq!((counts.delivered, counts.queued), (0, 4));
}

#[test]
fn a_sender_sleeps_for_a_release_while_a_receiver_that_is_gone_holds_messages() {
    let mut rig = rig(QueuePolicy::Block, 4, 2);
    rig.send_chunk(1);
    rig.send_chunk(2);
    // It lives, and has closed its end: it found the edge damaged, say.
    let held = rig.take_chunk().unwrap();
    assert_eq!(rig.keeper.receiver_gone(), 1);
    assert!(
        !rig.sender.prepare_sleep(WaitFor::Release),
        "what was swept can be freed"
    );
    assert_eq!(rig.freed(), [2]);
    rig.forget_wakes();
    assert!(
        rig.sender.prepare_sleep(WaitFor::Release),
        "nothing comes back before the release"
    );
    drop(held);
    assert!(rig.send_waiter.drain(), "the release wakes the sender");
    rig.sender.finish_sleep(1);
    assert_eq!(rig.freed(), [1]);
}

#[test]
fn a_sender_sleeps_for_a_release_until_the_runtime_has_swept_the_queue() {
    let mut rig = rig(QueuePolicy::Block, 4, 2);
    rig.send_chunk(1);
    // The runtime is between its flag and its sweep.
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    rig.words().store(header::RECEIVER_GONE, 1, relaxed);
    assert_eq!(rig.freed(), [] as [u32; 0]);
    assert!(rig.sender.prepare_sleep(WaitFor::Release));
    assert_eq!(rig.keeper.receiver_gone(), 1);
    assert!(rig.send_waiter.drain());
    rig.sender.finish_sleep(1);
    assert_eq!(rig.freed(), [1]);
}

/// Words that let the runtime close the input at a chosen fence of the sender.
struct GoneAt<'a> {
    words: MappedWords,
    keeper: &'a EdgeKeeper,
    publishes: std::sync::atomic::AtomicU64,
    /// Before the fence the flag alone is set, or the flag is set and the sweep done.
    sweep: bool,
}

impl Words for GoneAt<'_> {
    fn load(&self, index: usize, ordering: std::sync::atomic::Ordering) -> u64 {
        self.words.load(index, ordering)
    }
    fn store(&self, index: usize, value: u64, ordering: std::sync::atomic::Ordering) {
        self.words.store(index, value, ordering);
    }
    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.words.compare_exchange(index, current, new)
    }
    fn swap(&self, index: usize, value: u64) -> u64 {
        self.words.swap(index, value)
    }
    fn fetch_add(&self, index: usize, value: u64, o: std::sync::atomic::Ordering) -> u64 {
        self.words.fetch_add(index, value, o)
    }
    fn fence(&self, site: FenceSite) {
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        if site == FenceSite::Publish && self.publishes.fetch_add(1, relaxed) == 1 {
            if self.sweep {
                assert_eq!(self.keeper.receiver_gone(), 2);
            } else {
                self.words.store(header::RECEIVER_GONE, 1, relaxed);
            }
        }
    }
}

#[test]
fn a_message_published_while_the_input_closes_is_counted_once_whoever_is_first() {
    for sweep in [true, false] {
        let rig = rig(QueuePolicy::Block, 4, 2);
        let words = GoneAt {
            words: rig.words(),
            keeper: &rig.keeper,
            publishes: 0.into(),
            sweep,
        };
        let waiter = rig.receive_waiter.try_clone().unwrap();
        let mut sender = EdgeSender::over(words, &rig.config, waiter).unwrap();
        let mut freed = Vec::new();
        let mut publish = |number| {
            let body = OutgoingBody::Chunk {
                chunk: chunk(number),
                payload_length: 1,
                metadata: OutgoingMetadata::Slot(b""),
            };
            sender
                .publish(
                    &Outgoing {
                        sent_at_ns: 0,
                        waited_ns: 0,
                        body,
                    },
                    &mut freed,
                )
                .unwrap()
        };
        assert_eq!(publish(1), Published::Queued(sequence(1)));
        assert_eq!(publish(2), Published::ReceiverClosed(sequence(2)));
        assert_eq!(rig.keeper.receiver_gone(), if sweep { 0 } else { 1 });
        assert_eq!(publish(3), Published::ReceiverClosed(sequence(3)));
        sender.sweep(&mut freed).unwrap();
        assert_eq!(freed, [chunk(1)]);
        let counts = rig.counts();
        assert_eq!((counts.sent, counts.dropped_receiver_closed), (3, 3));
    }
}

#[test]
fn the_receiver_is_ready_when_the_runtime_says_so_and_the_sender_is_woken() {
    let rig = rig(QueuePolicy::Block, 4, 2);
    rig.words().store(
        header::RECEIVER_READY,
        0,
        std::sync::atomic::Ordering::Relaxed,
    );
    assert!(!rig.sender.receiver_ready());
    rig.keeper.set_receiver_ready();
    assert!(rig.sender.receiver_ready() && rig.send_waiter.drain());
}
