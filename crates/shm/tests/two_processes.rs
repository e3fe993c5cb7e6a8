//! An edge between two real processes: numbered messages with checksums, for each policy.
//!
//! The test itself is the runtime and the sender; the receiver is this binary once more. 100,000 messages
//! each, 10,000,000 with `DATAFLOW_SOAK=1`.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use dataflow_ids::{EdgeId, Epoch, NodeId, NodeIndex, QueuePolicy, SegmentId};
use dataflow_shm::edge::{
    ChunkMessage, EdgeConfig, EdgeCounts, EdgeKeeper, EdgeReceiver, EdgeSender, Ending,
    IncomingBody, Outgoing, OutgoingBody, OutgoingMetadata, PublishError, Published, Room, WaitFor,
};
use dataflow_shm::{EventFd, ReceivedSegments, SegmentPool, SegmentPoolConfig};
use rustix::event::{PollFd, PollFlags, poll};

/// The receiver's part: `policy queue_size held_max mix edge send_waiter receive_waiter segment length`.
const ROLE: &str = "DATAFLOW_EDGE_TEST_RECEIVER";

/// How many messages in chunks the receiver keeps, to look at them again later.
const KEPT: usize = 16;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mix {
    /// 24 bytes each.
    Small,
    /// Every second one in a chunk.
    InlineAndChunks,
}

fn messages() -> u64 {
    match std::env::var_os("DATAFLOW_SOAK") {
        Some(soak) if soak == "1" => 10_000_000,
        _ => 100_000,
    }
}

fn segment_id() -> SegmentId {
    SegmentId {
        node: NodeIndex(0),
        epoch: Epoch(1),
        number: 0,
    }
}

fn scramble(value: u64) -> u64 {
    (value ^ 0x5bd1_e995)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}

/// A small message: its number, something that depends on it, and a checksum over both.
fn small(number: u64) -> [u8; 24] {
    let mut bytes = [0; 24];
    let word = scramble(number);
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&word.to_le_bytes());
    bytes[16..].copy_from_slice(&scramble(number ^ word).to_le_bytes());
    bytes
}

fn large_length(number: u64) -> usize {
    97 + (scramble(number) % 4000) as usize
}

/// A large message: bytes that all depend on its number, and a checksum behind them.
fn fill_large(number: u64, bytes: &mut [u8]) {
    let end = bytes.len() - 8;
    let (body, checksum) = bytes.split_at_mut(end);
    for (place, eight) in body.chunks_mut(8).enumerate() {
        let word = scramble(number + place as u64).to_le_bytes();
        eight.copy_from_slice(&word[..eight.len()]);
    }
    checksum.copy_from_slice(&checksum_of(body).to_le_bytes());
}

fn checksum_of(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |sum, eight| {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        scramble(sum ^ u64::from_le_bytes(word))
    })
}

fn wait(waiter: &EventFd) {
    let mut fds = [PollFd::new(waiter, PollFlags::IN)];
    while let Err(rustix::io::Errno::INTR) = poll(&mut fds, None) {}
    waiter.drain();
}

