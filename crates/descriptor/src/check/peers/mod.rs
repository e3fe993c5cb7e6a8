//! A file of peers: its root and its list. One peer stands in `peer`, with `address`, `fingerprint` and `capabilities`.

mod address;
mod capabilities;
mod fingerprint;
mod health_check;
mod peer;
mod topology;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use dataflow_ids::{ClusterName, Fingerprint, PeerId};

use peer::DraftPeer;

use super::fields::Schema;
use super::{Checker, Report};
use crate::diagnostic::Place;
use crate::limits::PEERS_MAX;
use crate::peers::{Peer, Peers, ThisMachine};
use crate::yaml::{Kind, Value};
use crate::{Code, HealthCheck};

const SCHEMA: Schema = Schema {
    known: &["cluster", "health_check", "peers"],
    reserved: &[],
    foreign: &[
        ("peer", "did you mean `peers`? It is a list"),
        (
            "nodes",
            "nodes are in a dataflow's file; machines are listed below `peers`",
        ),
        ("machines", "machines are listed below `peers`"),
        ("hosts", "machines are listed below `peers`"),
        ("name", "the name of all peers together is `cluster`"),
        ("health", "write `health_check`"),
        ("interval", "it stands below `health_check`"),
        ("timeout", "it stands below `health_check`"),
        ("unreachable_after", "it stands below `health_check`"),
    ],
};

const PEERS_HELP: &str = "a file of peers has `peers:`, a list, with `- id: node1` and `address: \"192.168.1.10:50051\"` \
                          below it";

/// The cluster of a file that names none.
const CLUSTER_DEFAULT: &str = "default";

/// What each peer must have for itself, and where it was first.
#[derive(Default)]
struct Seen {
    ids: BTreeMap<PeerId, Place>,
    addresses: BTreeMap<SocketAddr, Place>,
    hosts: BTreeMap<IpAddr, (String, Place)>,
    fingerprints: BTreeMap<Fingerprint, Place>,
}

impl Checker<'_> {
    /// The peers of a file; `None` when something that cannot be left out is wrong.
    pub(crate) fn peers(
        &mut self,
        root: &Value,
        machine: Option<&ThisMachine<'_>>,
    ) -> Option<Peers> {
        let what = "the file of peers";
        let entries = self.entries(root, what, PEERS_HELP)?;
        let fields = self.fields(entries, what, root.place, &SCHEMA);
        let cluster = match fields.get("cluster") {
            Some(value) => self.name(value, "`cluster`", ClusterName::new),
            None => ClusterName::new(CLUSTER_DEFAULT).ok(),
        };
        let health_check = match fields.get("health_check") {
            Some(value) => self.health_check(value),
            None => HealthCheck::default(),
        };
        let peers = self
            .required(&fields, "peers", what, PEERS_HELP)
            .and_then(|value| self.list_of_peers(value, machine));
        Some(Peers {
            // Links in it stay: where they lead may change while it is watched.
            file: std::path::absolute(self.source.file())
                .unwrap_or_else(|_| self.source.file().to_owned()),
            cluster: cluster?,
            health_check,
            peers: peers?,
        })
    }

    fn list_of_peers(
        &mut self,
        value: &Value,
        machine: Option<&ThisMachine<'_>>,
    ) -> Option<Vec<Peer>> {
        let items: &[Value] = match &value.kind {
            Kind::List(items) => items,
            Kind::Null => &[],
            _ => {
                self.wrong_type(value, "`peers`", "a list", Some(PEERS_HELP.to_owned()));
                return None;
            }
        };
        if items.is_empty() {
            self.report(
                Report::error(Code::NoPeers, value.place, "the file has no peers").help(PEERS_HELP),
            );
        }
        if let Some(first_over) = items.get(PEERS_MAX) {
            self.report(
                Report::error(
                    Code::TooManyParts,
                    first_over.used_at,
                    format!("the file has {} peers", items.len()),
                )
                .help(format!(
                    "it has at most {PEERS_MAX}: this is the first above"
                )),
            );
            return None;
        }
        let mut seen = Seen::default();
        // Every peer is looked at, also after one that is wrong.
        let drafts: Vec<Option<DraftPeer>> = items
            .iter()
            .enumerate()
            .map(|(index, item)| self.peer(item, index, &mut seen))
            .collect();
        if let Some(machine) = machine {
            self.topology(value.place, &drafts, machine);
        }
        drafts.into_iter().map(|draft| Some(draft?.peer)).collect()
    }
}
