//! What a book says of small histories.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{
    Book, EdgeFacts, EdgeSpec, ProcessFacts, RefusedTransition, Transition, apply, time_in_state_ns,
};
use dataflow_ids::stats::{
    Counter, EdgeCounters, EdgeKey, Gauge, Keeper, Level, NodeKey, RunNumber,
};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeId, NodeIndex, QueuePolicy};

/// So many seconds after the start.
pub(super) fn at(seconds: u64) -> Time {
    Time(Duration::from_secs(seconds))
}

fn name(text: &str) -> NodeId {
    NodeId::new(text).expect("a name, and what it is in is there")
}

fn edge(run: RunNumber, edge: u32, source: u32, target: u32) -> EdgeSpec {
    EdgeSpec {
        key: EdgeKey {
            run,
            edge: EdgeId(edge),
        },
        source: NodeIndex(source),
        output: "out".parse().expect("a name, and what it is in is there"),
        target: NodeIndex(target),
        input: "in".parse().expect("a name, and what it is in is there"),
        policy: QueuePolicy::DropOldest,
        queue_size: 10,
    }
}

/// A run of a camera and a detector with an edge from one to the other.
fn two_nodes() -> (Book, RunNumber) {
    two_nodes_of(Keeper(1))
}

pub(super) fn two_nodes_of(keeper: Keeper) -> (Book, RunNumber) {
    let mut book = Book::new(keeper, 10);
    let peer = "here".parse().expect("a name, and what it is in is there");
    let run = book.add_dataflow(
        at(0),
        peer,
        "run-1".into(),
        "vision"
            .parse()
            .expect("a name, and what it is in is there"),
    );
    for (index, id) in [(0, "camera"), (1, "detector")] {
        book.add_node(at(0), node(run, index), &name(id))
            .expect("a name, and what it is in is there");
    }
    book.add_edge(edge(run, 0, 0, 1))
        .expect("a name, and what it is in is there");
    (book, run)
}

fn node(run: RunNumber, index: u32) -> NodeKey {
    NodeKey {
        run,
        node: NodeIndex(index),
    }
}

/// The change of the camera with this number.
fn to(sequence: u64, state: LifeCycle, epoch: u32, seconds: u64) -> Transition {
    Transition {
        node: NodeIndex(0),
        to: state,
        epoch: Epoch(epoch),
        sequence,
        at: at(seconds),
    }
}

pub(super) fn sent(count: u64) -> EdgeFacts {
    let mut facts = EdgeFacts::default();
    facts.counters.sent = Counter::new(count);
    facts
}

#[test]
fn what_a_removed_edge_counted_stays_in_the_sums() {
    let (mut book, run) = two_nodes();
    let key = edge(run, 0, 0, 1).key;
    book.remove_edge(key).unwrap();
    let mut facts = sent(7);
    facts.gauges.queued = Gauge::new(3);
    facts.histograms.latency.buckets[12] = 5;
    for _ in 0..3 {
        book.add_edge(edge(run, 0, 0, 1)).unwrap();
        book.edge_read(key, &facts).unwrap();
        book.remove_edge(key).unwrap();
    }
    assert_eq!(book.total().out.sent.get(), 21);
    assert_eq!(book.total().gauges.queued.get(), 0);
    assert_eq!(book.total().histograms.latency.buckets[12], 15);
    assert_eq!(book.node(node(run, 0)).unwrap().out.sent.get(), 21);
    assert_eq!(book.node(node(run, 1)).unwrap().into.sent.get(), 21);
    assert_eq!(book.audit(), Ok(()));
}

#[test]
fn the_time_in_all_states_is_the_age() {
    let (mut book, run) = two_nodes();
    book.transition(run, to(1, LifeCycle::Placed, 0, 10))
        .unwrap();
    book.transition(run, to(2, LifeCycle::Starting, 1, 15))
        .unwrap();
    let numbers = book.node(node(run, 0)).unwrap();
    assert_eq!(
        numbers.time_in_state_ns[LifeCycle::Declared],
        10_000_000_000
    );
    assert_eq!(numbers.time_in_state_ns[LifeCycle::Placed], 5_000_000_000);
    assert_eq!(numbers.since_ns, 15_000_000_000);
    let ages_ns = |book: &Book, at_s: u64| {
        let states = LifeCycle::ALL.iter();
        let until_ns = at_s * 1_000_000_000;
        states
            .map(|state| time_in_state_ns(book.total(), *state, until_ns))
            .sum::<u128>()
    };
    assert_eq!(ages_ns(&book, 20), 40_000_000_000);
    book.remove_dataflow(at(20), run).unwrap();
    assert_eq!(ages_ns(&book, 90), 40_000_000_000, "none gets older");
    let total = book.total();
    assert_eq!(total.nodes.get(), 0);
    let all = LifeCycle::ALL
        .iter()
        .map(|state| total.time_in_state_ns[*state]);
    assert_eq!(all.sum::<u128>(), 40_000_000_000);
    assert_eq!(book.audit(), Ok(()));
}

