//! One entry of `peers`.

use dataflow_ids::PeerId;

use super::Seen;
use super::capabilities::CapabilityPlaces;
use crate::Code;
use crate::check::fields::Schema;
use crate::check::{Checker, Report};
use crate::diagnostic::Place;
use crate::peers::Peer;
use crate::yaml::{Value, shortened};

const SCHEMA: Schema = Schema {
    known: &["id", "address", "fingerprint", "capabilities"],
    reserved: &[],
    foreign: &[
        ("name", "a peer's name is its `id`"),
        (
            "host",
            "write IP and port together: `address: \"192.168.1.10:50051\"`",
        ),
        (
            "ip",
            "write IP and port together: `address: \"192.168.1.10:50051\"`",
        ),
        (
            "port",
            "write IP and port together: `address: \"192.168.1.10:50051\"`",
        ),
        (
            "fingerprints",
            "write `fingerprint`, with one or a list of two",
        ),
        ("key", "write `fingerprint: \"sha256:…\"`"),
        ("public_key", "write `fingerprint: \"sha256:…\"`"),
        ("memory_gb", "it stands below `capabilities`"),
        ("cpus", "it stands below `capabilities`"),
        ("gpu", "it stands below `capabilities`"),
        ("labels", "they stand below `capabilities`"),
        (
            "health_check",
            "it is the same for all peers, and stands beside `peers`",
        ),
        (
            "cluster",
            "it is the same for all peers, and stands beside `peers`",
        ),
    ],
};

const FIRST_PEER_HELP: &str =
    "a peer is written `- id: node1`, with `address: \"192.168.1.10:50051\"` below it";

/// A peer and where it is written.
pub(super) struct DraftPeer {
    pub(super) peer: Peer,
    /// Its `id`.
    pub(super) id_place: Place,
    /// Its `address`.
    pub(super) address_place: Place,
    /// What it declares, by key.
    pub(super) capability_places: CapabilityPlaces,
}

impl Checker<'_> {
    /// A peer; `None` when something in it is wrong that cannot be left out.
    pub(super) fn peer(
        &mut self,
        value: &Value,
        index: usize,
        seen: &mut Seen,
    ) -> Option<DraftPeer> {
        // People count from 1.
        let unnamed = format!("peer {}", index + 1);
        let entries = self.entries(value, &unnamed, FIRST_PEER_HELP)?;
        let called = entries
            .iter()
            .find(|(key, _)| key.as_text() == Some("id"))
            .and_then(|(_, value)| value.as_text());
        let owner = match called {
            Some(id) => format!("the peer `{}`", shortened(id)),
            None => unnamed,
        };
        let place = entries.first().map_or(value.place, |(key, _)| key.place);
        let fields = self.fields(entries, &owner, place, &SCHEMA);

        let id = self
            .required(&fields, "id", &owner, FIRST_PEER_HELP)
            .and_then(|value| {
                let id = self.name(value, &format!("`id` of {owner}"), PeerId::new)?;
                if let Some(first) = seen.ids.get(&id) {
                    self.report(
                        Report::error(
                            Code::DuplicatePeer,
                            value.used_at,
                            format!("two peers have the id `{id}`"),
                        )
                        .related(*first, "the first is here")
                        .help("give one of them another `id`"),
                    );
                } else {
                    seen.ids.insert(id.clone(), value.used_at);
                }
                Some((id, value.used_at))
            });
        let address = self
            .required(
                &fields,
                "address",
                &owner,
                "say where its agent listens: `address: \"192.168.1.10:50051\"`",
            )
            .and_then(|value| {
                let address = self.peer_address(value, &owner, seen)?;
                Some((address, value.used_at))
            });
        let fingerprints = fields
            .get("fingerprint")
            .map(|value| self.fingerprints(value, &owner, id.as_ref().map(|(id, _)| id), seen))
            .unwrap_or_default();
        if fields.get("fingerprint").is_none()
            && let (Some((id, _)), Some((address, _))) = (&id, &address)
            && !address.ip().is_loopback()
        {
            self.report(
                Report::warning(
                    Code::NoFingerprint,
                    place,
                    format!("{owner} has no `fingerprint`, so nobody will take it"),
                )
                .help(format!(
                    "`dataflow peers pin {id}` asks it for its key, and records it here"
                )),
            );
        }
        let (capabilities, capability_places) = fields
            .get("capabilities")
            .map(|value| self.capabilities(value, &owner))
            .unwrap_or_default();
        let (id, id_place) = id?;
        let (address, address_place) = address?;
        Some(DraftPeer {
            peer: Peer {
                id,
                address,
                fingerprints,
                capabilities,
            },
            id_place,
            address_place,
            capability_places,
        })
    }
}
