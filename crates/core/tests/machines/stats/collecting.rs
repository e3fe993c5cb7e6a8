//! What a collector makes of several keepers, small histories.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{
    Book, Collector, Ended, Gap, ProcessFacts, Resync, Snapshot, Source, Transition, apply,
};
use dataflow_ids::stats::{Counter, EdgeKey, Keeper, NodeKey, PeerRow};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex, PeerState};

use super::examples::{at, sent, two_nodes_of};

fn source(run: &str) -> Source {
    Source {
        peer: "here".parse().expect("a name"),
        run: Some(run.to_owned()),
    }
}

fn collector() -> Collector {
    Collector::new(Keeper(99), 10)
}

/// Lets the edge of a book of two nodes count so many messages altogether.
fn send(book: &mut Book, count: u64) {
    let (run, edge) = (dataflow_ids::stats::RunNumber(0), EdgeId(0));
    book.edge_read(EdgeKey { run, edge }, &sent(count))
        .expect("its edge is there");
}

#[test]
fn what_a_run_has_counted_stays_when_it_has_gone() {
    let mut all = collector();
    for (keeper, count) in [(1, 5), (2, 7)] {
        let (mut book, _) = two_nodes_of(Keeper(keeper));
        send(&mut book, count);
        let run = source(&format!("run-{keeper}"));
        let whole = book.publish(at(1)).statistics();
        all.whole(at(1), &run, whole).unwrap();
        all.gone(at(2), &run);
    }
    assert_eq!(all.book().total().out.sent.get(), 12);
    assert_eq!(all.book().total().nodes.get(), 0);
    assert_eq!(all.book().total().retired.nodes.get(), 4);
    assert_eq!(all.book().audit(), Ok(()));
}

#[test]
fn a_keeper_that_has_ended_does_not_count_once_more() {
    let mut all = collector();
    let (mut book, _) = two_nodes_of(Keeper(1));
    send(&mut book, 5);
    let whole = book.publish(at(1)).statistics();
    all.whole(at(1), &source("a"), whole.clone()).unwrap();
    all.gone(at(2), &source("a"));
    assert_eq!(all.whole(at(3), &source("a"), whole), Err(Ended));
    assert_eq!(all.book().total().out.sent.get(), 5);
}

#[test]
fn a_source_that_begins_anew_counts_anew_and_what_it_had_counted_stays() {
    let mut all = collector();
    for (keeper, count) in [(1, 5), (2, 3)] {
        let (mut book, _) = two_nodes_of(Keeper(keeper));
        send(&mut book, count);
        let whole = book.publish(at(1)).statistics();
        all.whole(at(1), &source("a"), whole).unwrap();
    }
    assert_eq!(all.book().total().out.sent.get(), 8);
    assert_eq!(all.book().total().nodes.get(), 2);
    assert_eq!(all.book().audit(), Ok(()));
}

#[test]
fn a_delta_counts_once_and_a_gap_is_told() {
    let mut all = collector();
    let (mut book, _) = two_nodes_of(Keeper(1));
    let first = book.publish(at(1));
    all.whole(at(1), &source("a"), first.statistics()).unwrap();
    send(&mut book, 5);
    let second = book.publish(at(2));
    send(&mut book, 9);
    let third = book.publish(at(3));
    let late = third.since(&second);
    let missed = Resync::Missed {
        from: second.revision(),
        known: first.revision(),
    };
    assert_eq!(all.delta(at(3), &source("a"), late.clone()), Err(missed));
    for delta in [
        second.since(&first),
        late,
        second.since(&first),
        third.since(&first),
    ] {
        all.delta(at(4), &source("a"), delta).unwrap();
    }
    assert_eq!(all.book().total().out.sent.get(), 9);
    assert_eq!(all.book().audit(), Ok(()));
    let other = Resync::Unknown;
    assert_eq!(
        all.delta(at(4), &source("b"), third.since(&first)),
        Err(other)
    );
}

#[test]
fn what_was_counted_by_members_that_nobody_has_seen_is_not_lost() {
    let mut all = collector();
    let (mut book, run) = two_nodes_of(Keeper(1));
    all.whole(at(1), &source("a"), book.publish(at(1)).statistics())
        .unwrap();
    send(&mut book, 5);
    let before = book.publish(at(2));
    all.whole(at(2), &source("a"), before.statistics()).unwrap();
    // Between two looks it counts more, goes, comes again, counts, and goes.
    send(&mut book, 6);
    book.remove_dataflow(at(3), run).unwrap();
    let after = book.publish(at(4));
    all.delta(at(4), &source("a"), after.since(&before))
        .unwrap();
    assert_eq!(all.book().total().out.sent.get(), 6);
    assert_eq!(all.book().total().retired.nodes.get(), 2);
    let camera = "camera".parse().unwrap();
    let group = all.book().group(Some(&camera)).unwrap();
    assert_eq!(group.out.sent.get(), 6);
    assert_eq!(all.book().audit(), Ok(()));
}

