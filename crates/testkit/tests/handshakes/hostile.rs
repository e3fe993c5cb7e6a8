//! A peer with the right key that misbehaves: it loses its connection, and nobody else notices.

use std::time::Duration;

use dataflow_core::peers::LinkEnd;
use dataflow_ids::LinkId;
use dataflow_runtime::network::{Identity, NetworkEvent};
use dataflow_wire::peer::{FRAME_BYTES_MAX, Frame, Goodbye, Hello, Refusal};
use quinn::{Connection, RecvStream, SendStream};

use crate::agents::{Agent, Start, id};
use crate::raw::{MOMENT, Raw, Shows, close_of, hello, own_key};

/// An agent, a peer of it that is well, and the key of one that is not.
struct Scene {
    agent: Agent,
    friend: Agent,
    friends: LinkId,
    key: Identity,
    pem: String,
}

impl Scene {
    fn new(start: Start) -> Scene {
        let (key, pem) = own_key();
        let (mut agent, mut friend) = (start.start(), Agent::new("friend"));
        crate::agents::pin(&mut agent, &mut friend);
        let address = "127.0.0.1:1".parse().unwrap();
        agent.trusts_as(id("bad"), address, &[key.fingerprint()]);
        let (friends, _) = friend.dial(&agent.id()).unwrap();
        agent.accepted();
        Scene {
            agent,
            friend,
            friends: friends.link,
            key,
            pem,
        }
    }

    fn come_in(&mut self, raw: &Raw) -> (LinkId, Connection, SendStream, RecvStream) {
        let shows = Shows::of(&self.key, &self.pem);
        let (connection, send, receive) =
            raw.come_in(self.agent.address(), shows, hello("bad", "b"));
        (self.agent.accepted().0.link, connection, send, receive)
    }

    fn ended(&mut self) -> (LinkId, LinkEnd) {
        self.agent
            .hear("the end of a connection", |event| match event {
                NetworkEvent::LinkEnded { link, end } => Some((*link, end.clone())),
                _ => None,
            })
    }

    /// The friend is served, as if nothing were.
    fn friend_is_well(&mut self) {
        for number in 0..3 {
            self.friend.probe(self.friends, number);
        }
    }
}

fn frame(frame: &Frame) -> Vec<u8> {
    frame.encode().unwrap()
}

#[test]
fn garbage_costs_its_sender_the_connection_and_nobody_else() {
    let mut scene = Scene::new(Start::new("b"));
    let raw = Raw::new();
    let answer = |number| Frame::Answer {
        number,
        control_silent_ms: u64::MAX,
    };
    for (what, bytes) in [
        ("no frame", vec![1, 0, 0, 0, 0xff]),
        (
            "a long frame",
            (FRAME_BYTES_MAX as u32 + 1).to_le_bytes().to_vec(),
        ),
        (
            "a second hello",
            frame(&Frame::Hello(Box::new(long_hello()))),
        ),
        ("an answer that nobody asked for", frame(&answer(0))),
        (
            "probes without a pause",
            (0..1000)
                .flat_map(|number| frame(&Frame::Probe { number }))
                .collect(),
        ),
    ] {
        let (link, connection, mut send, _receive) = scene.come_in(&raw);
        raw.wait("garbage", async {
            // The connection may end while it is written.
            let _ = send.write_all(&bytes).await;
        });
        let closed = close_of(&raw.closed(&connection));
        let garbage = (u64::from(Goodbye::Garbage.code()), Vec::new());
        assert_eq!(closed, Some(garbage), "{what}");
        let (ended, end) = scene.ended();
        assert_eq!(ended, link, "{what}");
        assert!(matches!(end, LinkEnd::Other(_)), "{what}: {end:?}");
        scene.friend_is_well();
    }
}

/// One that fits into a short frame.
fn long_hello() -> Hello {
    hello("bad", "b")
}

#[test]
fn who_ends_the_conversation_ends_the_connection() {
    let mut scene = Scene::new(Start::new("b"));
    let raw = Raw::new();
    let (link, connection, mut send, _receive) = scene.come_in(&raw);
    send.finish().unwrap();
    raw.closed(&connection);
    assert_eq!(scene.ended().0, link);
    let (link, _connection, mut send, _receive) = scene.come_in(&raw);
    send.reset(1u32.into()).unwrap();
    assert_eq!(scene.ended().0, link);
    scene.friend_is_well();
}

