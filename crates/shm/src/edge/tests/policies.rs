//! What a full queue does: each policy drops exactly what it says, and counts it.

use super::*;

#[test]
fn block_refuses_when_full_and_goes_on_after_a_take() {
    let mut rig = rig(QueuePolicy::Block, 2, 0);
    rig.send(1);
    rig.send(2);
    assert_eq!(rig.sender.room(), Ok(Room::QueueFull));
    let full = PublishError::Full { edge: EdgeId(7) };
    assert_eq!(rig.try_send(3), Err(full));
    assert_eq!(rig.counts().sent, 2);
    assert!(rig.sender.prepare_sleep(WaitFor::Queue));
    assert!(rig.keeper.read().sender_blocked);
    assert_eq!(rig.take(), Some((1, 1)));
    assert!(
        rig.send_waiter.drain(),
        "a take wakes the sender that waits for room"
    );
    rig.sender.finish_sleep(123);
    assert_eq!(rig.sender.room(), Ok(Room::Free));
    assert_eq!(rig.send(3), Published::Queued(sequence(3)));
    assert_eq!(rig.counts().blocked_ns, 123);
}

#[test]
fn drop_oldest_keeps_the_newest_and_counts_the_rest() {
    let mut rig = rig(QueuePolicy::DropOldest, 3, 1);
    for value in 1..=10 {
        assert_eq!(rig.send(value), Published::Queued(sequence(value)));
        rig.counts();
    }
    let taken: Vec<_> = std::iter::from_fn(|| rig.take()).collect();
    assert_eq!(taken, [(8, 8), (9, 9), (10, 10)]);
    let counts = rig.counts();
    assert_eq!(
        (counts.sent, counts.delivered, counts.dropped_full),
        (10, 3, 7)
    );
}

#[test]
fn latest_keeps_one() {
    let mut rig = rig(QueuePolicy::Latest, 10, 1);
    (1..=100).for_each(|value| {
        rig.send(value);
    });
    assert_eq!([rig.take(), rig.take()], [Some((100, 100)), None]);
    assert_eq!(rig.counts().dropped_full, 99);
}

#[test]
fn a_receiver_that_is_far_behind_finds_the_oldest_that_is_left() {
    let mut rig = rig(QueuePolicy::DropOldest, 3, 1);
    let mut last = 0;
    for value in 1..=1000 {
        rig.send(value);
        if value % 37 == 0 {
            let (taken, _) = rig.take().unwrap();
            assert!(taken > last && taken == value - 2);
            last = taken;
            rig.counts();
        }
    }
}

#[test]
fn a_dropped_chunk_comes_back() {
    let mut rig = rig(QueuePolicy::DropOldest, 2, 4);
    (1..=5).for_each(|number| {
        rig.send_chunk(number);
    });
    assert_eq!(rig.freed(), [1, 2, 3]);
    let held = rig.take_chunk().unwrap();
    assert_eq!((held.number, rig.freed()), (4, vec![]));
    drop(held);
    assert_eq!(rig.freed(), [4]);
}

#[test]
fn evicting_for_memory_drops_the_oldest_and_counts_it_apart() {
    let mut rig = rig(QueuePolicy::DropOldest, 4, 4);
    rig.send_chunk(1);
    rig.send_chunk(2);
    assert!(rig.sender.evict_oldest(&mut rig.freed).unwrap());
    assert_eq!(rig.freed(), [1]);
    assert!(rig.sender.evict_oldest(&mut rig.freed).unwrap());
    assert_eq!(rig.freed(), [2]);
    assert!(!rig.sender.evict_oldest(&mut rig.freed).unwrap());
    rig.send(3);
    assert!(
        !rig.sender.evict_oldest(&mut rig.freed).unwrap(),
        "inline messages take no memory"
    );
    assert_eq!(rig.take(), Some((3, 3)));
    assert_eq!(rig.counts().dropped_memory, 2);
}

#[test]
fn a_blocking_edge_evicts_nothing() {
    let mut rig = rig(QueuePolicy::Block, 4, 4);
    rig.send_chunk(1);
    assert!(!rig.sender.evict_oldest(&mut rig.freed).unwrap());
    assert_eq!(rig.counts().queued, 1);
}

#[test]
fn the_longest_queue_and_the_most_held_fit() {
    let mut rig = rig(QueuePolicy::Block, QUEUE_SIZE_MAX, HELD_MAX);
    (1..=u64::from(QUEUE_SIZE_MAX)).for_each(|value| {
        rig.send(value);
    });
    assert_eq!(rig.sender.room(), Ok(Room::QueueFull));
    for value in 1..=u64::from(QUEUE_SIZE_MAX) {
        assert_eq!(rig.take(), Some((value, value)));
    }
    rig.counts();
}

#[test]
fn limits_are_named() {
    let mut config = rig(QueuePolicy::Block, 1, 1).config;
    config.queue_size = 0;
    assert!(matches!(
        Layout::new(&config),
        Err(ConfigError::QueueSize { queue_size: 0, .. })
    ));
    config.queue_size = QUEUE_SIZE_MAX + 1;
    assert!(matches!(
        Layout::new(&config),
        Err(ConfigError::QueueSize { .. })
    ));
    config.queue_size = 1;
    config.held_max = HELD_MAX + 1;
    assert!(matches!(
        Layout::new(&config),
        Err(ConfigError::HeldMax { .. })
    ));
}

#[test]
fn a_long_name_of_a_run_is_cut_before_the_part_that_tells_edges_apart() {
    let config = rig(QueuePolicy::Block, 1, 1).config;
    let [send_waiter, receive_waiter] = [(); 2].map(|()| EventFd::new().unwrap());
    let keeper =
        EdgeKeeper::create(&"é".repeat(300), &config, send_waiter, receive_waiter).unwrap();
    let link = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&keeper.fd())
    );
    let name = std::fs::read_link(link).unwrap();
    let name = name.to_str().unwrap();
    assert!(name.starts_with("/memfd:dataflow-éé"), "{name}");
    assert!(name.contains("é-e7"), "{name}");
}