/// Publishes, and waits for room as a node's library does: a short spin, then a sleep.
fn publish(
    sender: &mut EdgeSender,
    waiter: &EventFd,
    message: &Outgoing<'_>,
    freed: &mut Vec<dataflow_shm::edge::ChunkKey>,
) -> Published {
    loop {
        match sender.publish(message, freed) {
            Ok(published) => {
                sender.wake();
                return published;
            }
            Err(PublishError::Full { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let wait_for = match sender.room().unwrap() {
            Room::Free => continue,
            Room::QueueFull => WaitFor::Queue,
            Room::SlotsHeld => WaitFor::Release,
        };
        let begun = Instant::now();
        if sender.prepare_sleep(wait_for) {
            wait(waiter);
        }
        sender.finish_sleep(begun.elapsed().as_nanos() as u64);
    }
}

fn run(policy: QueuePolicy, queue_size: u32, held_max: u32, mix: Mix, messages: u64) -> EdgeCounts {
    let config = config(policy, queue_size, held_max);
    let [send_waiter, receive_waiter] = [(); 2].map(|()| EventFd::new().unwrap());
    let keeper = EdgeKeeper::create(
        "two-processes",
        &config,
        send_waiter.try_clone().unwrap(),
        receive_waiter.try_clone().unwrap(),
    )
    .unwrap();
    let mut pool = SegmentPool::new(SegmentPoolConfig {
        run: "two-processes".to_owned(),
        node: NodeId::new("sender").unwrap(),
        index: segment_id().node,
        epoch: segment_id().epoch,
        limit_bytes: 1 << 20,
    });
    let segment = pool.grow(1 << 20).unwrap().segment;
    assert_eq!(segment.segment, segment_id());

    let receiver = start_receiver(
        &format!("{policy} {queue_size} {held_max} {mix:?}"),
        &[
            keeper.fd(),
            send_waiter.as_fd(),
            receive_waiter.as_fd(),
            segment.fd.as_fd(),
        ],
        segment.length,
    );
    let mut sender = EdgeSender::attach(keeper.fd(), &config, receive_waiter).unwrap();
    // The receiver rings when it has attached.
    wait(&send_waiter);

    let begun = Instant::now();
    let mut freed = Vec::new();
    for number in 1..=messages {
        let inline = mix == Mix::Small || number % 2 == 0;
        if inline {
            let body = OutgoingBody::Inline {
                payload: &small(number),
                metadata: b"",
            };
            let message = Outgoing {
                sent_at_ns: number,
                waited_ns: 0,
                body,
            };
            publish(&mut sender, &send_waiter, &message, &mut freed);
        } else {
            let length = large_length(number);
            let mut chunk = pool.allocate(length).unwrap();
            fill_large(number, &mut chunk.bytes_mut()[..length]);
            let chunk = pool.share(chunk);
            let body = OutgoingBody::Chunk {
                chunk,
                payload_length: length as u64,
                metadata: OutgoingMetadata::Slot(&number.to_le_bytes()),
            };
            let message = Outgoing {
                sent_at_ns: number,
                waited_ns: 0,
                body,
            };
            let published = publish(&mut sender, &send_waiter, &message, &mut freed);
            if !matches!(published, Published::Queued(_)) {
                // The receiver held every slot; the chunk is still ours.
                assert!(policy != QueuePolicy::Block, "{published:?}");
                freed.push(chunk);
            }
            sender.sweep(&mut freed).unwrap();
        }
        for chunk in freed.drain(..) {
            pool.release(chunk).unwrap();
        }
    }
    let elapsed = begun.elapsed();
    drop(sender);
    keeper.repair_sender();
    assert_eq!(keeper.close().0, messages);
    let output = receiver.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the receiver: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let rate = messages as f64 / elapsed.as_secs_f64() / 1e6;
    println!("{policy}, queue of {queue_size}, {mix:?}: {rate:.2} M messages/s");

    let counts = keeper.read().counts;
    assert!(counts.balances(), "{counts:?}");
    assert_eq!(counts.sent, messages);
    assert_eq!((counts.queued, counts.held, counts.lost), (0, 0, 0));
    assert!(counts.delivered > 0);
    assert_eq!(counts.delivered + counts.dropped_full, counts.sent);
    counts
}

fn config(policy: QueuePolicy, queue_size: u32, held_max: u32) -> EdgeConfig {
    EdgeConfig {
        edge: EdgeId(0),
        policy,
        queue_size,
        held_max,
        held_bytes_max: 1 << 20,
    }
}

fn start_receiver(
    role: &str,
    descriptors: &[BorrowedFd<'_>],
    segment_length: u64,
) -> std::process::Child {
    // A plain `dup` is inherited.
    let inherited: Vec<OwnedFd> = descriptors
        .iter()
        .map(|fd| rustix::io::dup(fd).unwrap())
        .collect();
    let numbers: Vec<String> = inherited
        .iter()
        .map(|fd| fd.as_raw_fd().to_string())
        .collect();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_receiver", "--nocapture"])
        .env(
            ROLE,
            format!("{role} {} {segment_length}", numbers.join(" ")),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test: the receiver, when it is started by one.
#[test]
fn the_receiver() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let words: Vec<&str> = role.split(' ').collect();
    let number = |at: usize| words[at].parse::<u32>().unwrap();
    let policy = match words[0] {
        "block" => QueuePolicy::Block,
        "latest" => QueuePolicy::Latest,
        _ => QueuePolicy::DropOldest,
    };
    let config = config(policy, number(1), number(2));
    let mix = if words[3] == "Small" {
        Mix::Small
    } else {
        Mix::InlineAndChunks
    };
    // SAFETY: these descriptors were made for this process by the one that started it, which says their
    // numbers; each is adopted once.
    let descriptor = |at: usize| unsafe { OwnedFd::from_raw_fd(number(at) as i32) };
    let edge = descriptor(4);
    let send_waiter = EventFd::from_fd(descriptor(5)).unwrap();
    let receive_waiter = EventFd::from_fd(descriptor(6)).unwrap();
    let segments = ReceivedSegments::new(EventFd::new().unwrap());
    let length = words[8].parse().unwrap();
    segments
        .insert(segment_id(), descriptor(7), length)
        .unwrap();

    let wake_sender = send_waiter.try_clone().unwrap();
    let drained = EventFd::new().unwrap();
    let mut receiver = EdgeReceiver::attach(edge, &config, wake_sender, drained).unwrap();
    send_waiter.notify();

    // Every second message in a chunk is released on another thread.
    let (elsewhere, releases) = mpsc::channel::<ChunkMessage>();
    let releaser = std::thread::spawn(move || releases.into_iter().for_each(drop));
    let mut kept: VecDeque<(u64, ChunkMessage)> = VecDeque::new();
    let mut last = 0;
    loop {
        let Some(incoming) = receiver.take().unwrap() else {
            if let Ending::Closed {
                everything_taken: true,
                ..
            } = receiver.ending()
            {
                break;
            }
            if receiver.prepare_sleep() {
                wait(&receive_waiter);
            }
            receiver.finish_sleep();
            continue;
        };
        let sequence = incoming.sequence.0;
        assert!(sequence > last, "{sequence} after {last}");
        assert!(
            policy != QueuePolicy::Block || sequence == last + 1,
            "{sequence} after {last}"
        );
        assert_eq!(incoming.sent_at_ns, sequence);
        last = sequence;
        match incoming.body {
            IncomingBody::Inline(message) => {
                assert!(mix == Mix::Small || sequence % 2 == 0);
                assert_eq!(message.payload(), small(sequence));
            }
            IncomingBody::Chunk(message) => {
                check_large(&segments, sequence, &message);
                kept.push_back((sequence, message));
                if kept.len() > KEPT.min(config.held_max as usize) {
                    let (sequence, message) = kept.pop_front().unwrap();
                    check_large(&segments, sequence, &message);
                    if sequence % 4 == 1 {
                        elsewhere.send(message).unwrap();
                    }
                }
            }
        }
    }
    kept.iter()
        .for_each(|(sequence, message)| check_large(&segments, *sequence, message));
    drop((kept, elsewhere));
    releaser.join().unwrap();
    assert_eq!(receiver.held(), (0, 0));
}

/// What is held does not change.
fn check_large(segments: &ReceivedSegments, sequence: u64, message: &ChunkMessage) {
    let segment = SegmentId {
        node: segment_id().node,
        epoch: message.epoch,
        number: message.number,
    };
    let mapping = segments.get(segment).unwrap();
    assert_eq!(message.payload_length, large_length(sequence) as u64);
    let bytes = mapping
        .slice(message.offset, message.payload_length)
        .unwrap();
    let (body, checksum) = bytes.split_at(bytes.len() - 8);
    assert_eq!(
        checksum,
        checksum_of(body).to_le_bytes(),
        "message {sequence}"
    );
    assert_eq!(body[..8], scramble(sequence).to_le_bytes());
}

#[test]
fn block_delivers_every_message() {
    for (queue_size, held_max, mix, messages) in [
        (64, 64, Mix::Small, messages()),
        (8, KEPT as u32, Mix::InlineAndChunks, messages()),
        // Every message waits for the one before it.
        (1, 2, Mix::InlineAndChunks, messages() / 10),
    ] {
        let counts = run(QueuePolicy::Block, queue_size, held_max, mix, messages);
        assert_eq!(counts.delivered, messages);
    }
}

#[test]
fn drop_oldest_delivers_in_order_and_counts_what_it_does_not() {
    run(QueuePolicy::DropOldest, 10, 64, Mix::Small, messages());
    run(
        QueuePolicy::DropOldest,
        10,
        KEPT as u32,
        Mix::InlineAndChunks,
        messages(),
    );
}

#[test]
fn latest_delivers_in_order_and_counts_what_it_does_not() {
    run(QueuePolicy::Latest, 1, 64, Mix::Small, messages());
    run(
        QueuePolicy::Latest,
        1,
        KEPT as u32,
        Mix::InlineAndChunks,
        messages(),
    );
}
