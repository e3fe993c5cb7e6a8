//! The fake Hub itself: its listeners, and what tests ask it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;

use super::connection;
use super::fault::{Attempts, Fault, Place};
use super::record::{Listener, Request, Stage};
use super::repository::Repository;
use super::settings::{Encryption, Settings};
use super::shared::{Addresses, Shared};
use super::tls::{Identity, TlsError};

/// The CDN is on another host, not only on another port: there are clients that look at the host alone. The whole of
/// 127.0.0.0/8 is loopback.
const CDN_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A Hub on loopback, on threads of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeHub {
    shared: Arc<Shared>,
    authority: Option<String>,
    listening: Vec<(SocketAddr, JoinHandle<()>)>,
}

/// A fake Hub cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum FakeHubError {
    /// There is no port, or no thread.
    #[error("cannot listen on loopback: {0}")]
    Listen(#[from] io::Error),
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl FakeHub {
    /// A Hub that has these repositories, as [`Settings::default`] says.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub fn start(
        repositories: impl IntoIterator<Item = Repository>,
    ) -> Result<FakeHub, FakeHubError> {
        FakeHub::start_with(Settings::default(), repositories)
    }

    /// A Hub that has these repositories.
    ///
    /// # Errors
    ///
    /// When it cannot listen, or cannot make a certificate.
    pub fn start_with(
        settings: Settings,
        repositories: impl IntoIterator<Item = Repository>,
    ) -> Result<FakeHub, FakeHubError> {
        let identity = match settings.encryption {
            Encryption::Plain => None,
            Encryption::Tls => Some(Identity::new()?),
        };
        let hub = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))?;
        let cdn = TcpListener::bind((CDN_ADDRESS, 0))?;
        let plain = TcpListener::bind((CDN_ADDRESS, 0))?;
        let scheme = if identity.is_some() { "https" } else { "http" };
        let addresses = Addresses {
            hub: format!("{scheme}://{}", hub.local_addr()?),
            cdn: format!("{scheme}://{}", cdn.local_addr()?),
            plain: format!("http://{}", plain.local_addr()?),
        };
        let shared = Arc::new(Shared::new(
            settings,
            addresses,
            repositories.into_iter().collect(),
        ));
        let tls = identity.as_ref().map(|identity| &identity.server);
        // Should a thread be missing, those that are there end with the half that drops.
        let mut fake = FakeHub {
            shared,
            authority: identity.as_ref().map(|identity| identity.authority.clone()),
            listening: Vec::new(),
        };
        fake.listen(Listener::Hub, hub, tls)?;
        fake.listen(Listener::Cdn, cdn, tls)?;
        fake.listen(Listener::Plain, plain, None)?;
        Ok(fake)
    }

    fn listen(
        &mut self,
        listener: Listener,
        socket: TcpListener,
        tls: Option<&Arc<ServerConfig>>,
    ) -> io::Result<()> {
        let address = socket.local_addr()?;
        let (shared, tls) = (Arc::clone(&self.shared), tls.cloned());
        let thread = thread::Builder::new()
            .name(format!("fake-hub {listener:?}"))
            .spawn(move || accept(&shared, listener, &socket, tls.as_ref()))?;
        self.listening.push((address, thread));
        Ok(())
    }

    /// What `HF_ENDPOINT` must be: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.shared.addresses.hub.clone()
    }

    /// Where large files come from: `http://127.0.0.2:PORT`.
    #[must_use]
    pub fn cdn(&self) -> String {
        self.shared.addresses.cdn.clone()
    }

    /// The CDN without encryption, which serves the same: `http://127.0.0.2:PORT`. No client may be led to it from
    /// `https`.
    #[must_use]
    pub fn plain(&self) -> String {
        self.shared.addresses.plain.clone()
    }

    /// The certificate of the authority that whoever asks must trust, as PEM: write it to a file, and let
    /// `SSL_CERT_FILE` name that. `None` without encryption.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// From now on it has this repository, in the place of one that has its kind and name.
    pub fn put(&self, repository: Repository) {
        let key = (repository.kind, repository.name.clone());
        self.shared
            .change(|state| state.repositories.insert(key, repository));
    }

    /// All requests that came, in their order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().records.requests.clone()
    }

    /// The requests that asked for the content of a file, in their order: one for each transfer of it.
    #[must_use]
    pub fn transfers(&self, path: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|request| {
            request.stage == Stage::Content
                && request.method == "GET"
                && request.file.as_deref() == Some(path)
        });
        requests
    }

    /// How many bytes of a file were sent, all transfers together: the bodies of answers with 200 or 206. What a client
    /// that has gone did not read is among them, as far as the system took it.
    #[must_use]
    pub fn sent_bytes(&self, path: &str) -> u64 {
        let mut transfers = self.transfers(path);
        transfers.retain(|request| matches!(request.status, Some(200 | 206)));
        transfers.iter().map(|request| request.sent_bytes).sum()
    }

    /// The most contents of files that were on their way at the same time: from when the first byte of one is about to
    /// leave until its last one is.
    #[must_use]
    pub fn transfers_at_once_max(&self) -> usize {
        self.shared.state().records.transfers_at_once_max
    }

    /// What clients did that none may do: a token or a cookie at the CDN. Empty, when all is well.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.state().records.violations.clone()
    }

    /// How many connections a listener has accepted.
    #[must_use]
    pub fn connections(&self, listener: Listener) -> u64 {
        let state = self.shared.state();
        state
            .records
            .connections
            .get(&listener)
            .copied()
            .unwrap_or(0)
    }

    /// Waits until the requests that came are as wanted; `false` when they are not after `limit`. It blocks the
    /// thread, so tests on a runtime of one thread call it on another one.
    pub fn wait_until(&self, limit: Duration, is_so: impl Fn(&[Request]) -> bool) -> bool {
        self.shared
            .wait_until(limit, |state| is_so(&state.records.requests))
    }

    /// Lets something go wrong: `hub.script("model.safetensors", 1, Fault::NoHttp)` spoils the first transfer of a
    /// file, `hub.script(Stage::Tree, 2.., …)` each page of a listing but the first, `hub.script(Place::Anywhere, ..,
    /// Fault::Mute)` everything. What is said for one request more than once all happens, in the order in which it
    /// was said.
    pub fn script(&self, place: impl Into<Place>, attempts: impl Into<Attempts>, fault: Fault) {
        let (place, attempts) = (place.into(), attempts.into());
        self.shared
            .change(|state| state.script.add(place, attempts, fault));
    }

    /// From now on nothing goes wrong any more, and attempts are counted from 1 again.
    pub fn clear_script(&self) {
        self.shared.change(|state| state.script.clear());
    }

    /// Answers that are silent because of a [`Fault::Stall`] go on, and those that will be, if their requests have
    /// come already.
    pub fn release(&self) {
        self.shared.release();
    }

    /// No link to the CDN that was given out so far works any more.
    pub fn expire_links(&self) {
        self.shared.change(super::shared::State::expire_links);
    }

    /// How fast each answer is sent from now on, at most, in bytes a second. Answers that are on their way heed it.
    pub fn throttle(&self, bytes_per_second: Option<u64>) {
        self.shared
            .change(|state| state.bytes_per_second = bytes_per_second);
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.shared.stop();
        for (address, thread) in self.listening.drain(..) {
            // Wakes it; if nobody can connect, it has ended.
            let _ = TcpStream::connect(address);
            let _ = thread.join();
        }
    }
}

/// Accepts connections until the Hub ends.
fn accept(
    shared: &Arc<Shared>,
    listener: Listener,
    socket: &TcpListener,
    tls: Option<&Arc<ServerConfig>>,
) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    // An error is the end of a client that did not wait, or of our descriptors; neither is the listener's.
    while let Ok((stream, _)) = socket.accept() {
        let Some(number) = shared.connected(&stream) else {
            break;
        };
        shared.change(|state| {
            *state.records.connections.entry(listener).or_default() += 1;
        });
        let (shared, tls) = (Arc::clone(shared), tls.cloned());
        let thread = thread::Builder::new()
            .name(format!("fake-hub {number}"))
            .spawn(move || {
                // A client that goes in the middle of something is nothing that the Hub could mend.
                let _ = connection::serve(&shared, listener, number, stream, tls.as_ref());
                shared.disconnected(number);
            });
        threads.retain(|thread| !thread.is_finished());
        threads.extend(thread);
    }
    for thread in threads {
        let _ = thread.join();
    }
}
