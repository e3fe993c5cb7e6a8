//! Whatever number is off, who counts again finds it.

use std::time::Duration;

use dataflow_ids::stats::{Counter, EdgeKey, Gauge, Histogram, Keeper, Level, NodeKey, RunNumber};
use dataflow_ids::{DataflowName, EdgeId, Epoch, LifeCycle, NodeId, NodeIndex, QueuePolicy};
use serde_json::{Value, from_value, to_value};

use super::super::facts::{EdgeFacts, EdgeSpec, ProcessFacts, Transition};
use super::super::{Audited, Auditor};
use super::*;
use crate::time::Time;

fn at(seconds: u64) -> Time {
    Time(Duration::from_secs(seconds))
}

/// A book of a run in which a node has gone and two are there, each of which has counted all that there is to be counted.
fn book() -> (Book, RunNumber) {
    let mut book = Book::new(Keeper(1), 10);
    let peer = "here".parse().expect("a name");
    let flow = DataflowName::new("flow").expect("a name");
    let run = book.add_dataflow(at(0), peer, "flow-1".to_owned(), flow);
    let name = NodeId::new("node").expect("a name");
    for node in (0..3).map(NodeIndex) {
        let key = NodeKey { run, node };
        book.add_node(at(1), key, &name).expect("its run is there");
        let life = [
            (LifeCycle::Placed, 0, 2),
            (LifeCycle::Starting, 1, 3),
            (LifeCycle::Backoff, 1, 5),
            (LifeCycle::Starting, 2, 7),
        ];
        for (sequence, (to, epoch, seconds)) in (1..).zip(life) {
            let (epoch, at) = (Epoch(epoch), at(seconds));
            let transition = Transition {
                node,
                to,
                epoch,
                sequence,
                at,
            };
            book.transition(run, transition).expect("it is allowed");
        }
        let process = ProcessFacts {
            epoch: Epoch(2),
            pid: Some(7),
            cpu_ns: 11,
            memory_bytes: 13,
            read_at: None,
        };
        book.process_read(key, &process).expect("it is there");
    }
    for (edge, source, target) in [(0, 0, 1), (1, 1, 0), (2, 2, 2)] {
        let key = EdgeKey {
            run,
            edge: EdgeId(edge),
        };
        let spec = EdgeSpec {
            key,
            source: NodeIndex(source),
            output: "out".parse().expect("a name"),
            target: NodeIndex(target),
            input: "in".parse().expect("a name"),
            policy: QueuePolicy::DropOldest,
            queue_size: 10,
        };
        book.add_edge(spec).expect("its nodes are there");
        let mut facts = EdgeFacts::default();
        for (counter, count) in facts.counters.each_mut().into_iter().zip(1..) {
            *counter = Counter::new(count);
        }
        for gauge in facts.gauges.each_mut() {
            *gauge = Gauge::new(1);
        }
        for (histogram, spans) in facts.histograms.each_mut().into_iter().zip(1..) {
            histogram.buckets[Histogram::bucket_of(17)] = spans;
            histogram.sum_ns = 17 * spans;
        }
        book.edge_read(key, &facts).expect("it is there");
    }
    let gone = NodeKey {
        run,
        node: NodeIndex(2),
    };
    book.remove_node(at(9), gone).expect("it is there");
    (book, run)
}

/// What the auditor finds in a book, member by member.
fn found(book: &mut Book) -> u64 {
    let snapshot = book.publish(at(9));
    let mut auditor = Auditor::new();
    let mut mismatches = 0;
    loop {
        let audited = auditor.step(&snapshot, 1);
        if audited == Audited::default() {
            return mismatches;
        }
        mismatches += audited.mismatches;
    }
}

/// The place of each number in a text, from the outside in.
fn places(of: &Value, place: &str, all: &mut Vec<String>) {
    match of {
        Value::Number(_) => all.push(place.to_owned()),
        Value::Array(rows) => {
            for (at, row) in rows.iter().enumerate() {
                places(row, &format!("{place}/{at}"), all);
            }
        }
        Value::Object(rows) => {
            for (name, row) in rows {
                places(row, &format!("{place}/{name}"), all);
            }
        }
        _ => {}
    }
}

/// Puts these numbers at each level.
fn put_off(book: &mut Book, run: RunNumber, level: Level) {
    *book.now.total = level;
    book.run_mut(run).expect("it is there").level = level;
    let group = book.now.groups.iter().map(|(number, _)| number).next();
    let group = group.and_then(|number| book.now.groups.level_mut(number));
    *group.expect("it is there") = level;
}

#[test]
fn each_number_of_a_level_that_is_off_is_found_at_each_level() {
    let (mut book, run) = book();
    assert_eq!(book.audit(), Ok(()));
    assert_eq!(found(&mut book), 0);
    // All nodes are of one group of the one run.
    let level = *book.total();
    assert_eq!(book.dataflow(run), Some(&level));
    let text = to_value(level).expect("a level has a text");
    let mut all = Vec::new();
    places(&text, "", &mut all);
    // At least those of the edges to and from members, of those that are there and of those that have gone.
    assert!(all.len() > 9 * 2 * 2, "{all:?}");
    for place in all {
        let mut off = text.clone();
        let number = off.pointer_mut(&place).expect("it is there");
        *number = (number.as_u64().expect("it is whole") + 1).into();
        put_off(&mut book, run, from_value(off).expect("it is a level"));
        // No other number says how many have gone.
        let wanted = if place == "/retired/nodes" { 0 } else { 3 };
        assert_eq!(found(&mut book), wanted, "{place}");
        assert_eq!(book.audit().is_ok(), wanted == 0, "{place}");
    }
}

#[test]
fn a_node_whose_times_are_not_its_age_is_found_although_the_sums_agree() {
    let (mut book, run) = book();
    let node = NodeIndex(1);
    let key = NodeKey { run, node };
    let there = book.run_mut(run).expect("it is there");
    let life = there.lives.get_mut(1).expect("it is there");
    life.time_in_state_ns[LifeCycle::Placed] += 5;
    let group = life.group;
    book.each_level(run, group, |level| {
        level.time_in_state_ns[LifeCycle::Placed] += 5;
    });
    let off = AuditMismatch::Age {
        node: key,
        off_ns: 5,
    };
    assert_eq!(book.audit(), Err(off));
    assert_eq!(found(&mut book), 1);
}
