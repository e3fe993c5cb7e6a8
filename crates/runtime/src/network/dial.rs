//! A peer is dialled: handshake, hello, and if nothing comes, the reason why.

use std::sync::Arc;
use std::time::Duration;

use dataflow_core::peers::{DialFailure, DialId, Direction, LinkFacts, PeerTarget, Rejection};
use dataflow_ids::PeerId;
use dataflow_wire::peer::{Frame, Goodbye, PEER_PROTOCOL, PEER_SERVER_NAME, Refusal};
use quinn::{Connection, ConnectionError, Endpoint, TransportErrorCode};
use tokio::sync::{OnceCell, oneshot};

use super::accept::key_of;
use super::admission::dial_allows;
use super::diagnose::why_no_answer;
use super::endpoint::client_config;
use super::link::{end_of, serve};
use super::seam::{NetworkEvent, PeerHello};
use super::shared::{Registered, Shared, canonical};
use super::talk::{self, Ear, Mouth, TalkError, refuse};
use super::verify::{KeyVerifier, Shown};

/// The alert of TLS with which a key is refused that is not pinned.
const ACCESS_DENIED: u8 = 49;
/// When the system is asked why nothing came. Most answers are there long before.
const ASK_AFTER: Duration = Duration::from_millis(250);
/// How long the handshake still has once the system has given a reason.
const STILL_AFTER: Duration = Duration::from_millis(1500);

/// A dial as it was ordered.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) peer: PeerId,
    pub(super) dial: DialId,
    pub(super) target: PeerTarget,
    pub(super) timeout: Duration,
}

/// Tells how the dial ended, also if its task fails.
struct Ending {
    shared: Arc<Shared>,
    peer: PeerId,
    dial: DialId,
    told: bool,
}

impl Ending {
    fn tell(&mut self, result: Result<(LinkFacts, PeerHello), DialFailure>) {
        self.told = true;
        self.shared.tell(NetworkEvent::DialEnded {
            peer: self.peer.clone(),
            dial: self.dial,
            result,
        });
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.told {
            let what = "what dialled it has failed".to_owned();
            self.tell(Err(DialFailure::Other(what)));
        }
    }
}

/// Somebody who was reached and is who it should be.
struct Reached {
    registered: Registered,
    facts: LinkFacts,
    hello: PeerHello,
    connection: Connection,
    mouth: Mouth,
    ear: Ear,
}

/// Dials, tells how it ended, and serves the connection until it ends.
pub(super) async fn dial(
    shared: Arc<Shared>,
    endpoint: Endpoint,
    order: Order,
    cancelled: oneshot::Receiver<()>,
) {
    let mut ending = Ending {
        shared: Arc::clone(&shared),
        peer: order.peer.clone(),
        dial: order.dial,
        told: false,
    };
    // Biased: a dial that was given up is not to come through at the same moment.
    let reached = tokio::select! {
        biased;
        _ = cancelled => Err(DialFailure::Other("it was given up".to_owned())),
        reached = reach(&shared, &endpoint, &order) => reached,
    };
    match reached {
        Ok(reached) => {
            ending.tell(Ok((reached.facts, reached.hello)));
            serve(
                shared,
                reached.registered,
                reached.connection,
                reached.mouth,
                reached.ear,
            )
            .await;
        }
        Err(failure) => ending.tell(Err(failure)),
    }
}

/// Reaches the peer within the time, or says why not.
async fn reach(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    order: &Order,
) -> Result<Reached, DialFailure> {
    if order.target.fingerprints.is_empty() && !order.target.address.ip().is_loopback() {
        return Err(DialFailure::Rejected(Rejection::NoFingerprint));
    }
    let learned = OnceCell::new();
    let asking = async {
        tokio::time::sleep(ASK_AFTER.min(order.timeout / 4)).await;
        let why = learned
            .get_or_init(|| why_no_answer(order.target.address))
            .await;
        // A machine that answers so may yet let QUIC through: a firewall that knows our port and not the one that
        // asked. So the handshake has its time first.
        tokio::time::sleep(STILL_AFTER.min(order.timeout / 4)).await;
        why.clone()
    };
    let both = async {
        tokio::select! {
            biased;
            met = meet(shared, endpoint, order) => met,
            why = asking => Err(why),
        }
    };
    let reached = tokio::time::timeout(order.timeout, both).await;
    match reached.unwrap_or(Err(DialFailure::NoAnswer)) {
        Err(DialFailure::NoAnswer) => Err(learned.get().cloned().unwrap_or(DialFailure::NoAnswer)),
        other => other,
    }
}

