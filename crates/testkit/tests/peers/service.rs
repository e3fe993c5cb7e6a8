//! What an agent says of its peers, and when.

use std::time::Duration;

use dataflow_core::peers::{HealthCheck, Rejection, detection_bound};
use dataflow_ids::PeerState::{Degraded, Healthy, Rejected, Unreachable};
use dataflow_ids::{BootId, Fingerprint};
use dataflow_runtime::agent::AgentEvent;
use dataflow_runtime::network::NetworkEvent;
use dataflow_testkit::peers::{Agent, Ether, Path};
use dataflow_testkit::virtual_time::{self, advance, settle};

use super::support::{SECOND, address, agent, entry, file, id, key, parse, start, start_all, text};

#[test]
fn two_agents_that_list_each_other_are_healthy_and_know_what_the_other_one_has() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        for (one, other) in [(&ann, "bob"), (&bob, "ann")] {
            let took = one.until(other, Healthy).await;
            assert!(took < SECOND * 3, "{took:?}");
            let seen = one.sees(other);
            assert_eq!(seen.version.as_deref(), Some("1.2.3"));
            assert_eq!(seen.found.expect("it said so").cpus, Some(2));
            assert_eq!(seen.connected, Some(address(other)));
            assert_eq!(seen.round_trip, Some(Duration::from_millis(2)));
            assert_eq!(seen.because, "answers");
            assert_eq!((seen.loss_ppm, seen.transitions), (Some(0), 1));
            let told = one.transitions();
            assert_eq!(told, [(other.to_owned(), Degraded, Healthy)]);
        }
        // Both have dialled at once; of the two connections one is left, and it stays.
        advance(SECOND * 600).await;
        assert_eq!(
            (ether.links(address("ann")), ether.links(address("bob"))),
            (1, 1)
        );
        assert_eq!((ann.told(), bob.told()), (vec![], vec![]));
    });
}

#[test]
fn a_peer_that_is_killed_is_degraded_then_unreachable_and_healthy_again_when_it_is_back_each_told_once()
 {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.vanishes();
        let began = tokio::time::Instant::now();
        ann.until("bob", Degraded).await;
        ann.until("bob", Unreachable).await;
        let took = began.elapsed();
        let bound = detection_bound(HealthCheck::default());
        assert!(took <= bound, "{took:?} of {bound:?}");
        let seen = ann.sees("bob");
        assert_eq!(seen.because, "connection refused");
        let remedy = seen.remedy.expect("something can be done");
        assert!(remedy.contains("dataflow agent --node bob"), "{remedy}");
        assert_eq!(
            (seen.connected, seen.round_trip, seen.loss_ppm),
            (None, None, None)
        );
        assert!(seen.version.is_some(), "what it was is still known");
        advance(SECOND * 300).await;
        assert!(ann.sees("bob").state_for >= SECOND * 300);
        let again = Agent {
            boot: BootId(99),
            ..agent("bob")
        };
        let _bob = start(&ether, again, file(&["ann", "bob"]));
        ann.until("bob", Healthy).await;
        assert_eq!(ann.sees("bob").boot, Some(BootId(99)));
        let told: Vec<_> = ann.told();
        let Some(AgentEvent::Peer { outage, lasted, .. }) = told.last() else {
            panic!("{told:?}");
        };
        let outage = outage.expect("it was out");
        assert!(outage >= SECOND * 300 && outage >= *lasted, "{outage:?}");
        let states = told.iter().map(|event| match event {
            AgentEvent::Peer { to, .. } => *to,
            other => panic!("{other:?}"),
        });
        let states: Vec<_> = states.collect();
        assert!(
            matches!(
                states[..],
                [Healthy, Degraded, Unreachable, Degraded, Healthy]
                    | [Healthy, Degraded, Unreachable, Healthy]
            ),
            "{states:?}"
        );
    });
}

#[test]
fn an_agent_that_ends_says_goodbye_and_is_degraded_at_once() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.ends().await;
        let took = ann.until("bob", Degraded).await;
        assert!(took < SECOND, "{took:?}");
        assert!(
            ann.sees("bob").because.contains("ends"),
            "{:?}",
            ann.sees("bob")
        );
    });
}

