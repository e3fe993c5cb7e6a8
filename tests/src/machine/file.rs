//! The text of a `peers.yaml`.

use std::fmt;
use std::net::SocketAddr;

/// A file of peers, to be written and changed by a test.
#[derive(Debug, Clone, Default)]
pub struct PeersFile {
    /// The value of `health_check`, in braces; the defaults if it is empty.
    pub health_check: &'static str,
    /// In the order of the file.
    pub entries: Vec<PeerEntry>,
}

impl PeersFile {
    /// For tests that must see no change of a peer: a machine that is slow is given time.
    pub const STEADY: &'static str = "{ interval: 5s, timeout: 5s, unreachable_after: 3 }";

    /// For tests that wait until a peer is found to be gone.
    pub const EAGER: &'static str = "{ interval: 2s, timeout: 2s, unreachable_after: 3 }";

    /// The entry of that peer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn entry(&mut self, id: &str) -> &mut PeerEntry {
        let found = self.entries.iter_mut().find(|entry| entry.id == id);
        found.unwrap_or_else(|| panic!("no entry {id}"))
    }

    /// The same without that peer.
    #[must_use]
    pub fn without(&self, id: &str) -> PeersFile {
        let mut file = self.clone();
        file.entries.retain(|entry| entry.id != id);
        file
    }
}

/// One peer of the file.
#[derive(Debug, Clone)]
pub struct PeerEntry {
    /// Its id.
    pub id: String,
    /// Where it is said to be.
    pub address: SocketAddr,
    /// The keys that are said to be its.
    pub fingerprints: Vec<String>,
    /// The value of `capabilities`, in braces; none if it is empty.
    pub capabilities: &'static str,
}

impl PeerEntry {
    /// The same peer somewhere else.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> PeerEntry {
        PeerEntry {
            address,
            ..self.clone()
        }
    }
}

impl fmt::Display for PeersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.health_check.is_empty() {
            writeln!(f, "health_check: {}", self.health_check)?;
        }
        writeln!(f, "peers:")?;
        for entry in &self.entries {
            writeln!(f, "  - id: {:?}", entry.id)?;
            writeln!(f, "    address: \"{}\"", entry.address)?;
            if !entry.fingerprints.is_empty() {
                writeln!(f, "    fingerprint: {:?}", entry.fingerprints)?;
            }
            if !entry.capabilities.is_empty() {
                writeln!(f, "    capabilities: {}", entry.capabilities)?;
            }
        }
        Ok(())
    }
}
