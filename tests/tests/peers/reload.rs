//! A file of peers that changes while agents run: only those are touched whose entries do.

use dataflow_ids::{BootId, PeerState::Healthy};
use dataflow_tests::{Machine, PeersFile};

use crate::world::{all_healthy, file_of, machines, stop_all};

/// How a machine sees another: who was connected from where, and how often that changed.
fn seen(
    machine: &Machine,
    other: &str,
) -> Option<(Option<BootId>, Option<std::net::SocketAddr>, u64)> {
    let shown = machine.status();
    let peer = shown
        .peers
        .into_iter()
        .find(|peer| peer.peer.as_str() == other)?;
    Some((peer.boot, peer.connected, peer.transitions))
}

#[test]
fn each_change_of_the_file_touches_only_the_peer_that_it_is_about() {
    let ids = ["a", "b", "c"];
    let Some([a, b, c, d]) = machines("reload", ["a", "b", "c", "d"]) else {
        return;
    };
    let file = file_of(PeersFile::STEADY, &[&a, &b, &c]);
    let with_d = file_of(PeersFile::STEADY, &[&a, &b, &c, &d]);
    for machine in [&a, &b, &c] {
        machine.write(&file);
    }
    d.write(&with_d);
    let agents = [a.start(), b.start(), c.start()];
    let agent_d = d.start();
    all_healthy(&agents, &ids);
    let agent_a = &agents[0];
    let c_before = seen(&a, "c");

    // One more.
    a.write(&with_d);
    agent_a.wait_for_event("d is new", |event| {
        event["added"] == serde_json::json!(["d"])
    });
    agent_a.wait_until_healthy(&["d"]);
    agent_d.wait_until_healthy(&["a"]);

    // What one of them has: no more than a word.
    let b_before = seen(&a, "b");
    let mut boasting = with_d.clone();
    boasting.entry("b").capabilities = "{ labels: { room: lab } }";
    a.write(&boasting);
    agent_a.wait_for_event("b has changed", |event| {
        event["changed"] == serde_json::json!(["b"])
    });
    let shown = a.status();
    let labels = &shown.peers[0].declared.labels;
    assert_eq!(labels.get("room").map(String::as_str), Some("lab"));
    assert_eq!(seen(&a, "b"), b_before, "the connection stays");

    // Another key: it is not let in any more.
    let mut wrong = with_d.clone();
    wrong.entry("b").fingerprints = vec![format!("sha256:{}", "0".repeat(64))];
    a.write(&wrong);
    let rejected = dataflow_ids::PeerState::Rejected;
    agent_a.wait_until("b", rejected, dataflow_tests::PATIENCE);
    a.write(&with_d);
    agent_a.wait_until_healthy(&["b"]);

    // One less.
    a.write(with_d.without("d"));
    agent_a.wait_for_event("d is gone", |event| {
        event["removed"] == serde_json::json!(["d"])
    });
    assert!(seen(&a, "d").is_none());

    assert_eq!(seen(&a, "c"), c_before, "nobody has touched c");
    assert_eq!(agent_a.states_of("c"), [Healthy]);
    assert_eq!(agents[2].states_of("a"), [Healthy]);
    stop_all(agents);
    agent_d.stop();
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_once() {
    let ids = ["a", "b"];
    let Some(machines) = machines("reload-broken", ids) else {
        return;
    };
    let file = file_of(PeersFile::STEADY, &machines.each_ref());
    for machine in &machines {
        machine.write(&file);
    }
    let agents = machines.each_ref().map(Machine::start);
    all_healthy(&agents, &ids);
    let a = &machines[0];
    let text = file.to_string();
    let broken = text.replace(":50051", ":500510");
    a.write(&broken);
    let refused =
        agents[0].wait_for_event("it is refused", |event| event["event"] == "reload-refused");
    let report = refused["report"].as_str().unwrap_or_default();
    assert!(
        report.contains("500510") && report.contains("peers.yaml:"),
        "{report}"
    );
    dataflow_tests::wait_until("it is shown", || a.status().file_problem.is_some());
    // The same once more is nothing new.
    a.write(&broken);
    a.write(&file);
    dataflow_tests::wait_until("it is well again", || a.status().file_problem.is_none());
    let events = agents[0].events();
    let told = events
        .iter()
        .filter(|event| event["event"] == "reload-refused");
    assert_eq!(told.count(), 1);
    assert_eq!(agents[0].states_of("b"), [Healthy], "nothing has changed");
    stop_all(agents);
}

#[test]
fn a_file_that_is_written_in_place_and_one_behind_a_link_are_seen() {
    let ids = ["a", "b"];
    let Some(machines) = machines("reload-manners", ids) else {
        return;
    };
    let file = file_of(PeersFile::STEADY, &machines.each_ref());
    let [a, b] = &machines;
    // As a store of configurations does: a link to the file that counts.
    let store = a.project().folder().join("store");
    std::fs::create_dir(&store).expect("a folder can be made");
    let alone = file.without("b");
    std::fs::write(store.join("1.yaml"), alone.to_string()).expect("a file can be written");
    std::fs::write(store.join("2.yaml"), file.to_string()).expect("a file can be written");
    std::os::unix::fs::symlink(store.join("1.yaml"), a.file()).expect("a link can be made");
    b.write(&file);
    let agents = machines.each_ref().map(Machine::start);
    let link = a.project().folder().join("link");
    std::os::unix::fs::symlink(store.join("2.yaml"), &link).expect("a link can be made");
    std::fs::rename(&link, a.file()).expect("a link can be renamed");
    all_healthy(&agents, &ids);
    // And in place, where the link leads to.
    std::fs::write(store.join("2.yaml"), alone.to_string()).expect("a file can be written");
    agents[0].wait_for_event("b is gone", |event| {
        event["removed"] == serde_json::json!(["b"])
    });
    std::fs::write(store.join("2.yaml"), file.to_string()).expect("a file can be written");
    dataflow_tests::wait_until("b is back", || seen(a, "b").is_some());
    agents[1].wait_until_healthy(&["a"]);
    stop_all(agents);
}