#[test]
fn a_slow_control_loop_behind_a_live_transport_is_degraded_and_never_unreachable() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
        ann.told();
        bob.told();
        bob.switch.stop();
        ann.until("bob", Degraded).await;
        let seen = ann.sees("bob");
        assert!(seen.because.contains("control loop"), "{seen:?}");
        advance(SECOND * 600).await;
        assert_eq!(ann.state("bob"), Degraded);
        bob.switch.go_on();
        ann.until("bob", Healthy).await;
        let told = ann.transitions();
        let bob_is = |from, to| ("bob".to_owned(), from, to);
        assert_eq!(told, [bob_is(Healthy, Degraded), bob_is(Degraded, Healthy)]);
        // It did not run for ten minutes, and has missed every answer: it accuses nobody.
        advance(SECOND * 120).await;
        assert_eq!(bob.transitions(), []);
    });
}

#[test]
fn an_agent_whose_own_loop_was_stalled_accuses_nobody() {
    for stalled in [7, 60, 3600] {
        virtual_time::run(async {
            let ether = Ether::new(1);
            let [ann, bob, cleo] = start_all(&ether, ["ann", "bob", "cleo"]);
            for peer in ["bob", "cleo"] {
                ann.until(peer, Healthy).await;
            }
            bob.until("cleo", Healthy).await;
            for it in [&ann, &bob, &cleo] {
                it.told();
            }
            // At any moment of its life, with or without a probe under way.
            for moment in 0..8 {
                advance(Duration::from_millis(7919 * moment)).await;
                ann.switch.stop();
                advance(SECOND * stalled).await;
                ann.switch.go_on();
                advance(SECOND * 90).await;
                assert_eq!(ann.transitions(), [], "{stalled} s, {moment}");
                assert_eq!(bob.state("cleo"), Healthy);
            }
        });
    }
}

#[test]
fn a_link_that_is_down_for_a_moment_is_no_outage_and_one_that_is_down_for_long_is_found_within_the_bound()
 {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
        ann.told();
        let cut = || ether.cut(address("ann"), address("bob"));
        let heal = || ether.heal(address("ann"), address("bob"));
        cut();
        advance(SECOND * 4).await;
        heal();
        advance(SECOND * 120).await;
        assert_eq!(ann.transitions(), []);
        cut();
        let bound = detection_bound(HealthCheck::default());
        let took = ann.until("bob", Unreachable).await;
        assert!(took <= bound, "{took:?} of {bound:?}");
        let remedy = ann.sees("bob").remedy.expect("something can be done");
        assert!(remedy.contains("UDP port 7000"), "{remedy}");
        heal();
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
    });
}

#[test]
fn one_way_reachability_by_dials_is_enough() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        // What ann dials leads nowhere; bob reaches her.
        let wrong = entry("bob").replace("10.0.0.2:7000", "10.9.9.9:7000");
        let ann = start(&ether, agent("ann"), parse(&text(&[entry("ann"), wrong])));
        let bob = start(&ether, agent("bob"), file(&["ann", "bob"]));
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
        ann.told();
        advance(SECOND * 300).await;
        assert_eq!((ann.told(), ann.state("bob")), (vec![], Healthy));
    });
}

#[test]
fn loss_and_delay_are_shown_and_are_no_outage() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        ether.usually(Path {
            delay: Duration::from_millis(100),
            loss_ppm: 50_000,
            is_cut: false,
        });
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
        ann.told();
        let (mut loss, mut round_trip) = (0, Duration::ZERO);
        for _ in 0..60 {
            advance(SECOND * 60).await;
            let seen = ann.sees("bob");
            loss = loss.max(seen.loss_ppm.expect("it is connected"));
            round_trip = seen.round_trip.expect("it has answered");
        }
        assert_eq!(ann.transitions(), []);
        assert!(loss > 0);
        assert!(round_trip >= Duration::from_millis(200), "{round_trip:?}");
    });
}

#[test]
fn a_wrong_key_is_rejected_and_says_which_came_and_what_to_run() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let wrong = Fingerprint([0xab; 32]);
        let impostor = Agent {
            fingerprint: wrong,
            ..agent("bob")
        };
        let ann = start(&ether, agent("ann"), file(&["ann", "bob"]));
        let _bob = start(&ether, impostor, file(&["ann", "bob"]));
        ann.until("bob", Rejected).await;
        let seen = ann.sees("bob");
        assert!(seen.because.contains(&wrong.to_string()), "{seen:?}");
        let remedy = seen.remedy.expect("something can be done");
        assert!(remedy.contains("dataflow peers pin bob"), "{remedy}");
    });
}

