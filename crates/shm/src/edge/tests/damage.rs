//! Damaged edges (I-3): whatever stands in the words, and whenever it comes there, nobody panics, hangs, or
//! reads outside; and the error names the edge.

use std::sync::atomic::Ordering;

use dataflow_ids::stats::HISTOGRAM_BUCKETS;
use proptest::prelude::*;

use super::*;

/// What happens on an edge; the first of these is what should not.
#[derive(Debug, Clone)]
enum Step {
    Write { place: Place, value: u64 },
    Send,
    SendChunk,
    Take,
    DropHeld,
    Sweep,
    Evict,
    SenderSleeps(WaitFor),
    ReceiverSleeps,
    Watch(u64),
    Ending,
    Tokens(u64),
    RepairSender,
    RepairReceiver,
    ReceiverGone,
    Close,
}

/// Where a faulty process writes.
#[derive(Debug, Clone, Copy)]
enum Place {
    Any(usize),
    Header(usize),
    Ring(u64),
    SlotWord(u32),
    Descriptor(u32, usize),
}

fn place() -> impl Strategy<Value = Place> {
    let hot = [
        header::TAIL,
        header::HEAD,
        header::DELIVERED,
        header::RELEASED,
        header::CLOSED_AT,
        header::RECEIVER_GONE,
        header::RECEIVER_WAKE,
        header::SENDER_WAKE,
        header::WATCH,
        header::DROP_INTENT,
        header::DROPPED_FULL,
        header::BLOCKED_NS,
        header::BLOCKED_SINCE,
        header::LOST,
        header::OBSERVATIONS,
        header::LATENCY,
        header::QUEUE_WAIT + 7,
        header::HANDLING + HISTOGRAM_BUCKETS,
    ];
    prop_oneof![
        any::<usize>().prop_map(Place::Any),
        proptest::sample::select(hot.to_vec()).prop_map(Place::Header),
        (0..16u64).prop_map(Place::Ring),
        (0..8u32).prop_map(Place::SlotWord),
        (0..8u32, 1..16usize).prop_map(|(slot, word)| Place::Descriptor(slot, word)),
    ]
}

/// Numbers that are nearly right are worse than random ones.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..20u64,
        (0..20u64, 0..8u64).prop_map(|(sequence, state)| sequence << 3 | state),
        (
            0..20u64,
            prop_oneof![0..10u64, Just(u64::from(NO_SLOT)), 0..0x1_0000u64]
        )
            .prop_map(|(sequence, slot)| sequence << 16 | slot),
        (0..5u64, 0..200u64).prop_map(|(kind, length)| kind << 17 | length),
        (0..3u64).prop_map(|below| SEQUENCE_MAX - below),
        (0..3u64).prop_map(|below| u64::MAX - below),
        (0..3u64).prop_map(|below| (u64::MAX >> 1) - below),
        (0..3u64, 0..4u64).prop_map(|(below, state)| ((u64::MAX >> 3) - below) << 3 | state),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (place(), value()).prop_map(|(place, value)| Step::Write { place, value }),
        4 => Just(Step::Send),
        4 => Just(Step::SendChunk),
        6 => Just(Step::Take),
        2 => Just(Step::DropHeld),
        1 => Just(Step::Sweep),
        1 => Just(Step::Evict),
        1 => Just(Step::SenderSleeps(WaitFor::Queue)),
        1 => Just(Step::SenderSleeps(WaitFor::Release)),
        1 => Just(Step::ReceiverSleeps),
        1 => value().prop_map(Step::Watch),
        1 => Just(Step::Ending),
        1 => value().prop_map(Step::Tokens),
        3 => Just(Step::RepairSender),
        4 => Just(Step::RepairReceiver),
        1 => Just(Step::ReceiverGone),
        1 => Just(Step::Close),
    ]
}

/// An error, if it is one, is about this edge.
fn named<T>(result: Result<T, EdgeDamaged>) -> Option<T> {
    result
        .map_err(|error| {
            assert_eq!(error.edge, EdgeId(7));
            assert!(error.to_string().starts_with("edge e7 is damaged: "));
        })
        .ok()
}

fn published(result: Result<Published, PublishError>) {
    match result {
        Ok(_) | Err(PublishError::Full { .. }) => {}
        Err(PublishError::Damaged(error)) => drop(named::<()>(Err(error))),
        Err(error @ PublishError::TooLong { .. }) => panic!("{error}"),
    }
}

