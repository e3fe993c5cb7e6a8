//! A connection that both have taken: probes, readings, and how it ends.

use std::time::{Duration, Instant};

use dataflow_core::peers::{CloseCode, LinkEnd};
use dataflow_ids::LinkId;
use dataflow_runtime::network::{Network, NetworkEvent};

use crate::agents::{Agent, id, pair};

fn ended(agent: &mut Agent) -> (LinkId, LinkEnd) {
    agent.hear("the end of a connection", |event| match event {
        NetworkEvent::LinkEnded { link, end } => Some((*link, end.clone())),
        _ => None,
    })
}

#[test]
fn probes_are_answered_in_both_directions_and_say_how_long_control_was_silent() {
    let (mut a, mut b) = pair();
    let (dialled, _) = a.dial(&id("b")).unwrap();
    let (accepted, _) = b.accepted();
    for number in [7, 7, 8] {
        let (round_trip, _) = a.probe(dialled.link, number);
        assert!(round_trip < Duration::from_secs(10), "{round_trip:?}");
        b.probe(accepted.link, number);
    }
    // The control loop of `b` gives no sign, so its silence grows; a sign ends it, however long the answer takes then.
    let counted_in = Duration::from_millis(1);
    let (_, first) = a.probe(dialled.link, 20);
    let mut later = first;
    while later <= first + 2 * counted_in {
        later = a.probe(dialled.link, 21).1;
    }
    let sign = Instant::now();
    b.network.beat();
    let (_, after) = a.probe(dialled.link, 22);
    let since = sign.elapsed();
    assert!(
        after <= since + counted_in,
        "{after:?}, and the sign was {since:?} ago"
    );
    let reading = a.network.reading(dialled.link).unwrap();
    assert_eq!(reading.address, b.address());
    assert!(reading.packets_sent > 0);
    assert_eq!(a.network.reading(LinkId(999)), None);
}

#[test]
fn who_closes_hears_nothing_more_and_the_other_one_hears_why() {
    for code in [
        CloseCode::Superseded,
        CloseCode::Ending,
        CloseCode::Reconfigured,
        CloseCode::DuplicateId,
    ] {
        let (mut a, mut b) = pair();
        let (dialled, _) = a.dial(&id("b")).unwrap();
        let (accepted, _) = b.accepted();
        a.network.close(dialled.link, code);
        assert_eq!(ended(&mut b), (accepted.link, LinkEnd::ByPeer(code)));
        assert_eq!(a.network.reading(dialled.link), None);
        assert_eq!(a.left(), []);
    }
}

#[test]
fn an_agent_that_ends_says_so() {
    let (mut a, mut b) = pair();
    a.dial(&id("b")).unwrap();
    let (accepted, _) = b.accepted();
    assert!(a.network.end());
    let end = LinkEnd::ByPeer(CloseCode::Ending);
    assert_eq!(ended(&mut b), (accepted.link, end));
}

#[test]
fn a_socket_that_the_system_takes_away_is_opened_again_at_the_same_address_and_that_is_told() {
    let (mut a, mut b) = pair();
    let (dialled, _) = a.dial(&id("b")).unwrap();
    b.accepted();
    let address = a.address();
    a.network.lose_sockets();
    let (mut troubles, mut has_ended) = (Vec::new(), false);
    a.hear("that it is out of trouble", |event| {
        match event {
            NetworkEvent::Trouble(trouble) => troubles.push(trouble.clone()),
            NetworkEvent::LinkEnded { link, .. } => has_ended |= *link == dialled.link,
            _ => {}
        }
        (has_ended && troubles.len() == 2).then_some(())
    });
    let said = troubles[0].as_ref().expect("it is in trouble first");
    assert!(said.contains(&address.to_string()), "{said}");
    assert_eq!(troubles[1], None);
    // Both ways, and from where it was.
    let (again, _) = a.dial(&id("b")).unwrap();
    let (accepted, _) = b.accepted();
    let reading = b.network.reading(accepted.link).unwrap();
    assert_eq!(reading.address, address);
    a.probe(again.link, 1);
    b.dial(&id("a")).unwrap();
}
