//! A faulty process writes what it likes into an edge while the others work on it (I-3): nobody crashes, hangs or
//! reads outside (in this build every mapping lies between pages that nobody may touch), and errors name the edge.
//!
//! The test is the runtime. The sender, the receiver and the faulty process are this binary once more. Half a second
//! for each case; `DATAFLOW_DAMAGE_SECONDS=` says for how long instead, `DATAFLOW_DAMAGE_SEED=` what is written.
#![allow(unsafe_code, clippy::unwrap_used)]

mod case;
mod faulty;
mod honest;
mod random;

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dataflow_ids::{EdgeId, Epoch, NodeIndex, QueuePolicy, SegmentId};
use dataflow_shm::EventFd;
use dataflow_shm::edge::{AttachError, EdgeConfig, EdgeDamaged, EdgeSender};

use case::{Case, PATIENCE};
use random::Random;

/// What this binary is when a test starts it: `role seed milliseconds wanted policy descriptors…`.
const ROLE: &str = "DATAFLOW_DAMAGE_TEST_ROLE";

/// The length of the segment that messages name, if they are not damaged.
const SEGMENT_BYTES: u64 = 1 << 20;

fn config(policy: QueuePolicy) -> EdgeConfig {
    EdgeConfig {
        edge: EdgeId(7),
        policy,
        queue_size: 6,
        held_max: 4,
        held_bytes_max: 1 << 20,
    }
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn named(damaged: &EdgeDamaged) {
    assert_eq!(damaged.edge, EdgeId(7));
    assert!(damaged.to_string().starts_with("edge e7 is damaged: "));
}

fn segment() -> SegmentId {
    SegmentId {
        node: NodeIndex(0),
        epoch: Epoch(1),
        number: 0,
    }
}

/// What a process was started with.
struct Part {
    random: Random,
    until: Instant,
    /// How many messages it goes on for at least, and finds damage among them.
    wanted: u64,
    config: EdgeConfig,
    edge: OwnedFd,
    send_waiter: EventFd,
    receive_waiter: EventFd,
    segment: OwnedFd,
}

/// Not a test: one of the processes, when a test starts it.
#[test]
fn a_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let words: Vec<&str> = role.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    // SAFETY: these descriptors were made for this process by the one that started it, which says their
    // numbers; each is adopted once.
    let descriptor = |at: usize| unsafe { OwnedFd::from_raw_fd(number(at) as i32) };
    let policy = match words[4] {
        "block" => QueuePolicy::Block,
        "latest" => QueuePolicy::Latest,
        _ => QueuePolicy::DropOldest,
    };
    let part = Part {
        random: Random(number(1)),
        until: Instant::now() + Duration::from_millis(number(2)),
        wanted: number(3),
        config: config(policy),
        edge: descriptor(5),
        send_waiter: EventFd::from_fd(descriptor(6)).unwrap(),
        receive_waiter: EventFd::from_fd(descriptor(7)).unwrap(),
        segment: descriptor(8),
    };
    let (done, damaged) = match words[0] {
        "sender" => part.send(),
        "receiver" => part.receive(),
        "faulty" => part.scribble(),
        other => panic!("{other}"),
    };
    println!("done {done} damaged {damaged}");
}

/// For how many messages the process that is looked at goes on at least.
const WANTED: u64 = 50;

/// Until it is killed.
const FOR_EVER: u64 = u64::MAX;

const POLICIES: [QueuePolicy; 3] = [
    QueuePolicy::Block,
    QueuePolicy::DropOldest,
    QueuePolicy::Latest,
];

#[test]
fn a_sender_outlives_a_receivers_process_that_writes_what_it_likes() {
    for policy in POLICIES {
        let case = Case::new(policy);
        let faulty = case.start("faulty", 2, FOR_EVER);
        let sender = case.watch_until_over(case.start("sender", 1, WANTED));
        assert!(sender.done >= WANTED && sender.damaged > 0, "{sender:?}");
        drop(faulty);
        case.end();
    }
}

#[test]
fn a_receiver_outlives_a_senders_process_that_writes_what_it_likes() {
    for policy in POLICIES {
        let mut case = Case::new(policy);
        // The sender's process is this one too: payloads change while they are read.
        let mut chunk = case.pool.allocate(SEGMENT_BYTES as usize / 2).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let changing = {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let mut value = 0u8;
                while !is_over.load(Ordering::Relaxed) {
                    value = value.wrapping_add(1);
                    chunk.bytes_mut().fill(value);
                }
            })
        };
        let faulty = case.start("faulty", 4, FOR_EVER);
        // Without some good messages, nothing but the first damage would ever be seen.
        let sender_too = case.start("sender", 5, FOR_EVER);
        let receiver = case.watch_until_over(case.start("receiver", 3, WANTED));
        is_over.store(true, Ordering::Relaxed);
        changing.join().unwrap();
        assert!(
            receiver.done >= WANTED && receiver.damaged > 0,
            "{receiver:?}"
        );
        drop((faulty, sender_too));
        case.end();
    }
}

#[test]
fn the_runtime_outlives_a_process_that_writes_what_it_likes_and_repairs_what_it_leaves() {
    for (seed, policy) in (6..).zip(POLICIES) {
        let case = Case::new(policy);
        let faulty = case.start("faulty", seed, FOR_EVER);
        let receiver = case.start("receiver", seed, 0);
        let begun = Instant::now();
        // It repairs only what nobody writes to any more; but nothing of it depends on that.
        let is_over = || {
            let is_long = begun.elapsed() >= Duration::from_millis(case.milliseconds / 2);
            is_long && case.keeper.damage().is_some()
        };
        while !is_over() {
            assert!(begun.elapsed() < PATIENCE, "it writes nothing");
            case.keeper.repair_receiver();
            case.keeper.repair_sender();
            case.keeper.set_sender_epoch(Epoch(2));
            case.keeper.set_receiver_epoch(Epoch(2));
            case.keeper.read_settled();
            case.keeper.segments();
        }
        case.keeper.close();
        case.keeper.receiver_gone();
        drop(faulty);
        case.watch_until_over(receiver);
        case.end();
        // What follows is another process's, and finds the header as it should be.
        let waiter = || EventFd::new().unwrap();
        let attached = EdgeSender::attach(case.keeper.fd(), &config(policy), waiter());
        assert!(!matches!(attached, Err(AttachError::NotThisVersion { .. })));
    }
}
