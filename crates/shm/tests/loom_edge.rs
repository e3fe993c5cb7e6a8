//! The edge protocol under a model checker: every interleaving, and every stale value that the memory model
//! allows. The same code as in production runs over loom's atomics.
//!
//! Each model holds with all fences; without any one of them a model fails, so none is there for nothing.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow_ids::{EdgeId, Epoch, NodeIndex, QueuePolicy, SegmentId, Sequence};
use dataflow_shm::edge::{
    ChunkKey, EdgeConfig, EdgeKeeper, EdgeReceiver, EdgeSender, FenceSite, IncomingBody, Layout,
    Lease, Notify, Outgoing, OutgoingBody, OutgoingMetadata, Published, Room, WaitFor, Words,
    header,
};
use loom::thread;

/// The words of one edge. Those that parties tell each other things with are loom's; the rest (counters that
/// one party writes and nobody decides by, unused slots) are plain, to keep the models small.
struct Model {
    modelled: BTreeMap<usize, loom::sync::atomic::AtomicU64>,
    plain: Vec<AtomicU64>,
    without: Option<FenceSite>,
}

#[derive(Clone)]
struct LoomWords(Arc<Model>);

impl LoomWords {
    fn new(config: &EdgeConfig, messages: u64, without: Option<FenceSite>) -> Self {
        let layout = Layout::new(config).unwrap();
        let mut places = vec![
            header::TAIL,
            header::HEAD,
            header::RECEIVER_GONE,
            header::RECEIVER_WAKE,
            header::SENDER_WAKE,
            header::WATCH,
        ];
        places.extend((1..=messages).map(|sequence| layout.ring(sequence)));
        for slot in 0..layout.slots() {
            // The word, and the time sent, which stands for the descriptor.
            places.extend([layout.slot(slot), layout.slot(slot) + 1]);
        }
        LoomWords::with(&layout, places, without)
    }

    fn with(layout: &Layout, places: Vec<usize>, without: Option<FenceSite>) -> Self {
        LoomWords(Arc::new(Model {
            modelled: places
                .into_iter()
                .map(|place| (place, loom::sync::atomic::AtomicU64::new(0)))
                .collect(),
            plain: (0..layout.words()).map(|_| AtomicU64::new(0)).collect(),
            without,
        }))
    }
}

impl Words for LoomWords {
    fn load(&self, index: usize, ordering: Ordering) -> u64 {
        match self.0.modelled.get(&index) {
            Some(word) => word.load(ordering),
            None => self.0.plain[index].load(Ordering::SeqCst),
        }
    }

    fn store(&self, index: usize, value: u64, ordering: Ordering) {
        match self.0.modelled.get(&index) {
            Some(word) => word.store(value, ordering),
            None => self.0.plain[index].store(value, Ordering::SeqCst),
        }
    }

    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64> {
        match self.0.modelled.get(&index) {
            Some(word) => word.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire),
            None => panic!("a race for word {index}, which is not modelled"),
        }
    }

    fn swap(&self, index: usize, value: u64) -> u64 {
        match self.0.modelled.get(&index) {
            Some(word) => word.swap(value, Ordering::AcqRel),
            None => panic!("a race for word {index}, which is not modelled"),
        }
    }

    fn fetch_add(&self, index: usize, value: u64, _ordering: Ordering) -> u64 {
        self.0.plain[index].fetch_add(value, Ordering::SeqCst)
    }

    fn fence(&self, site: FenceSite) {
        if self.0.without != Some(site) {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }
}

/// An eventfd: a wake-up that comes before the wait ends it.
#[derive(Clone)]
struct Waiter(Arc<loom::sync::Notify>);

impl Waiter {
    fn new() -> Self {
        Waiter(Arc::new(loom::sync::Notify::new()))
    }

    fn wait(&self) {
        self.0.wait();
    }
}

impl Notify for Waiter {
    fn notify(&self) {
        self.0.notify();
    }
}

