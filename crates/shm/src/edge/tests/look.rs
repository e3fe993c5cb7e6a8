//! Who looks only at what has changed knows what who reads everything knows.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::clock::monotonic_now_ns;

/// What happens on an edge whose ends keep to the protocol.
#[derive(Debug, Clone, Copy)]
enum Step {
    Send,
    SendChunk,
    /// The receiver asks for the next event: it records the last one, takes one, or falls asleep.
    Receive,
    DropHeld,
    SenderSleeps,
    SenderWakes,
    RestartSender,
    RestartReceiver,
    ReceiverGone,
    Close,
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Send),
        3 => Just(Step::SendChunk),
        14 => Just(Step::Receive),
        4 => Just(Step::DropHeld),
        2 => Just(Step::SenderSleeps),
        2 => Just(Step::SenderWakes),
        1 => Just(Step::RestartSender),
        1 => Just(Step::RestartReceiver),
        1 => Just(Step::ReceiverGone),
        1 => Just(Step::Close),
        12 => Just(Step::Look),
    ]
}

/// Both ends, and what somebody knows who looks only at changes.
struct Scene {
    rig: Rig,
    held: Vec<ChunkMessage>,
    is_asleep: bool,
    has_one_in_hand: bool,
    sender_sleeps: bool,
    number: u64,
    mark: EdgeMark,
    known: EdgeReading,
}

impl Scene {
    fn new(policy: QueuePolicy) -> Scene {
        let rig = rig(policy, 3, 2);
        let mut mark = EdgeMark::default();
        let known = rig.keeper.read_if_changed(&mut mark).unwrap();
        Scene {
            rig,
            held: Vec::new(),
            is_asleep: false,
            has_one_in_hand: false,
            sender_sleeps: false,
            number: 0,
            mark,
            known,
        }
    }

    /// Looks, and gives whether anything had changed.
    fn look(&mut self) -> bool {
        let changed = self.rig.keeper.read_if_changed(&mut self.mark);
        let has_changed = changed.is_some();
        self.known = changed.unwrap_or_else(|| self.known.clone());
        let now = self.rig.keeper.read();
        // Whether the receiver sleeps is no change of the edge.
        self.known.receiver_idle = now.receiver_idle;
        if self.sender_sleeps {
            // A wait goes on between two readings.
            assert!(self.known.counts.blocked_ns <= now.counts.blocked_ns);
            self.known.counts.blocked_ns = now.counts.blocked_ns;
        }
        assert_eq!(self.known, now);
        has_changed
    }

