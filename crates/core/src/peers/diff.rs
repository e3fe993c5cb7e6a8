//! What is different between two files of peers, peer by peer: a reload touches nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dataflow_ids::{Fingerprint, PeerId};

use super::PeerTarget;

/// A peer of a file. `C` is what it is said to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry<C> {
    /// Its name. No two of a file have the same.
    pub id: PeerId,
    /// Where it is, and how it is known.
    pub target: PeerTarget,
    /// What it is said to have.
    pub capabilities: C,
}

/// A part of a peer's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryPart {
    /// `address`.
    Address,
    /// `fingerprint`; the order of two is no difference.
    Fingerprint,
    /// `capabilities`.
    Capabilities,
}

/// What is different in a newer file. Each peer of either file is in exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeersDiff {
    /// In the newer file alone, in its order.
    pub added: Vec<PeerId>,
    /// In the older file alone, in its order.
    pub removed: Vec<PeerId>,
    /// In both, and different; in the order of the newer file. The parts are never empty.
    pub changed: Vec<(PeerId, Vec<EntryPart>)>,
    /// In both, and the same; in the order of the newer file.
    pub unchanged: Vec<PeerId>,
}

impl PeersDiff {
    /// Whether no peer is touched. (The order of the peers may be another one.)
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// Compares two files of peers, as they were checked: no id comes twice in one.
#[must_use]
pub fn diff<C: PartialEq>(before: &[PeerEntry<C>], after: &[PeerEntry<C>]) -> PeersDiff {
    let older = by_id(before);
    let newer = by_id(after);
    let mut diff = PeersDiff::default();
    for entry in after {
        let id = entry.id.clone();
        match older.get(&entry.id).map(|older| parts(older, entry)) {
            None => diff.added.push(id),
            Some(parts) if parts.is_empty() => diff.unchanged.push(id),
            Some(parts) => diff.changed.push((id, parts)),
        }
    }
    let is_gone = |entry: &&PeerEntry<C>| !newer.contains_key(&entry.id);
    diff.removed = (before.iter().filter(is_gone))
        .map(|entry| entry.id.clone())
        .collect();
    diff
}

fn by_id<C>(entries: &[PeerEntry<C>]) -> BTreeMap<&PeerId, &PeerEntry<C>> {
    entries.iter().map(|entry| (&entry.id, entry)).collect()
}

fn parts<C: PartialEq>(before: &PeerEntry<C>, after: &PeerEntry<C>) -> Vec<EntryPart> {
    let keys = |entry: &PeerEntry<C>| -> BTreeSet<Fingerprint> {
        entry.target.fingerprints.iter().copied().collect()
    };
    [
        (
            EntryPart::Address,
            before.target.address != after.target.address,
        ),
        (EntryPart::Fingerprint, keys(before) != keys(after)),
        (
            EntryPart::Capabilities,
            before.capabilities != after.capabilities,
        ),
    ]
    .into_iter()
    .filter_map(|(part, is_different)| is_different.then_some(part))
    .collect()
}

impl fmt::Display for EntryPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EntryPart::Address => "address",
            EntryPart::Fingerprint => "fingerprint",
            EntryPart::Capabilities => "capabilities",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, port: u16, keys: &[u8], memory_gb: u32) -> PeerEntry<u32> {
        PeerEntry {
            id: id.parse().unwrap(),
            target: PeerTarget {
                address: ([192, 168, 1, 10], port).into(),
                fingerprints: keys.iter().map(|key| Fingerprint([*key; 32])).collect(),
            },
            capabilities: memory_gb,
        }
    }

    fn ids(ids: &[&str]) -> Vec<PeerId> {
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    #[test]
    fn every_peer_is_added_removed_changed_or_unchanged() {
        let before = [
            entry("moved", 1, &[1], 8),
            entry("gone", 2, &[2], 8),
            entry("same", 3, &[3, 4], 8),
            entry("upgraded", 4, &[5], 8),
        ];
        let after = [
            entry("new", 9, &[9], 8),
            entry("upgraded", 4, &[6], 16),
            entry("same", 3, &[4, 3], 8),
            entry("moved", 2, &[1], 8),
        ];
        let found = diff(&before, &after);
        let expected = PeersDiff {
            added: ids(&["new"]),
            removed: ids(&["gone"]),
            changed: vec![
                (
                    "upgraded".parse().unwrap(),
                    vec![EntryPart::Fingerprint, EntryPart::Capabilities],
                ),
                ("moved".parse().unwrap(), vec![EntryPart::Address]),
            ],
            unchanged: ids(&["same"]),
        };
        assert_eq!(found, expected);
        assert!(!found.is_empty());
    }

    #[test]
    fn another_order_of_the_same_peers_touches_nobody() {
        let (one, two) = (entry("one", 1, &[1], 8), entry("two", 2, &[2], 8));
        let found = diff(&[one.clone(), two.clone()], &[two, one]);
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(found.unchanged, ids(&["two", "one"]));
    }
}
