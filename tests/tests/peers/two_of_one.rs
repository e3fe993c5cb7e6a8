//! Two of what there may be one of: agents with one id, programs on one port, agents of one user.

use std::net::UdpSocket;

use dataflow_ids::PeerState::{Healthy, Unreachable};
use dataflow_tests::{Machine, Network, PeersFile};

use crate::world::{file_of, machines, stop_all};

#[test]
fn a_second_agent_with_one_id_and_its_key_does_not_take_the_place_of_one_that_lives() {
    let test = "two-with-one-id";
    let Some([a, b, copy]) = machines(test, ["a", "b", "copy"]) else {
        return;
    };
    // A machine that was cloned: the same key, the same file.
    let key = b.project().folder().join("config/dataflow/identity.pem");
    let copied = copy.project().folder().join("config/dataflow/identity.pem");
    std::fs::copy(key, copied).expect("a key can be copied");
    let file = file_of(PeersFile::STEADY, &[&a, &b]);
    for machine in [&a, &b, &copy] {
        machine.write(&file);
    }
    let (agent_a, agent_b) = (a.start(), b.start());
    agent_a.wait_until_healthy(&["b"]);
    agent_b.wait_until_healthy(&["a"]);
    let boot = a.status().peers[0].boot;
    let second = copy.start_as(
        copy.dataflow(["agent", "--json", "--node", "b", "--listen"])
            .arg(copy.address().to_string())
            .arg("--peers")
            .arg(copy.file()),
    );
    let refused = second.wait_for_event("it is refused", |event| event["to"] == "rejected");
    let remedy = refused["remedy"].as_str().unwrap_or_default();
    assert!(remedy.contains("another id"), "{refused}");
    let stranger = agent_a.wait_for_event("a second one came", |event| {
        event["event"] == "stranger" && event["peer"] == "b"
    });
    assert!(
        stranger["because"]
            .as_str()
            .is_some_and(|why| why.contains("another agent with this id")),
        "{stranger}"
    );
    assert_eq!(agent_a.states_of("b"), [Healthy], "nobody is confused");
    assert_eq!(agent_b.states_of("a"), [Healthy]);
    assert_eq!(a.status().peers[0].boot, boot);
    // Once the first one is gone, the other may have its place.
    agent_b.stop();
    second.wait_until_healthy(&["a"]);
    agent_a.wait_until_healthy(&["b"]);
    stop_all([agent_a, second]);
}

#[test]
fn a_port_that_another_program_has_is_named_and_free_again_once_that_has_ended() {
    let test = "port-taken";
    let Some([a, b]) = machines(test, ["a", "b"]) else {
        return;
    };
    let file = file_of(PeersFile::STEADY, &[&a, &b]);
    for machine in [&a, &b] {
        machine.write(&file);
    }
    let agent_b = b.start();
    let address = a.address();
    let taken = a.host().inside(|| UdpSocket::bind(address));
    let taken = taken.expect("nobody has it yet");
    let refused = a.host().start(a.agent_command()).wait().expect_code(1);
    let said = refused.error();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    assert!(said.contains(&ip) && said.contains(&port), "{said}");
    assert!(said.contains("is taken by"), "{said}");
    // Somebody is there who says nothing. That is no agent, and nobody is stuck with it.
    agent_b.wait_until("a", Unreachable, crate::world::detected_within());
    drop(taken);
    let agent_a = a.start();
    agent_a.wait_until_healthy(&["b"]);
    agent_b.wait_until_healthy(&["a"]);
    stop_all([agent_a, agent_b]);
}

#[test]
fn a_user_has_one_agent_and_the_second_is_told_which() {
    let Some(network) = Network::new("one-agent-a-user") else {
        return;
    };
    let machine = Machine::new(&network, "one-agent-a-user", "a");
    machine.write(file_of(PeersFile::STEADY, &[&machine]));
    let agent = machine.start();
    machine
        .host()
        .start(machine.agent_command())
        .wait()
        .expect_code(2)
        .expect_line(&["runs already", &format!("pid {}", agent.pid())]);
    agent.stop();
}