/// Where nobody waits: a model needs no wake-ups there.
struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

fn config(policy: QueuePolicy, queue_size: u32, held_max: u32) -> EdgeConfig {
    EdgeConfig {
        edge: EdgeId(1),
        policy,
        queue_size,
        held_max,
        held_bytes_max: 1 << 20,
    }
}

/// Message `value`, whose time is its value: so a receiver sees whether it reads the right one.
fn inline(value: u64) -> Outgoing<'static> {
    Outgoing {
        sent_at_ns: value,
        waited_ns: 0,
        body: OutgoingBody::Inline {
            payload: b"",
            metadata: b"",
        },
    }
}

fn in_chunk(value: u64) -> Outgoing<'static> {
    let segment = SegmentId {
        node: NodeIndex(0),
        epoch: Epoch(1),
        number: 0,
    };
    Outgoing {
        sent_at_ns: value,
        waited_ns: 0,
        body: OutgoingBody::Chunk {
            chunk: ChunkKey { segment, offset: 0 },
            payload_length: 100,
            metadata: OutgoingMetadata::Slot(b""),
        },
    }
}

fn queued<N: Notify>(sender: &mut EdgeSender<LoomWords, N>, message: &Outgoing<'_>) {
    let published = sender.publish(message, &mut Vec::new()).unwrap();
    assert!(matches!(published, Published::Queued(_)));
}

/// Takes the next message as a receiver does that sleeps in between: its value, and what is held of it.
fn take_sleeping<N: Notify>(
    receiver: &mut EdgeReceiver<LoomWords, N>,
    waiter: &Waiter,
) -> (u64, Option<Lease<LoomWords, N>>) {
    loop {
        if let Some(incoming) = receiver.take().unwrap() {
            assert_eq!(
                incoming.sequence.0, incoming.sent_at_ns,
                "the descriptor is its own"
            );
            let lease = match incoming.body {
                IncomingBody::Inline(_) => None,
                IncomingBody::Chunk(message) => Some(message.lease),
            };
            return (incoming.sent_at_ns, lease);
        }
        if receiver.prepare_sleep() {
            waiter.wait();
        }
        receiver.finish_sleep();
    }
}

/// Publishes as a sender does that sleeps while there is no room.
fn publish_sleeping<N: Notify>(
    sender: &mut EdgeSender<LoomWords, N>,
    message: &Outgoing<'_>,
    waiter: &Waiter,
) {
    loop {
        if sender.publish(message, &mut Vec::new()).is_ok() {
            return;
        }
        let wait_for = match sender.room().unwrap() {
            Room::Free => continue,
            Room::QueueFull => WaitFor::Queue,
            Room::SlotsHeld => WaitFor::Release,
        };
        if sender.prepare_sleep(wait_for) {
            waiter.wait();
        }
        sender.finish_sleep(0);
    }
}

/// Every interleaving.
fn check(model: impl Fn() + Send + Sync + 'static) {
    loom::model::Builder::new().check(model);
}

/// Every interleaving with at most `preemptions_max` switches away from a thread that could go on.
fn check_bounded(preemptions_max: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions_max);
    builder.check(model);
}

/// A message published while the receiver falls asleep is taken.
fn publish_against_sleep(without: Option<FenceSite>) {
    check_bounded(4, move || {
        let config = config(QueuePolicy::Block, 2, 0);
        let words = LoomWords::new(&config, 2, without);
        let waiter = Waiter::new();
        let mut receiver = EdgeReceiver::over(words.clone(), &config, Nobody, Nobody).unwrap();
        let mut sender = EdgeSender::over(words, &config, waiter.clone()).unwrap();
        let sending = thread::spawn(move || {
            for value in 1..=2 {
                queued(&mut sender, &inline(value));
                sender.wake();
            }
        });
        for value in 1..=2 {
            assert_eq!(take_sleeping(&mut receiver, &waiter).0, value);
        }
        sending.join().unwrap();
    });
}

