//! Pages beside a map, and how often a query goes to them.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow_ids::stats::{Keeper, Level, NodeKey, RunNumber};
use dataflow_ids::{DataflowName, Epoch, LifeCycle, NodeId, NodeIndex};

use proptest::prelude::*;

use super::super::slots::Share;
use super::super::{Book, GROUPS_MAX, Transition};
use super::{Pages, touched};
use crate::time::Time;

/// A row has nothing in it that is kept alone.
impl Share for u32 {
    fn share(&mut self) {}
}

/// What is done with pages.
#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u32),
    Change(u64, u32),
    Remove(u64),
    Share,
}

/// Numbers that lie near one another, in other pages, in other sheaves, and far away.
fn numbers() -> impl Strategy<Value = u64> {
    (
        prop::sample::select(vec![0, 16, 1_024, 5_000, u64::MAX - 20]),
        0..20_u64,
    )
        .prop_map(|(from, more)| from + more)
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (numbers(), any::<u32>()).prop_map(|(number, row)| Step::Insert(number, row)),
        3 => (numbers(), any::<u32>()).prop_map(|(number, row)| Step::Change(number, row)),
        2 => numbers().prop_map(Step::Remove),
        1 => Just(Step::Share),
    ]
}

/// Does all of it beside a map, and checks every copy that was made on the way against its map in the end.
fn play<const ROWS: usize>(steps: &[Step]) {
    let mut pages = Pages::<u32, ROWS>::default();
    let mut map = BTreeMap::new();
    let mut copies = vec![(pages.clone(), map.clone())];
    for step in steps {
        match step {
            Step::Insert(number, row) => {
                pages.insert(*number, *row);
                map.insert(*number, *row);
            }
            Step::Change(number, row) => {
                assert_eq!(pages.get_mut(*number).copied(), map.get(number).copied());
                pages
                    .get_mut(*number)
                    .into_iter()
                    .for_each(|there| *there = *row);
                map.entry(*number).and_modify(|there| *there = *row);
            }
            Step::Remove(number) => {
                assert_eq!(pages.remove(*number), map.remove(number));
            }
            Step::Share => {
                pages.share();
                let copy = pages.clone();
                assert!(pages.is_shared_with(&copy));
                copies.push((copy, map.clone()));
            }
        }
    }
    copies.push((pages, map));
    let (last, last_map) = copies.last().expect("there is one");
    for (copy, map) in &copies {
        assert_eq!(copy.len(), map.len());
        let rows = copy.iter().map(|(number, row)| (number, *row));
        assert!(rows.eq(map.iter().map(|(number, row)| (*number, *row))));
        for number in [0, 17, 1_030, 6_000] {
            let rows = copy.from(number).map(|(number, row)| (number, *row));
            assert!(rows.eq(map.range(number..).map(|(number, row)| (*number, *row))));
        }
        let mut changed = BTreeMap::new();
        copy.compare(
            last,
            |one, other| one == other,
            |number, before, after| {
                let (before, after) = (before.copied(), after.copied());
                assert_eq!(changed.insert(number, (before, after)), None);
            },
        );
        let numbers = map.keys().chain(last_map.keys());
        let expected: BTreeMap<_, _> = numbers
            .map(|number| {
                (
                    *number,
                    (map.get(number).copied(), last_map.get(number).copied()),
                )
            })
            .filter(|(_, (before, after))| before != after)
            .collect();
        assert_eq!(changed, expected);
    }
}

proptest! {
    #[test]
    fn pages_are_a_map_and_each_copy_stays_what_it_was(
        steps in prop::collection::vec(steps(), 0..200),
    ) {
        play::<16>(&steps);
        play::<1>(&steps);
    }
}

/// A book with one run of so many nodes of one name.
fn book_of(nodes: u32) -> (Book, RunNumber, NodeId) {
    let at = Time::default();
    let mut book = Book::new(Keeper(1), GROUPS_MAX);
    let peer = "here".parse().expect("a name");
    let flow = DataflowName::new("flow").expect("a name");
    let run = book.add_dataflow(at, peer, "a run".to_owned(), flow);
    let name = NodeId::new("worker").expect("a name");
    for node in (0..nodes).map(NodeIndex) {
        let key = NodeKey { run, node };
        book.add_node(at, key, &name).expect("its run is there");
    }
    (book, run, name)
}

