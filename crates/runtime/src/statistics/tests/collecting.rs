//! The statistics of an agent: what its dataflows count is put together, and stays when they end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dataflow_core::stats::Source as Collected;
use dataflow_ids::PeerId;
use dataflow_ids::stats::{Keeper, Statistics};

use super::support::{Kept, OFTEN, PATIENCE, Served};
use crate::client::Watcher;
use crate::statistics::collect::Collecting;
use crate::statistics::{AgentStatistics, Publisher, StatisticsThread};

fn run(number: u32) -> Collected {
    Collected {
        peer: PeerId::new("here").unwrap(),
        run: Some(format!("flow-{number}")),
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
    let agent = AgentStatistics::start(Arc::clone(&thread), Keeper(77));
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
    // While somebody looks at the agent, somebody looks at each of its dataflows.
    served.wait_for_lookers_of(publishers[1].source(), 1);
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
    // One that begins and ends before anybody looks is counted all the same.
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
    served.wait_for_lookers_of(publishers[0].source(), 0);
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
