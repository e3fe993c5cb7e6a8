//! Agents that are killed, stopped, and started anew.

use std::time::{Duration, Instant};

use dataflow_core::peers::{detection_bound, recovery_bound};
use dataflow_ids::PeerState::{Degraded, Healthy, Unreachable};
use dataflow_tests::{Agent, PeersFile};
use rustix::process::Signal;

use crate::world::{
    EAGER, all_healthy, detected_within, for_as_long_as, healthy, recovered_within, say, stop_all,
};

pub(crate) fn an_agent_killed() {
    let ids = ["a", "b"];
    let Some((machines, [a, b])) = healthy("killed", PeersFile::EAGER, ids) else {
        return;
    };
    let boot = machines[0].status().peers[0].boot;
    let killed = Instant::now();
    b.kill();
    a.wait_until("b", Unreachable, detected_within());
    say("killed", "known", killed.elapsed(), detection_bound(EAGER));
    dataflow_tests::wait_until("it is told that nobody listens there", || {
        machines[0].status().peers[0]
            .because
            .contains("connection refused")
    });
    let started = Instant::now();
    let b = machines[1].start();
    a.wait_until("b", Healthy, recovered_within());
    b.wait_until("a", Healthy, recovered_within());
    say("killed", "back", started.elapsed(), recovery_bound(EAGER));
    let shown = machines[0].status();
    assert_ne!(shown.peers[0].boot, boot, "it is another start");
    stop_all([a, b]);
}

#[test]
fn an_agent_that_is_killed_and_started_at_once_is_never_unreachable() {
    let ids = ["a", "b"];
    let Some((machines, [a, b])) = healthy("killed-at-once", PeersFile::STEADY, ids) else {
        return;
    };
    let boot = machines[0].status().peers[0].boot;
    b.kill();
    let started = Instant::now();
    let b = machines[1].start();
    b.wait_until_healthy(&["a"]);
    dataflow_tests::wait_until("the new start is healthy", || {
        let shown = machines[0].status();
        let shown = &shown.peers[0];
        shown.boot != boot && shown.state == Healthy
    });
    println!("started anew: healthy after {:?}", started.elapsed());
    assert!(!a.states_of("b").contains(&Unreachable));
    stop_all([a, b]);
}

#[test]
fn an_agent_that_ends_says_goodbye_and_is_let_in_again() {
    let ids = ["a", "b"];
    let Some((machines, [a, b])) = healthy("goodbye", PeersFile::STEADY, ids) else {
        return;
    };
    b.stop();
    let said = a.wait_for_event("b is degraded", |event| event["to"] == "degraded");
    assert!(
        said["because"]
            .as_str()
            .is_some_and(|why| why.contains("its agent ends")),
        "{said}"
    );
    let b = machines[1].start();
    a.wait_until_healthy(&["b"]);
    b.wait_until_healthy(&["a"]);
    stop_all([a, b]);
}

pub(crate) fn an_agent_stopped_for_60_s() {
    let ids = ["a", "b", "c"];
    let Some((_machines, agents)) = healthy("stopped-60s", PeersFile::EAGER, ids) else {
        return;
    };
    let [a, b, c] = &agents;
    let stopped = Instant::now();
    b.signal(Signal::STOP);
    for agent in [a, c] {
        agent.wait_until("b", Unreachable, detected_within());
    }
    say(
        "stopped for 60 s",
        "all know",
        stopped.elapsed(),
        detection_bound(EAGER),
    );
    for_as_long_as(Duration::from_secs(60).saturating_sub(stopped.elapsed()));
    let goes_on = Instant::now();
    b.signal(Signal::CONT);
    for agent in [a, c] {
        agent.wait_until("b", Healthy, recovered_within());
    }
    // Whether it has accused somebody is known once it has made up its mind about both.
    let knows_both = |agent: &Agent| ["a", "c"].map(|peer| agent.state_of(peer)) == [Healthy; 2];
    dataflow_tests::wait_until("the one that stood still is well", || knows_both(b));
    say(
        "stopped for 60 s",
        "all are well again",
        goes_on.elapsed(),
        recovery_bound(EAGER),
    );
    for other in ["a", "c"] {
        let states = b.states_of(other);
        assert!(
            states
                .iter()
                .all(|state| matches!(state, Healthy | Degraded)),
            "who stood still accuses nobody: {other} was {states:?}"
        );
    }
    assert_eq!(a.states_of("c"), [Healthy]);
    assert_eq!(c.states_of("a"), [Healthy]);
    all_healthy(&agents, &ids);
    stop_all(agents);
}
