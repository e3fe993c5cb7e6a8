//! Cables that are pulled, and cards that are set down.

use std::time::{Duration, Instant};

use dataflow_core::peers::{detection_bound, recovery_bound};
use dataflow_ids::PeerState::{self, Healthy, Unreachable};
use dataflow_tests::{Agent, PeersFile};

use crate::world::{
    EAGER, all_healthy, detected_within, for_as_long_as, healthy, recovered_within, say, stop_all,
};

pub(crate) fn a_cable_out_for_5_s() {
    let ids = ["a", "b", "c"];
    let Some((machines, agents)) = healthy("cable-5s", PeersFile::STEADY, ids) else {
        return;
    };
    let [a, b, c] = &agents;
    machines[1].host().pull_cable();
    for_as_long_as(Duration::from_secs(5));
    machines[1].host().plug_in();
    all_healthy(&agents, &ids);
    for (agent, other) in [(a, "b"), (b, "a"), (c, "b"), (b, "c")] {
        let states = agent.states_of(other);
        assert!(!states.contains(&Unreachable), "of {other}: {states:?}");
    }
    assert_undisturbed(a, "c");
    assert_undisturbed(c, "a");
    stop_all(agents);
}

pub(crate) fn a_cable_out_for_60_s() {
    let ids = ["a", "b", "c"];
    let Some((machines, agents)) = healthy("cable-60s", PeersFile::EAGER, ids) else {
        return;
    };
    let [a, b, c] = &agents;
    let pulled = Instant::now();
    machines[1].host().pull_cable();
    for (agent, other) in [(a, "b"), (c, "b"), (b, "a"), (b, "c")] {
        agent.wait_until(other, Unreachable, detected_within());
    }
    say(
        "cable out for 60 s",
        "all know",
        pulled.elapsed(),
        detection_bound(EAGER),
    );
    let detected = pulled.elapsed();
    let shown = machines[0].status();
    let shown = &shown.peers[0];
    assert_eq!(shown.peer.as_str(), "b", "it stays in view");
    assert_eq!(shown.state, Unreachable);
    assert!(!shown.because.is_empty() && shown.round_trip.is_none());
    for_as_long_as(Duration::from_secs(60).saturating_sub(pulled.elapsed()));
    let plugged_in = Instant::now();
    machines[1].host().plug_in();
    for (agent, other) in [(a, "b"), (c, "b"), (b, "a"), (b, "c")] {
        agent.wait_until(other, Healthy, recovered_within());
    }
    say(
        "cable out for 60 s",
        "all are well again",
        plugged_in.elapsed(),
        recovery_bound(EAGER),
    );
    let back = a.wait_for_event("b is back", |event| {
        event["peer"] == "b" && event["to"] == "healthy" && event["outage_s"].is_number()
    });
    let outage = Duration::from_secs_f64(back["outage_s"].as_f64().unwrap_or_default());
    assert!(
        outage > Duration::from_secs(60).saturating_sub(detected) && outage < pulled.elapsed(),
        "the outage's length is told: {back}"
    );
    assert_undisturbed(a, "c");
    assert_undisturbed(c, "a");
    for (agent, other) in [(a, "b"), (c, "b"), (b, "a"), (b, "c")] {
        assert_warned_once_a_transition(agent, other);
    }
    stop_all(agents);
}

pub(crate) fn the_own_card_down() {
    let ids = ["a", "b"];
    let Some((machines, agents)) = healthy("card-down", PeersFile::EAGER, ids) else {
        return;
    };
    let [a, b] = &agents;
    machines[1].host().card_down();
    b.wait_until("a", Unreachable, detected_within());
    a.wait_until("b", Unreachable, detected_within());
    dataflow_tests::wait_until(
        "the one without a card is told that there is no way",
        || {
            machines[1].status().peers[0]
                .because
                .contains("unreachable")
        },
    );
    machines[1].host().card_up();
    a.wait_until("b", Healthy, recovered_within());
    b.wait_until("a", Healthy, recovered_within());
    stop_all(agents);
}

/// What others suffer from is no news about these two.
#[track_caller]
fn assert_undisturbed(agent: &Agent, other: &str) {
    assert_eq!(agent.states_of(other), [Healthy], "of {other}");
}

/// One WARNING for each change to the worse, and none besides.
#[track_caller]
fn assert_warned_once_a_transition(agent: &Agent, other: &str) {
    let mut before = PeerState::Degraded;
    let mut worse = 0;
    for state in agent.states_of(other) {
        let is_way_back = before == Unreachable && state == PeerState::Degraded;
        worse += usize::from(state != Healthy && !is_way_back);
        before = state;
    }
    let log = agent.log();
    let warned: Vec<_> = log
        .iter()
        .filter(|line| line.contains("WARN") && line.contains(&format!("peer={other}")))
        .collect();
    assert_eq!(warned.len(), worse, "{log:#?}");
}
