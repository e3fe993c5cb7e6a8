//! I-9 and I-10 for the `PeerActor`: it may panic over every message that comes to it, and what must be true is.
//!
//! One life of three agents is played on virtual time, in which every kind of message comes; then once more for each of
//! them and each way to fail over it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::LazyLock;

use dataflow_ids::BootId;
use dataflow_ids::PeerState::{self, Degraded, Healthy};
use dataflow_runtime::actor::{Counts, Fault, Injected, What, When};
use dataflow_runtime::agent::AgentEvent;
use dataflow_testkit::peers::{Agent, Ether};
use dataflow_testkit::virtual_time::{self, advance, settle};

use super::support::{
    Running, SECOND, address, agent, entry, file, id, key, parse, start, start_all, text,
};

/// Each way, and how often in a row.
const WAYS: &[(Fault, u64)] = &[
    (Fault::PanicBefore, 1),
    (Fault::PanicAfter, 1),
    (Fault::Kill, 1),
    (Fault::PanicBefore, 2),
    (Fault::PanicAfter, 2),
];
/// All that the actor can be told.
const KINDS: &[&str] = &[
    "Configured",
    "Wake",
    "DialEnded",
    "Accepted",
    "LinkEnded",
    "Answered",
    "Stranger",
    "Stalled",
    "Adopt",
];
/// Whom ann sees, and whose actor is struck.
const STRUCK: &str = "bob";

/// A transition: of whom, from where, and to where.
type Transition = (String, PeerState, PeerState);

/// What came of a life.
#[derive(Debug, Clone, PartialEq)]
struct Lived {
    /// How ann sees everybody at the end.
    ends: Vec<(String, PeerState)>,
    /// How the others see ann.
    seen: Vec<PeerState>,
    /// The transitions of the one whose actor was struck.
    of_struck: Vec<Transition>,
    /// The transitions of everybody else, as ann tells them.
    of_others: Vec<Transition>,
    /// How many connections each agent has.
    links: Vec<usize>,
    /// How often a stranger was told.
    strangers: usize,
}

/// A life, and what was seen of the messages in it.
struct Played {
    lived: Lived,
    counts: Counts,
    met: BTreeSet<&'static str>,
    struck: u64,
}

fn told(ann: &Running, lived: &mut Lived) {
    for event in ann.told() {
        match event {
            AgentEvent::Peer { peer, from, to, .. } => {
                let transition = (peer.to_string(), from, to);
                if transition.0 == STRUCK {
                    lived.of_struck.push(transition);
                } else {
                    lived.of_others.push(transition);
                }
            }
            AgentEvent::Stranger { peer, .. } => {
                assert_eq!(peer, Some(id(STRUCK)));
                lived.strangers += 1;
            }
            _ => {}
        }
    }
}

