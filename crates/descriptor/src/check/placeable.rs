//! Whether a node has a place on the peers of a file.

use dataflow_ids::PeerId;

use super::fields::list;
use super::{Checker, Report};
use crate::diagnostic::Place;
use crate::nearest::nearest;
use crate::peers::Peer;
use crate::yaml::shortened;
use crate::{Code, Requirement};

/// Peers that a help line names at most.
const LISTED_MAX: usize = 5;

const GB_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;

impl Checker<'_> {
    /// Compares what a node asks for with what the peers declare; `owner` names the node. What a peer does not say, it
    /// may have.
    pub(super) fn placeable(
        &mut self,
        owner: &str,
        peer: Option<&(PeerId, Place)>,
        requires: Option<(&Requirement, Place)>,
    ) {
        let Some(peers) = self.peers else {
            return;
        };
        let mut candidates: Vec<&Peer> = peers.peers.iter().collect();
        if let Some((id, place)) = peer {
            candidates.retain(|peer| peer.id == *id);
            if candidates.is_empty() {
                let ids: Vec<&str> = peers.peers.iter().map(|it| it.id.as_str()).collect();
                let help = match nearest(id.as_str(), ids.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("its peers are {}", several(&ids)),
                };
                self.report(
                    Report::error(
                        Code::UnknownPeer,
                        *place,
                        format!(
                            "{owner} is pinned to the peer `{id}`, which {} does not have",
                            peers.file.display()
                        ),
                    )
                    .help(help),
                );
                return;
            }
        }
        let Some((requires, place)) = requires else {
            return;
        };
        let obstacles: Vec<String> = (candidates.iter())
            .filter_map(|peer| {
                let obstacle = obstacle(peer, requires)?;
                Some(format!("`{}` {obstacle}", peer.id))
            })
            .collect();
        if obstacles.len() < candidates.len() {
            return;
        }
        let more = match obstacles.len().saturating_sub(LISTED_MAX) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        self.report(
            Report::error(
                Code::NoPeerCanTake,
                place,
                match peer {
                    Some((id, _)) => {
                        format!("{owner} is pinned to `{id}`, which has not what it requires")
                    }
                    None => format!("no peer has what {owner} requires"),
                },
            )
            .help(format!(
                "{}{more}",
                obstacles[..obstacles.len().min(LISTED_MAX)].join("; ")
            )),
        );
    }
}

/// Why the peer cannot take it: all reasons in a few words.
fn obstacle(peer: &Peer, requires: &Requirement) -> Option<String> {
    let has = &peer.capabilities;
    let mut obstacles = Vec::new();
    if let Some(memory) = has.memory_bytes.filter(|it| *it < requires.memory_bytes) {
        obstacles.push(format!(
            "has {} of {} GB of memory",
            gigabytes(memory),
            gigabytes(requires.memory_bytes)
        ));
    }
    if requires.gpu && has.gpu == Some(false) {
        obstacles.push("has no GPU".to_owned());
    }
    for (label, wanted) in &requires.labels {
        match has.labels.get(label) {
            Some(found) if found == wanted => (),
            Some(found) => obstacles.push(format!(
                "has the label `{}: {}`, not `{}`",
                shortened(label),
                shortened(found),
                shortened(wanted)
            )),
            None => obstacles.push(format!(
                "has no label `{}: {}`",
                shortened(label),
                shortened(wanted)
            )),
        }
    }
    (!obstacles.is_empty()).then(|| obstacles.join(" and "))
}

/// `0.5`, `16`: at most two digits after the point.
fn gigabytes(bytes: u64) -> f64 {
    (bytes as f64 / GB_BYTES * 100.0).round() / 100.0
}

fn several(ids: &[&str]) -> String {
    let shown = list(&ids[..ids.len().min(LISTED_MAX)]);
    match ids.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}
