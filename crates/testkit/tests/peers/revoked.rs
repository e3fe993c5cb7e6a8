//! Keys and clusters that the file does not name any more, shown by somebody who was in the middle of a hello.

use dataflow_core::peers::{Direction, LinkFacts};
use dataflow_descriptor::Peers;
use dataflow_ids::PeerState::Healthy;
use dataflow_ids::{BootId, ClusterName, Fingerprint, LinkId};
use dataflow_runtime::network::{NetworkEvent, PeerHello};
use dataflow_testkit::peers::Ether;
use dataflow_testkit::virtual_time::{self, advance, settle};
use dataflow_wire::peers::Offer;

use super::support::{Running, SECOND, address, agent, entry, file, id, key, parse, start, text};

const LINK: LinkId = LinkId(77);
const NEW: Fingerprint = Fingerprint([0xab; 32]);

/// Somebody with bob's first key comes in as bob, from where it is.
fn comes_in() -> NetworkEvent {
    NetworkEvent::Accepted {
        facts: LinkFacts {
            link: LINK,
            direction: Direction::Accepted,
            boot: BootId(1234),
            from: address("dora"),
        },
        hello: PeerHello {
            peer: id("bob"),
            boot: BootId(1234),
            version: "1.2.3".to_owned(),
            offer: Offer::default(),
            cluster: ClusterName::new("default").expect("a name"),
            fingerprint: key("bob"),
        },
    }
}

/// The file in which bob has another key.
fn rotated() -> Peers {
    let bob = entry("bob").replace(&key("bob").to_string(), &NEW.to_string());
    parse(&text(&[entry("ann"), bob]))
}

/// Somebody who comes in is asked over this connection; the network has none of that name, and so nobody answers for it.
async fn says(ann: &Running, event: NetworkEvent) {
    ann.network.say(event);
    settle().await;
}

fn is_in(ann: &Running) -> bool {
    ann.sees("bob").connected.is_some()
}

#[test]
fn somebody_with_a_key_that_the_file_names_is_in() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let ann = start(&ether, agent("ann"), file(&["ann", "bob"]));
        says(&ann, comes_in()).await;
        assert!(is_in(&ann));
    });
}

#[test]
fn a_key_that_was_taken_out_while_its_holder_said_its_hello_does_not_come_in() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let ann = start(&ether, agent("ann"), file(&["ann", "bob"]));
        ann.handle.apply(rotated());
        settle().await;
        says(&ann, comes_in()).await;
        assert!(!is_in(&ann), "{:?}", ann.sees("bob"));
        assert_eq!(ann.network.closed(), [LINK]);
        advance(SECOND * 60).await;
        assert_ne!(ann.state("bob"), Healthy);
    });
}

#[test]
fn a_key_that_is_taken_out_before_the_actor_hears_of_its_holder_goes() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let ann = start(&ether, agent("ann"), file(&["ann", "bob"]));
        settle().await;
        // Both wait for the loop, and both orders end alike.
        ann.network.say(comes_in());
        ann.handle.apply(rotated());
        settle().await;
        assert!(!is_in(&ann), "{:?}", ann.sees("bob"));
        assert!(ann.network.closed().contains(&LINK));
    });
}

#[test]
fn a_peer_of_the_cluster_before_does_not_come_in() {
    virtual_time::run(async {
        let ether = Ether::new(1);
        let ann = start(&ether, agent("ann"), file(&["ann", "bob"]));
        let moved = format!("cluster: other\n{}", text(&[entry("ann"), entry("bob")]));
        ann.handle.apply(parse(&moved));
        settle().await;
        says(&ann, comes_in()).await;
        assert!(!is_in(&ann), "{:?}", ann.sees("bob"));
        assert_eq!(ann.network.closed(), [LINK]);
    });
}