async fn meet(
    shared: &Arc<Shared>,
    endpoint: &Endpoint,
    order: &Order,
) -> Result<Reached, DialFailure> {
    let other = |error: &dyn std::fmt::Display| DialFailure::Other(error.to_string());
    let settings = &shared.settings;
    let own = settings.identity.fingerprint();
    let target = order.target.clone();
    let verifier = KeyVerifier::new(Arc::clone(&shared.provider), move |key| {
        // Our own key passes, so that an address that leads here is told apart from a wrong one.
        key == own || dial_allows(&target, key)
    });
    let config = client_config(
        Some(&settings.identity),
        &settings.limits,
        &shared.provider,
        Arc::clone(&verifier),
    )
    .map_err(|error| other(&error))?;
    let connection = endpoint
        .connect_with(config, order.target.address, PEER_SERVER_NAME)
        .map_err(|error| other(&error))?
        .await
        .map_err(|error| handshake_failed(&verifier, &error))?;
    let not_an_agent = |what: &str| {
        let what = what.to_owned();
        DialFailure::Rejected(Rejection::NotAnAgent { what })
    };
    let key = key_of(&connection).ok_or_else(|| not_an_agent("it shows no key"))?;
    let trust = shared
        .trust()
        .ok_or_else(|| DialFailure::Other("it is not known yet who this agent is".to_owned()))?;

    let failed = |error: TalkError| match error {
        TalkError::Ended(error) => ended(&error),
        TalkError::Garbage(what) => {
            refuse(&connection, &Refusal::Garbage);
            DialFailure::Rejected(Rejection::NotAnAgent { what })
        }
    };
    let (mut mouth, mut ear) = talk::open(&connection).await.map_err(failed)?;
    let ours = Frame::Hello(Box::new(shared.hello(&trust, &order.peer)));
    mouth.say(&ours).await.map_err(failed)?;
    let theirs = ear.preamble().await.map_err(failed)?.protocol;
    let refused = |refusal: Refusal, rejection: Rejection| {
        refuse(&connection, &refusal);
        DialFailure::Rejected(rejection)
    };
    if theirs != PEER_PROTOCOL {
        let ours = PEER_PROTOCOL;
        return Err(refused(
            Refusal::Protocol { ours },
            Rejection::OtherProtocol { ours, theirs },
        ));
    }
    let hello = *ear.hello().await.map_err(failed)?;
    if hello.boot == settings.boot {
        return Err(refused(Refusal::Itself, Rejection::Itself));
    }
    if !dial_allows(&order.target, key) {
        return Err(refused(Refusal::Key, Rejection::WrongKey { came: key }));
    }
    if hello.cluster != trust.cluster {
        let ours = trust.cluster.clone();
        let theirs = hello.cluster;
        return Err(refused(
            Refusal::Cluster { ours },
            Rejection::OtherCluster { theirs },
        ));
    }
    if hello.from != order.peer || hello.to != trust.this {
        let theirs = hello.from;
        let ours = trust.this.clone();
        return Err(refused(
            Refusal::Peer { ours },
            Rejection::OtherPeer { theirs },
        ));
    }
    let registered = shared.register(&order.peer, &connection);
    Ok(Reached {
        facts: LinkFacts {
            link: registered.link,
            direction: Direction::Dialled,
            boot: hello.boot,
            from: canonical(connection.remote_address()),
        },
        hello: PeerHello {
            peer: hello.from,
            boot: hello.boot,
            version: hello.version,
            offer: hello.offer,
            cluster: hello.cluster,
            fingerprint: key,
        },
        registered,
        connection,
        mouth,
        ear,
    })
}

/// Why there was no handshake.
pub(super) fn handshake_failed(verifier: &KeyVerifier, error: &ConnectionError) -> DialFailure {
    let not_an_agent = |what: String| DialFailure::Rejected(Rejection::NotAnAgent { what });
    match verifier.refused() {
        Some(Shown::Wrong(came)) => DialFailure::Rejected(Rejection::WrongKey { came }),
        Some(Shown::Unproven) => not_an_agent("it shows a key that it does not have".to_owned()),
        Some(Shown::Unreadable) => not_an_agent("it shows a key that cannot be read".to_owned()),
        None => ended(error),
    }
}

/// Why a connection ended before both hellos had passed.
fn ended(error: &ConnectionError) -> DialFailure {
    let not_an_agent = |what: String| DialFailure::Rejected(Rejection::NotAnAgent { what });
    match error {
        ConnectionError::TimedOut => DialFailure::NoAnswer,
        ConnectionError::VersionMismatch => {
            not_an_agent("it speaks other versions of QUIC".to_owned())
        }
        // What it says beside the code is its own text, and not shown.
        ConnectionError::ConnectionClosed(close) => {
            if close.error_code == TransportErrorCode::crypto(ACCESS_DENIED) {
                DialFailure::Rejected(Rejection::OurKeyRefused)
            } else if close.error_code == TransportErrorCode::CONNECTION_REFUSED {
                DialFailure::Other("it takes no connections at this moment".to_owned())
            } else {
                not_an_agent(format!("it ended the handshake ({:?})", close.error_code))
            }
        }
        ConnectionError::TransportError(error) => {
            not_an_agent(format!("its handshake failed ({:?})", error.code))
        }
        ConnectionError::ApplicationClosed(close) => {
            let code = close.error_code.into_inner();
            match Refusal::from_close(code, &close.reason) {
                Some(refusal) => refused(refusal),
                None if Goodbye::from_code(code).is_some() => {
                    DialFailure::Other(end_of(error).to_string())
                }
                None => not_an_agent("it closed the connection".to_owned()),
            }
        }
        other => DialFailure::Other(other.to_string()),
    }
}

/// What the other side's refusal means here.
fn refused(refusal: Refusal) -> DialFailure {
    DialFailure::Rejected(match refusal {
        Refusal::Protocol { ours: theirs } => Rejection::OtherProtocol {
            ours: PEER_PROTOCOL,
            theirs,
        },
        Refusal::Cluster { ours: theirs } => Rejection::OtherCluster { theirs },
        Refusal::Peer { ours: theirs } => Rejection::OtherPeer { theirs },
        Refusal::NotListed => Rejection::NotListed,
        Refusal::Key => Rejection::OurKeyRefused,
        Refusal::Itself => Rejection::Itself,
        Refusal::Garbage => Rejection::NotAnAgent {
            what: "it did not understand our hello".to_owned(),
        },
        Refusal::TooMany => {
            return DialFailure::Other("it takes no more connections from us now".to_owned());
        }
    })
}
