//! Which peer a node runs on, and what is still free there (section 11 of the design).
//!
//! The ledger counts what was promised, never measured free memory, in integers only. Its decisions depend on
//! the peers, their capabilities and the reservations so far, not on the order in which peers became known.

use std::collections::BTreeMap;
use std::fmt;

use dataflow_ids::{NodeIndex, PeerId};

/// What a peer offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// Memory for nodes, in bytes.
    pub memory_bytes: u64,
    /// Logical processors.
    pub cpus: u32,
    /// Whether it has a GPU. Nodes share it.
    pub gpu: bool,
    /// What its owner says about it.
    pub labels: BTreeMap<String, String>,
}

/// What a node requires.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requirement {
    /// Memory for it alone, in bytes.
    pub memory_bytes: u64,
    /// Logical processors for it alone.
    pub cpus: u32,
    /// Whether it needs a GPU.
    pub gpu: bool,
    /// Labels that the peer must have.
    pub labels: BTreeMap<String, String>,
    /// The peer it must run on, if a person has chosen one.
    pub peer: Option<PeerId>,
}

/// Why a peer cannot take a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The node is pinned to another peer.
    PinnedElsewhere,
    /// Not enough memory is free.
    Memory {
        /// What the node requires, in bytes.
        required_bytes: u64,
        /// What is not promised yet, in bytes.
        free_bytes: u64,
    },
    /// Not enough processors are free.
    Cpus {
        /// What the node requires.
        required: u32,
        /// What is not promised yet.
        free: u32,
    },
    /// It has no GPU.
    NoGpu,
    /// It lacks a label, or has another value for it.
    Label {
        /// The label.
        label: String,
        /// What the node requires.
        required: String,
        /// What the peer has.
        found: Option<String>,
    },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::PinnedElsewhere => f.write_str("the node is pinned to another peer"),
            Obstacle::Memory {
                required_bytes,
                free_bytes,
            } => write!(
                f,
                "{required_bytes} bytes of memory are required, {free_bytes} are free"
            ),
            Obstacle::Cpus { required, free } => {
                write!(f, "{required} processors are required, {free} are free")
            }
            Obstacle::NoGpu => f.write_str("it has no GPU"),
            Obstacle::Label {
                label,
                required,
                found: Some(found),
            } => write!(f, "its label `{label}` is `{found}`, not `{required}`"),
            Obstacle::Label {
                label,
                required,
                found: None,
            } => write!(f, "it has no label `{label}` (`{required}` is required)"),
        }
    }
}

/// No peer can take a node: every peer with all of its reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no peer can take it{}", list(obstacles))]
pub struct Infeasible {
    /// What stands in the way, by peer. Empty when there are no peers.
    pub obstacles: BTreeMap<PeerId, Vec<Obstacle>>,
}

fn list(obstacles: &BTreeMap<PeerId, Vec<Obstacle>>) -> String {
    if obstacles.is_empty() {
        return ": there are none".into();
    }
    obstacles
        .iter()
        .map(|(peer, obstacles)| {
            let reasons: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
            format!("; {peer}: {}", reasons.join(", "))
        })
        .collect()
}

/// What each peer offers and what was promised of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    peers: BTreeMap<PeerId, Capabilities>,
    reservations: BTreeMap<NodeIndex, Reservation>,
}

/// What was promised to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Where.
    pub peer: PeerId,
    /// What.
    pub requirement: Requirement,
}

impl Ledger {
    /// A ledger of these peers, with nothing promised. Of two with one name the later counts.
    #[must_use]
    pub fn new(peers: impl IntoIterator<Item = (PeerId, Capabilities)>) -> Self {
        Ledger {
            peers: peers.into_iter().collect(),
            reservations: BTreeMap::new(),
        }
    }

    /// What is not promised yet on a peer; `None` for an unknown one.
    #[must_use]
    pub fn free(&self, peer: &PeerId) -> Option<Capabilities> {
        let mut free = self.peers.get(peer)?.clone();
        for reservation in self.reservations.values().filter(|it| it.peer == *peer) {
            let required = &reservation.requirement;
            free.memory_bytes = free.memory_bytes.saturating_sub(required.memory_bytes);
            free.cpus = free.cpus.saturating_sub(required.cpus);
        }
        Some(free)
    }

    /// What was promised to a node.
    #[must_use]
    pub fn reservation(&self, node: NodeIndex) -> Option<&Reservation> {
        self.reservations.get(&node)
    }

    /// Promises a node what it requires, on the peer that has the most memory free among those that can take
    /// it, then the most processors, then the first by name. Asking again for the same gives the same peer.
    ///
    /// # Errors
    ///
    /// [`Infeasible`] with every peer's obstacles; what the node had before stays promised.
    pub fn reserve(
        &mut self,
        node: NodeIndex,
        requirement: Requirement,
    ) -> Result<PeerId, Infeasible> {
        let before = self.reservations.remove(&node);
        if let Some(known) = &before
            && known.requirement == requirement
        {
            let peer = known.peer.clone();
            self.reservations.extend(before.map(|it| (node, it)));
            return Ok(peer);
        }
        let mut best: Option<(u64, u32, &PeerId)> = None;
        let mut obstacles = BTreeMap::new();
        for peer in self.peers.keys() {
            let Some(free) = self.free(peer) else {
                continue;
            };
            let found = obstacles_of(peer, &free, &requirement);
            if !found.is_empty() {
                obstacles.insert(peer.clone(), found);
            } else if best
                .is_none_or(|(memory, cpus, _)| (free.memory_bytes, free.cpus) > (memory, cpus))
            {
                best = Some((free.memory_bytes, free.cpus, peer));
            }
        }
        match best {
            Some((_, _, peer)) => {
                let peer = peer.clone();
                let reservation = Reservation {
                    peer: peer.clone(),
                    requirement,
                };
                self.reservations.insert(node, reservation);
                Ok(peer)
            }
            None => {
                self.reservations.extend(before.map(|it| (node, it)));
                Err(Infeasible { obstacles })
            }
        }
    }

    /// Takes back what was promised to a node. Releasing twice changes nothing.
    pub fn release(&mut self, node: NodeIndex) -> Option<Reservation> {
        self.reservations.remove(&node)
    }
}

fn obstacles_of(peer: &PeerId, free: &Capabilities, requirement: &Requirement) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if requirement
        .peer
        .as_ref()
        .is_some_and(|pinned| pinned != peer)
    {
        obstacles.push(Obstacle::PinnedElsewhere);
    }
    if requirement.memory_bytes > free.memory_bytes {
        obstacles.push(Obstacle::Memory {
            required_bytes: requirement.memory_bytes,
            free_bytes: free.memory_bytes,
        });
    }
    if requirement.cpus > free.cpus {
        obstacles.push(Obstacle::Cpus {
            required: requirement.cpus,
            free: free.cpus,
        });
    }
    if requirement.gpu && !free.gpu {
        obstacles.push(Obstacle::NoGpu);
    }
    for (label, required) in &requirement.labels {
        let found = free.labels.get(label);
        if found != Some(required) {
            obstacles.push(Obstacle::Label {
                label: label.clone(),
                required: required.clone(),
                found: found.cloned(),
            });
        }
    }
    obstacles
}
