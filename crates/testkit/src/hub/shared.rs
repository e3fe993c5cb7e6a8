//! What all threads of the fake Hub share: its repositories, its links, what it has seen, and whether it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dataflow_ids::RepoKind;

use super::record::Listener;
use super::record::Records;
use super::repository::{Repository, StoredFile};
use super::script::Script;
use super::settings::Settings;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// What all threads share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) addresses: Addresses,
    state: Mutex<State>,
    /// Something in `state` is another than before.
    changed: Condvar,
}

/// Where the listeners are: the beginnings of their addresses, without a slash at the end.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) hub: String,
    pub(super) cdn: String,
    /// The CDN without encryption.
    pub(super) plain: String,
}

impl Addresses {
    /// Where a listener is.
    pub(super) fn of(&self, listener: Listener) -> &str {
        match listener {
            Listener::Hub => &self.hub,
            Listener::Cdn => &self.cdn,
            Listener::Plain => &self.plain,
        }
    }
}

/// What changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) repositories: BTreeMap<(RepoKind, String), Repository>,
    /// Each link to the CDN that was given out; its place is its signature.
    pub(super) links: Vec<Link>,
    pub(super) records: Records,
    pub(super) script: Script,
    /// How fast each answer is sent, at most.
    pub(super) bytes_per_second: Option<u64>,
    connections: BTreeMap<u64, TcpStream>,
    last_connection: u64,
    /// Requests before this place in the records are not silent any more.
    released: usize,
    is_stopped: bool,
}

/// A link to the CDN.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// The file's path in its repository.
    pub(super) path: String,
    pub(super) file: Arc<StoredFile>,
    given_at: Instant,
    is_expired: bool,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        addresses: Addresses,
        repositories: Vec<Repository>,
    ) -> Shared {
        let state = State {
            bytes_per_second: settings.bytes_per_second,
            repositories: repositories
                .into_iter()
                .map(|repository| ((repository.kind, repository.name.clone()), repository))
                .collect(),
            ..State::default()
        };
        Shared {
            settings,
            addresses,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// To look at the state. Whoever panicked with it has not left it half changed.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and tells those who wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_all();
        result
    }

    /// Waits until the state is as wanted, or `limit` is over. `false` then, and when the Hub ends.
    pub(super) fn wait_until(&self, limit: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if is_so(&state) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_stopped {
                return false;
            }
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Waits for `time`. `false` when the Hub ends before.
    pub(super) fn rest(&self, time: Duration) -> bool {
        !self.wait_until(time, |state| state.is_stopped) && !self.state().is_stopped
    }

    /// Waits until the Hub ends.
    pub(super) fn wait_for_the_end(&self) {
        while self.rest(LONG) {}
    }

    /// Waits until a request is told to go on. `false` when the Hub ends before.
    pub(super) fn wait_for_release(&self, record: usize) -> bool {
        self.wait_until(LONG, |state| state.released > record || state.is_stopped)
            && !self.state().is_stopped
    }

    /// The requests that came until now go on, also those that are about to fall silent.
    pub(super) fn release(&self) {
        self.change(|state| state.released = state.records.requests.len());
    }

    /// A connection begins. `None` when the Hub ends.
    pub(super) fn connected(&self, stream: &TcpStream) -> Option<u64> {
        self.change(|state| {
            if state.is_stopped {
                return None;
            }
            state.last_connection += 1;
            let number = state.last_connection;
            state.connections.insert(number, stream.try_clone().ok()?);
            Some(number)
        })
    }

    /// A connection has ended.
    pub(super) fn disconnected(&self, connection: u64) {
        self.change(|state| state.connections.remove(&connection));
    }

    /// The Hub ends: everybody who waits or reads is woken.
    pub(super) fn stop(&self) {
        self.change(|state| {
            state.is_stopped = true;
            for stream in state.connections.values() {
                // One that has gone already needs no goodbye.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

impl State {
    /// All tokens that mean somebody.
    pub(super) fn tokens(&self, settings: &Settings) -> BTreeSet<String> {
        self.repositories
            .values()
            .flat_map(Repository::tokens)
            .chain(&settings.tokens)
            .cloned()
            .collect()
    }

    /// Gives out a link to a file at the CDN: its number.
    pub(super) fn give_link(&mut self, path: &str, file: &Arc<StoredFile>) -> usize {
        self.links.push(Link {
            path: path.to_owned(),
            file: Arc::clone(file),
            given_at: Instant::now(),
            is_expired: false,
        });
        self.links.len() - 1
    }

    /// A link works no more.
    pub(super) fn expire_link(&mut self, number: usize) {
        if let Some(link) = self.links.get_mut(number) {
            link.is_expired = true;
        }
    }

    /// No link that was given out so far works any more.
    pub(super) fn expire_links(&mut self) {
        for link in &mut self.links {
            link.is_expired = true;
        }
    }
}

impl Link {
    /// Whether it works no more.
    pub(super) fn is_expired(&self, lifetime: Option<Duration>) -> bool {
        self.is_expired || lifetime.is_some_and(|lifetime| self.given_at.elapsed() >= lifetime)
    }
}
