//! The socket that listens, also when the system takes it away: then it is opened again, at the same address.

use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use quinn::{Endpoint, Incoming};
use tokio::time::Instant;

use super::endpoint::{bind, endpoint, server_config};
use super::seam::NetworkEvent;
use super::settings::NetworkError;
use super::shared::Shared;
use super::verify::KeyVerifier;

/// How long it waits before it opens the socket again: what had the old one lets go of it first.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The same after many times in vain.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Who has lived for so long begins with the shortest pause.
const LIVED: Duration = Duration::from_secs(60);

/// The socket that listens, or the time at which it is opened again.
pub(super) struct Listening {
    address: SocketAddr,
    endpoint: Option<Endpoint>,
    pause: Duration,
    opened_at: Instant,
    open_at: Instant,
}

impl Listening {
    pub(super) fn new(endpoint: Endpoint, address: SocketAddr) -> Listening {
        Listening {
            address,
            endpoint: Some(endpoint),
            pause: PAUSE_MIN,
            opened_at: Instant::now(),
            open_at: Instant::now(),
        }
    }

    /// `None` while there is none.
    pub(super) fn endpoint(&self) -> Option<&Endpoint> {
        self.endpoint.as_ref()
    }

    /// Waits for the next who comes in; meanwhile it sees to it that there is a socket, and tells when there is none.
    /// May be dropped and called again.
    pub(super) async fn next(&mut self, shared: &Shared) -> Incoming {
        loop {
            match &self.endpoint {
                Some(endpoint) => match endpoint.accept().await {
                    Some(incoming) => return incoming,
                    // An error of the socket that quinn does not get over. Its connections end by themselves.
                    None => self.lost(shared),
                },
                None => {
                    tokio::time::sleep_until(self.open_at).await;
                    self.open(shared);
                }
            }
        }
    }

    fn lost(&mut self, shared: &Shared) {
        self.endpoint = None;
        if self.opened_at.elapsed() >= LIVED {
            self.pause = PAUSE_MIN;
        }
        self.rest();
        shared.tell(NetworkEvent::Trouble(Some(format!(
            "the system has taken away the socket at {} (UDP): it is opened again",
            self.address
        ))));
    }

    fn rest(&mut self) {
        self.open_at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    fn open(&mut self, shared: &Shared) {
        match bind(self.address).and_then(|socket| open(shared, socket)) {
            Ok(endpoint) => {
                self.endpoint = Some(endpoint);
                self.opened_at = Instant::now();
                shared.tell(NetworkEvent::Trouble(None));
            }
            Err(error) => {
                // Once, when it has stayed so.
                if self.pause == PAUSE_MAX {
                    let what = format!("the socket was taken away, and is not back: {error}");
                    tracing::warn!(%what, "network in trouble");
                }
                self.rest();
            }
        }
    }
}

/// Speaks QUIC on the socket.
pub(super) fn open(shared: &Shared, socket: UdpSocket) -> Result<Endpoint, NetworkError> {
    let settings = &shared.settings;
    // Who comes in is met with a configuration of its own; this one lets nobody in.
    let nobody = KeyVerifier::new(Arc::clone(&shared.provider), |_| false);
    let server = server_config(
        &settings.identity,
        &settings.limits,
        &shared.provider,
        nobody,
    )?;
    endpoint(socket, &settings.identity, settings.boot, server).map_err(|source| {
        NetworkError::Listen {
            address: settings.listen,
            source,
        }
    })
}

/// Whether an endpoint that only dials has lost its socket: then every dial from it fails.
pub(super) fn is_lost(endpoint: &Endpoint) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(
        pin!(endpoint.accept()).poll(&mut context),
        Poll::Ready(None)
    )
}
