//! What whoever is told of changes does about rows that do not belong into a delta: too old, too new, twice, of members that
//! have gone. Each is refused whole, by whoever applies it and by a collector, and the whole makes up for it.

use std::sync::Arc;

use dataflow_core::random::Random;
use dataflow_core::stats::{
    Book, Collector, Gap, Misplaced, ProcessFacts, Resync, Snapshot, Source, Transition, apply,
};
use dataflow_ids::stats::{Delta, EdgeKey, Keeper, NodeKey, NodeRow, RunNumber, Statistics};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex};

use super::examples::{at, sent, two_nodes_of};

/// A keeper of two nodes with an edge, whoever applies what it says, and a collector that hears the same.
struct Told {
    book: Book,
    run: RunNumber,
    /// The changes of the first node.
    changes: u64,
    last: Arc<Snapshot>,
    known: Statistics,
    collector: Collector,
}

fn source() -> Source {
    Source {
        peer: "here".parse().expect("a name"),
        run: Some("a run".to_owned()),
    }
}

impl Told {
    /// The first node's second incarnation has begun.
    fn new() -> Told {
        let (mut book, run) = two_nodes_of(Keeper(1));
        let last = book.publish(at(0));
        let mut told = Told {
            known: last.statistics(),
            collector: Collector::new(Keeper(99), 10),
            book,
            run,
            changes: 0,
            last,
        };
        told.hears_the_whole();
        for (to, epoch) in [
            (LifeCycle::Placed, 0),
            (LifeCycle::Starting, 1),
            (LifeCycle::Backoff, 1),
            (LifeCycle::Starting, 2),
        ] {
            told.changes_to(to, epoch);
        }
        told.send(5);
        let delta = told.next();
        told.hears(&delta);
        told
    }

    fn node(&self, node: u32) -> NodeKey {
        let (run, node) = (self.run, NodeIndex(node));
        NodeKey { run, node }
    }

    fn changes_to(&mut self, to: LifeCycle, epoch: u32) {
        self.changes += 1;
        let changed = Transition {
            node: NodeIndex(0),
            to,
            epoch: Epoch(epoch),
            sequence: self.changes,
            at: at(self.changes),
        };
        self.book.transition(self.run, changed).expect("it may be");
    }

    fn send(&mut self, count: u64) {
        let (run, edge) = (self.run, EdgeId(0));
        self.book
            .edge_read(EdgeKey { run, edge }, &sent(count))
            .expect("it is there");
    }

    /// What has changed since the last.
    fn next(&mut self) -> Delta {
        let now = self.book.publish(at(self.changes));
        let delta = now.since(&self.last);
        self.last = now;
        delta
    }

    fn hears(&mut self, delta: &Delta) {
        assert_eq!(apply(&mut self.known, delta), Ok(()));
        let heard = self.collector.delta(at(90), &source(), delta.clone());
        assert_eq!(heard, Ok(()));
        self.is_right();
    }

    fn hears_the_whole(&mut self) {
        self.known = self.last.statistics();
        self.collector
            .whole(at(90), &source(), self.known.clone())
            .expect("it has not ended");
        self.is_right();
    }

    /// What is known is what the keeper has said last.
    fn is_right(&mut self) {
        assert_eq!(self.known, self.last.statistics());
        let collected = self.collector.publish(at(90));
        assert_eq!(collected.audit_all(), Ok(()));
        let ours: Vec<NodeRow> = collected.nodes().collect();
        assert_eq!(ours.len(), self.known.nodes.len());
        for (ours, theirs) in ours.iter().zip(&self.known.nodes) {
            let (ours, theirs) = (&ours.numbers, &theirs.numbers);
            assert_eq!((ours.state, ours.epoch), (theirs.state, theirs.epoch));
            assert_eq!((ours.out, ours.into), (theirs.out, theirs.into));
            assert_eq!(ours.transitions, theirs.transitions);
        }
        let (ours, theirs) = (collected.total(), &self.known.total);
        assert_eq!(
            (ours.out, ours.retired.out),
            (theirs.out, theirs.retired.out)
        );
        assert_eq!(ours.states, theirs.states);
        assert_eq!(ours.transitions, theirs.transitions);
    }