#[test]
fn an_answer_is_taken_once_and_an_old_one_is_garbage() {
    let mut scene = Scene::new(Start::new("b"));
    let raw = Raw::new();
    let (link, connection, mut send, mut receive) = scene.come_in(&raw);
    dataflow_runtime::network::Network::probe(&scene.agent.network, link, 40);
    let answer = frame(&Frame::Answer {
        number: 0,
        control_silent_ms: 3,
    });
    // Before the probe has come, an answer to it would be one that nobody asked for.
    raw.wait("the probe", async {
        receive.read(&mut [0; 8]).await.unwrap().unwrap();
    });
    raw.wait("an answer", async {
        send.write_all(&answer).await.unwrap();
    });
    let answered = scene.agent.hear("the answer", |event| match event {
        NetworkEvent::Answered {
            sequence,
            control_silent_for,
            ..
        } => Some((*sequence, *control_silent_for)),
        _ => None,
    });
    assert_eq!(answered, (40, Duration::from_millis(3)));
    raw.wait("an answer", async {
        send.write_all(&answer).await.unwrap();
    });
    raw.closed(&connection);
    assert_eq!(scene.ended().0, link);
}

#[test]
fn there_are_no_streams_but_the_first() {
    let mut scene = Scene::new(Start::new("b"));
    let raw = Raw::new();
    let (_, connection, mut send, mut receive) = scene.come_in(&raw);
    // Whatever room there is would have been told by now: the other side has answered since.
    raw.wait("an answer", async {
        send.write_all(&frame(&Frame::Probe { number: 0 }))
            .await
            .unwrap();
        receive.read(&mut [0; 64]).await.unwrap();
        for _ in 0..2 {
            assert!(
                tokio::time::timeout(MOMENT, connection.open_bi())
                    .await
                    .is_err()
            );
            assert!(
                tokio::time::timeout(MOMENT, connection.open_uni())
                    .await
                    .is_err()
            );
        }
    });
    assert_eq!(connection.max_datagram_size(), None);
    scene.friend_is_well();
}

#[test]
fn who_does_not_read_stops_nobody_but_itself() {
    let mut start = Start::new("b");
    start.limits.probes_at_once = u32::MAX / 2;
    start.limits.probe_every = Duration::from_nanos(1);
    let mut scene = Scene::new(start);
    let raw = Raw::new();
    let (link, connection, mut send, _never_read) = scene.come_in(&raw);
    let probe = frame(&Frame::Probe { number: u64::MAX });
    raw.runtime.block_on(async {
        // Answers fill the windows, and then our probes are not read any more.
        let flood = async { while send.write_all(&probe.repeat(100)).await.is_ok() {} };
        let _ = tokio::time::timeout(Duration::from_secs(2), flood).await;
    });
    scene.friend_is_well();
    // It can be closed all the same.
    use dataflow_runtime::network::Network;
    scene
        .agent
        .network
        .close(link, dataflow_core::peers::CloseCode::Unanswered);
    let closed = close_of(&raw.closed(&connection)).unwrap();
    assert_eq!(closed.0, u64::from(Goodbye::Unanswered.code()));
    scene.friend_is_well();
}

#[test]
fn one_peer_has_few_connections_and_begins_few() {
    let mut start = Start::new("b");
    start.limits.links_per_peer_max = 3;
    start.limits.links_at_once = 5;
    start.limits.link_every = Duration::from_secs(3600);
    let mut scene = Scene::new(start);
    let raw = Raw::new();
    let refused = |scene: &Scene| {
        let shows = Shows::of(&scene.key, &scene.pem);
        let connection = raw.connect(scene.agent.address(), shows).unwrap();
        let _streams = raw.say(&connection, &crate::raw::opening(hello("bad", "b")));
        let (code, reason) = close_of(&raw.closed(&connection)).unwrap();
        Refusal::from_close(code, &reason)
    };
    let mut open: Vec<_> = (0..3).map(|_| scene.come_in(&raw)).collect();
    assert_eq!(refused(&scene), Some(Refusal::TooMany));
    // One goes, and another one has its place.
    for _ in 0..2 {
        let (link, connection, ..) = open.remove(0);
        connection.close(0u32.into(), b"");
        assert_eq!(scene.ended().0, link);
        open.push(scene.come_in(&raw));
    }
    open.clear();
    assert_eq!(
        refused(&scene),
        Some(Refusal::TooMany),
        "five at once, and no more for an hour"
    );
    scene.friend_is_well();
}
