//! Ways that lose, delay and forget: through a proxy, or with one direction that leads nowhere.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dataflow_core::peers::{detection_bound, recovery_bound};
use dataflow_ids::PeerState::{Healthy, Unreachable};
use dataflow_testkit::proxy::{Direction, UdpProxy, Weather};
use dataflow_tests::{Agent, Host, Machine, Network, PeersFile};

use crate::world::{
    EAGER, detected_within, file_of, for_as_long_as, healthy, recovered_within, say, stop_all,
};

/// An address in the network at which nobody is.
const NOBODY: &str = "10.77.0.250:50051";

fn proxy_on(router: &Host, target: SocketAddr) -> UdpProxy {
    let front = (router.v4(), 0).into();
    router
        .inside(|| UdpProxy::start(front, target, 5))
        .expect("a router has free ports")
}

/// Writes a machine's file, in which the other one is somewhere else.
fn write_with(machine: &Machine, other: &Machine, other_at: SocketAddr) {
    let mut file = file_of(PeersFile::STEADY, &[machine, other]);
    file.entry(other.id()).address = other_at;
    machine.write(file);
}

pub(crate) fn loss_and_delay() {
    let Some(network) = Network::new("loss-and-delay") else {
        return;
    };
    let [a, b] = ["a", "b"].map(|id| Machine::new(&network, "loss-and-delay", id));
    let router = network.host();
    let (to_a, to_b) = (
        proxy_on(&router, a.address()),
        proxy_on(&router, b.address()),
    );
    for proxy in [&to_a, &to_b] {
        proxy.set_weather_both_ways(Weather {
            delay: Duration::from_millis(100),
            jitter: Duration::from_millis(20),
            loss_ppm: 50_000,
            double_ppm: 10_000,
            reorder_ppm: 10_000,
        });
    }
    write_with(&a, &b, to_b.address());
    write_with(&b, &a, to_a.address());
    let agents = [a.start(), b.start()];
    agents[0].wait_until_healthy(&["b"]);
    agents[1].wait_until_healthy(&["a"]);
    for_as_long_as(Duration::from_secs(30));
    for (agent, machine, other) in [(&agents[0], &a, "b"), (&agents[1], &b, "a")] {
        assert_eq!(agent.states_of(other), [Healthy], "of {other}");
        let shown = machine.status();
        let shown = &shown.peers[0];
        println!(
            "loss and delay: {other}: round trip {:?}, loss {:?} of a million",
            shown.round_trip, shown.loss_ppm
        );
        assert!(shown.round_trip >= Some(Duration::from_millis(200)));
    }
    let lost = |proxy: &UdpProxy| {
        proxy.counts(Direction::ToTarget).lost + proxy.counts(Direction::FromTarget).lost
    };
    assert!(lost(&to_a) + lost(&to_b) > 0);
    stop_all(agents);
}

#[test]
fn a_router_that_forgets_its_clients_costs_nothing() {
    let test = "router-forgets";
    let Some(network) = Network::new(test) else {
        return;
    };
    let [a, b] = ["a", "b"].map(|id| Machine::new(&network, test, id));
    let router = network.host();
    let to_b = proxy_on(&router, b.address());
    write_with(&a, &b, to_b.address());
    // As behind a router: nobody can dial it.
    write_with(&b, &a, NOBODY.parse().expect("it is an address"));
    let agents = [a.start(), b.start()];
    agents[0].wait_until_healthy(&["b"]);
    agents[1].wait_until_healthy(&["a"]);
    let before = b.status().peers[0].connected;
    assert_eq!(before.map(|address| address.ip()), Some(router.v4()));
    to_b.rebind();
    dataflow_tests::wait_until("the connection has moved", || {
        let now = b.status().peers[0].connected;
        now.is_some() && now != before
    });
    // Both have had an answer over the new way once these have come back.
    let counts = to_b.counts(Direction::FromTarget).sent_on;
    dataflow_tests::wait_until("answers come", || {
        to_b.counts(Direction::FromTarget).sent_on > counts + 4
    });
    assert_eq!(agents[0].states_of("b"), [Healthy]);
    assert_eq!(agents[1].states_of("a"), [Healthy]);
    stop_all(agents);
}

#[test]
fn two_of_whom_one_alone_can_dial_are_healthy_for_each_other() {
    let test = "one-can-dial";
    // The one with the smaller id, and then the one with the larger.
    for dials in [0, 1] {
        let Some(network) = Network::new(test) else {
            return;
        };
        let machines = ["a", "b"].map(|id| Machine::new(&network, &format!("{test}-{dials}"), id));
        let (dialler, other) = (&machines[dials], &machines[1 - dials]);
        write_with(dialler, other, other.address());
        write_with(other, dialler, NOBODY.parse().expect("it is an address"));
        let agents = machines.each_ref().map(Machine::start);
        agents[0].wait_until_healthy(&["b"]);
        agents[1].wait_until_healthy(&["a"]);
        stop_all(agents);
    }
}

pub(crate) fn one_way_is_lost() {
    let Some((machines, agents)) = healthy("one-way", PeersFile::EAGER, ["a", "b"]) else {
        return;
    };
    let [a, b]: &[Agent; 2] = &agents;
    let cut = Instant::now();
    machines[0].host().lose_what_goes_to(machines[1].host());
    a.wait_until("b", Unreachable, detected_within());
    b.wait_until("a", Unreachable, detected_within());
    say(
        "one way is lost",
        "both know",
        cut.elapsed(),
        detection_bound(EAGER),
    );
    let mended = Instant::now();
    machines[0].host().deliver_what_goes_to(machines[1].host());
    a.wait_until("b", Healthy, recovered_within());
    b.wait_until("a", Healthy, recovered_within());
    say(
        "one way is lost",
        "both are well again",
        mended.elapsed(),
        recovery_bound(EAGER),
    );
    stop_all(agents);
}