    /// The delta is refused by both, which changes nothing, and the whole makes up for it.
    fn refuses(&mut self, delta: &Delta, why: Misplaced) {
        self.applied_is(delta, Err(Gap::Misplaced(why)));
        self.collected_is(delta, Err(Resync::Misplaced(why)));
        self.hears_the_whole();
        self.goes_on();
    }

    fn applied_is(&mut self, delta: &Delta, said: Result<(), Gap>) {
        let before = self.known.clone();
        assert_eq!(apply(&mut self.known, delta), said);
        assert_eq!(self.known, before, "what is refused changes nothing");
    }

    fn collected_is(&mut self, delta: &Delta, said: Result<(), Resync>) {
        let revision = self.collector.book().revision();
        let heard = self.collector.delta(at(90), &source(), delta.clone());
        assert_eq!(heard, said);
        assert_eq!(self.collector.book().revision(), revision);
    }

    /// What is said next follows again.
    fn goes_on(&mut self) {
        let facts = ProcessFacts {
            epoch: Epoch(2),
            pid: Some(7),
            cpu_ns: self.last.revision(),
            memory_bytes: 1,
            read_at: None,
        };
        let key = self.node(0);
        self.book.process_read(key, &facts).expect("it is there");
        let delta = self.next();
        assert_eq!(delta.nodes.len(), 1);
        self.hears(&delta);
    }
}

/// A delta of which both nodes and the edge have changed.
fn changed(told: &mut Told) -> Delta {
    told.changes_to(LifeCycle::Ready, 2);
    told.send(9);
    let delta = told.next();
    assert_eq!((delta.nodes.len(), delta.edges.len()), (2, 1));
    delta
}

#[test]
fn a_row_that_changed_before_the_delta_begins_or_after_it_ends_is_a_gap() {
    for is_of_an_edge in [false, true] {
        for is_late in [false, true] {
            let mut told = Told::new();
            let mut delta = changed(&mut told);
            let (from, to) = (delta.from, delta.to);
            let sequence = if is_late { from } else { to + 1 };
            match is_of_an_edge {
                true => delta.edges[0].sequence = sequence,
                false => delta.nodes[1].numbers.sequence = sequence,
            }
            told.refuses(&delta, Misplaced::Sequence { sequence, from, to });
        }
    }
}

#[test]
fn a_row_of_an_earlier_incarnation_is_a_gap() {
    let mut told = Told::new();
    let mut delta = changed(&mut told);
    delta.nodes[0].numbers.epoch = Epoch(1);
    let (epoch, known) = (Epoch(1), Epoch(2));
    told.refuses(&delta, Misplaced::Epoch { epoch, known });
}

#[test]
fn a_row_that_comes_twice_in_a_delta_or_out_of_order_is_a_gap() {
    let lies: [fn(&mut Delta); 3] = [
        |delta| delta.nodes.insert(0, delta.nodes[0].clone()),
        |delta| delta.nodes.reverse(),
        |delta| delta.edges.push(delta.edges[0].clone()),
    ];
    for lie in lies {
        let mut told = Told::new();
        let mut delta = changed(&mut told);
        lie(&mut delta);
        told.refuses(&delta, Misplaced::Order);
    }
}

#[test]
fn a_row_of_a_node_that_has_gone_is_a_gap_when_it_comes_late() {
    let mut told = Told::new();
    let mut late = changed(&mut told);
    told.hears(&late);
    let gone = told.node(1);
    told.book.remove_node(at(20), gone).expect("it is there");
    let delta = told.next();
    told.hears(&delta);
    told.changes_to(LifeCycle::Running, 2);
    let mut delta = told.next();
    let (from, to) = (delta.from, delta.to);
    // As it was; and as if it had changed in between, as no keeper says.
    let row = late.nodes.remove(1);
    assert_eq!(row.key, gone);
    let sequence = row.numbers.sequence;
    delta.nodes.push(row);
    let too_low = Misplaced::Sequence { sequence, from, to };
    told.applied_is(&delta, Err(Gap::Misplaced(too_low)));
    told.collected_is(&delta, Err(Resync::Misplaced(too_low)));
    delta.nodes[1].numbers.sequence = to;
    told.refuses(&delta, Misplaced::Gone);
}