#[test]
fn a_peer_without_a_fingerprint_is_rejected_and_never_dialled() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let unpinned = "  - { id: bob, address: \"10.0.0.2:7000\" }\n".to_owned();
        let ann = start(
            &ether,
            agent("ann"),
            parse(&text(&[entry("ann"), unpinned])),
        );
        let bob = start(&ether, agent("bob"), file(&["ann", "bob"]));
        ann.until("bob", Rejected).await;
        let remedy = ann.sees("bob").remedy;
        assert_eq!(remedy.as_deref(), Some("run `dataflow peers pin bob`"));
        advance(SECOND * 300).await;
        assert_eq!(ether.dials(address("ann")), 0);
        assert_eq!(ether.links(address("ann")), 0, "it is not let in either");
        assert_ne!(bob.state("ann"), Healthy);
    });
}

#[test]
fn the_address_of_the_agent_itself_is_said_to_be_that() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let own = entry("bob").replace("10.0.0.2", "10.0.0.1");
        let mut peers = file(&["ann", "bob"]);
        let address = parse(&text(&[own])).peers[0].address;
        peers.peers[1].address = address;
        peers.peers[1].fingerprints = vec![key("ann")];
        let ann = start(&ether, agent("ann"), peers);
        ann.until("bob", Rejected).await;
        assert!(ann.sees("bob").because.contains("itself"));
    });
}

#[test]
fn two_agents_with_one_id_are_told_apart_and_the_one_that_was_there_stays() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
        ann.told();
        let other = Agent {
            boot: BootId(99),
            address: address("dora"),
            ..agent("bob")
        };
        let other = start(&ether, other, file(&["ann", "bob"]));
        other.until("ann", Rejected).await;
        let remedy = other.sees("ann").remedy.expect("something can be done");
        assert!(remedy.contains("another id"), "{remedy}");
        let told = ann.told();
        let is_told = |event: &AgentEvent| matches!(event, AgentEvent::Stranger { peer: Some(peer), .. } if *peer == id("bob"));
        assert!(told.iter().any(is_told), "{told:?}");
        advance(SECOND * 120).await;
        assert_eq!(
            (ann.state("bob"), ann.sees("bob").boot),
            (Healthy, Some(bob.agent.boot))
        );
    });
}

#[test]
fn of_two_agents_with_one_id_the_second_stays_rejected_and_nobodys_log_is_filled() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        bob.until("ann", Healthy).await;
        let other = Agent {
            boot: BootId(99),
            address: address("dora"),
            ..agent("bob")
        };
        let other = start(&ether, other, file(&["ann", "bob"]));
        other.until("ann", Rejected).await;
        ann.told();
        other.told();
        // It comes back two or three times a minute.
        advance(SECOND * 3600).await;
        assert_eq!(other.transitions(), []);
        assert_eq!(other.state("ann"), Rejected);
        let told = ann.told();
        let more = told.iter().map(|event| match event {
            AgentEvent::Stranger { more, .. } => more + 1,
            _ => panic!("{event:?}"),
        });
        assert!(told.len() < 20, "{told:?}");
        assert!(more.sum::<u64>() > 60, "all of them are counted: {told:?}");
    });
}

#[test]
fn a_stranger_that_comes_every_second_for_a_day_is_told_of_ever_more_seldom() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let ann = start(&ether, agent("ann"), file(&["ann", "bob"]));
        for _ in 0..86_400 {
            ann.network.say(NetworkEvent::Stranger {
                from: address("dora"),
                peer: None,
                rejection: Rejection::WrongKey { came: key("dora") },
                more: 0,
            });
            advance(SECOND).await;
        }
        let told = ann.told().into_iter();
        let told = told.filter(|event| matches!(event, AgentEvent::Stranger { .. }));
        assert!((100..200).contains(&told.count()));
    });
}

#[test]
fn the_state_of_all_peers_enters_no_actor() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, _bob] = start_all(&ether, ["ann", "bob"]);
        ann.until("bob", Healthy).await;
        settle().await;
        let counts = || ann.handle.actors()[0].counts();
        let before = counts();
        for _ in 0..100 {
            assert_eq!(ann.handle.status().peers.len(), 1);
        }
        assert_eq!(counts(), before);
    });
}

#[test]
fn trouble_of_the_network_itself_is_shown_until_it_is_over() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, _bob] = start_all(&ether, ["ann", "bob"]);
        let trouble = "cannot send: no buffer space".to_owned();
        let warnings = || ann.handle.status().warnings;
        ann.network
            .say(NetworkEvent::Trouble(Some(trouble.clone())));
        settle().await;
        assert_eq!(warnings(), [trouble]);
        ann.network.say(NetworkEvent::Trouble(None));
        settle().await;
        assert_eq!(warnings(), [""; 0]);
        let told = ann.told();
        let count = |it: &&AgentEvent| matches!(it, AgentEvent::Trouble(_));
        assert_eq!(told.iter().filter(count).count(), 2);
    });
}
