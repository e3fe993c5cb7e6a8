//! What is counted of the actors of peers, for the statistics of an agent.

use dataflow_ids::PeerState::Healthy;
use dataflow_ids::stats::ActorRow;
use dataflow_runtime::actor::{Counts, Fault, When};
use dataflow_testkit::peers::Ether;
use dataflow_testkit::virtual_time::{self, advance, settle};

use super::support::{SECOND, entry, file, parse, start_all, text};

/// What the statistics say of the messages to all actors.
fn counts(row: &ActorRow) -> Counts {
    Counts {
        sent: row.sent.get(),
        handled: row.handled.get(),
        returned: row.returned.get(),
        dead_lettered: row.dead_lettered.get(),
        waiting: row.waiting.get(),
    }
}

#[test]
fn what_the_actors_of_peers_have_counted_stays_when_they_are_built_again_or_their_peer_goes() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob, cleo] = start_all(&ether, ["ann", "bob", "cleo"]);
        let once = When::kind("DialEnded").nth(1);
        let injected = ann.handle.actors()[0].inject(once, Fault::PanicBefore);
        for peer in ["bob", "cleo"] {
            ann.until(peer, Healthy).await;
        }
        advance(SECOND * 100).await;
        let before = ann.handle.actor_row();
        assert_eq!((before.actor.as_str(), before.actors.get()), ("peer", 2));
        assert_eq!((injected.struck(), before.rebuilt.get()), (1, 1));
        let mut all = Counts::default();
        for one in ann.handle.actors().iter().map(|actor| actor.counts()) {
            all.sent += one.sent;
            all.handled += one.handled;
        }
        assert_eq!(counts(&before), all);
        // One goes, and another one panics until it cannot go on.
        ann.handle.apply(file(&["ann", "bob"]));
        settle().await;
        let after = ann.handle.actor_row();
        assert_eq!((after.actors.get(), after.rebuilt), (1, before.rebuilt));
        assert!(after.handled >= before.handled && after.sent >= before.sent);
        let always = When::any().times(u64::MAX);
        ann.handle.actors()[0].inject(always, Fault::Kill);
        let mut low = after;
        let mut rested = false;
        for _ in 0..200 {
            advance(SECOND).await;
            let now = ann.handle.actor_row();
            assert!(counts(&now).balances(), "{now:?}");
            assert!(now.handled >= low.handled && now.rebuilt >= low.rebuilt);
            rested |= now.actors.get() == 0;
            low = now;
        }
        assert!(rested, "it never was without an actor");
        assert!(low.rebuilt.get() > 10, "{low:?}");
        drop((bob, cleo));
    });
}

#[test]
fn how_often_the_state_of_a_peer_has_changed_does_not_fall_when_it_goes_and_comes_again() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, _bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        let before = ann.sees("bob").transitions;
        assert!(before > 0);
        // Everybody is met anew who is of another cluster.
        let entries = text(&[entry("ann"), entry("bob")]);
        ann.handle
            .apply(parse(&format!("cluster: elsewhere\n{entries}")));
        settle().await;
        assert!(ann.sees("bob").transitions >= before);
        ann.handle.apply(file(&["ann"]));
        settle().await;
        assert_eq!(ann.handle.status().peers, []);
        ann.handle.apply(file(&["ann", "bob"]));
        settle().await;
        assert!(ann.sees("bob").transitions >= before);
        ann.until("bob", Healthy).await;
        assert!(ann.sees("bob").transitions > before);
    });
}