#[test]
fn a_transition_that_the_life_cycle_does_not_allow_changes_nothing_and_is_counted() {
    let (mut book, run) = two_nodes();
    let before = book.total().states;
    let (from, to_running) = (LifeCycle::Declared, to(1, LifeCycle::Running, 1, 1));
    let refused = RefusedTransition::NotAllowed {
        from,
        to: LifeCycle::Running,
    };
    assert_eq!(book.transition(run, to_running), Err(refused));
    assert_eq!(book.total().states, before);
    assert_eq!(book.audit_row().refused_transitions.get(), 1);
}

#[test]
fn a_change_of_state_that_comes_twice_late_or_out_of_order_counts_once() {
    use LifeCycle::{Backoff, Placed, Ready, Running, Starting};
    let (mut book, run) = two_nodes();
    let life = [(Placed, 0), (Starting, 1), (Backoff, 1), (Starting, 2)];
    let life = [&life[..], &[(Ready, 2), (Running, 2)]].concat();
    let changes: Vec<Transition> = (1..)
        .zip(life)
        .map(|(sequence, (state, epoch))| to(sequence, state, epoch, sequence))
        .collect();
    for change in &changes[..3] {
        assert_eq!(book.transition(run, *change), Ok(()));
    }
    // The life cycle allows it after a backoff, and it is of the incarnation that is known.
    let (before, revision) = (*book.total(), book.revision());
    assert_eq!(book.transition(run, changes[1]), Ok(()));
    assert!(*book.total() == before && book.revision() == revision);
    // The last comes before the two between.
    let gap = RefusedTransition::Gap {
        sequence: 6,
        known: 3,
    };
    assert_eq!(book.transition(run, changes[5]), Err(gap));
    assert_eq!(book.audit_row().refused_transitions.get(), 1);
    assert!(*book.total() == before);
    assert_eq!(book.catch_up(run, changes[5]), Ok(()));
    let caught_up = *book.total();
    for late in changes {
        assert_eq!(book.transition(run, late), Ok(()));
        assert_eq!(book.catch_up(run, late), Ok(()));
    }
    assert!(*book.total() == caught_up);
    let numbers = book.node(node(run, 0)).unwrap();
    assert_eq!((numbers.state, numbers.epoch), (Running, Epoch(2)));
    assert_eq!((numbers.transitions.get(), numbers.restarts.get()), (6, 1));
    assert_eq!(numbers.time_in_state_ns[Backoff], 3_000_000_000);
    assert_eq!(book.audit(), Ok(()));
}

#[test]
fn a_moment_that_is_earlier_than_the_last_counts_as_the_last() {
    let (mut book, run) = two_nodes();
    book.transition(run, to(1, LifeCycle::Placed, 0, 10))
        .unwrap();
    book.transition(run, to(2, LifeCycle::Starting, 1, 5))
        .unwrap();
    let numbers = book.node(node(run, 0)).unwrap();
    assert_eq!(numbers.since_ns, 10_000_000_000);
    assert_eq!(numbers.time_in_state_ns[LifeCycle::Placed], 0);
}

#[test]
fn the_time_of_processors_of_all_incarnations_adds_up() {
    let (mut book, run) = two_nodes();
    let key = node(run, 0);
    for (epoch, cpu_ns) in [(1, 100), (1, 150), (2, 30), (1, 900), (2, 40), (2, 35)] {
        let facts = ProcessFacts {
            epoch: Epoch(epoch),
            pid: Some(7),
            cpu_ns,
            memory_bytes: 4096,
            read_at: Some(at(5)),
        };
        book.process_read(key, &facts).unwrap();
    }
    assert_eq!(book.node(key).unwrap().process.cpu_ns.get(), 190);
    assert_eq!(book.total().cpu_ns.get(), 190);
    assert_eq!(book.total().memory_bytes.get(), 4096);
    assert_eq!(book.audit(), Ok(()));
}

#[test]
fn what_was_read_of_a_process_and_comes_after_its_end_gives_it_no_process_and_no_memory() {
    let (mut book, run) = two_nodes();
    let key = node(run, 0);
    let read = |epoch, pid, cpu_ns, memory_bytes| ProcessFacts {
        epoch: Epoch(epoch),
        pid,
        cpu_ns,
        memory_bytes,
        read_at: None,
    };
    for facts in [
        read(1, Some(7), 0, 0),
        read(1, None, 90, 0),
        read(1, Some(7), 50, 4096),
    ] {
        book.process_read(key, &facts).unwrap();
    }
    let process = book.node(key).unwrap().process;
    assert_eq!((process.cpu_ns.get(), process.memory_bytes.get()), (90, 0));
    let row = book.publish(at(1)).statistics().nodes[0].clone();
    assert_eq!(row.pid, None);
    book.process_read(key, &read(2, Some(8), 5, 4096)).unwrap();
    let process = book.node(key).unwrap().process;
    assert_eq!(
        (process.cpu_ns.get(), process.memory_bytes.get()),
        (95, 4096)
    );
    assert_eq!(book.audit(), Ok(()));
}

