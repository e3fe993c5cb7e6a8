//! Agents that do not know each other's keys yet, and keys that change.

use dataflow_ids::PeerState::Rejected;
use dataflow_tests::{Machine, PATIENCE, PeersFile};

use crate::world::{all_healthy, file_of, machines, stop_all};

#[test]
fn without_a_fingerprint_nobody_comes_in_and_the_command_that_is_shown_is_the_remedy() {
    let ids = ["a", "b"];
    let Some(machines) = machines("first-contact", ids) else {
        return;
    };
    let mut file = file_of(PeersFile::STEADY, &machines.each_ref());
    for entry in &mut file.entries {
        entry.fingerprints.clear();
    }
    for machine in &machines {
        machine.write(&file);
    }
    let agents = machines.each_ref().map(Machine::start);
    agents[0].wait_until("b", Rejected, PATIENCE);
    agents[1].wait_until("a", Rejected, PATIENCE);
    for (machine, other) in machines.iter().zip(["b", "a"]) {
        let remedy = format!("dataflow peers pin {other}");
        machine
            .run(["peers"])
            .expect_code(0)
            .expect_line(&["⛔"])
            .expect_line(&[&remedy]);
        machine.run(["peers", "pin", other, "--yes"]).expect_code(0);
    }
    // Their files have changed under them.
    all_healthy(&agents, &ids);
    for (machine, other) in machines.iter().zip([&machines[1], &machines[0]]) {
        let text = std::fs::read_to_string(machine.file()).expect("it is there");
        assert!(text.contains(other.fingerprint()), "{text}");
    }
    stop_all(agents);
}

#[test]
fn a_key_that_the_file_does_not_name_is_rejected_and_shown() {
    let ids = ["a", "b"];
    let Some(machines) = machines("wrong-key", ids) else {
        return;
    };
    let right = file_of(PeersFile::STEADY, &machines.each_ref());
    let mut wrong = right.clone();
    // As after a new installation of b.
    wrong.entry("b").fingerprints = vec![format!("sha256:{}", "0".repeat(64))];
    machines[0].write(&wrong);
    machines[1].write(&right);
    let agents = machines.each_ref().map(Machine::start);
    agents[0].wait_until("b", Rejected, PATIENCE);
    agents[1].wait_until("a", Rejected, PATIENCE);
    let said = agents[0].wait_for_event("b is rejected", |event| event["to"] == "rejected");
    assert!(
        said["because"]
            .as_str()
            .is_some_and(|why| why.contains(machines[1].fingerprint())),
        "it says which key came: {said}"
    );
    machines[0].write(&right);
    all_healthy(&agents, &ids);
    stop_all(agents);
}
