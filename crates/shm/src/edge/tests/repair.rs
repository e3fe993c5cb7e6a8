//! Deaths: after a repair the counts of I-2 hold, for every window in which a process can have died.
//!
//! A window is made by letting a role go its way over words that stop taking writes at the n-th one: as if
//! SIGKILL had come right there. So every window there is gets its turn.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// Words of a process that is killed before its n-th write.
struct Mortal {
    words: MappedWords,
    writes_left: AtomicU64,
}

/// What a process that is no more does next: nothing. Unwinds to the test.
struct Killed;

impl Mortal {
    fn write(&self) {
        let left = self.writes_left.load(Ordering::Relaxed);
        if left == 0 {
            std::panic::resume_unwind(Box::new(Killed));
        }
        self.writes_left.store(left - 1, Ordering::Relaxed);
    }

    fn dead(&self) -> bool {
        self.writes_left.load(Ordering::Relaxed) == 0
    }
}

impl Words for Mortal {
    fn load(&self, index: usize, ordering: Ordering) -> u64 {
        self.words.load(index, ordering)
    }
    fn store(&self, index: usize, value: u64, ordering: Ordering) {
        self.write();
        self.words.store(index, value, ordering);
    }
    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.write();
        self.words.compare_exchange(index, current, new)
    }
    fn swap(&self, index: usize, value: u64) -> u64 {
        self.write();
        self.words.swap(index, value)
    }
    fn fetch_add(&self, index: usize, value: u64, ordering: Ordering) -> u64 {
        self.write();
        self.words.fetch_add(index, value, ordering)
    }
    fn fence(&self, _site: FenceSite) {}
    /// The leases of a dead process do nothing.
    fn usable(&self) -> bool {
        !self.dead()
    }
}

/// Runs `life` until it ends or is killed. Whether it was killed.
fn lives(life: impl FnOnce()) -> bool {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(life)) {
        Ok(()) => false,
        Err(why) if why.is::<Killed>() => true,
        Err(why) => std::panic::resume_unwind(why),
    }
}

fn mortal(rig: &Rig, writes: u64) -> Mortal {
    Mortal {
        words: rig.words(),
        writes_left: writes.into(),
    }
}

/// A sender that dies after `writes` writes, over `messages` messages, odd ones in a chunk.
fn mortal_sender(rig: &Rig, writes: u64, messages: u64) -> bool {
    let waiter = rig.receive_waiter.try_clone().unwrap();
    lives(|| {
        let words = mortal(rig, writes);
        let mut sender = EdgeSender::over(words, &rig.config, waiter).unwrap();
        let mut freed = Vec::new();
        for number in 1..=messages {
            let body = if number % 2 == 1 {
                OutgoingBody::Chunk {
                    chunk: chunk(number),
                    payload_length: 1000,
                    metadata: OutgoingMetadata::Slot(b"of a chunk"),
                }
            } else {
                OutgoingBody::Inline {
                    payload: &[1; 24],
                    metadata: b"",
                }
            };
            let _ = sender.publish(
                &Outgoing {
                    sent_at_ns: 0,
                    waited_ns: 0,
                    body,
                },
                &mut freed,
            );
            sender.wake();
            let _ = sender.evict_oldest(&mut freed).unwrap_or(number % 5 != 0);
        }
    })
}

/// A receiver that dies after `writes` writes; it holds the last message in a chunk.
fn mortal_receiver(rig: &Rig, writes: u64) -> bool {
    let waiter = || rig.send_waiter.try_clone().unwrap();
    let words = mortal(rig, writes);
    let mut receiver = EdgeReceiver::over(words, &rig.config, waiter(), waiter()).unwrap();
    lives(|| {
        let mut held = None;
        while let Some(incoming) = receiver.take().unwrap() {
            if let IncomingBody::Chunk(message) = incoming.body {
                held = Some(message);
            }
        }
        // What is held at the end of a life that was not cut short is cut short now.
        std::mem::forget(held);
    })
}

#[test]
fn a_sender_may_die_at_any_write() {
    let mut windows = 0;
    for policy in [
        QueuePolicy::Block,
        QueuePolicy::DropOldest,
        QueuePolicy::Latest,
    ] {
        for taken_before in [0, 2] {
            let mut writes = 0;
            loop {
                let mut rig = rig(policy, 3, 1);
                (1..=3).for_each(|number| {
                    rig.send_chunk(number);
                });
                let held: Vec<_> = (0..taken_before).map(|_| rig.take_chunk()).collect();
                drop(held);
                let killed = mortal_sender(&rig, writes, 9);
                rig.restart_sender();
                let counts = rig.counts();
                assert!(
                    rig.receive_waiter.drain(),
                    "a repair wakes whoever the dead did not"
                );
                // Everything sent can be taken; sequences continue.
                let mut taken = 0;
                let mut last = 0;
                while let Some(incoming) = rig.receiver.take().unwrap() {
                    assert!(incoming.sequence.0 > last);
                    (last, taken) = (incoming.sequence.0, taken + 1);
                }
                assert_eq!(
                    taken, counts.queued,
                    "killed before write {writes}, {policy}"
                );
                rig.send(1);
                assert_eq!(rig.take(), Some((counts.sent + 1, 1)));
                rig.counts();
                if !killed {
                    break;
                }
                writes += 1;
            }
            windows += writes;
        }
    }
    assert!(windows > 100, "there were {windows}");
}

