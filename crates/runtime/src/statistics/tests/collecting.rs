//! The statistics of an agent: what its dataflows count is put together, and stays when they end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::stats::Source as Collected;
use dataflow_ids::PeerId;
use dataflow_ids::stats::{ActorRow, Keeper, PoolRow, Statistics};

use super::support::{Kept, OFTEN, PATIENCE, Served};
use crate::client::Watcher;
use crate::models::{ActorFault, FetchLimits, HubSettings, ModelService};
use crate::served::Served as ServedBy;
use crate::statistics::collect::{Collecting, STRIKES_MAX};
use crate::statistics::{
    AgentStatistics, EVERY_WHILE_READ, EVERY_WHILE_UNREAD, Publisher, StatisticsThread,
};

fn run(number: u32) -> Collected {
    Collected {
        peer: PeerId::new("here").unwrap(),
        run: Some(format!("flow-{number}")),
    }
}

/// Looks again and again until it is so.
fn wait_for(shown: &dyn Fn() -> ActorRow, is_so: impl Fn(&ActorRow) -> bool) -> ActorRow {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let row = shown();
        if is_so(&row) {
            return row;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "it never is: {row:?}"
        );
        std::thread::yield_now();
    }
}

/// Waits until somebody who watches knows something.
fn wait_until(watcher: &mut Watcher, is_so: impl Fn(&Statistics) -> bool) -> Statistics {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let known = watcher.next().unwrap().unwrap();
        if is_so(known) {
            return known.clone();
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "it never is so: {known:?}"
        );
    }
}

#[test]
fn what_dataflows_count_is_put_together_and_stays_when_they_end() {
    let thread = Arc::new(StatisticsThread::start().unwrap());
    let agent = AgentStatistics::start(Arc::clone(&thread), Keeper(77), ServedBy::default());
    let served = Served::of(thread, agent.source().clone());
    let mut watcher = served.watcher(OFTEN);
    assert_eq!(watcher.next().unwrap().unwrap().nodes.len(), 0);
    let mut kept = [Kept::kept_by(1, 10), Kept::kept_by(2, 20)];
    let publishers = [
        Publisher::new(kept[0].publish()),
        Publisher::new(kept[1].publish()),
    ];
    agent.begins(run(1), publishers[0].source().clone());
    agent.begins(run(2), publishers[1].source().clone());
    let first = wait_until(&mut watcher, |known| known.nodes.len() == 30);
    assert_eq!((first.dataflows.len(), first.total.nodes.get()), (2, 30));
    assert_eq!(first.total.transitions.get(), 30, "each node was placed");
    // While somebody reads the agent's, somebody reads those of each of its dataflows.
    served.wait_for_readers_of(publishers[1].source(), 1);
    for _ in 0..7 {
        kept[1].change();
    }
    publishers[1].publish(kept[1].publish());
    wait_until(&mut watcher, |known| known.total.transitions.get() == 37);
    // What is counted last, just before the end, counts too.
    for _ in 0..5 {
        kept[1].change();
    }
    publishers[1].publish(kept[1].publish());
    publishers[1].end();
    let last = wait_until(&mut watcher, |known| known.dataflows.len() == 1);
    assert_eq!((last.total.nodes.get(), last.nodes.len()), (10, 10));
    assert_eq!(last.total.transitions.get(), 42);
    // One that begins and ends before anybody reads is counted all the same.
    let mut short = Kept::kept_by(3, 5);
    let publisher = Publisher::new(short.publish());
    agent.begins(run(3), publisher.source().clone());
    publisher.end();
    let last = wait_until(&mut watcher, |known| known.total.transitions.get() == 47);
    assert_eq!(last.audit.mismatches.get(), 0);
    wait_until(&mut watcher, |known| {
        known.dataflows.len() == 1 && known.audit.recounted.get() > 0
    });
    drop(watcher);
    served.wait_for_readers_of(publishers[0].source(), 0);
}

#[test]
fn a_panic_while_something_is_taken_changes_nothing_of_what_was_collected() {
    let collecting = Collecting::of(Keeper(77));
    let mut kept = Kept::kept_by(1, 10);
    let publisher = Publisher::new(kept.publish());
    collecting.add(run(1), publisher.source().clone());
    collecting.turn();
    let before = collecting
        .step(|collector| collector.publish(collecting.now()))
        .statistics();
    kept.change();
    let latest = kept.publish();
    let panics = catch_unwind(AssertUnwindSafe(|| {
        collecting.step(|collector| {
            let all = latest.statistics();
            collector.whole(collecting.now(), &run(2), all).unwrap();
            panic!("on purpose");
        });
    }));
    assert!(panics.is_err());
    let after = collecting
        .step(|collector| collector.publish(collecting.now()))
        .statistics();
    assert_eq!(
        (before.total, before.revision),
        (after.total, after.revision)
    );
    publisher.publish(latest);
    collecting.turn();
    let now = collecting.step(|collector| collector.publish(collecting.now()));
    assert_eq!(now.total().transitions.get(), 11);
}

