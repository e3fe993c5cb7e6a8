//! What a collector makes of several keepers, small histories.

use dataflow_core::stats::{Book, Collector, Ended, Resync, Source, Transition};
use dataflow_ids::stats::{Counter, EdgeKey, Keeper, PeerRow};
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