#[test]
fn a_row_of_a_member_that_goes_with_the_same_delta_is_a_gap() {
    let lies: [fn(&mut Delta); 3] = [
        |delta| delta.nodes_gone.push(delta.nodes[1].key),
        |delta| delta.edges_gone.push(delta.edges[0].key),
        |delta| delta.dataflows_gone.push(delta.nodes[0].key.run),
    ];
    for (place, lie) in lies.into_iter().enumerate() {
        let mut told = Told::new();
        let mut delta = changed(&mut told);
        if place == 2 {
            delta.dataflows.clear();
        }
        lie(&mut delta);
        told.refuses(&delta, Misplaced::Gone);
    }
}

#[test]
fn a_row_of_a_run_that_nobody_has_told_of_is_a_gap() {
    let mut told = Told::new();
    let mut delta = changed(&mut told);
    let mut stray = delta.nodes[0].clone();
    stray.key.run = RunNumber(7);
    stray.numbers.added_revision = delta.to;
    stray.numbers.sequence = delta.to;
    delta.nodes.push(stray);
    told.refuses(&delta, Misplaced::Gone);
}

#[test]
fn a_row_of_a_member_that_came_in_after_its_last_change_is_a_gap() {
    let mut told = Told::new();
    let mut delta = changed(&mut told);
    let added_revision = delta.to + 1;
    delta.nodes[0].numbers.added_revision = added_revision;
    told.refuses(&delta, Misplaced::Added { added_revision });
}

#[test]
fn a_row_that_has_the_key_of_another_member_is_a_gap_for_who_knows_that_one() {
    let mut told = Told::new();
    let mut delta = changed(&mut told);
    // Somebody who was there before. A collector numbers its rows itself, and takes it for the one that it knows.
    let added_revision = delta.nodes[0].numbers.added_revision - 1;
    delta.nodes[0].numbers.added_revision = added_revision;
    let why = Misplaced::Added { added_revision };
    told.applied_is(&delta, Err(Gap::Misplaced(why)));
    told.hears_the_whole();
    told.goes_on();
}

#[test]
fn a_row_that_is_not_newer_than_what_a_whole_has_said_of_it_is_a_gap() {
    let mut told = Told::new();
    let delta = changed(&mut told);
    // The whole says more than there was at its revision.
    let known = delta.to + 10;
    told.known.nodes[0].numbers.sequence = known;
    let sequence = delta.nodes[0].numbers.sequence;
    let late = Misplaced::Late { sequence, known };
    told.applied_is(&delta, Err(Gap::Misplaced(late)));
    told.hears_the_whole();
    told.goes_on();
}

#[test]
fn deltas_that_come_twice_late_and_out_of_order_lead_to_what_the_keeper_says() {
    let mut told = Told::new();
    let early = told.last.revision();
    let first = changed(&mut told);
    told.send(20);
    let second = told.next();
    let (from, known) = (second.from, early);
    told.applied_is(&second, Err(Gap::Missed { from, known }));
    told.collected_is(&second, Err(Resync::Missed { from, known }));
    for delta in [&first, &first, &second, &first, &second] {
        assert_eq!(apply(&mut told.known, delta), Ok(()));
        let heard = told.collector.delta(at(90), &source(), delta.clone());
        assert_eq!(heard, Ok(()));
    }
    told.is_right();
}