#[test]
fn what_serves_several_dataflows_is_asked_where_it_is_and_its_counters_stay_when_it_has_ended() {
    let collecting = Collecting::of(Keeper(77));
    let publishers = [1, 2].map(|number| Publisher::new(Kept::kept_by(number, 1).publish()));
    for (number, publisher) in (0..).zip(&publishers) {
        collecting.add(run(number), publisher.source().clone());
    }
    collecting.turn();
    let all = collecting.shown().statistics();
    assert_eq!((all.pool, all.actors.len()), (None, 0));
    let served = collecting.served();
    let settings = HubSettings::from_variables(&BTreeMap::new()).unwrap();
    let service = Arc::new(ModelService::for_hub(settings, FetchLimits::default()).unwrap());
    served.by(&service);
    let shown = || {
        collecting.turn();
        let all = collecting.shown().statistics();
        assert_eq!(all.pool, Some(PoolRow::default()));
        assert_eq!(all.actors.len(), 1);
        all.actors[0].clone()
    };
    let row = wait_for(&shown, |row| row.actors.get() == 1);
    assert_eq!((row.actor.as_str(), row.sent.get()), ("download", 0));
    service.strike(ActorFault::Panic);
    let row = wait_for(&shown, |row| row.waiting.get() == 0 && row.sent.get() > 0);
    assert_eq!(row.rebuilt.get(), 1);
    drop(service);
    let last = wait_for(&shown, |row| row.actors.get() == 0);
    assert_eq!((last.sent, last.rebuilt), (row.sent, row.rebuilt));
}

#[test]
fn a_dataflow_over_which_turns_panic_again_and_again_goes_and_the_others_stay() {
    let collecting = Collecting::of(Keeper(77));
    let mut kept = [Kept::kept_by(1, 10), Kept::kept_by(2, 20)];
    let publishers = [
        Publisher::new(kept[0].publish()),
        Publisher::new(kept[1].publish()),
    ];
    for (number, publisher) in (1..).zip(&publishers) {
        collecting.add(run(number), publisher.source().clone());
    }
    collecting.turn();
    assert_eq!(collecting.shown().total().nodes.get(), 30);
    kept[0].change();
    publishers[0].publish(kept[0].publish());
    collecting.panics_over(run(1));
    for _ in 0..STRIKES_MAX {
        let turn = catch_unwind(AssertUnwindSafe(|| collecting.turn()));
        assert!(turn.is_err());
    }
    collecting.turn();
    let total = collecting.shown().statistics().total;
    assert_eq!((total.nodes.get(), total.transitions.get()), (20, 30));
    kept[1].change();
    publishers[1].publish(kept[1].publish());
    collecting.turn();
    assert_eq!(collecting.shown().total().transitions.get(), 31);
}

#[test]
fn a_turn_in_which_nothing_has_happened_changes_nothing_but_the_moment() {
    let collecting = Collecting::of(Keeper(77));
    let mut kept = Kept::kept_by(1, 10);
    let publisher = Publisher::new(kept.publish());
    collecting.add(run(1), publisher.source().clone());
    collecting.turn();
    let (before, steps) = (collecting.shown(), collecting.steps());
    for _ in 0..5 {
        // As a fold does, also when there is nothing new.
        publisher.publish(kept.publish());
        collecting.turn();
    }
    let now = collecting.shown();
    assert_eq!(now.revision(), before.revision());
    assert!(now.at_ns() > before.at_ns());
    assert_eq!(collecting.steps(), steps, "nothing was copied");
    kept.change();
    publisher.publish(kept.publish());
    collecting.turn();
    assert_eq!(collecting.shown().total().transitions.get(), 11);
}

#[test]
fn an_agent_wants_of_its_dataflows_what_is_wanted_of_itself_and_no_more() {
    let collecting = Collecting::of(Keeper(77));
    let publisher = Publisher::new(Kept::kept_by(1, 1).publish());
    collecting.add(run(1), publisher.source().clone());
    let its_readers = &publisher.source().readers;
    let wanted = || {
        collecting.turn();
        its_readers.are_there().then(|| its_readers.every())
    };
    assert_eq!(wanted(), None, "nobody reads the agent");
    let readers = &collecting.source().readers;
    let rarely = readers.read_every(Duration::from_secs(60));
    assert_eq!(wanted(), Some(EVERY_WHILE_UNREAD));
    let half = readers.read_every(Duration::from_millis(500));
    assert_eq!(wanted(), Some(Duration::from_millis(500)));
    let often = readers.read_every(EVERY_WHILE_READ);
    assert_eq!(wanted(), Some(EVERY_WHILE_READ));
    drop(often);
    assert_eq!(wanted(), Some(Duration::from_millis(500)));
    drop((rarely, half));
    assert_eq!(wanted(), None);
    // Who scrapes the agent scrapes its dataflows, for as long as that is to be expected.
    assert_eq!(its_readers.now_and_then(), None);
    readers.read_now_and_then();
    assert_eq!(wanted(), None);
    assert_eq!(its_readers.now_and_then(), readers.now_and_then());
}

/// How often something is collected within ten seconds.
async fn turns(of: &Collecting) -> u32 {
    let mut snapshots = of.source().snapshots.clone();
    // Between two turns.
    tokio::time::sleep(EVERY_WHILE_READ / 2).await;
    snapshots.borrow_and_update();
    let end = tokio::time::Instant::now() + Duration::from_secs(10);
    let mut turns = 0;
    while let Ok(Ok(())) = tokio::time::timeout_at(end, snapshots.changed()).await {
        turns += 1;
    }
    turns
}

#[tokio::test(start_paused = true)]
async fn an_agent_collects_once_a_second_while_nobody_reads_it_and_as_often_as_somebody_wants_it() {
    let collecting = Rc::new(Collecting::of(Keeper(77)));
    let counts = async {
        assert_eq!(turns(&collecting).await, 10, "nobody reads");
        let readers = &collecting.source().readers;
        let half = readers.read_every(Duration::from_millis(500));
        assert_eq!(turns(&collecting).await, 20);
        let often = readers.read_every(Duration::from_millis(1));
        assert_eq!(turns(&collecting).await, 100, "and no more often");
        drop((half, often));
        assert_eq!(turns(&collecting).await, 10);
    };
    tokio::select! {
        biased;
        () = Rc::clone(&collecting).go_on() => panic!("it ends"),
        () = counts => {}
    }
}
