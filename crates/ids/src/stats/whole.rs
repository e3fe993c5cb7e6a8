//! All that one keeper of statistics knows, and how it has changed.

use serde::{Deserialize, Serialize};

use super::edge::{EdgeKey, EdgeRow};
use super::level::Level;
use super::list::{LEVELS_MAX, ROWS_MAX, at_most, at_most_if_any};
use super::node::{NodeKey, NodeRow};
use super::number::{Keeper, RunNumber};
use super::service::{ActorRow, AuditRow, Downloads, PeerRow, PoolRow};
use crate::{DataflowName, NodeId, PeerId};

/// A dataflow's run at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataflowRow {
    /// Its number here.
    pub number: RunNumber,
    /// The peer that runs it.
    pub peer: PeerId,
    /// The run's name, which no other run on that peer has.
    pub run: String,
    /// The dataflow's name.
    pub name: DataflowName,
    /// When it came in.
    pub added_ns: u64,
    /// Its numbers.
    pub level: Level,
}

/// All nodes of one name at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// The name; `None` for all nodes whose names came after there were as many groups as there may be.
    pub name: Option<NodeId>,
    /// Their numbers.
    pub level: Level,
}

/// Everything at one moment: a snapshot as it goes over a wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Who keeps them.
    pub keeper: Keeper,
    /// Grows with every change.
    pub revision: u64,
    /// The moment.
    pub at_ns: u64,
    /// Sums over everything.
    pub total: Level,
    /// The dataflows, in the order of their numbers.
    #[serde(deserialize_with = "at_most::<LEVELS_MAX, _, _>")]
    pub dataflows: Vec<DataflowRow>,
    /// The groups, in the order of their names; the one without a name last.
    #[serde(deserialize_with = "at_most::<LEVELS_MAX, _, _>")]
    pub groups: Vec<GroupRow>,
    /// The nodes, in the order of their keys.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub nodes: Vec<NodeRow>,
    /// The edges, in the order of their keys.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub edges: Vec<EdgeRow>,
    /// The actors, in the order of their names.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub actors: Vec<ActorRow>,
    /// The peers, in the order of their names.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub peers: Vec<PeerRow>,
    /// The downloads.
    pub downloads: Downloads,
    /// The pool, once there is one.
    pub pool: Option<PoolRow>,
    /// What the auditor has found.
    pub audit: AuditRow,
}

/// What has changed between two snapshots of one keeper: rows as they are now. One that leads nowhere new, because it
/// comes twice or late, changes nothing; one that does not follow on what is known is a gap, and the whole is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Who keeps them.
    pub keeper: Keeper,
    /// The revision that it follows on.
    pub from: u64,
    /// The revision that it leads to.
    pub to: u64,
    /// The moment of that.
    pub at_ns: u64,
    /// Sums over everything, if they have changed.
    pub total: Option<Box<Level>>,
    /// Dataflows that have changed or come in.
    #[serde(deserialize_with = "at_most::<LEVELS_MAX, _, _>")]
    pub dataflows: Vec<DataflowRow>,
    /// Dataflows that have gone, with their nodes and edges.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub dataflows_gone: Vec<RunNumber>,
    /// Groups that have changed or come in. No group goes.
    #[serde(deserialize_with = "at_most::<LEVELS_MAX, _, _>")]
    pub groups: Vec<GroupRow>,
    /// Nodes that have changed or come in.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub nodes: Vec<NodeRow>,
    /// Nodes that have gone.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub nodes_gone: Vec<NodeKey>,
    /// Edges that have changed or come in.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub edges: Vec<EdgeRow>,
    /// Edges that have gone.
    #[serde(deserialize_with = "at_most::<ROWS_MAX, _, _>")]
    pub edges_gone: Vec<EdgeKey>,
    /// The actors, if they have changed.
    #[serde(deserialize_with = "at_most_if_any::<ROWS_MAX, _, _>")]
    pub actors: Option<Vec<ActorRow>>,
    /// The peers, if they have changed.
    #[serde(deserialize_with = "at_most_if_any::<ROWS_MAX, _, _>")]
    pub peers: Option<Vec<PeerRow>>,
    /// The downloads, if they have changed.
    pub downloads: Option<Downloads>,
    /// The pool, if it has changed.
    pub pool: Option<PoolRow>,
    /// What the auditor has found, if that has changed.
    pub audit: Option<AuditRow>,
}
