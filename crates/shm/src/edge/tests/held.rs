//! Messages that a receiver holds: slots, chunks, and the tokens that it owes.

use super::*;

#[test]
fn a_held_message_keeps_its_chunk_and_never_blocks_the_ones_behind_it() {
    let mut rig = rig(QueuePolicy::Block, 2, 3);
    rig.send_chunk(1);
    let held = rig.take_chunk().unwrap();
    assert_eq!(rig.receiver.held(), (1, 1000));
    for number in 2..=50 {
        rig.send_chunk(number);
        drop(rig.take_chunk().unwrap());
        assert_eq!(rig.freed(), [number as u32]);
    }
    assert_eq!(rig.counts().held, 1);
    drop(held);
    assert_eq!(rig.freed(), [1]);
    assert_eq!(rig.receiver.held(), (0, 0));
    assert_eq!(rig.counts().released, 50);
}

#[test]
fn a_sender_waits_for_a_release_when_slots_are_held_and_for_nothing_else() {
    let mut rig = rig(QueuePolicy::Block, 1, 1);
    let mut held = Vec::new();
    for number in 1..=3 {
        rig.send_chunk(number);
        held.push(rig.take_chunk().unwrap());
    }
    assert_eq!(rig.sender.room(), Ok(Room::SlotsHeld));
    assert!(matches!(
        rig.try_send_chunk(4),
        Err(PublishError::Full { .. })
    ));
    assert!(
        !rig.sender.prepare_sleep(WaitFor::Queue),
        "the queue has room"
    );
    assert!(rig.sender.prepare_sleep(WaitFor::Release));
    drop(held.remove(1));
    assert!(rig.send_waiter.drain());
    rig.sender.finish_sleep(1);
    assert_eq!(rig.sender.room(), Ok(Room::Free));
    rig.send_chunk(4);
    assert_eq!(rig.freed(), [2]);
}

#[test]
fn drop_oldest_gives_up_the_queue_for_slots_and_then_the_new_message() {
    let mut rig = rig(QueuePolicy::DropOldest, 2, 1);
    let mut held = Vec::new();
    for number in 1..=3 {
        rig.send_chunk(number);
        held.push(rig.take_chunk().unwrap());
    }
    // A faulty receiver: it holds 3 of at most 1, and one slot is left.
    assert_eq!(rig.send_chunk(4), Published::Queued(sequence(4)));
    assert_eq!(rig.send_chunk(5), Published::Queued(sequence(5)));
    assert_eq!((rig.counts().dropped_full, rig.freed()), (1, vec![4]));
    held.push(rig.take_chunk().unwrap());
    assert_eq!(held[3].number, 5);
    assert_eq!(rig.send_chunk(6), Published::DroppedFull(sequence(6)));
    assert_eq!(
        rig.freed(),
        [] as [u32; 0],
        "the caller still has the chunk"
    );
    let counts = rig.counts();
    assert_eq!((counts.sent, counts.dropped_full, counts.held), (6, 2, 4));
    assert!(rig.take_chunk().is_none());
    held.clear();
    assert_eq!(rig.send_chunk(7), Published::Queued(sequence(7)));
    assert_eq!(rig.take_chunk().unwrap().number, 7);
    rig.counts();
}

#[test]
fn tokens_say_what_is_queued_and_what_is_held() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    (1..=6).for_each(|number| {
        rig.send_chunk(number);
    });
    let [first, second, third] = [(); 3].map(|()| rig.take_chunk().unwrap());
    drop(second);
    let handle = rig.receiver.handle();
    let all = Tokens {
        queued: 3,
        held: vec![sequence(1), sequence(3)],
        lowest: Some(sequence(1)),
    };
    assert_eq!(handle.tokens(sequence(6)), all);
    assert_eq!(rig.keeper.tokens(sequence(6)), all);
    let some = Tokens {
        queued: 1,
        held: vec![sequence(1), sequence(3)],
        lowest: Some(sequence(1)),
    };
    assert_eq!(handle.tokens(sequence(4)), some);
    assert_eq!(
        handle.tokens(sequence(2)),
        Tokens {
            queued: 0,
            held: vec![sequence(1)],
            lowest: Some(sequence(1)),
        }
    );
    assert_eq!(
        rig.keeper.segments(),
        [1, 3, 4, 5, 6].map(|number| (Epoch(1), number))
    );
    drop((first, third));
    assert!(handle.tokens(sequence(3)).is_empty());
    assert_eq!(handle.tokens(sequence(6)).lowest, Some(sequence(4)));
}

#[test]
fn the_last_release_of_what_is_watched_wakes_the_control_thread_once() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    (1..=4).for_each(|number| {
        rig.send_chunk(number);
    });
    let [first, second, third] = [(); 3].map(|()| rig.take_chunk().unwrap());
    let handle = rig.receiver.handle();
    assert!(!handle.watch(sequence(2)));
    drop(third);
    drop(first);
    assert!(!rig.control_waiter.drain(), "the second one is still held");
    drop(second);
    assert!(rig.control_waiter.drain());
    assert!(
        handle.watch(sequence(3)),
        "nothing is owed: no wake-up follows"
    );
    assert!(!handle.watch(sequence(4)));
    drop(rig.take_chunk().unwrap());
    assert!(rig.control_waiter.drain());
    rig.send_chunk(5);
    drop(rig.take_chunk().unwrap());
    assert!(!rig.control_waiter.drain(), "a watch wakes once");
}

#[test]
fn taking_the_last_inline_message_wakes_the_control_thread() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    rig.send(1);
    rig.send(2);
    assert!(!rig.receiver.handle().watch(sequence(2)));
    rig.take();
    assert!(!rig.control_waiter.drain());
    rig.take();
    assert!(rig.control_waiter.drain());
}

#[test]
fn leases_may_outlive_the_receiver_and_be_dropped_anywhere() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    (1..=4).for_each(|number| {
        rig.send_chunk(number);
    });
    let held: Vec<_> = std::iter::from_fn(|| rig.take_chunk()).collect();
    std::thread::scope(|scope| {
        for message in held {
            scope.spawn(move || drop(message));
        }
    });
    assert_eq!(rig.freed(), [1, 2, 3, 4]);
    assert_eq!(rig.counts().released, 4);
}

#[test]
fn a_forked_child_releases_nothing() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    rig.send_chunk(1);
    let held = rig.take_chunk().unwrap();
    // SAFETY: the child calls only what is safe after a fork of a threaded process (the drop of a lease neither
    // allocates nor locks, and its `Arc` is not the last one; then `_exit`).
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        drop(held);
        // SAFETY: ends the child at once, without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above; `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child touched what it does not have");
    assert_eq!(rig.counts().held, 1);
    drop(held);
    assert_eq!(rig.counts().released, 1);
}

#[test]
fn an_abandoned_message_stays_borrowed_until_the_runtime_has_repaired_the_edge() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    rig.send_chunk(1);
    rig.take_chunk().unwrap().lease.abandon();
    let counts = rig.counts();
    assert_eq!((counts.held, counts.released), (1, 0));
    assert_eq!(rig.keeper.repair_receiver(), [sequence(1)]);
    let counts = rig.counts();
    assert_eq!((counts.held, counts.released, counts.lost), (0, 0, 1));
    assert_eq!(rig.freed(), [1]);
}
