//! Received segments: refused unless they are what they were said to be, waited for, and let go.

use std::os::fd::OwnedFd;
use std::sync::mpsc;

use dataflow_ids::NodeId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, SealFlags};

use super::*;
use crate::segment;

const BYTES: u64 = 8192;

fn id(number: u32) -> SegmentId {
    SegmentId {
        node: NodeIndex(1),
        epoch: Epoch(1),
        number,
    }
}

fn sealed(bytes: u64, seals: SealFlags) -> OwnedFd {
    let fd = memfd::create("dataflow-test-received", bytes).unwrap();
    memfd::seal(&fd, seals).unwrap();
    fd
}

fn segment_fd(number: u32) -> OwnedFd {
    let node = NodeId::new("sender").unwrap();
    let (new, _mapping) = segment::create("received-test", &node, id(number), BYTES).unwrap();
    new.fd
}

fn table() -> ReceivedSegments {
    ReceivedSegments::new(EventFd::new().unwrap())
}

fn refusal(fd: OwnedFd, length: u64) -> MemfdRefused {
    match table().insert(id(0), fd, length).unwrap_err() {
        InsertError::Refused { why, .. } => why,
        other => panic!("unexpected: {other}"),
    }
}

/// Blocks until the eventfd says that something was unmapped.
fn wait_for_unmapped(table: &ReceivedSegments) -> Vec<SegmentId> {
    poll(
        &mut [PollFd::new(&*table.shared.unmapped, PollFlags::IN)],
        None,
    )
    .unwrap();
    table.take_unmapped()
}

#[test]
fn a_segment_of_another_length_is_refused() {
    for length in [0, 1, BYTES - 1, BYTES + 1, 2 * BYTES, u64::MAX] {
        assert_eq!(
            refusal(segment_fd(0), length),
            MemfdRefused::WrongLength {
                stated_bytes: length,
                actual_bytes: BYTES
            }
        );
    }
}

#[test]
fn a_segment_without_all_of_its_seals_is_refused() {
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE;
    for missing in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::FUTURE_WRITE] {
        let fd = sealed(BYTES, all.difference(missing));
        assert_eq!(refusal(fd, BYTES), MemfdRefused::NotSealed, "{missing:?}");
    }
    assert!(table().insert(id(0), sealed(BYTES, all), BYTES).is_ok());
}

#[test]
fn what_is_no_memfd_is_refused() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(BYTES).unwrap();
    assert_eq!(refusal(file.into(), BYTES), MemfdRefused::NotSealed);
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    assert_eq!(refusal(reader, BYTES), MemfdRefused::NotSealed);
    let eventfd = EventFd::new().unwrap().into_fd();
    assert_eq!(refusal(eventfd, BYTES), MemfdRefused::NotSealed);
}

#[test]
fn a_segment_with_holes_is_refused() {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("dataflow-test-holes", flags).unwrap();
    rustix::fs::ftruncate(&fd, BYTES).unwrap();
    rustix::io::pwrite(&fd, &[1], 0).unwrap();
    memfd::seal(&fd, SEGMENT_SEALS).unwrap();
    assert_eq!(
        refusal(fd, BYTES),
        MemfdRefused::NotAllocated {
            stated_bytes: BYTES,
            allocated_bytes: 4096
        }
    );
}

#[test]
fn a_segment_is_taken_once() {
    let table = table();
    table.insert(id(0), segment_fd(0), BYTES).unwrap();
    assert_eq!(
        table.insert(id(0), segment_fd(0), BYTES),
        Err(InsertError::Duplicate { segment: id(0) })
    );
    assert_eq!(table.get(id(0)).unwrap().length_bytes(), BYTES);
}

#[test]
fn a_mapping_of_a_receiver_cannot_be_made_writable() {
    let table = table();
    table.insert(id(0), segment_fd(0), BYTES).unwrap();
    let mapping = table.get(id(0)).unwrap();
    assert_eq!(mapping.access(), Access::ReadOnly);
    // SAFETY: the range is a live mapping; the call is expected to be refused and changes nothing then.
    let writable = unsafe {
        rustix::mm::mprotect(
            mapping.address().as_ptr().cast(),
            BYTES as usize,
            rustix::mm::MprotectFlags::READ | rustix::mm::MprotectFlags::WRITE,
        )
    };
    assert_eq!(writable, Err(rustix::io::Errno::ACCESS));
}