#[test]
fn a_query_goes_to_the_rows_as_often_among_many_nodes_as_among_few() {
    let touched = |nodes| {
        let (book, run, name) = book_of(nodes);
        let counted = |level: Option<&Level>| {
            let counted = level.expect("it is there").nodes.get();
            assert_eq!(counted, u64::from(nodes));
        };
        let all = [
            touched::by(|| counted(Some(book.total()))),
            touched::by(|| counted(book.dataflow(run))),
            touched::by(|| counted(book.group(Some(&name)))),
        ];
        // What goes over all of them is seen.
        let whole = touched::by(|| book.now.statistics());
        assert!(whole > u64::from(nodes) / 1024, "{whole}");
        all
    };
    let few = touched(10);
    assert_eq!(few, touched(100_000));
    assert_eq!(few, [0, 1, 1]);
}

#[test]
fn a_transition_goes_to_the_rows_as_often_among_many_nodes_as_among_few() {
    let touched = |nodes| {
        let (mut book, run, _) = book_of(nodes);
        let mut change = |node, sequence, to| {
            let placed = Transition {
                node: NodeIndex(node),
                to,
                epoch: Epoch(1),
                sequence,
                at: Time::default(),
            };
            touched::by(|| book.transition(run, placed).expect("it is allowed"))
        };
        // Of the first and of the last; the same again.
        [
            change(0, 1, LifeCycle::Placed),
            change(nodes - 1, 1, LifeCycle::Placed),
            change(nodes - 1, 2, LifeCycle::Starting),
        ]
    };
    let few = touched(10);
    assert_eq!(few, touched(100_000));
    // The run, the node and its group: looked at, and changed.
    assert_eq!(few, [5; 3]);
}

#[test]
fn rows_that_come_and_go_with_ever_higher_numbers_leave_no_pages_behind() {
    let mut pages = Pages::<u32>::default();
    for number in 0..100_000_u64 {
        pages.insert(number, 1);
        if let Some(before) = number.checked_sub(3) {
            assert_eq!(pages.remove(before), Some(1));
        }
        let sheaves: Vec<_> = pages
            .sheaves(0)
            .filter_map(|(_, pages)| pages.get())
            .collect();
        assert!(sheaves.len() <= 2 && pages.others().len() <= 2);
        let full = sheaves.iter().copied().flatten();
        assert!(full.filter(|page| page.get().is_some()).count() <= 2);
    }
}

#[test]
fn what_is_kept_is_the_same_after_a_thousand_and_after_many_dataflows_with_names_of_their_own() {
    let mut book = Book::new(Keeper(1), GROUPS_MAX);
    let mut kept = Vec::new();
    for number in 0..=20_000_u64 {
        let at = Time(Duration::from_millis(number));
        let peer = "here".parse().expect("a name");
        let flow = DataflowName::new(format!("flow-{number}")).expect("a name");
        let run = book.add_dataflow(at, peer, format!("run-{number}"), flow);
        for node in (0..3).map(NodeIndex) {
            let key = NodeKey { run, node };
            let name = NodeId::new(format!("node-{number}-{}", node.0)).expect("a name");
            book.add_node(at, key, &name).expect("its run is there");
        }
        book.publish(at);
        if number == 1_000 || number == 20_000 {
            let runs = &book.now.runs;
            let sheaves = runs.sheaves(0).filter(|(_, pages)| pages.get().is_some());
            kept.push((runs.len(), sheaves.count(), book.now.groups.len()));
        }
        book.remove_dataflow(at, run).expect("it is there");
    }
    assert_eq!(kept, [(1, 1, GROUPS_MAX + 1); 2]);
    assert_eq!(book.total().retired.nodes.get(), 60_003);
    assert_eq!(book.audit(), Ok(()));
}