#[test]
fn a_sender_may_die_at_any_write_while_its_receiver_has_ended() {
    let mut writes = 0;
    loop {
        let mut rig = rig(QueuePolicy::Block, 3, 1);
        rig.send_chunk(1);
        // The flag is set, and the sweep comes only after the sender has died.
        rig.words()
            .store(header::RECEIVER_GONE, 1, Ordering::Relaxed);
        let killed = mortal_sender(&rig, writes, 4);
        rig.keeper.receiver_gone();
        let last = rig.keeper.close();
        let counts = rig.counts();
        assert_eq!((counts.sent, counts.queued), (last.0, 0));
        assert_eq!(counts.dropped_receiver_closed, last.0);
        if !killed {
            break;
        }
        writes += 1;
    }
    assert!(writes > 10, "the sender has written");
}

#[test]
fn a_receiver_may_die_at_any_write() {
    for policy in [QueuePolicy::Block, QueuePolicy::DropOldest] {
        let mut writes = 0;
        loop {
            let mut rig = rig(policy, 4, 2);
            rig.send(1);
            rig.send_chunk(2);
            rig.send_chunk(3);
            rig.send(4);
            let killed = mortal_receiver(&rig, writes);
            // Meanwhile the sender lives on, and its sweep must not hide what has happened.
            rig.freed();
            let sent_since = u64::from(rig.try_send(5).is_ok());
            let lost = rig.restart_receiver();
            let counts = rig.counts();
            assert_eq!((counts.held, counts.lost), (0, lost.len() as u64));
            assert_eq!(counts.sent, 4 + sent_since);
            rig.forget_wakes();
            let mut taken = 0;
            while rig.receiver.take().unwrap().is_some() {
                taken += 1;
            }
            assert_eq!(taken, counts.queued, "killed before write {writes}");
            rig.freed();
            let counts = rig.counts();
            assert_eq!(counts.queued + counts.held, 0);
            if !killed {
                break;
            }
            writes += 1;
        }
        assert!(writes > 10, "the receiver has written");
    }
}

#[test]
fn releases_that_were_not_counted_are_counted_by_the_repair() {
    let mut rig = rig(QueuePolicy::Block, 4, 4);
    (1..=4).for_each(|number| {
        rig.send_chunk(number);
    });
    let held: Vec<_> = std::iter::from_fn(|| rig.take_chunk()).collect();
    // Three threads died between their release and its count.
    let words = rig.words();
    for slot in 0..rig.layout().slots() {
        let place = rig.layout().slot(slot);
        let word = SlotWord::read(words.load(place, Ordering::Relaxed)).unwrap();
        if word.state == SlotState::Borrowed && word.sequence != 2 {
            words.store(place, SlotWord::released(word.sequence), Ordering::Release);
        }
    }
    std::mem::forget(held);
    assert_eq!(rig.restart_receiver(), [2]);
    let counts = rig.counts();
    assert_eq!((counts.released, counts.lost), (3, 1));
    assert_eq!(rig.freed(), [1, 2, 3, 4]);
}

#[test]
fn a_new_sender_frees_the_slots_of_the_dead_one_and_none_of_its_chunks() {
    let mut rig = rig(QueuePolicy::Block, 3, 1);
    (1..=3).for_each(|number| {
        rig.send_chunk(number);
    });
    let held = rig.take_chunk();
    rig.restart_sender();
    drop(held);
    drop(rig.take_chunk());
    drop(rig.take_chunk());
    for number in 4..=20 {
        rig.send_chunk(number);
        drop(rig.take_chunk());
    }
    assert_eq!(rig.freed(), (4..=20).collect::<Vec<_>>());
    assert_eq!(rig.counts().sent, 20);
}

#[derive(Debug, Clone)]
enum Step {
    Send,
    SendChunk,
    Take,
    DropHeld,
    Evict,
    KillSender(u64),
    KillReceiver(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Send),
        4 => Just(Step::SendChunk),
        4 => Just(Step::Take),
        2 => Just(Step::DropHeld),
        1 => Just(Step::Evict),
        1 => (0..60u64).prop_map(Step::KillSender),
        1 => (0..30u64).prop_map(Step::KillReceiver),
    ]
}

proptest! {
    #[test]
    fn counts_balance_after_any_history_of_deaths(
        policy in prop_oneof![
            Just(QueuePolicy::Block), Just(QueuePolicy::DropOldest), Just(QueuePolicy::Latest)
        ],
        queue_size in 1..6u32,
        held_max in 0..4u32,
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut rig = rig(policy, queue_size, held_max);
        let mut held = Vec::new();
        let mut last = 0;
        for step in steps {
            match step {
                Step::Send => drop(rig.try_send(1)),
                Step::SendChunk => drop(rig.try_send_chunk(1)),
                Step::Take => {
                    if let Some(incoming) = rig.receiver.take().unwrap() {
                        prop_assert!(incoming.sequence.0 > last);
                        last = incoming.sequence.0;
                        held.push(incoming);
                    }
                }
                Step::DropHeld => drop(held.pop()),
                Step::Evict => { rig.sender.evict_oldest(&mut rig.freed).unwrap(); }
                Step::KillSender(writes) => {
                    mortal_sender(&rig, writes, 3);
                    rig.restart_sender();
                }
                Step::KillReceiver(writes) => {
                    mortal_receiver(&rig, writes);
                    std::mem::take(&mut held).into_iter().for_each(std::mem::forget);
                    rig.restart_receiver();
                }
            }
            let counts = rig.keeper.read().counts;
            prop_assert!(counts.balances(), "{:?}", counts);
        }
    }
}
