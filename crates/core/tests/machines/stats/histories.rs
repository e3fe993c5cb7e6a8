//! Over long random histories the kept sums are those of a naive recount, and no counter falls (I-13, I-14); and what a
//! snapshot and deltas make is the later snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflow_core::stats::{Auditor, Gap, Snapshot, apply};
use dataflow_ids::NodeId;
use dataflow_ids::stats::{EdgeKey, EdgeRow, Level};

use super::flat::{Flat, counted_of_node, counted_on_edge};
use super::play::{Play, Processes};
use super::rows::misplace;

/// Changes of state that are made, besides all else that happens.
const TRANSITIONS: u64 = 1_000_000;

/// What is wrong with a book, if anything is.
pub(super) fn fault(play: &Play) -> Result<(), String> {
    let is = |whose: &str, kept: &Level, must: &Flat| {
        let must = must.clone().bounded();
        (Flat::of(kept) == must)
            .then_some(())
            .ok_or_else(|| format!("{whose}: kept {kept:?}, but its members are {must:?}"))
    };
    is("total", play.book.total(), &play.naive.level(|_, _| true))?;
    for run in &play.runs {
        let kept = play.book.dataflow(*run).ok_or("a run is not there")?;
        is("a run", kept, &play.naive.level(|of, _| of == *run))?;
    }
    let mut together = Flat::default();
    for group in play.naive.groups() {
        let must = play.naive.level(|_, of| *of == group);
        let nothing = Level::default();
        let kept = play.book.group(group.as_ref()).unwrap_or(&nothing);
        is("a group", kept, &must)?;
        together.add(&must);
    }
    if together.bounded() != Flat::of(play.book.total()) {
        return Err("the groups are not the total together".to_owned());
    }
    play.book.audit().map_err(|mismatch| mismatch.to_string())?;
    match play.book.audit_row().mismatches.get() {
        0 => Ok(()),
        faults => Err(format!("{faults} sums could not give what was to be taken")),
    }
}

/// What was published last, of which nothing may fall.
struct Reader {
    snapshot: Arc<Snapshot>,
    total: Flat,
    groups: Vec<(Option<NodeId>, Flat)>,
}

impl Reader {
    fn new(play: &mut Play) -> Reader {
        let snapshot = play.publish();
        Reader {
            total: Flat::of(snapshot.total()),
            groups: snapshot
                .groups()
                .map(|row| (row.name, Flat::of(&row.level)))
                .collect(),
            snapshot,
        }
    }

    fn nothing_fell_since(&self, earlier: &Reader) {
        assert!(self.total.has_grown_from(&earlier.total), "a counter fell");
        for (name, before) in &earlier.groups {
            let now = self.groups.iter().find(|(of, _)| of == name);
            let (_, now) = now.expect("no group goes");
            assert!(now.has_grown_from(before), "a counter of {name:?} fell");
        }
        let has_grown = |before: Vec<u128>, now: Vec<u128>| {
            before.iter().zip(&now).all(|(before, now)| before <= now)
        };
        for before in earlier.snapshot.dataflows() {
            if let Some(now) = self.snapshot.dataflow(before.number) {
                let before = Flat::of(&before.level);
                assert!(
                    Flat::of(now).has_grown_from(&before),
                    "a counter of a run fell"
                );
            }
        }
        for before in earlier.snapshot.nodes() {
            let (key, before) = (before.key, before.numbers);
            let now = self.snapshot.node(key);
            // Another one may have its key.
            if let Some(now) = now.filter(|now| now.added_revision == before.added_revision) {
                let (before, now) = (counted_of_node(&before), counted_of_node(&now));
                assert!(has_grown(before, now), "a counter of {key:?} fell");
            }
        }
        let edges: BTreeMap<EdgeKey, EdgeRow> =
            self.snapshot.edges().map(|edge| (edge.key, edge)).collect();
        for before in earlier.snapshot.edges() {
            let now = edges.get(&before.key);
            if let Some(now) = now.filter(|now| now.added_revision == before.added_revision) {
                let key = before.key;
                let (before, now) = (counted_on_edge(&before), counted_on_edge(now));
                assert!(has_grown(before, now), "a counter of {key:?} fell");
            }
        }
    }
}