#[test]
fn whoever_looks_knows_when_processes_were_read_and_whether_they_were() {
    let (mut book, run) = two_nodes();
    let key = node(run, 0);
    let mut say = |epoch, read_at| {
        let facts = ProcessFacts {
            epoch: Epoch(epoch),
            pid: Some(7),
            cpu_ns: 100,
            memory_bytes: 4096,
            read_at,
        };
        book.process_read(key, &facts).unwrap();
        book.node(key).unwrap().process.read_at_ns
    };
    let seconds = |number: u64| Some(number * 1_000_000_000);
    assert_eq!(say(1, None), None, "it was started, and no more is known");
    assert_eq!(say(1, Some(at(5))), seconds(5));
    assert_eq!(say(1, Some(at(6))), seconds(6), "nothing used since");
    assert_eq!(say(1, Some(at(4))), seconds(6), "an earlier one, late");
    assert_eq!(say(1, None), seconds(6));
    assert_eq!(say(2, None), None, "that was another process");
    assert_eq!(say(1, Some(at(7))), None);
    assert_eq!(say(2, Some(at(8))), seconds(8));
}

#[test]
fn a_snapshot_and_a_delta_are_the_later_snapshot() {
    let (mut book, run) = two_nodes();
    let first = book.publish(at(1));
    let mut known = first.statistics();
    book.edge_read(edge(run, 0, 0, 1).key, &sent(9)).unwrap();
    book.transition(run, to(1, LifeCycle::Placed, 0, 2))
        .unwrap();
    book.remove_node(at(3), node(run, 1)).unwrap();
    book.add_node(at(3), node(run, 5), &name("late")).unwrap();
    let second = book.publish(at(4));
    assert_eq!(first.statistics(), known, "a snapshot does not change");
    apply(&mut known, &second.since(&first)).unwrap();
    assert_eq!(known, second.statistics());
}

#[test]
fn a_name_that_came_too_late_is_counted_by_the_group_without_a_name() {
    let mut book = Book::new(Keeper(1), 1);
    let peer = "here".parse().unwrap();
    let run = book.add_dataflow(at(0), peer, "run-1".into(), "vision".parse().unwrap());
    assert_eq!(book.group(Some(&name("camera"))), None);
    for (index, id) in [(0, "camera"), (1, "late"), (2, "later")] {
        book.add_node(at(0), node(run, index), &name(id)).unwrap();
    }
    let nodes = |of: Option<&NodeId>| book.group(of).map(|level| level.nodes.get());
    assert_eq!(nodes(Some(&name("camera"))), Some(1));
    assert_eq!(nodes(Some(&name("late"))), Some(2));
    assert_eq!(nodes(None), Some(2));
}

#[test]
fn what_programs_scribble_over_their_counters_leaves_room_for_all_others() {
    let mut book = Book::new(Keeper(1), 10);
    let runs: Vec<RunNumber> = (0..100)
        .map(|_| {
            let peer = "here".parse().expect("a name");
            let vision = "vision".parse().expect("a name");
            let run = book.add_dataflow(at(0), peer, "run-1".into(), vision);
            for index in [0, 1] {
                book.add_node(at(0), node(run, index), &name("camera"))
                    .expect("its run is there");
            }
            book.add_edge(edge(run, 0, 0, 1)).expect("its nodes are");
            run
        })
        .collect();
    let everything = |count: u64| {
        let count = Counter::new(count);
        let mut facts = sent(0);
        facts.counters = EdgeCounters {
            sent: count,
            delivered: count,
            released: count,
            lost: count,
            dropped_full: count,
            dropped_receiver_closed: count,
            dropped_memory: count,
            bytes: count,
            blocked_ns: count,
        };
        facts.histograms.latency.buckets[3] = count.get();
        facts
    };
    let (honest, hostile) = runs.split_first().expect("there are some");
    let key = |run: &RunNumber| edge(*run, 0, 0, 1).key;
    for run in hostile {
        book.edge_read(key(run), &everything(u64::MAX))
            .expect("it is there");
        book.remove_dataflow(at(1), *run).expect("it is there");
    }
    let before = *book.total();
    book.edge_read(key(honest), &everything(5))
        .expect("it is there");
    let after = book.total();
    let each = |counters: &EdgeCounters| {
        [
            counters.sent,
            counters.delivered,
            counters.released,
            counters.lost,
            counters.dropped_full,
            counters.dropped_receiver_closed,
            counters.dropped_memory,
            counters.bytes,
            counters.blocked_ns,
        ]
        .map(Counter::get)
    };
    for (before, after) in [(before.out, after.out), (before.into, after.into)] {
        assert_eq!(each(&after), each(&before).map(|before| before + 5));
    }
    let timed = |level: &Level| level.histograms.latency.buckets[3];
    assert_eq!(timed(after), timed(&before) + 5);
}
