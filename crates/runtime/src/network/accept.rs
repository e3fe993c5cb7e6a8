//! Somebody comes in: the address is proven, the key, and then the hello, each within a limit.

use std::sync::Arc;

use dataflow_core::peers::{Direction, LinkFacts, Rejection};
use dataflow_ids::{Fingerprint, PeerId};
use dataflow_wire::peer::{Frame, Hello, PEER_PROTOCOL, Refusal};
use quinn::{Connection, ConnectionError, Incoming};

use super::admission::{admit, may_pass, peer_at, stranger};
use super::endpoint::server_config;
use super::gate::{Gate, Place};
use super::link::serve;
use super::seam::{NetworkEvent, PeerHello, Trust};
use super::shared::{Shared, canonical};
use super::talk::{self, Ear, Mouth, TalkError, refuse};
use super::verify::{KeyVerifier, Shown, fingerprint_of};

/// The alert of TLS that says that a certificate is needed.
const CERTIFICATE_REQUIRED: u8 = 116;

/// Looks at somebody who comes in, without keeping anything for it. Gives a place to those who may go on.
pub(super) fn look(shared: &Shared, gate: &Gate, incoming: Incoming) -> Option<(Incoming, Place)> {
    if shared.trust().is_none() {
        // Before it is known who may come in, nobody may. Nothing is said, so that it is asked again.
        incoming.ignore();
        return None;
    }
    if !incoming.remote_address_validated() {
        // An address that can be made up costs us one packet and no memory.
        if let Err(error) = incoming.retry() {
            error.into_incoming().ignore();
        }
        return None;
    }
    let from = canonical(incoming.remote_address());
    let listed = shared
        .trust()
        .is_some_and(|trust| trust.peers.values().any(|peer| peer.address == from));
    match gate.enter(from, listed, &shared.settings.limits) {
        Some(place) => Some((incoming, place)),
        None => {
            // Silence: whoever means it asks again, and a flood gets no answers.
            incoming.ignore();
            None
        }
    }
}

/// Why somebody did not come in.
enum NotIn {
    /// It went away, or was not heard of any more: nothing to tell anybody.
    Gone,
    /// It was refused.
    Refused(Option<PeerId>, Rejection),
}

/// Lets somebody in, or not, and serves the connection until it ends.
pub(super) async fn accept(shared: Arc<Shared>, incoming: Incoming, place: Place) {
    let from = incoming.remote_address();
    let within = shared.settings.limits.hello_within;
    let come_in = tokio::time::timeout(within, come_in(&shared, incoming)).await;
    // From here on the connection is a peer's, or nobody's.
    drop(place);
    match come_in {
        Ok(Ok(arrived)) => arrived.settle(shared).await,
        Ok(Err(NotIn::Refused(peer, rejection))) => shared.stranger(from, peer, rejection),
        // Too late: what was there of the connection is dropped with the future, and thereby closed.
        Ok(Err(NotIn::Gone)) | Err(_) => {}
    }
}

/// Somebody whose key and hello are right.
struct Arrived {
    connection: Connection,
    mouth: Mouth,
    ear: Ear,
    hello: PeerHello,
}

impl Arrived {
    async fn settle(self, shared: Arc<Shared>) {
        let registered = shared.register(&self.hello.peer, &self.connection);
        shared.tell(NetworkEvent::Accepted {
            facts: LinkFacts {
                link: registered.link,
                direction: Direction::Accepted,
                boot: self.hello.boot,
                from: canonical(self.connection.remote_address()),
            },
            hello: self.hello,
        });
        serve(shared, registered, self.connection, self.mouth, self.ear).await;
    }
}

async fn come_in(shared: &Arc<Shared>, incoming: Incoming) -> Result<Arrived, NotIn> {
    let from = canonical(incoming.remote_address());
    let settings = &shared.settings;
    let own = settings.identity.fingerprint();
    let pins = Arc::clone(shared);
    let verifier = KeyVerifier::new(Arc::clone(&shared.provider), move |key| {
        // Our own key passes, so that an agent that dials itself is told so.
        key == own
            || pins
                .trust()
                .is_some_and(|trust| may_pass(&trust, key, from.ip()))
    });
    let config = server_config(
        &settings.identity,
        &settings.limits,
        &shared.provider,
        Arc::clone(&verifier),
    )
    .map_err(|_| NotIn::Gone)?;
    let failed = |error: ConnectionError| handshake_failed(shared, &verifier, &error, from);
    let connecting = incoming.accept_with(Arc::new(config)).map_err(failed)?;
    let connection = connecting.await.map_err(failed)?;
    let Some(key) = key_of(&connection) else {
        return Err(NotIn::Gone);
    };
    let (mouth, ear, hello) = hello(shared, &connection, key).await?;
    Ok(Arrived {
        hello: PeerHello {
            peer: hello.from,
            boot: hello.boot,
            version: hello.version,
            offer: hello.offer,
            cluster: hello.cluster,
            fingerprint: key,
        },
        connection,
        mouth,
        ear,
    })
}

