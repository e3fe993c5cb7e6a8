//! What the fake Hub has seen and sent, for tests to look at.

use std::collections::BTreeMap;

use super::fault::Fault;

/// Which of the listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// What `HF_ENDPOINT` names: the only one that may see a token.
    Hub,
    /// Where large files come from.
    Cdn,
    /// Where large files come from without encryption, when everything else is encrypted.
    Plain,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// A repository: `/api/models/…` and `…/revision/…`.
    Information,
    /// The files of a repository: `…/tree/…`.
    Tree,
    /// Where a file is: `/…/resolve/…`.
    Resolve,
    /// A file itself: from the hub for small ones, from the CDN for large ones.
    Content,
    /// Anything else.
    Other,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who heard it.
    pub listener: Listener,
    /// The number of its connection: requests with the same one came one after the other on it.
    pub connection: u64,
    /// `GET`, `HEAD`, …
    pub method: String,
    /// The path and the query, percent-encoded.
    pub target: String,
    /// In their order; the names in lower case.
    pub headers: Vec<(String, String)>,
    /// What it asks for.
    pub stage: Stage,
    /// Which file it is about, as its path in the repository.
    pub file: Option<String>,
    /// The status that was answered. `None`: nothing yet, or nothing at all.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were given to the system to send. What the client has not read is among them.
    pub sent_bytes: u64,
    /// Whether its answer is silent in the middle because of a [`Fault::Stall`]: all of `sent_bytes` has left then.
    pub is_silent: bool,
    /// What went wrong with the answer, because a test wanted it.
    pub faults: Vec<Fault>,
}

impl Request {
    /// The value of a header, whose name is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(have, _)| have == name)?;
        Some(value)
    }

    /// The first byte that its `Range` asks for; 0 without one.
    #[must_use]
    pub fn range_start(&self) -> u64 {
        self.header("range")
            .and_then(|value| value.strip_prefix("bytes="))
            .and_then(|value| value.split('-').next())
            .and_then(|first| first.parse().ok())
            .unwrap_or(0)
    }
}

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) requests: Vec<Request>,
    pub(super) violations: Vec<String>,
    /// How many connections each listener has accepted.
    pub(super) connections: BTreeMap<Listener, u64>,
    /// How many contents are on their way.
    transfers_now: usize,
    /// The most that ever were.
    pub(super) transfers_at_once_max: usize,
}

impl Records {
    /// Notes a request, and what it does that no client may do. Returns its place.
    pub(super) fn note(&mut self, request: Request) -> usize {
        for secret in ["authorization", "cookie"] {
            if request.listener != Listener::Hub && request.header(secret).is_some() {
                self.violations.push(format!(
                    "`{secret}` came to {:?}: {} {}",
                    request.listener, request.method, request.target
                ));
            }
        }
        self.requests.push(request);
        self.requests.len() - 1
    }

    /// A content is on its way.
    pub(super) fn transfer_begins(&mut self) {
        self.transfers_now += 1;
        self.transfers_at_once_max = self.transfers_at_once_max.max(self.transfers_now);
    }

    /// It has been sent, or nobody takes it any more.
    pub(super) fn transfer_ends(&mut self) {
        self.transfers_now -= 1;
    }
}