fn attached<T>(result: Result<T, AttachError>) -> Option<T> {
    match result {
        Ok(end) => Some(end),
        Err(AttachError::Damaged(error)) => named(Err(error)),
        Err(AttachError::NotThisVersion { edge }) => {
            assert_eq!(edge, EdgeId(7));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// What a receiver is given keeps to the limits, whatever the sender wrote.
fn check_incoming(incoming: &Incoming) {
    match &incoming.body {
        IncomingBody::Inline(inline) => {
            assert!(inline.payload().len() + inline.metadata().len() <= INLINE_BYTES_MAX);
        }
        IncomingBody::Chunk(message) => {
            assert!(message.offset.checked_add(message.payload_length).is_some());
            match &message.metadata {
                ReceivedMetadata::Slot(metadata) => {
                    assert!(metadata.as_slice().len() <= SLOT_METADATA_BYTES_MAX);
                }
                ReceivedMetadata::Chunk { offset, length } => {
                    assert!(*length as usize <= METADATA_BYTES_MAX);
                    assert!(offset.checked_add(u64::from(*length)).is_some());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_edge_harms_nobody(
        policy in prop_oneof![
            Just(QueuePolicy::Block), Just(QueuePolicy::DropOldest), Just(QueuePolicy::Latest)
        ],
        queue_size in 1..6u32,
        held_max in 0..3u32,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut rig = rig(policy, queue_size, held_max);
        let (words, layout) = (rig.words(), rig.layout());
        let mut held = Vec::new();
        let mut seen = 0;
        for step in steps {
            match step {
                Step::Write { place, value } => {
                    let index = match place {
                        Place::Any(index) => index % layout.words(),
                        Place::Header(index) => index,
                        Place::Ring(sequence) => layout.ring(sequence),
                        Place::SlotWord(slot) => layout.slot(slot % layout.slots()),
                        Place::Descriptor(slot, word) => {
                            layout.slot(slot % layout.slots()) + word
                        }
                    };
                    words.store(index, value, Ordering::Relaxed);
                }
                Step::Send => published(rig.try_send(1)),
                Step::SendChunk => published(rig.try_send_chunk(1)),
                Step::Take => {
                    if let Some(Some(incoming)) = named(rig.receiver.take()) {
                        check_incoming(&incoming);
                        held.push(incoming);
                    }
                }
                Step::DropHeld => drop(held.pop()),
                Step::Sweep => { named(rig.sender.sweep(&mut rig.freed)); },
                Step::Evict => { named(rig.sender.evict_oldest(&mut rig.freed)); },
                Step::SenderSleeps(wait_for) => {
                    named(rig.sender.room());
                    rig.sender.prepare_sleep(wait_for);
                    rig.sender.finish_sleep(1);
                }
                Step::ReceiverSleeps => {
                    rig.receiver.prepare_sleep();
                    rig.receiver.finish_sleep();
                }
                Step::Watch(upto) => drop(rig.receiver.handle().watch(sequence(upto))),
                Step::Ending => drop(rig.receiver.ending()),
                Step::Tokens(upto) => {
                    rig.keeper.tokens(sequence(upto));
                    rig.keeper.segments();
                    let counts = rig.keeper.read().counts;
                    prop_assert!(counts.sent >= seen && counts.sent <= SEQUENCE_MAX);
                    prop_assert!(counts.delivered.max(counts.dropped()) <= 4 * SEQUENCE_MAX);
                    seen = counts.sent;
                }
                Step::RepairSender => {
                    rig.keeper.repair_sender();
                    let waiter = rig.receive_waiter.try_clone().unwrap();
                    let next = EdgeSender::attach(rig.keeper.fd(), &rig.config, waiter);
                    if let Some(sender) = attached(next) {
                        rig.sender = sender;
                    }
                }
                Step::RepairReceiver => {
                    held.clear();
                    rig.keeper.repair_receiver();
                    let waiters =
                        [&rig.send_waiter, &rig.control_waiter].map(|w| w.try_clone().unwrap());
                    let [send_waiter, control] = waiters;
                    let next =
                        EdgeReceiver::attach(rig.keeper.fd(), &rig.config, send_waiter, control);
                    if let Some(receiver) = attached(next) {
                        rig.receiver = receiver;
                    }
                }
                Step::ReceiverGone => drop(rig.keeper.receiver_gone()),
                Step::Close => drop(rig.keeper.close()),
            }
        }
    }
}

/// An edge on which one message is queued, with one word changed, and what taking it says then.
fn take_after(change: impl Fn(&MappedWords, &Layout)) -> Damage {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send_chunk(1);
    change(&rig.words(), &rig.layout());
    rig.receiver.take().unwrap_err().what
}

#[test]
fn a_receiver_says_what_is_wrong() {
    let set = |words: &MappedWords, place, value| words.store(place, value, Ordering::Relaxed);
    // The first slot handed out.
    let slot = |layout: &Layout| layout.slot(0);
    let tail = |value| take_after(|words, _| set(words, header::TAIL, value));
    assert!(matches!(tail(SEQUENCE_MAX + 1), Damage::Tail { .. }));
    assert!(matches!(
        tail(6),
        Damage::Overfull {
            queued: 6,
            queue_size: 4
        }
    ));
    let ring = |value| take_after(|words, layout| set(words, layout.ring(1), value));
    assert!(matches!(ring(0), Damage::Ring { .. }));
    assert!(matches!(
        ring(1 << 16 | 6),
        Damage::SlotIndex {
            slot: 6,
            slots: 6,
            ..
        }
    ));
    let word = |value| take_after(|words, layout| set(words, slot(layout), value));
    assert!(
        matches!(word(SlotWord::free(1)), Damage::SlotWord { .. }),
        "`block` drops nothing"
    );
    assert!(matches!(
        word(SlotWord::borrowed(1)),
        Damage::SlotWord { .. }
    ));
    assert!(matches!(word(15), Damage::SlotWord { word: 15, .. }));
    let described = |at, value| take_after(|words, layout| set(words, slot(layout) + at, value));
    assert!(matches!(
        described(3, 7 << 17),
        Damage::Kind { kind: 7, .. }
    ));
    assert!(matches!(described(3, 1 << 17 | 97), Damage::Length { .. }));
    assert!(matches!(described(3, 2 << 17 | 81), Damage::Length { .. }));
    assert!(matches!(
        described(3, 3 << 17 | 65_537),
        Damage::Length { .. }
    ));
    assert!(matches!(described(2, u64::MAX), Damage::Length { .. }));
}

#[test]
fn a_message_with_a_bad_description_is_counted_and_released() {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send_chunk(1);
    let kind = rig.layout().slot(0) + 3;
    rig.words().store(kind, 7 << 17, Ordering::Relaxed);
    assert!(rig.receiver.take().is_err());
    assert!(
        rig.keeper.tokens(sequence(1)).is_empty(),
        "nobody has a lease that could release it later"
    );
    let counts = rig.counts();
    assert_eq!((counts.delivered, counts.released), (1, 1));
    assert_eq!(rig.keeper.repair_receiver(), []);
    rig.counts();
}

#[test]
fn a_word_that_says_no_end_keeps_no_receiver_awake() {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.words().store(header::CLOSED_AT, 2, Ordering::Relaxed);
    assert_eq!(rig.receiver.ending(), Ending::Open);
    assert!(rig.receiver.prepare_sleep());
}

#[test]
fn a_sender_says_what_is_wrong() {
    let mut rig = rig(QueuePolicy::Block, 1, 1);
    rig.send_chunk(1);
    let words = rig.words();
    words.store(header::HEAD, 2 << 1, Ordering::Relaxed);
    let Err(PublishError::Damaged(error)) = rig.try_send(2) else {
        panic!("a head that is ahead of the tail was believed");
    };
    assert_eq!(error.what, Damage::Head { head: 2, tail: 1 });
    words.store(header::HEAD, 1 << 1, Ordering::Relaxed);
    let error = rig.sender.sweep(&mut rig.freed).unwrap_err();
    assert!(
        matches!(error.what, Damage::SlotWord { .. }),
        "it is taken, and still queued"
    );
    assert_eq!(rig.freed, [], "no chunk comes back that was not released");
}

#[test]
fn what_is_no_such_edge_is_not_attached() {
    let rig = rig(QueuePolicy::Block, 4, 1);
    let waiter = || rig.receive_waiter.try_clone().unwrap();
    let mut other = rig.config.clone();
    other.queue_size = 5;
    let refused = EdgeSender::attach(rig.keeper.fd(), &other, waiter()).unwrap_err();
    assert!(
        matches!(refused, AttachError::Descriptor { .. }),
        "{refused}"
    );
    let eventfd = waiter().into_fd();
    let refused = EdgeReceiver::attach(eventfd, &rig.config, waiter(), waiter()).unwrap_err();
    assert!(
        matches!(refused, AttachError::Descriptor { .. }),
        "{refused}"
    );
    rig.words().store(header::VERSION, 1, Ordering::Relaxed);
    let refused = EdgeSender::attach(rig.keeper.fd(), &rig.config, waiter()).unwrap_err();
    assert_eq!(refused, AttachError::NotThisVersion { edge: EdgeId(7) });
}

#[test]
fn an_end_that_the_runtime_has_not_written_is_none_and_is_found() {
    let mut rig = rig(QueuePolicy::DropOldest, 4, 1);
    rig.send(1);
    rig.send(2);
    // The sender's process says that its end is final, after messages that it never sent.
    rig.words()
        .store(header::CLOSED_AT, 1000 << 1 | 1, Ordering::Relaxed);
    assert_eq!(rig.take(), Some((1, 1)));
    assert_eq!(rig.take(), Some((2, 2)));
    assert_eq!(rig.take(), None);
    assert!(matches!(
        rig.receiver.ending(),
        Ending::Closed {
            everything_taken: false,
            ..
        }
    ));
    // It has been reaped: now the end is the right one, and the receiver sees it.
    assert_eq!(rig.keeper.close(), sequence(2));
    assert_eq!(
        rig.receiver.ending(),
        Ending::Closed {
            last: sequence(2),
            everything_taken: true
        }
    );
    let damage = rig.keeper.damage().unwrap();
    assert_eq!(damage.edge, EdgeId(7));
    assert!(
        matches!(
            damage.what,
            Damage::OwnWord {
                word: "closed_at",
                ..
            }
        ),
        "{damage}"
    );
}

#[test]
fn a_receiver_that_is_not_gone_is_not_believed_to_be_and_what_it_held_stays_counted() {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send_chunk(1);
    let held = rig.take_chunk();
    rig.words()
        .store(header::RECEIVER_GONE, 1, Ordering::Relaxed);
    rig.words().store(header::LOST, u64::MAX, Ordering::Relaxed);
    std::mem::forget(held);
    assert_eq!(rig.restart_receiver(), [1]);
    assert_eq!(rig.counts().lost, 1);
    assert_eq!(rig.try_send(2), Ok(Published::Queued(sequence(2))));
    assert!(matches!(
        rig.keeper.damage().unwrap().what,
        Damage::OwnWord { .. }
    ));
}

#[test]
fn counters_that_cannot_be_are_given_as_they_were_and_named() {
    let counters = [
        header::TAIL,
        header::DELIVERED,
        header::RELEASED,
        header::DROPPED_FULL,
        header::DROPPED_MEMORY,
        header::DROPPED_RECEIVER_CLOSED,
    ];
    for counter in counters {
        let mut rig = rig(QueuePolicy::DropOldest, 1, 1);
        for value in 1..4 {
            rig.send(value);
        }
        rig.take();
        let before = rig.counts();
        assert_eq!(rig.keeper.damage(), None);
        rig.words().store(counter, u64::MAX - 3, Ordering::Relaxed);
        assert_eq!(rig.counts(), before);
        let damage = rig.keeper.damage().unwrap();
        assert!(matches!(damage.what, Damage::Counter { .. }), "{damage}");
    }
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send(1);
    rig.counts();
    rig.words().store(header::TAIL, 0, Ordering::Relaxed);
    assert_eq!(rig.keeper.read().counts.sent, 1, "a counter never falls");
    assert!(rig.keeper.damage().is_some());
}

#[test]
fn messages_that_are_not_accounted_for_at_the_end_are_found() {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send(1);
    rig.take();
    rig.words().store(header::TAIL, 3, Ordering::Relaxed);
    rig.keeper.close();
    rig.keeper.repair_receiver();
    rig.keeper.receiver_gone();
    rig.keeper.read();
    assert_eq!(rig.keeper.damage(), None, "each word for itself could be");
    rig.keeper.read_settled();
    assert!(matches!(
        rig.keeper.damage().unwrap().what,
        Damage::Sums {
            sent: 3,
            delivered: 1,
            ..
        }
    ));
}

#[test]
fn a_time_that_a_faulty_sender_writes_is_given_as_it_is_and_nobody_waits_for_a_better_one() {
    let mut rig = rig(QueuePolicy::Block, 4, 1);
    rig.send(1);
    let sent_at = rig.layout().slot(0) + 1;
    for value in [0, u64::MAX] {
        rig.words().store(sent_at, value, Ordering::Relaxed);
        assert_eq!(rig.keeper.read().oldest_sent_at_ns, Some(value));
    }
}
