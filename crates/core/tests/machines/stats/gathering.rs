//! A collector over long random histories of keepers that come, go and begin anew, whose deltas come twice, late or not at
//! all: once it has heard everything, it says what they say together, and until then no counter falls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::random::Random;
use dataflow_core::stats::{Collector, Resync, Snapshot, Source, apply};
use dataflow_ids::NodeId;
use dataflow_ids::stats::{Delta, Keeper};

use super::flat::{Flat, times_at};
use super::play::{GROUPS_MAX, Play, Processes};
use super::rows::misplace;

/// A keeper, and what a collector is told of it.
struct Told {
    source: Source,
    play: Play,
    told: Arc<Snapshot>,
    /// What was told before that.
    before: Arc<Snapshot>,
    late: Vec<Delta>,
    /// How many deltas had a row that does not belong to them.
    misplaced: u64,
}

impl Told {
    fn new(place: usize, seed: u64) -> Told {
        let mut play = Play::new(seed, Processes::Faulty);
        let told = play.publish();
        Told {
            source: Source {
                peer: "there".parse().expect("a name"),
                run: Some(format!("run-{place}")),
            },
            play,
            before: told.clone(),
            told,
            late: Vec::new(),
            misplaced: 0,
        }
    }

    /// Tells everything that has happened.
    fn tell(&mut self, collector: &mut Collector, at: Time, random: &mut Random) {
        for _ in 0..random.draw() % 400 {
            self.play.step();
        }
        let now = self.play.publish();
        let delta = now.since(&self.told);
        match random.draw() % 8 {
            // It is lost, and so is the next one from there.
            0 => return self.late.push(delta),
            3 => {
                // One with a row that does not belong to it changes nothing.
                let mut lie = delta.clone();
                if misplace(&mut lie, &self.told, random) {
                    let revision = collector.book().revision();
                    let said = collector.delta(at, &self.source, lie);
                    assert!(matches!(said, Err(Resync::Misplaced(_))), "{said:?}");
                    assert_eq!(collector.book().revision(), revision);
                    self.misplaced += 1;
                }
            }
            1 => {
                let later = now.since(&now);
                let said = collector.delta(at, &self.source, later.clone());
                assert!(
                    said.is_ok() || matches!(said, Err(Resync::Missed { .. })),
                    "{said:?}"
                );
            }
            2 => {
                // One from before what was told last says nothing of what has come and gone meanwhile.
                let overlapping = now.since(&self.before);
                let said = collector.delta(at, &self.source, overlapping);
                let is_gap = self.before.revision() < self.told.revision()
                    && self.told.revision() < now.revision();
                assert!(said.is_err() || !is_gap, "{said:?}");
            }
            _ => {}
        }
        for delta in [&delta, &delta] {
            match collector.delta(at, &self.source, delta.clone()) {
                Ok(()) => {}
                // Of a keeper that is correct, each row belongs where it is.
                Err(Resync::Misplaced(row)) => panic!("{row}: {delta:?}"),
                Err(_) => self.whole(collector, at, &now),
            }
        }
        if random.draw().is_multiple_of(5) {
            for late in self.late.drain(..) {
                let _ = collector.delta(at, &self.source, late);
            }
        }
        self.late.push(delta);
        self.before = std::mem::replace(&mut self.told, now);
    }

    fn whole(&self, collector: &mut Collector, at: Time, now: &Snapshot) {
        collector
            .whole(at, &self.source, now.statistics())
            .expect("it has not ended");
    }
}

/// How many rounds keepers tell something.
const ROUNDS: u64 = 3_000;