/// A sender that waits for room in the queue gets on when the receiver takes a message.
fn block_against_take(without: Option<FenceSite>) {
    check(move || {
        let config = config(QueuePolicy::Block, 1, 1);
        let words = LoomWords::new(&config, 2, without);
        let (receive_waiter, send_waiter) = (Waiter::new(), Waiter::new());
        let mut sender = EdgeSender::over(words.clone(), &config, receive_waiter.clone()).unwrap();
        let mut receiver =
            EdgeReceiver::over(words, &config, send_waiter.clone(), send_waiter.clone()).unwrap();
        queued(&mut sender, &in_chunk(1));
        let receiving = thread::spawn(move || {
            let first = receiver.take().unwrap();
            assert_eq!(first.map(|incoming| incoming.sent_at_ns), Some(1));
        });
        publish_sleeping(&mut sender, &in_chunk(2), &send_waiter);
        receiving.join().unwrap();
    });
}

/// The same with inline messages, which are released as they are taken.
fn block_against_inline_take(without: Option<FenceSite>) {
    check(move || {
        let config = config(QueuePolicy::Block, 1, 0);
        let words = LoomWords::new(&config, 2, without);
        let waiter = Waiter::new();
        let mut sender = EdgeSender::over(words.clone(), &config, Nobody).unwrap();
        let mut receiver =
            EdgeReceiver::over(words, &config, waiter.clone(), waiter.clone()).unwrap();
        queued(&mut sender, &inline(1));
        let receiving = thread::spawn(move || {
            assert!(receiver.take().unwrap().is_some());
        });
        publish_sleeping(&mut sender, &inline(2), &waiter);
        receiving.join().unwrap();
    });
}

/// Both sides sleep whenever they can, and every message arrives.
fn both_sleep(without: Option<FenceSite>) {
    check_bounded(2, move || {
        let config = config(QueuePolicy::Block, 1, 0);
        let words = LoomWords::new(&config, 3, without);
        let (receive_waiter, send_waiter) = (Waiter::new(), Waiter::new());
        let mut sender = EdgeSender::over(words.clone(), &config, receive_waiter.clone()).unwrap();
        let mut receiver =
            EdgeReceiver::over(words, &config, send_waiter.clone(), send_waiter.clone()).unwrap();
        let sending = thread::spawn(move || {
            for value in 1..=3 {
                publish_sleeping(&mut sender, &inline(value), &send_waiter);
                sender.wake();
            }
        });
        for value in 1..=3 {
            assert_eq!(take_sleeping(&mut receiver, &receive_waiter).0, value);
        }
        sending.join().unwrap();
    });
}

/// A sender that waits for a slot gets on when the receiver releases a message.
fn block_against_release(without: Option<FenceSite>) {
    check(move || {
        let config = config(QueuePolicy::Block, 1, 0);
        let words = LoomWords::new(&config, 3, without);
        let waiter = Waiter::new();
        let mut sender = EdgeSender::over(words.clone(), &config, Nobody).unwrap();
        let mut receiver =
            EdgeReceiver::over(words, &config, waiter.clone(), waiter.clone()).unwrap();
        let mut held = Vec::new();
        for value in 1..=2 {
            queued(&mut sender, &in_chunk(value));
            held.extend(take_sleeping(&mut receiver, &waiter).1);
        }
        let first = held.swap_remove(0);
        let releasing = thread::spawn(move || drop(first));
        publish_sleeping(&mut sender, &in_chunk(3), &waiter);
        releasing.join().unwrap();
    });
}