#[test]
fn who_waits_gets_the_segment_when_it_comes() {
    let table = table();
    assert!(table.get(id(0)).is_none());
    let waiting = table.clone();
    let (about_to_wait, started) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        about_to_wait.send(()).unwrap();
        waiting.get_or_wait(id(2)).unwrap().length_bytes()
    });
    started.recv().unwrap();
    // Another one does not satisfy it.
    table.insert(id(1), segment_fd(1), BYTES).unwrap();
    table.insert(id(2), segment_fd(2), BYTES).unwrap();
    assert_eq!(waiter.join().unwrap(), BYTES);
}

#[test]
fn every_wait_ends_when_the_table_is_closed() {
    let table = table();
    let (about_to_wait, started) = mpsc::channel();
    let waiters: Vec<_> = (0..3)
        .map(|number| {
            let waiting = table.clone();
            let about_to_wait = about_to_wait.clone();
            std::thread::spawn(move || {
                about_to_wait.send(()).unwrap();
                waiting.get_or_wait(id(number)).map(|_| ())
            })
        })
        .collect();
    (0..3).for_each(|_| started.recv().unwrap());
    table.close();
    for (number, waiter) in waiters.into_iter().enumerate() {
        let segment = id(number as u32);
        assert_eq!(
            waiter.join().unwrap(),
            Err(SegmentError::Closed { segment })
        );
    }
    // Later ones too; what is here is still given.
    table.insert(id(7), segment_fd(7), BYTES).unwrap();
    assert!(table.get_or_wait(id(7)).is_ok());
    assert!(table.get_or_wait(id(8)).is_err());
}

#[test]
fn a_retired_segment_is_not_waited_for() {
    let table = table();
    table.insert(id(0), segment_fd(0), BYTES).unwrap();
    table.insert(id(1), segment_fd(1), BYTES).unwrap();
    assert!(table.retire(id(0)));
    assert_eq!(
        table.get_or_wait(id(0)).unwrap_err(),
        SegmentError::Retired { segment: id(0) }
    );
    assert!(table.get_or_wait(id(1)).is_ok());
}

#[test]
fn a_segment_that_could_not_be_taken_is_not_waited_for() {
    let table = table();
    let error = table.insert(id(0), segment_fd(0), BYTES + 1).unwrap_err();
    assert!(matches!(error, InsertError::Refused { .. }), "{error}");
    assert_eq!(
        table.get_or_wait(id(0)).unwrap_err(),
        SegmentError::NotTaken(error)
    );
    assert!(!table.retire(id(0)), "nothing of it is mapped");
    assert_eq!(
        table.get_or_wait(id(0)).unwrap_err(),
        SegmentError::Retired { segment: id(0) }
    );
    assert_eq!(table.look_up(id(1)).unwrap().map(|_| ()), None);
}

#[test]
fn what_has_not_come_when_its_sender_is_complete_is_not_waited_for() {
    let table = table();
    table.insert(id(0), segment_fd(0), BYTES).unwrap();
    let waiting = table.clone();
    let (about_to_wait, started) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        about_to_wait.send(()).unwrap();
        waiting.get_or_wait(id(1)).map(|_| ())
    });
    started.recv().unwrap();
    let of_another = SegmentId {
        node: NodeIndex(2),
        ..id(1)
    };
    let next_incarnation = SegmentId {
        epoch: id(1).epoch.next(),
        ..id(1)
    };
    assert!(table.complete(NodeIndex(1), id(1).epoch));
    assert!(!table.complete(NodeIndex(1), id(1).epoch));
    assert_eq!(
        waiter.join().unwrap(),
        Err(SegmentError::NeverCame { segment: id(1) })
    );
    assert!(table.get_or_wait(id(0)).is_ok(), "what has come is here");
    assert!(table.look_up(of_another).unwrap().is_none());
    assert!(table.look_up(next_incarnation).unwrap().is_none());
}