/// The key that the other side has proven to have.
pub(super) fn key_of(connection: &Connection) -> Option<Fingerprint> {
    let shown = connection.peer_identity()?;
    let certificates: Box<Vec<rustls::pki_types::CertificateDer<'static>>> =
        shown.downcast().ok()?;
    fingerprint_of(certificates.first()?)
}

async fn hello(
    shared: &Arc<Shared>,
    connection: &Connection,
    key: Fingerprint,
) -> Result<(Mouth, Ear, Hello), NotIn> {
    let from = canonical(connection.remote_address());
    let Some(trust) = shared.trust() else {
        return Err(NotIn::Gone);
    };
    let refused = |refusal: Refusal, peer: Option<PeerId>, rejection: Rejection| {
        refuse(connection, &refusal);
        NotIn::Refused(peer, rejection)
    };
    let of_key = owner(&trust, key).or_else(|| peer_at(&trust, from).cloned());
    let failed = |error: TalkError| match error {
        TalkError::Ended(_) => NotIn::Gone,
        TalkError::Garbage(what) => refused(
            Refusal::Garbage,
            of_key.clone(),
            Rejection::NotAnAgent { what },
        ),
    };
    let (mut mouth, mut ear) = talk::accept(connection).await.map_err(failed)?;
    let theirs = ear.preamble().await.map_err(failed)?.protocol;
    if theirs != PEER_PROTOCOL {
        let ours = PEER_PROTOCOL;
        return Err(refused(
            Refusal::Protocol { ours },
            of_key,
            Rejection::OtherProtocol { ours, theirs },
        ));
    }
    let hello = *ear.hello().await.map_err(failed)?;
    if hello.boot == shared.settings.boot {
        // Who has dialled is this very agent, and hears of it there.
        refuse(connection, &Refusal::Itself);
        return Err(NotIn::Gone);
    }
    // The file may have changed since the handshake.
    let Some(trust) = shared.trust() else {
        return Err(NotIn::Gone);
    };
    if hello.cluster != trust.cluster {
        let ours = trust.cluster.clone();
        let theirs = hello.cluster;
        return Err(refused(
            Refusal::Cluster { ours },
            of_key,
            Rejection::OtherCluster { theirs },
        ));
    }
    if let Err(not) = admit(&trust, &hello.from, key, from.ip()) {
        return Err(refused(not.refusal, not.peer, not.rejection));
    }
    if hello.to != trust.this {
        // Its file calls us by another name: it is told, and ours says who it is.
        let ours = trust.this.clone();
        refuse(connection, &Refusal::Peer { ours });
        return Err(NotIn::Gone);
    }
    if !shared.may_link(&hello.from) {
        refuse(connection, &Refusal::TooMany);
        return Err(NotIn::Gone);
    }
    let ours = Frame::Hello(Box::new(shared.hello(&trust, &hello.from)));
    mouth.say(&ours).await.map_err(failed)?;
    Ok((mouth, ear, hello))
}

/// The peer whose key it is.
fn owner(trust: &Trust, key: Fingerprint) -> Option<PeerId> {
    let mut peers = trust.peers.iter();
    let (id, _) = peers.find(|(_, peer)| peer.fingerprints.contains(&key))?;
    Some(id.clone())
}

fn handshake_failed(
    shared: &Shared,
    verifier: &KeyVerifier,
    error: &ConnectionError,
    from: std::net::SocketAddr,
) -> NotIn {
    let Some(trust) = shared.trust() else {
        return NotIn::Gone;
    };
    let no_agent = |what: &str| {
        let what = what.to_owned();
        NotIn::Refused(
            peer_at(&trust, from).cloned(),
            Rejection::NotAnAgent { what },
        )
    };
    match (verifier.refused(), error) {
        (Some(Shown::Wrong(key)), _) => {
            let (peer, rejection) = stranger(&trust, key, from);
            NotIn::Refused(peer, rejection)
        }
        (Some(Shown::Unproven), _) => no_agent("it shows a key that it does not have"),
        (Some(Shown::Unreadable), _) => no_agent("it shows a key that cannot be read"),
        // Our own alert: whatever came before it was no handshake of an agent.
        (None, ConnectionError::TransportError(error)) => {
            let no_key = quinn::TransportErrorCode::crypto(CERTIFICATE_REQUIRED);
            if error.code == no_key {
                no_agent("it shows no key")
            } else {
                no_agent(&format!("its handshake failed ({:?})", error.code))
            }
        }
        _ => NotIn::Gone,
    }
}