#[test]
fn a_node_that_has_the_key_of_one_that_has_gone_begins_with_its_own_first_incarnation() {
    let mut told = Told::new();
    let key = told.node(0);
    told.book.remove_node(at(20), key).expect("it is there");
    let name = "another".parse().expect("a name");
    told.book.add_node(at(21), key, &name).expect("its run is");
    let delta = told.next();
    assert_eq!(delta.nodes_gone, [], "one row says both");
    told.hears(&delta);
    assert_eq!(told.known.nodes[0].numbers.epoch, Epoch::NONE);
    assert_eq!(told.collector.book().total().retired.nodes.get(), 1);
}

#[test]
fn what_a_whole_says_that_is_older_than_what_is_known_changes_nothing_in_a_collector() {
    let mut told = Told::new();
    let mut whole = told.last.statistics();
    whole.revision += 1;
    whole.nodes[0].numbers.epoch = Epoch(1);
    whole.nodes[0].numbers.state = LifeCycle::Ready;
    // Of rows that come twice, one counts.
    whole.nodes.extend(whole.nodes.clone());
    whole.edges.extend(whole.edges.clone());
    for node in &mut whole.nodes {
        node.numbers.sequence = whole.revision;
    }
    for _ in 0..2 {
        let heard = told.collector.whole(at(90), &source(), whole.clone());
        assert_eq!(heard, Ok(()));
        told.is_right();
    }
}

#[test]
fn what_a_collector_tells_holds_for_whoever_hears_it_whatever_a_keeper_says() {
    let mut told = Told::new();
    let mut last = told.collector.publish(at(90));
    let mut known = last.statistics();
    // Each time members come in anew, under the same keys and with the same numbers.
    for lie in 0..20_u64 {
        let mut whole = told.last.statistics();
        whole.revision += 2 * lie;
        for node in &mut whole.nodes {
            node.numbers.added_revision = whole.revision - lie % 2;
            node.numbers.epoch = Epoch(20 - u32::try_from(lie).expect("few"));
        }
        whole.edges[0].added_revision = whole.revision - lie % 3;
        let heard = told.collector.whole(at(90), &source(), whole);
        assert_eq!(heard, Ok(()));
        let now = told.collector.publish(at(91));
        assert_eq!(apply(&mut known, &now.since(&last)), Ok(()));
        assert_eq!(known, now.statistics());
        assert_eq!(now.audit_all(), Ok(()));
        last = now;
    }
}

/// Makes one row of a delta one that does not belong there, if it has any row: one that is too old or too new, one that comes
/// twice, one of `earlier` that has not changed or has gone, or one that goes with the delta.
pub(super) fn misplace(delta: &mut Delta, earlier: &Snapshot, random: &mut Random) -> bool {
    let mut below = |end: usize| (random.draw() % end as u64) as usize;
    let how = below(5);
    let (place_of_node, place_of_edge) = (
        below(delta.nodes.len().max(1)),
        below(delta.edges.len().max(1)),
    );
    if how == 3 {
        let rows: Vec<NodeRow> = earlier.nodes().collect();
        if delta.from == delta.to || rows.is_empty() {
            return false;
        }
        let late = rows[below(rows.len())].clone();
        match delta.nodes.binary_search_by_key(&late.key, |row| row.key) {
            Ok(place) => delta.nodes[place] = late,
            Err(place) => delta.nodes.insert(place, late),
        }
        return true;
    }
    if how == 4 {
        // One that came in since would be another member, whose key was free again.
        let was_there = |row: &&NodeRow| row.numbers.added_revision <= delta.from;
        let key = delta.nodes.iter().find(was_there).map(|row| row.key);
        delta.nodes_gone.extend(key);
        return key.is_some();
    }
    let sequence = if how == 0 { delta.from } else { delta.to + 1 };
    if let Some(row) = delta.edges.get_mut(place_of_edge)
        && below(2) == 0
    {
        match how {
            2 => delta.edges.push(delta.edges[place_of_edge].clone()),
            _ => row.sequence = sequence,
        }
        return true;
    }
    if let Some(row) = delta.nodes.get_mut(place_of_node) {
        match how {
            2 => delta.nodes.push(delta.nodes[place_of_node].clone()),
            _ => row.numbers.sequence = sequence,
        }
        return true;
    }
    false
}