#[test]
fn the_first_segment_of_an_incarnation_says_that_the_one_before_is_complete() {
    let table = table();
    let of = |epoch, number| SegmentId {
        epoch: Epoch(epoch),
        ..id(number)
    };
    table.insert(of(1, 0), segment_fd(0), BYTES).unwrap();
    assert!(table.look_up(of(1, 1)).unwrap().is_none());
    table.insert(of(2, 0), segment_fd(0), BYTES).unwrap();
    assert!(table.look_up(of(1, 0)).unwrap().is_some());
    let segment = of(1, 1);
    assert_eq!(
        table.look_up(segment).unwrap_err(),
        SegmentError::NeverCame { segment }
    );
    assert!(table.look_up(of(2, 1)).unwrap().is_none());
}

#[test]
fn unmapping_is_said_only_after_the_last_use_has_gone() {
    let table = table();
    table.insert(id(0), segment_fd(0), BYTES).unwrap();
    table.insert(id(41), segment_fd(41), BYTES).unwrap();
    let first = table.get(id(0)).unwrap();
    let second = first.clone();
    assert!(table.retire(id(0)));
    assert!(!table.retire(id(0)), "it is forgotten already");
    assert!(!table.retire(id(9)), "it was never here");
    assert_eq!(table.take_unmapped(), []);
    drop(first);
    assert_eq!(table.take_unmapped(), []);
    // Still readable by who holds it.
    assert_eq!(second.slice(0, 4).unwrap(), [0; 4]);
    let elsewhere = std::thread::spawn(move || drop(second));
    assert_eq!(wait_for_unmapped(&table), [id(0)]);
    elsewhere.join().unwrap();
    assert_eq!(table.take_unmapped(), [], "it is said once");
    // Nothing holds the other: it goes with its retirement.
    assert!(table.retire(id(41)));
    assert_eq!(wait_for_unmapped(&table), [id(41)]);
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(
        !maps.contains("dataflow-received-test-sender-1-41 "),
        "{maps}"
    );
}

/// Whether a segment of this test is mapped.
fn is_mapped(number: u32) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.contains(&format!("dataflow-received-test-sender-1-{number} "))
}

#[test]
fn who_lets_go_of_a_segment_last_does_not_unmap_it_but_wakes_who_does() {
    let table = table();
    table.insert(id(57), segment_fd(57), BYTES).unwrap();
    let last = table.get(id(57)).unwrap();
    assert!(table.retire(id(57)));
    assert_eq!(table.take_unmapped(), []);
    assert!(!table.shared.unmapped.drain());
    std::thread::spawn(move || drop(last)).join().unwrap();
    assert!(is_mapped(57), "unmapping is not for the thread of a user");
    assert_eq!(wait_for_unmapped(&table), [id(57)]);
    assert!(!is_mapped(57));
}

#[test]
fn letting_go_of_what_is_not_retired_wakes_nobody() {
    let table = table();
    table.insert(id(0), segment_fd(0), BYTES).unwrap();
    drop(table.get(id(0)).unwrap());
    assert!(!table.shared.unmapped.drain());
}

#[test]
fn a_segment_that_is_let_go_of_while_it_retires_is_always_unmapped() {
    let table = table();
    // Others look for segments of theirs in the mappings of this process: those have smaller numbers.
    for number in 1000..3000 {
        table.insert(id(number), segment_fd(number), BYTES).unwrap();
        let held = [(); 2].map(|()| table.get(id(number)).unwrap());
        let users = held.map(|held| std::thread::spawn(move || drop(held)));
        assert!(table.retire(id(number)));
        // Whoever is last: somebody says so, or it is seen at once.
        let mut unmapped = table.take_unmapped();
        while unmapped.is_empty() {
            unmapped = wait_for_unmapped(&table);
        }
        assert_eq!(unmapped, [id(number)]);
        users.into_iter().for_each(|user| user.join().unwrap());
    }
}
