//! Pages beside a map, and how often a query goes to them.

use std::collections::BTreeMap;

use dataflow_ids::stats::{Keeper, Level, NodeKey, RunNumber};
use dataflow_ids::{DataflowName, NodeId, NodeIndex};

use proptest::prelude::*;

use super::super::slots::Share;
use super::super::{Book, GROUPS_MAX};
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