/// Plays one life. `strike` is given ann before anything was handled.
fn play(strike: impl Fn(&Running) -> Vec<Injected>) -> Played {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob, cleo] = start_all(&ether, ["ann", STRUCK, "cleo"]);
        let injected = strike(&ann);
        let met = Rc::new(RefCell::new(BTreeSet::new()));
        let actors = ann.handle.actors();
        let actor = &actors[0];
        assert_eq!(actor.name(), format!("peer {STRUCK}"));
        let seen = Rc::clone(&met);
        actor.watch(Box::new(move |it| {
            if matches!(it.what, What::Handled | What::Panicked) {
                seen.borrow_mut().insert(it.kind);
            }
        }));
        let healthy = async || {
            ann.until(STRUCK, Healthy).await;
            bob.until("ann", Healthy).await;
            advance(SECOND * 40).await;
        };
        healthy().await;
        // Somebody else, in its place.
        let impostor = Agent {
            boot: BootId(77),
            fingerprint: key("dora"),
            address: address("dora"),
            ..agent(STRUCK)
        };
        let impostor = start(&ether, impostor, file(&["ann", STRUCK]));
        advance(SECOND * 5).await;
        impostor.vanishes();
        // The way between the two is cut for long, and both dial when it is there again.
        ether.cut(address("ann"), address(STRUCK));
        advance(SECOND * 100).await;
        ether.heal(address("ann"), address(STRUCK));
        healthy().await;
        // Its entry changes: another key may come too.
        let second = format!("[\"{}\", \"{}\"]", key(STRUCK), key("dora"));
        let entry_of_it = entry(STRUCK).replace(&format!("\"{}\"", key(STRUCK)), &second);
        let changed = text(&[entry("ann"), entry_of_it, entry("cleo")]);
        ann.handle.apply(parse(&changed));
        advance(SECOND * 40).await;
        // The agent's own loop does not run for a while.
        ann.switch.stop();
        advance(SECOND * 20).await;
        ann.switch.go_on();
        advance(SECOND * 40).await;
        // The peer is started anew, and dials.
        let before = ann.sees(STRUCK).boot;
        bob.vanishes();
        advance(SECOND * 2).await;
        let again = Agent {
            boot: BootId(99),
            ..agent(STRUCK)
        };
        let bob = start(&ether, again, file(&["ann", STRUCK, "cleo"]));
        assert_ne!(before, Some(BootId(99)));
        bob.until("ann", Healthy).await;
        ann.until_seen(STRUCK, |it| {
            it.state == Healthy && it.boot == Some(BootId(99))
        })
        .await;
        // Whatever has struck, this is long enough for its end.
        ann.network.panics_at(&id(STRUCK), u64::MAX, 0, || {});
        advance(SECOND * 120).await;
        settle().await;
        let mut lived = Lived {
            ends: Vec::new(),
            seen: vec![bob.state("ann"), cleo.state("ann")],
            of_struck: Vec::new(),
            of_others: Vec::new(),
            links: [&ann, &bob, &cleo]
                .map(|it| ether.links(it.agent.address))
                .to_vec(),
            strangers: 0,
        };
        told(&ann, &mut lived);
        let status = ann.handle.status().peers.into_iter();
        lived.ends = status.map(|it| (it.peer.to_string(), it.state)).collect();
        let met = met.borrow().clone();
        Played {
            lived,
            counts: actor.counts(),
            met,
            struck: injected.iter().map(Injected::struck).sum(),
        }
    })
}

fn inject(ann: &Running, when: When, fault: Fault) -> Injected {
    let actors = ann.handle.actors();
    actors[0].inject(when, fault)
}

/// What happens while nothing strikes.
static UNDISTURBED: LazyLock<Lived> = LazyLock::new(|| {
    let played = play(|_| Vec::new());
    let Counts { dead_lettered, .. } = played.counts;
    assert_eq!((dead_lettered, played.counts.waiting), (0, 0));
    let met: Vec<_> = KINDS
        .iter()
        .filter(|kind| !played.met.contains(*kind))
        .collect();
    assert_eq!(met, [&"Adopt"], "all that comes without a fault");
    played.lived
});

