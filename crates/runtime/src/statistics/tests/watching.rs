//! Those who watch as they should: quick ones, slow ones, many, and some that go.

use std::time::Duration;

use tokio::time::Instant;

use super::support::{Kept, OFTEN, Served, bytes, joined, watch_to_the_end};
use crate::statistics::Publisher;

#[test]
fn what_a_subscriber_knows_at_the_end_is_the_last_snapshot_byte_for_byte() {
    let mut kept = Kept::with_nodes(40);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let mut watcher = served.watcher(OFTEN);
    let first = watcher.next().unwrap().unwrap().clone();
    assert_eq!(first.nodes.len(), 40);
    for _ in 0..3 {
        for _ in 0..50 {
            kept.change();
        }
        let published = kept.publish();
        publisher.publish(published.clone());
        let known = watcher.next().unwrap().unwrap();
        assert!(known.revision > first.revision);
        assert_eq!(bytes(known), bytes(&published.statistics()));
    }
    let last = kept.publish();
    publisher.publish(last.clone());
    publisher.end();
    let (known, _) = joined(watch_to_the_end(watcher));
    assert_eq!(bytes(&known), bytes(&last.statistics()));
}

#[test]
fn fifty_subscribers_are_told_the_same_and_it_is_encoded_once() {
    let mut kept = Kept::with_nodes(100);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let mut watchers: Vec<_> = (0..50).map(|_| served.watcher(OFTEN)).collect();
    for watcher in &mut watchers {
        watcher.next().unwrap().unwrap();
    }
    served.wait_for_readers(50);
    for _ in 0..3 {
        kept.change();
        let published = kept.publish();
        let before = served.encoded();
        publisher.publish(published.clone());
        for watcher in &mut watchers {
            let known = watcher.next().unwrap().unwrap();
            assert_eq!(known, &published.statistics());
        }
        assert_eq!(served.encoded() - before, 1);
    }
    let last = kept.publish();
    publisher.publish(last.clone());
    publisher.end();
    for watcher in watchers {
        let (known, _) = joined(watch_to_the_end(watcher));
        assert_eq!(known, last.statistics());
    }
    served.wait_for_readers(0);
}

#[test]
fn a_subscriber_that_takes_nothing_delays_nobody_and_is_told_all_at_once_when_it_does() {
    // The whole of so many does not fit into a socket.
    let mut kept = Kept::with_nodes(8000);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let slow = served.watcher(OFTEN);
    served.wait_for_stalled(1);
    // It counts as a reader no more.
    served.wait_for_readers(0);
    let mut quick = served.watcher(OFTEN);
    quick.next().unwrap();
    let mut published = 0;
    for _ in 0..20 {
        kept.change();
        let now = kept.publish();
        publisher.publish(now.clone());
        published += 1;
        // One that was late is told some of it in one.
        while quick.next().unwrap().unwrap().revision < now.revision() {}
    }
    let slow = watch_to_the_end(slow);
    // It reads again.
    served.wait_for_readers(2);
    kept.change();
    publisher.publish(kept.publish());
    publisher.end();
    let (known, _) = joined(watch_to_the_end(quick));
    let (late, told) = joined(slow);
    assert_eq!(bytes_of_nodes(&late), bytes_of_nodes(&known));
    // What was on its way, the whole, and the last: nothing of what it has not read in between.
    assert!(told < published, "it was told {told} times");
}

fn bytes_of_nodes(statistics: &dataflow_ids::stats::Statistics) -> String {
    format!("{} {:?}", statistics.revision, statistics.nodes)
}

#[test]
fn a_subscriber_that_never_takes_anything_is_let_go_of_once_nothing_follows() {
    let mut kept = Kept::with_nodes(8000);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let stalled = served.watcher(OFTEN);
    served.wait_for_stalled(1);
    assert_eq!(served.places(), 63);
    publisher.publish(kept.publish());
    publisher.end();
    // Its thread goes on, as that of an agent does.
    served.wait_for_places(64);
    drop(stalled);
}

#[test]
fn who_takes_nothing_keeps_its_place_only_until_somebody_else_wants_it() {
    let mut kept = Kept::with_nodes(8000);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let stalled: Vec<_> = (0..64).map(|_| served.watcher(OFTEN)).collect();
    served.wait_for_stalled(64);
    let mut comes = served.watcher(OFTEN);
    assert_eq!(comes.next().unwrap().unwrap().nodes.len(), 8000);
    assert_eq!(served.places(), 0);
    drop(stalled);
    served.wait_for_places(63);
    drop(comes);
    served.wait_for_places(64);
}

#[test]
fn a_subscriber_that_goes_is_no_reader_any_more_and_the_others_go_on() {
    let mut kept = Kept::with_nodes(10);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let (mut stays, goes) = (served.watcher(OFTEN), served.watcher(OFTEN));
    served.wait_for_readers(2);
    drop(goes);
    served.wait_for_readers(1);
    stays.next().unwrap();
    kept.change();
    let now = kept.publish();
    publisher.publish(now.clone());
    assert_eq!(stays.next().unwrap().unwrap().revision, now.revision());
    assert_ne!(served.kept_encoded(), 0);
    drop(stays);
    served.wait_for_places(64);
    assert_eq!(
        served.kept_encoded(),
        0,
        "nobody is left whom it could be told"
    );
}

#[test]
fn who_wants_to_be_told_rarely_is_told_rarely() {
    let begun = Instant::now();
    let mut kept = Kept::with_nodes(10);
    let publisher = Publisher::new(kept.publish());
    let served = Served::new(&publisher);
    let mut often = served.watcher(OFTEN);
    let rarely = watch_to_the_end(served.watcher(Duration::from_secs(3600)));
    served.wait_for_readers(2);
    often.next().unwrap();
    for _ in 0..5 {
        kept.change();
        publisher.publish(kept.publish());
        often.next().unwrap();
    }
    publisher.end();
    let (_, told) = joined(rarely);
    // The whole at once, what has changed since at the end, and something in each minute.
    let minutes = begun.elapsed().as_secs() / 60;
    assert!(
        u64::from(told) <= minutes + 2,
        "it was told {told} times in {minutes} minutes"
    );
}
