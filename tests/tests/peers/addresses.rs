//! Hosts that move, and addresses of the sixth version.

use dataflow_ids::PeerState::Healthy;
use dataflow_tests::{Machine, PeersFile};

use crate::world::{all_healthy, file_of, machines, recovered_within, stop_all};

pub(crate) fn a_host_that_moves() {
    let ids = ["a", "b", "c"];
    let Some(machines) = machines("moves", ids) else {
        return;
    };
    let [a, b, c] = &machines;
    let file = file_of(PeersFile::EAGER, &[a, b, c]);
    for machine in &machines {
        machine.write(&file);
    }
    let anywhere = |machine: &Machine| {
        machine.start_as(machine.agent_command().args(["--listen", "0.0.0.0:50051"]))
    };
    let agents = [a.start(), anywhere(b), c.start()];
    all_healthy(&agents, &ids);
    b.host()
        .move_to("10.77.0.200".parse().expect("it is an address"));
    let file = file_of(PeersFile::EAGER, &[a, b, c]);
    for machine in &machines {
        machine.write(&file);
    }
    let [agent_a, agent_b, agent_c] = &agents;
    for (agent, machine) in [(agent_a, a), (agent_c, c)] {
        agent.wait_for_event("its file says where b is now", |event| {
            event["event"] == "reloaded" && event["changed"].to_string().contains("\"b\"")
        });
        agent.wait_until("b", Healthy, recovered_within());
        dataflow_tests::wait_until("b is shown where it is now", || {
            let shown = machine.status();
            shown.peers.iter().any(|peer| {
                peer.peer.as_str() == "b"
                    && peer.address == b.address()
                    && peer.connected.is_some_and(|at| at.ip() == b.host().v4())
            })
        });
    }
    agent_b.wait_until("a", Healthy, recovered_within());
    agent_b.wait_until("c", Healthy, recovered_within());
    assert_eq!(agent_a.states_of("c"), [Healthy], "who did not move");
    assert_eq!(agent_c.states_of("a"), [Healthy], "who did not move");
    stop_all(agents);
}

#[test]
fn peers_are_reached_by_ipv6() {
    let ids = ["a", "b"];
    let Some(machines) = machines("ipv6", ids) else {
        return;
    };
    let mut file = file_of(PeersFile::STEADY, &machines.each_ref());
    for machine in &machines {
        let entry = file.entry(machine.id());
        *entry = entry.at(machine.address_on(machine.host().v6()));
    }
    for machine in &machines {
        machine.write(&file);
    }
    let agents = machines.each_ref().map(Machine::start);
    all_healthy(&agents, &ids);
    let shown = machines[0].status();
    let connected = shown.peers[0].connected;
    assert_eq!(connected.map(|at| at.ip()), Some(machines[1].host().v6()));
    machines[0]
        .run(["peers"])
        .expect_code(0)
        .expect_line(&["b", "[fd77::2]:50051"]);
    stop_all(agents);
}