#[test]
fn a_node_is_as_old_as_its_keeper_says() {
    let mut all = collector();
    let (mut book, run) = two_nodes_of(Keeper(1));
    let placed = Transition {
        node: NodeIndex(0),
        to: LifeCycle::Placed,
        epoch: Epoch(0),
        sequence: 1,
        at: at(60),
    };
    book.transition(run, placed).unwrap();
    // The collector has begun an hour after the keeper.
    all.whole(at(0), &source("a"), book.publish(at(3600)).statistics())
        .unwrap();
    let known = all.publish(at(10)).statistics();
    let numbers = &known.nodes[0].numbers;
    assert_eq!(known.at_ns - numbers.added_ns, 3_610_000_000_000);
    assert_eq!(known.at_ns - numbers.since_ns, 3_550_000_000_000);
    assert_eq!(
        numbers.time_in_state_ns[LifeCycle::Declared],
        60_000_000_000
    );
}

#[test]
fn a_peer_stands_as_long_as_its_keeper_says() {
    let mut all = collector();
    let peer = |name: &str, seconds: u64| PeerRow {
        peer: name.parse().expect("a name"),
        state: PeerState::Healthy,
        since_ns: seconds * 1_000_000_000,
        because: String::new(),
        transitions: Counter::default(),
        round_trip_ns: None,
    };
    let (mut book, _) = two_nodes_of(Keeper(1));
    book.peers(vec![peer("theirs", 3000)]);
    // The collector has begun an hour after the keeper.
    all.whole(at(0), &source("a"), book.publish(at(3600)).statistics())
        .unwrap();
    let known = all.publish(at(10)).statistics();
    assert_eq!(known.at_ns - known.peers[0].since_ns, 610_000_000_000);
}

/// How long the members of a level were in each state at the moment of a snapshot.
fn times(snapshot: &Snapshot) -> [u128; LifeCycle::ALL.len()] {
    super::flat::times_at(snapshot.total(), snapshot.at_ns())
}

fn milliseconds(milliseconds: u64) -> Time {
    Time(Duration::from_millis(milliseconds))
}

#[test]
fn time_in_a_state_does_not_fall_when_news_is_older_than_what_was_published() {
    let mut all = collector();
    let (mut book, run) = two_nodes_of(Keeper(1));
    let mut told = book.publish(at(0));
    all.whole(at(0), &source("a"), told.statistics()).unwrap();
    let mut before = all.publish(at(10));
    // It left the state before the last look, and between two looks it goes on, and is removed.
    let steps = [
        (9_300, LifeCycle::Placed, 0),
        (9_400, LifeCycle::Starting, 1),
        (10_500, LifeCycle::Ready, 1),
        (11_200, LifeCycle::Backoff, 1),
    ];
    for (place, (moment, to, epoch)) in (0..).zip(steps) {
        let changed = Transition {
            node: NodeIndex(0),
            to,
            epoch: Epoch(epoch),
            sequence: place + 1,
            at: milliseconds(moment),
        };
        book.transition(run, changed).unwrap();
        let now = book.publish(milliseconds(moment));
        all.delta(
            milliseconds(10_010 + place * 500),
            &source("a"),
            now.since(&told),
        )
        .unwrap();
        told = now;
        let after = all.publish(milliseconds(10_010 + place * 500));
        let pairs = times(&before).into_iter().zip(times(&after));
        for (state, (earlier, later)) in LifeCycle::ALL.into_iter().zip(pairs) {
            assert!(earlier <= later, "{state}: {earlier} ns, then {later} ns");
        }
        let ages: u128 = times(&after).iter().sum();
        let age = u128::from(milliseconds(10_010 + place * 500).0.as_nanos() as u64);
        assert_eq!(ages, 2 * age, "each is in one state at a time");
        before = after;
    }
    book.remove_node(
        milliseconds(11_300),
        NodeKey {
            run,
            node: NodeIndex(0),
        },
    )
    .unwrap();
    let gone = book.publish(milliseconds(11_300));
    all.delta(milliseconds(11_600), &source("a"), gone.since(&told))
        .unwrap();
    let after = all.publish(milliseconds(11_600));
    for (earlier, later) in times(&before).into_iter().zip(times(&after)) {
        assert!(earlier <= later, "{earlier} ns, then {later} ns");
    }
    assert_eq!(after.audit_all(), Ok(()));
}