/// How much was looked at.
pub(super) struct Looks {
    play: Play,
    looks: u64,
    recounted: u64,
    misplaced: u64,
}

/// Plays through so many transitions, and looks again and again.
///
/// # Panics
///
/// When anything is wrong.
pub(super) fn look_through(transitions: u64) -> Looks {
    let mut play = Play::new(0x0005_7a75, Processes::Faulty);
    let mut earlier = Reader::new(&mut play);
    let mut known = earlier.snapshot.statistics();
    let mut late = earlier.snapshot.since(&earlier.snapshot);
    let mut before = earlier.snapshot.clone();
    let mut auditor = Auditor::new();
    let (mut looks, mut recounted, mut misplaced) = (0, 0, 0);
    while play.changes.taken < transitions {
        play.step();
        if play.below(1500) > 0 {
            continue;
        }
        looks += 1;
        if let Err(fault) = fault(&play) {
            panic!("after {} transitions: {fault}", play.changes.taken);
        }
        let now = Reader::new(&mut play);
        now.nothing_fell_since(&earlier);
        let delta = now.snapshot.since(&earlier.snapshot);
        // One is missed now and then: the gap is seen, and the next one from what is known leads on.
        if play.below(4) == 0 && delta.from < delta.to {
            let untouched = known.clone();
            let next = now.snapshot.since(&now.snapshot);
            let gap = Gap::Missed {
                from: next.from,
                known: known.revision,
            };
            assert_eq!(apply(&mut known, &next), Err(gap));
            assert_eq!(known, untouched, "a gap changes nothing");
        }
        // One from before what is known would leave there what has come and gone meanwhile.
        if looks % 4 == 0 && before.revision() < delta.from && delta.from < delta.to {
            let overlapping = now.snapshot.since(&before);
            let gap = Gap::Missed {
                from: before.revision(),
                known: known.revision,
            };
            assert_eq!(apply(&mut known, &overlapping), Err(gap));
        }
        // Nor is one taken that has a row which does not belong to it.
        let mut lie = delta.clone();
        if misplace(&mut lie, &earlier.snapshot, &mut play.random) {
            let untouched = known.clone();
            let said = apply(&mut known, &lie);
            assert!(matches!(said, Err(Gap::Misplaced(_))), "{said:?}");
            assert_eq!(known, untouched, "a gap changes nothing");
            misplaced += 1;
        }
        apply(&mut known, &delta).expect("it follows");
        assert_eq!(known, now.snapshot.statistics());
        for repeated in [&delta, &late] {
            apply(&mut known, repeated).expect("it leads nowhere new");
            assert_eq!(known, now.snapshot.statistics(), "told twice, or late");
        }
        let audited = auditor.step(&now.snapshot, 7);
        assert_eq!(audited.mismatches, 0);
        recounted += audited.recounted;
        late = delta;
        before = std::mem::replace(&mut earlier, now).snapshot;
    }
    Looks {
        play,
        looks,
        recounted,
        misplaced,
    }
}

#[test]
fn sums_are_those_of_their_members_through_a_million_transitions() {
    let Looks {
        play,
        looks,
        recounted,
        misplaced,
    } = look_through(TRANSITIONS);
    assert!(looks > 500, "{looks} recounts");
    let changes = &play.changes;
    for (count, what) in [
        (changes.refused, "refused"),
        (changes.late, "told again"),
        (changes.gaps, "told before others that are missing"),
        (changes.caught_up, "caught up with"),
    ] {
        assert!(count > TRANSITIONS / 100, "{count} {what}");
    }
    assert!(misplaced > looks / 2, "{misplaced} rows in a wrong delta");
    assert!(recounted > looks, "{recounted} members counted again");
}

#[test]
fn sums_are_those_of_their_members_also_when_processes_write_anything() {
    let mut play = Play::new(7, Processes::Hostile);
    let mut before = Flat::of(play.book.total());
    for step in 0..60_000 {
        play.step();
        if play.below(100) == 0 {
            if let Err(fault) = fault(&play) {
                panic!("after {step} steps: {fault}");
            }
            let now = Flat::of(play.book.total());
            assert!(now.has_grown_from(&before), "a counter fell");
            before = now;
        }
    }
}