/// A message published while the input closes for good is dropped and counted, once.
fn publish_against_receiver_gone(without: Option<FenceSite>) {
    check(move || {
        let config = config(QueuePolicy::Block, 2, 0);
        let words = LoomWords::new(&config, 2, without);
        let keeper = EdgeKeeper::over(words.clone(), &config, Nobody, Nobody).unwrap();
        let mut sender = EdgeSender::over(words, &config, Nobody).unwrap();
        let sending = thread::spawn(move || {
            for value in 1..=2 {
                sender.publish(&inline(value), &mut Vec::new()).unwrap();
            }
        });
        keeper.receiver_gone();
        sending.join().unwrap();
        let counts = keeper.read().counts;
        assert_eq!((counts.sent, counts.queued), (2, 0));
        assert_eq!(counts.dropped_receiver_closed, 2);
    });
}

/// Sender and receiver race for the oldest message: one of them has it, and it is whole.
fn eviction_against_take(without: Option<FenceSite>) {
    check_bounded(4, move || {
        let config = config(QueuePolicy::Latest, 1, 0);
        let words = LoomWords::new(&config, 3, without);
        let keeper = EdgeKeeper::over(words.clone(), &config, Nobody, Nobody).unwrap();
        let mut sender = EdgeSender::over(words.clone(), &config, Nobody).unwrap();
        let mut receiver = EdgeReceiver::over(words, &config, Nobody, Nobody).unwrap();
        queued(&mut sender, &inline(1));
        let sending = thread::spawn(move || {
            for value in 2..=3 {
                queued(&mut sender, &inline(value));
            }
        });
        let mut last = 0;
        for _ in 0..2 {
            if let Some(incoming) = receiver.take().unwrap() {
                assert_eq!(
                    incoming.sequence.0, incoming.sent_at_ns,
                    "the descriptor is its own"
                );
                assert!(incoming.sequence.0 > last);
                last = incoming.sequence.0;
            }
        }
        sending.join().unwrap();
        while receiver.take().unwrap().is_some() {}
        let counts = keeper.read().counts;
        assert!(counts.balances(), "{counts:?}");
        assert_eq!((counts.sent, counts.queued, counts.held), (3, 0, 0));
    });
}

/// Of two threads that release the last two messages, one wakes the control thread, if it has not seen for
/// itself that nothing is owed.
fn releases_against_watch(without: Option<FenceSite>) {
    check_bounded(3, move || {
        let config = config(QueuePolicy::Block, 2, 0);
        let words = LoomWords::new(&config, 2, without);
        let control = Waiter::new();
        let mut sender = EdgeSender::over(words.clone(), &config, Waiter::new()).unwrap();
        let mut receiver =
            EdgeReceiver::over(words, &config, Waiter::new(), control.clone()).unwrap();
        let mut releasing = Vec::new();
        for value in 1..=2 {
            queued(&mut sender, &in_chunk(value));
            let lease = take_sleeping(&mut receiver, &control).1;
            releasing.push(lease);
        }
        let releasing: Vec<_> = releasing
            .into_iter()
            .map(|lease| thread::spawn(move || drop(lease)))
            .collect();
        wait_until_nothing_is_owed(&receiver.handle(), &control);
        for releasing in releasing {
            releasing.join().unwrap();
        }
    });
}

/// The same when the last message is inline, and released by being taken.
fn inline_take_against_watch(without: Option<FenceSite>) {
    check(move || {
        let config = config(QueuePolicy::Block, 1, 0);
        let words = LoomWords::new(&config, 1, without);
        let control = Waiter::new();
        let mut sender = EdgeSender::over(words.clone(), &config, Waiter::new()).unwrap();
        let mut receiver =
            EdgeReceiver::over(words, &config, Waiter::new(), control.clone()).unwrap();
        queued(&mut sender, &inline(1));
        let handle = receiver.handle();
        let receiving = thread::spawn(move || {
            assert!(receiver.take().unwrap().is_some());
        });
        wait_until_nothing_is_owed(&handle, &control);
        receiving.join().unwrap();
    });
}