/// What must be true, whatever has struck.
fn holds(case: &str, played: &Played) -> Vec<String> {
    let (lived, wanted) = (&played.lived, &*UNDISTURBED);
    let mut wrong = Vec::new();
    let mut must = |is_true: bool, what: String| {
        if !is_true {
            wrong.push(format!("{case}: {what}"));
        }
    };
    must(played.struck > 0, "it did not strike".to_owned());
    let counts = played.counts;
    must(counts.balances(), format!("I-10: {counts:?}"));
    must(counts.waiting == 0, format!("{counts:?}"));
    must(lived.ends == wanted.ends, format!("{:?}", lived.ends));
    must(lived.seen == wanted.seen, format!("seen: {:?}", lived.seen));
    must(
        lived.links == wanted.links,
        format!("links: {:?}", lived.links),
    );
    must(
        lived.of_others == wanted.of_others,
        format!("another peer was touched: {:?}", lived.of_others),
    );
    wrong
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_actor_of_a_peer_may_panic_over_every_message() {
    let mut wrong = Vec::new();
    for kind in KINDS.iter().filter(|kind| **kind != "Adopt") {
        for (fault, times) in WAYS {
            let when = When::kind(kind).times(*times);
            let played = play(|ann| vec![inject(ann, when, *fault)]);
            let case = format!("{fault:?} × {times} over {kind}");
            wrong.extend(holds(&case, &played));
            // Once is as if nothing had happened; after a message is lost, what stands is looked up.
            if *times == 1 {
                let same = played.lived.of_struck == UNDISTURBED.of_struck
                    && played.lived.strangers == UNDISTURBED.strangers;
                if !same {
                    wrong.push(format!("{case}: {:?}", played.lived));
                }
            } else if !played.met.contains("Adopt") {
                wrong.push(format!("{case}: nobody looked at what stands"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_actor_of_a_peer_may_panic_over_what_follows_a_lost_message_too() {
    let mut wrong = Vec::new();
    for lost in ["DialEnded", "LinkEnded", "Answered"] {
        for (fault, times) in WAYS {
            let adopt = When::kind("Adopt").times(*times);
            let played = play(|ann| {
                inject(ann, When::kind(lost).times(2), Fault::PanicBefore);
                vec![inject(ann, adopt, *fault)]
            });
            let case = format!("{fault:?} × {times} over Adopt, after {lost}");
            wrong.extend(holds(&case, &played));
        }
    }
    none(&wrong);
}

#[test]
fn what_gets_lost_or_comes_late_or_twice_or_in_another_order_changes_nothing_about_the_end() {
    let mut wrong = Vec::new();
    let late = Fault::Delay(SECOND * 2);
    for kind in KINDS.iter().filter(|kind| **kind != "Adopt") {
        for nth in 1..=2 {
            for fault in [Fault::Drop, Fault::Reorder, late] {
                let when = When::kind(kind).nth(nth);
                let played = play(|ann| {
                    // Whatever it has not heard, it hears of when a message was lost over which it has panicked.
                    inject(ann, When::kind("Wake").nth(8).times(2), Fault::PanicBefore);
                    vec![inject(ann, when, fault)]
                });
                // Not everything comes twice.
                if nth == 1 || played.struck > 0 {
                    wrong.extend(holds(&format!("{fault:?} of {kind} {nth}"), &played));
                }
            }
            let when = When::kind(kind).nth(nth);
            let played = play(|ann| vec![ann.handle.actors()[0].duplicate(when)]);
            if nth == 1 || played.struck > 0 {
                wrong.extend(holds(&format!("twice {kind} {nth}"), &played));
            }
        }
    }
    none(&wrong);
}

#[test]
fn what_the_actor_does_may_panic_at_every_step() {
    let mut wrong = Vec::new();
    let mut calls = 0;
    for times in [1, 2] {
        for call in 1.. {
            let struck = Rc::new(RefCell::new(0));
            let counted = Rc::clone(&struck);
            let played = play(move |ann| {
                let counted = Rc::clone(&counted);
                ann.network.panics_at(&id(STRUCK), call, times, move || {
                    *counted.borrow_mut() += 1;
                });
                Vec::new()
            });
            let struck = *struck.borrow();
            if struck == 0 {
                calls = call - 1;
                break;
            }
            let played = Played { struck, ..played };
            let case = format!("{times} panics at call {call} of the network");
            wrong.extend(holds(&case, &played));
        }
        assert!(calls > 20, "{calls} calls");
    }
    none(&wrong);
}

#[test]
fn an_actor_that_cannot_go_on_is_shown_with_that_cause_begins_anew_and_touches_nobody_else() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let [ann, bob, _cleo] = start_all(&ether, ["ann", STRUCK, "cleo"]);
        for peer in [STRUCK, "cleo"] {
            ann.until(peer, Healthy).await;
        }
        bob.until("ann", Healthy).await;
        advance(SECOND * 60).await;
        ann.told();
        inject(&ann, When::any().times(u64::MAX), Fault::Kill);
        ann.until_seen(STRUCK, |it| it.because.contains("panicked"))
            .await;
        let seen = ann.sees(STRUCK);
        assert_eq!(seen.state, Degraded);
        assert!(seen.because.contains("the injected fault"), "{seen:?}");
        assert!(
            seen.remedy
                .expect("something can be done")
                .contains("report")
        );
        // Its mailbox is another one when it begins anew, and the fault has gone with the old one.
        ann.until(STRUCK, Healthy).await;
        bob.until("ann", Healthy).await;
        advance(SECOND * 120).await;
        assert_eq!((ann.state(STRUCK), bob.state("ann")), (Healthy, Healthy));
        assert_eq!(ether.links(address(STRUCK)), 2);
        let of_cleo = |it: &Transition| it.0 == "cleo";
        assert!(!ann.transitions().iter().any(of_cleo));
        assert_eq!(ann.sees("cleo").transitions, 1);
    });
}