/// Lets keepers tell for so many rounds. Gives how many have ended, and how many deltas were refused for a row in them.
///
/// # Panics
///
/// When anything is wrong.
pub(super) fn gather(rounds: u64) -> (usize, u64) {
    let mut random = Random::new(0x0c01_1ec7);
    // Every name of the keepers has a place here, so that groups can be compared.
    let mut collector = Collector::new(Keeper(random.draw()), GROUPS_MAX * 4);
    let mut keepers: Vec<Told> = Vec::new();
    let mut ended = Vec::new();
    let mut before = Flat::of(collector.book().total());
    // Somebody who is told what the collector shows.
    let mut shown = collector.publish(Time::START);
    let mut known = shown.statistics();
    let mut misplaced = 0;
    let mut times_before = times_at(collector.book().total(), 0);
    let mut groups_before: BTreeMap<Option<NodeId>, Flat> = BTreeMap::new();
    for round in 0..rounds {
        let at = Time(Duration::from_millis(round));
        let place = usize::try_from(random.draw() % 4).expect("few");
        if keepers.len() <= place {
            let keeper = Told::new(keepers.len(), random.draw());
            keeper.whole(&mut collector, at, &keeper.told);
            keepers.push(keeper);
        }
        let place = place.min(keepers.len() - 1);
        keepers[place].tell(&mut collector, at, &mut random);
        if random.draw().is_multiple_of(100) {
            // It ends, or begins anew where it was; all it had counted was told.
            let mut keeper = Told::new(place, random.draw());
            std::mem::swap(&mut keeper, &mut keepers[place]);
            let last = keeper.play.publish();
            keeper.whole(&mut collector, at, &last);
            if random.draw().is_multiple_of(2) {
                collector.gone(at, &keeper.source);
            }
            ended.push(last.clone());
            misplaced += keeper.misplaced;
            let anew = &keepers[place];
            anew.whole(&mut collector, at, &anew.told);
            let again = collector.whole(at, &keeper.source, last.statistics());
            assert!(again.is_err(), "who has ended does not count once more");
        }
        let now = Flat::of(collector.book().total());
        assert!(
            now.has_grown_from(&before),
            "a counter fell in round {round}"
        );
        before = now;
        // Looked at again and again, also at what has happened since is told late.
        if random.draw().is_multiple_of(3) {
            let snapshot = collector.publish(at);
            let times = times_at(snapshot.total(), snapshot.at_ns());
            for (earlier, later) in times_before.iter().zip(&times) {
                assert!(
                    earlier <= later,
                    "in round {round}, time in a state fell from {earlier} ns to {later} ns"
                );
            }
            times_before = times;
            apply(&mut known, &snapshot.since(&shown)).expect("it follows");
            assert_eq!(known, snapshot.statistics(), "round {round}");
            shown = snapshot;
        }
        if !random.draw().is_multiple_of(50) {
            continue;
        }
        let snapshot = collector.publish(at);
        assert_eq!(snapshot.audit_all(), Ok(()), "round {round}");
        assert_eq!(snapshot.audit().mismatches.get(), 0);
        for row in snapshot.groups() {
            let now = Flat::of(&row.level);
            if let Some(before) = groups_before.get(&row.name) {
                assert!(
                    now.has_grown_from(before),
                    "a counter of {:?} fell",
                    row.name
                );
            }
            groups_before.insert(row.name, now);
        }
        let mut together = Flat::of(&Default::default());
        for last in &ended {
            together.add(&Flat::of(last.total()));
        }
        for keeper in &mut keepers {
            let now = keeper.play.publish();
            keeper.whole(&mut collector, at, &now);
            keeper.told = now.clone();
            together.add(&Flat::of(now.total()));
        }
        let collected = Flat::of(collector.book().total());
        assert_eq!(collected.untimed(), together.untimed(), "round {round}");
    }
    (ended.len(), misplaced)
}

#[test]
fn what_several_keepers_say_counts_once_whatever_comes_twice_late_or_not_at_all() {
    let (ended, misplaced) = gather(ROUNDS);
    assert!(ended > 10, "{ended} keepers have ended");
    assert!(misplaced > 50, "{misplaced} deltas with a row of another");
}

#[test]
fn sources_that_come_and_go_leave_nothing_but_what_they_have_counted() {
    let mut collector = Collector::new(Keeper(1), 2);
    for number in 0..20_000_u64 {
        let (mut book, _) = super::examples::two_nodes_of(Keeper(number + 2));
        let source = Source {
            peer: "there".parse().expect("a name"),
            run: Some(format!("run-{number}")),
        };
        let at = Time(Duration::from_millis(number));
        let whole = book.publish(at).statistics();
        collector.whole(at, &source, whole).expect("it is new");
        collector.gone(at, &source);
    }
    assert_eq!(collector.sources_len(), 0);
    let snapshot = collector.publish(Time(Duration::from_secs(60)));
    assert_eq!(snapshot.dataflows_len(), 0);
    assert_eq!(snapshot.total().retired.nodes.get(), 40_000);
    assert_eq!(snapshot.audit_all(), Ok(()));
}