#[test]
fn a_delta_that_begins_before_what_is_known_is_a_gap() {
    let mut all = collector();
    let (mut book, run) = two_nodes_of(Keeper(1));
    let first = book.publish(at(1));
    let late = NodeKey {
        run,
        node: NodeIndex(7),
    };
    book.add_node(at(2), late, &"late".parse().unwrap())
        .unwrap();
    let second = book.publish(at(2));
    book.remove_node(at(3), late).unwrap();
    let third = book.publish(at(3));
    // It does not say that the node has gone, since it had not come when the delta begins.
    let overlapping = third.since(&first);
    let mut known = second.statistics();
    let (from, revision) = (first.revision(), second.revision());
    let missed = Gap::Missed {
        from,
        known: revision,
    };
    assert_eq!(apply(&mut known, &overlapping), Err(missed));
    assert_eq!(known, second.statistics(), "a gap changes nothing");
    all.whole(at(2), &source("a"), known).unwrap();
    let missed = Resync::Missed {
        from,
        known: revision,
    };
    assert_eq!(all.delta(at(3), &source("a"), overlapping), Err(missed));
    all.delta(at(3), &source("a"), third.since(&second))
        .unwrap();
    assert_eq!(all.book().total().nodes.get(), 2);
}

#[test]
fn what_a_hostile_keeper_says_neither_overflows_nor_fills_the_sums() {
    let mut all = collector();
    let (mut book, run) = two_nodes_of(Keeper(1));
    let first = book.publish(at(1));
    all.whole(at(1), &source("a"), first.statistics()).unwrap();
    let (mut hostile, _) = two_nodes_of(Keeper(2));
    let mut whole = hostile.publish(at(1)).statistics();
    let levels = (whole.dataflows.iter_mut().map(|row| &mut row.level))
        .chain(whole.groups.iter_mut().map(|row| &mut row.level))
        .chain([&mut whole.total]);
    for level in levels {
        for state in LifeCycle::ALL {
            level.retired.time_in_state_ns[state] = u128::MAX;
        }
        level.retired.transitions = Counter::new(u64::MAX);
        level.retired.out.sent = Counter::new(u64::MAX);
    }
    for row in &mut whole.nodes {
        for state in LifeCycle::ALL {
            row.numbers.time_in_state_ns[state] = u64::MAX;
        }
        row.numbers.since_ns = u64::MAX;
    }
    all.whole(at(2), &source("b"), whole).unwrap();
    // The others are counted as before.
    let before = *all.book().total();
    assert!(before.retired.transitions.get() < u64::MAX / 8);
    assert!(before.retired.out.sent.get() < u64::MAX / 8);
    book.remove_dataflow(at(5), run).unwrap();
    all.delta(at(5), &source("a"), book.publish(at(5)).since(&first))
        .unwrap();
    all.gone(at(6), &source("b"));
    let after = all.book().total();
    let declared = LifeCycle::Declared;
    let more = after.time_in_state_ns[declared] - before.time_in_state_ns[declared];
    assert!(more >= 10_000_000_000, "{more} ns more");
    assert_eq!(all.book().audit(), Ok(()));
    assert_eq!(all.book().audit_row().mismatches.get(), 0);
}

#[test]
fn an_audit_that_has_found_nothing_changes_nothing() {
    let mut all = collector();
    let revision = all.book().revision();
    all.audited(0, 0);
    assert_eq!(all.book().revision(), revision);
    all.audited(2, 0);
    assert_eq!(all.book().revision(), revision + 1);
}

#[test]
fn times_are_those_of_the_keeper_also_when_the_first_that_was_heard_of_it_was_old() {
    // What it published at 0 s is heard at 0.9 s; from then on it is heard at once.
    let mut all = collector();
    let (mut book, run) = two_nodes_of(Keeper(1));
    let mut told = book.publish(milliseconds(0));
    all.whole(milliseconds(900), &source("a"), told.statistics())
        .unwrap();
    all.publish(milliseconds(900));
    let placed = Transition {
        node: NodeIndex(0),
        to: LifeCycle::Placed,
        epoch: Epoch(0),
        sequence: 1,
        at: milliseconds(1_000),
    };
    book.transition(run, placed).unwrap();
    let key = NodeKey {
        run,
        node: NodeIndex(0),
    };
    let read = ProcessFacts {
        epoch: Epoch(0),
        pid: Some(1),
        cpu_ns: 5,
        memory_bytes: 1,
        read_at: Some(milliseconds(1_000)),
    };
    book.process_read(key, &read).unwrap();
    for moment in [1_000, 1_300, 1_600, 1_700, 2_500] {
        send(&mut book, moment);
        let now = book.publish(milliseconds(moment));
        all.delta(milliseconds(moment), &source("a"), now.since(&told))
            .unwrap();
        told = now;
        let later = milliseconds(moment + 200);
        let (shown, kept) = (all.publish(later), book.publish(later));
        assert_eq!(times(&shown), times(&kept), "at {moment} ms");
        let rows = shown.nodes().zip(kept.nodes());
        let apart_ns = shown.at_ns() - kept.at_ns();
        for (shown, kept) in rows {
            let (shown, kept) = (shown.numbers, kept.numbers);
            assert_eq!(shown.added_ns, kept.added_ns + apart_ns);
            assert_eq!(shown.since_ns, kept.since_ns + apart_ns);
            let read_at_ns = kept.process.read_at_ns.map(|at_ns| at_ns + apart_ns);
            assert_eq!(shown.process.read_at_ns, read_at_ns);
        }
    }
}
