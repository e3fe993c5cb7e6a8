//! How all peers stand at one moment, for whoever looks: it enters no actor.

use dataflow_descriptor as descriptor;
use dataflow_ids::PeerState;
use dataflow_wire::peers::{Offer, PeerStatus, PeersStatus};

use super::entry::Entry;
use super::keeper::Keeper;
use super::links::address;
use super::remedy::remedy;

/// Everything at this moment.
pub(super) fn status(keeper: &Keeper) -> PeersStatus {
    let (about, settings) = (keeper.about(), keeper.settings());
    let mut warnings = settings.warnings.clone();
    warnings.extend(settings.trouble.clone());
    if settings.address != settings.address_at_start {
        warnings.push(format!(
            "the file says now that this agent listens on {}: restart it to let it do so",
            settings.address
        ));
    }
    let entries = keeper.entries();
    let peers = entries.iter().map(|entry| of(keeper, entry));
    PeersStatus {
        this: about.this.clone(),
        address: about.listens,
        fingerprint: about.fingerprint,
        boot: about.boot,
        version: about.version.clone(),
        up_for: keeper.now().0,
        cluster: settings.cluster.clone(),
        found: about.found.clone(),
        declared: settings.declared.clone(),
        file: settings.file.clone(),
        file_problem: settings.file_problem.clone(),
        warnings,
        peers: peers.collect(),
    }
}

/// One peer.
fn of(keeper: &Keeper, entry: &Entry) -> PeerStatus {
    let (said, standing, links) = (entry.said(), entry.standing(), entry.links());
    let condition = &standing.condition;
    let link = entry.link();
    let reading = link.and_then(|link| keeper.network().reading(link));
    let link = link.and_then(|link| links.get(link));
    let (state, because, remedy) = match &standing.broken {
        None => {
            let reason = &condition.reason;
            let remedy = remedy(&keeper.about().this, &said, reason);
            (condition.state, reason.to_string(), remedy)
        }
        Some(what) => {
            let because = format!("its actor here panicked, and begins anew: {what}");
            let remedy = "this is a fault of dataflow: please report it".to_owned();
            (PeerState::Degraded, because, Some(remedy))
        }
    };
    PeerStatus {
        peer: entry.peer().clone(),
        address: said.address,
        fingerprints: said.fingerprints.clone(),
        state,
        state_for: keeper.now().since(condition.since),
        because,
        remedy,
        transitions: standing.transitions,
        round_trip: link.and_then(|link| {
            let of_transport = reading.as_ref().map(|reading| reading.round_trip);
            link.round_trip().or(of_transport)
        }),
        loss_ppm: (link.zip(reading.as_ref())).map(|(link, reading)| link.loss_ppm(reading)),
        connected: link.map(|link| address(link, reading.as_ref())),
        declared: offer(&said.capabilities),
        found: standing.known.as_ref().map(|it| it.offer.clone()),
        version: standing.known.as_ref().map(|it| it.version.clone()),
        boot: standing.known.as_ref().map(|it| it.boot),
    }
}

/// What the file says that a machine has.
pub(super) fn offer(capabilities: &descriptor::PeerCapabilities) -> Offer {
    Offer {
        memory_bytes: capabilities.memory_bytes,
        cpus: capabilities.cpus,
        gpu: capabilities.gpu,
        labels: capabilities.labels.clone(),
    }
}
