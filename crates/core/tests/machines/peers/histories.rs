//! Whatever a machine is told, in whatever order: it asks for nothing that makes no sense, and never sleeps for ever.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{
    CloseCode, DialFailure, DialId, Direction, HealthCheck, LinkEnd, Peer, PeerCommand, PeerEvent,
    Rejection,
};
use dataflow_ids::LinkId;
use proptest::prelude::*;

use super::one::{key, link, target};

fn facts() -> impl Strategy<Value = dataflow_core::peers::LinkFacts> {
    let direction = prop::sample::select(vec![Direction::Dialled, Direction::Accepted]);
    (0..6_u64, direction, 7..10_u64)
        .prop_map(|(number, direction, boot)| link(number, direction, boot))
}

fn failure() -> impl Strategy<Value = DialFailure> {
    prop::sample::select(vec![
        DialFailure::NoAnswer,
        DialFailure::Refused,
        DialFailure::NoRoute("no route to host".to_owned()),
        DialFailure::Rejected(Rejection::WrongKey { came: key(9) }),
        DialFailure::Rejected(Rejection::Itself),
    ])
}

fn end() -> impl Strategy<Value = LinkEnd> {
    prop::sample::select(vec![
        LinkEnd::Idle,
        LinkEnd::Reset,
        LinkEnd::ByPeer(CloseCode::Superseded),
        LinkEnd::ByPeer(CloseCode::Reconfigured),
        LinkEnd::ByPeer(CloseCode::DuplicateId),
        LinkEnd::ByPeer(CloseCode::Ending),
        LinkEnd::ByPeer(CloseCode::Unanswered),
    ])
}

fn event() -> impl Strategy<Value = PeerEvent> {
    let check =
        (0..40_u64, 0..8_u64, 0..5_u32).prop_map(|(interval, timeout, misses)| HealthCheck {
            interval: Duration::from_secs(interval),
            timeout: Duration::from_secs(timeout),
            unreachable_after: misses,
        });
    prop_oneof![
        1 => (prop::collection::vec(1..3_u8, 0..3), check).prop_map(|(keys, health_check)| {
            PeerEvent::Configured { target: target(&keys), health_check }
        }),
        6 => Just(PeerEvent::Wake),
        4 => (0..12_u64, facts()).prop_map(|(dial, facts)| PeerEvent::DialEnded {
            dial: DialId(dial),
            result: Ok(facts),
        }),
        4 => (0..12_u64, failure()).prop_map(|(dial, failure)| PeerEvent::DialEnded {
            dial: DialId(dial),
            result: Err(failure),
        }),
        3 => facts().prop_map(PeerEvent::Accepted),
        3 => (0..6_u64, end()).prop_map(|(link, end)| PeerEvent::LinkEnded {
            link: LinkId(link),
            end,
        }),
        6 => (0..6_u64, 0..20_u64, 0..9_u64).prop_map(|(link, sequence, silent)| {
            PeerEvent::Answered {
                link: LinkId(link),
                sequence,
                round_trip: Duration::from_millis(3),
                control_silent_for: Duration::from_secs(silent),
            }
        }),
        1 => Just(PeerEvent::Stranger(Rejection::NotListed)),
        1 => Just(PeerEvent::Stalled(Duration::from_secs(9))),
    ]
}

proptest! {
    #[test]
    fn any_history_leaves_a_machine_that_is_sound_and_awake(
        history in prop::collection::vec((event(), 0..9_000_u64, any::<u64>()), 1..120),
        is_smaller: bool,
    ) {
        let (this, peer) = if is_smaller { ("a", "b") } else { ("b", "a") };
        let mut now = Time::START;
        let mut machine = Peer::new(this.parse().unwrap(), peer.parse().unwrap(), now);
        let (mut wake_at, mut dialled, mut is_dialling) = (None, 0, false);
        let mut may_be_dialled = false;
        for (event, wait_ms, random) in history {
            now = now.after(Duration::from_millis(wait_ms));
            if let PeerEvent::Configured { target, .. } = &event {
                may_be_dialled = !target.fingerprints.is_empty();
            }
            if let PeerEvent::DialEnded { dial, .. } = &event && dial.0 == dialled {
                is_dialling = false;
            }
            let before = machine.condition().clone();
            let mut said = None;
            for command in machine.handle(now, random, event.clone()) {
                match command {
                    PeerCommand::Dial(dial) => {
                        prop_assert!(!is_dialling && dial.0 > dialled, "{dial:?} after {dialled}");
                        prop_assert!(machine.link().is_none());
                        prop_assert!(may_be_dialled, "nobody may be dialled without a key");
                        (dialled, is_dialling) = (dial.0, true);
                    }
                    PeerCommand::Cancel(dial) => {
                        prop_assert_eq!(dial.0, dialled);
                        is_dialling = false;
                    }
                    PeerCommand::Probe { link, .. } => {
                        prop_assert_eq!(machine.link().map(|facts| facts.link), Some(link));
                    }
                    PeerCommand::Close { link, .. } => {
                        prop_assert_ne!(machine.link().map(|facts| facts.link), Some(link));
                    }
                    PeerCommand::WakeAt(at) => {
                        prop_assert!(at > now);
                        wake_at = Some(at);
                    }
                    PeerCommand::Changed(condition) => {
                        prop_assert_eq!(said.replace(condition), None, "said once");
                    }
                    PeerCommand::Refused(_) => {}
                }
            }
            let changed = (before != *machine.condition()).then(|| machine.condition().clone());
            prop_assert_eq!(said, changed);
            prop_assert!(!may_be_dialled || wake_at.is_some_and(|at| at > now), "it sleeps for ever");
            prop_assert!(may_be_dialled || machine.link().is_none());
            // What is told twice changes nothing the second time.
            let once = machine.condition().clone();
            // (An answer may be one to the probe that has just been sent, and a connection may just have been given up.)
            let is_fact = match &event {
                PeerEvent::Accepted(facts) => machine.link() == Some(facts),
                PeerEvent::Configured { .. } | PeerEvent::LinkEnded { .. } => true,
                _ => false,
            };
            if is_fact {
                let mut again = machine.clone();
                again.handle(now, random, event);
                prop_assert_eq!(again.condition(), &once);
            }
        }
    }
}