    fn receive(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            self.rig.receiver.finish_sleep();
        }
        if std::mem::take(&mut self.has_one_in_hand) {
            let spent_ns = self.number * 10;
            self.rig.receiver.observe(Span::Handling, spent_ns, 1);
        }
        match self.rig.receiver.take().unwrap() {
            Some(incoming) => {
                self.rig.receiver.observe(Span::Latency, self.number, 1);
                self.has_one_in_hand = true;
                if let IncomingBody::Chunk(chunk) = incoming.body {
                    self.held.push(chunk);
                }
            }
            None => {
                self.rig.receiver.ending();
                self.is_asleep = self.rig.receiver.prepare_sleep();
            }
        }
    }

    fn step(&mut self, step: Step) {
        self.number += 1;
        match step {
            Step::Send => drop(self.rig.try_send(self.number)),
            Step::SendChunk => drop(self.rig.try_send_chunk(self.number)),
            Step::Receive => self.receive(),
            Step::DropHeld => drop(self.held.pop()),
            Step::SenderSleeps if self.sender_sleeps => {}
            Step::SenderSleeps => {
                self.sender_sleeps = self.rig.sender.prepare_sleep(WaitFor::Queue);
                if self.sender_sleeps {
                    self.rig.sender.blocked_since(monotonic_now_ns());
                }
            }
            Step::SenderWakes if self.sender_sleeps => {
                self.sender_sleeps = false;
                self.rig.sender.finish_sleep(self.number);
                // It had a message to send.
                let _ = self.rig.try_send(self.number);
            }
            Step::SenderWakes => {}
            Step::RestartSender => {
                self.sender_sleeps = false;
                self.rig.restart_sender();
            }
            Step::RestartReceiver => {
                self.held.drain(..).for_each(|chunk| chunk.lease.abandon());
                self.is_asleep = false;
                self.has_one_in_hand = false;
                self.rig.restart_receiver();
            }
            Step::ReceiverGone => drop(self.rig.keeper.receiver_gone()),
            Step::Close => drop(self.rig.keeper.close()),
            Step::Look => drop(self.look()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn who_looks_at_changes_knows_what_who_reads_everything_knows(
        policy in prop_oneof![Just(QueuePolicy::Block), Just(QueuePolicy::DropOldest)],
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut scene = Scene::new(policy);
        for step in steps {
            scene.step(step);
        }
        scene.look();
    }
}

/// Words that count how often they are read.
struct Counting<'a> {
    words: &'a MappedWords,
    reads: &'a AtomicU64,
}

impl Words for Counting<'_> {
    fn load(&self, index: usize, ordering: Ordering) -> u64 {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.words.load(index, ordering)
    }

    fn store(&self, index: usize, value: u64, ordering: Ordering) {
        self.words.store(index, value, ordering);
    }

    fn compare_exchange(&self, index: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.words.compare_exchange(index, current, new)
    }

    fn swap(&self, index: usize, value: u64) -> u64 {
        self.words.swap(index, value)
    }

    fn fetch_add(&self, index: usize, value: u64, ordering: Ordering) -> u64 {
        self.words.fetch_add(index, value, ordering)
    }

    fn fence(&self, site: FenceSite) {
        self.words.fence(site);
    }
}

#[test]
fn a_look_at_an_edge_at_rest_reads_one_word() {
    let mut rig = rig(QueuePolicy::Block, 3, 2);
    let words = rig.words();
    let reads = AtomicU64::new(0);
    let counting = Counting {
        words: &words,
        reads: &reads,
    };
    let waiter = || rig.control_waiter.try_clone().unwrap();
    let keeper = EdgeKeeper::over(counting, &rig.config, waiter(), waiter()).unwrap();
    let mut mark = EdgeMark::default();
    let look = |mark: &mut EdgeMark| {
        let before = reads.load(Ordering::Relaxed);
        let has_changed = keeper.read_if_changed(mark).is_some();
        (has_changed, reads.load(Ordering::Relaxed) - before)
    };
    let is_cheap = |mark: &mut EdgeMark| look(mark) == (false, 1);
    assert!(look(&mut mark).0, "nothing was seen yet");
    assert!(!is_cheap(&mut mark), "the receiver is awake");
    assert!(rig.receiver.prepare_sleep());
    assert!(!look(&mut mark).0, "that it sleeps now is no change");
    assert!(!is_cheap(&mut mark), "a sender may wait for its readiness");
    rig.sender.sleeps_for_readiness();
    assert!(look(&mut mark).0, "the sender sleeps");
    keeper.set_receiver_ready();
    rig.sender.finish_sleep(0);
    assert!(look(&mut mark).0, "it has been ready");
    assert!(rig.receiver.prepare_sleep());
    assert!(!look(&mut mark).0);
    for value in 1..4 {
        assert!(is_cheap(&mut mark) && is_cheap(&mut mark));
        rig.send(value);
        assert!(look(&mut mark).0, "it was sent");
        assert!(!look(&mut mark).0 && !is_cheap(&mut mark), "it is queued");
        rig.receiver.finish_sleep();
        rig.take();
        assert!(look(&mut mark).0, "it was taken");
        assert!(!look(&mut mark).0 && !is_cheap(&mut mark), "it is in hand");
        rig.receiver.observe(Span::Handling, 5, 1);
        assert!(rig.receiver.prepare_sleep());
        assert!(look(&mut mark).0, "it was recorded");
        assert!(!look(&mut mark).0);
    }
    assert!(is_cheap(&mut mark));
    keeper.receiver_gone();
    assert!(look(&mut mark).0, "the runtime has done something");
}