/// A reader never sees a wait that is booked go on, and what it tells never falls.
fn booked_waits_against_readings() {
    check_bounded(3, || {
        let config = config(QueuePolicy::Block, 1, 0);
        let layout = Layout::new(&config).unwrap();
        let words = LoomWords::with(
            &layout,
            vec![
                header::SENDER_WAKE,
                header::BLOCKED_NS,
                header::BLOCKED_SINCE,
            ],
            None,
        );
        let keeper = EdgeKeeper::over(words.clone(), &config, Nobody, Nobody).unwrap();
        let mut sender = EdgeSender::over(words, &config, Nobody).unwrap();
        let sending = thread::spawn(move || {
            for since in [100, 105] {
                sender.blocked_since(since);
                sender.finish_sleep(5);
            }
        });
        let mut told = 0;
        for _ in 0..2 {
            let before = told;
            told = keeper.read_at(110).counts.blocked_ns;
            assert!((before..=10).contains(&told), "{before}, then {told}");
        }
        sending.join().unwrap();
        assert_eq!(keeper.read_at(200).counts.blocked_ns, 10);
        assert_eq!(keeper.damage(), None);
    });
}

fn wait_until_nothing_is_owed<N: Notify>(
    handle: &dataflow_shm::edge::EdgeReceiverHandle<LoomWords, N>,
    control: &Waiter,
) {
    if handle.watch(Sequence(2)) {
        return;
    }
    while !handle.tokens(Sequence(2)).is_empty() {
        control.wait();
    }
}

/// A model, and which fence to leave out of it.
type Run = fn(Option<FenceSite>);

/// Which models depend on each fence.
const DEPENDS: [(FenceSite, &[Run]); 7] = [
    (
        FenceSite::Publish,
        &[publish_against_sleep, publish_against_receiver_gone],
    ),
    (FenceSite::ReceiverSleep, &[publish_against_sleep]),
    (
        FenceSite::Take,
        &[
            block_against_take,
            block_against_inline_take,
            inline_take_against_watch,
        ],
    ),
    (
        FenceSite::Release,
        &[block_against_release, releases_against_watch],
    ),
    (
        FenceSite::SenderSleep,
        &[
            block_against_take,
            block_against_inline_take,
            block_against_release,
        ],
    ),
    (FenceSite::ReceiverGone, &[publish_against_receiver_gone]),
    (
        FenceSite::Watch,
        &[releases_against_watch, inline_take_against_watch],
    ),
];

#[test]
fn a_message_published_while_the_receiver_falls_asleep_is_taken() {
    publish_against_sleep(None);
}

#[test]
fn a_sender_that_waits_for_the_queue_gets_on_after_a_take() {
    block_against_take(None);
    block_against_inline_take(None);
}

#[test]
fn every_message_arrives_when_both_sides_sleep_whenever_they_can() {
    both_sleep(None);
}

#[test]
fn a_sender_that_waits_for_a_slot_gets_on_after_a_release() {
    block_against_release(None);
}

#[test]
fn a_message_published_while_the_input_closes_is_counted_once() {
    publish_against_receiver_gone(None);
}

#[test]
fn an_eviction_and_a_take_never_both_win() {
    eviction_against_take(None);
}

#[test]
fn the_last_release_wakes_the_control_thread() {
    releases_against_watch(None);
    inline_take_against_watch(None);
}

#[test]
fn a_wait_is_counted_once_also_while_it_is_booked() {
    booked_waits_against_readings();
}

#[test]
fn without_any_one_fence_a_model_fails() {
    for site in FenceSite::ALL {
        let (_, models) = DEPENDS
            .iter()
            .find(|(depends_on, _)| *depends_on == site)
            .unwrap_or_else(|| panic!("no model depends on {site:?}"));
        for (number, model) in models.iter().enumerate() {
            let outcome = catch_unwind(AssertUnwindSafe(|| model(Some(site))));
            assert!(
                outcome.is_err(),
                "model {number} of {site:?} holds without that fence"
            );
        }
    }
}
