//! The figures of one runtime: of a dataflow's own, or of an agent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dataflow_ids::stats::{NodeKey, RunNumber, Statistics};
use serde::{Serialize, Serializer};

use super::edge::EdgeFigures;
use super::group::GroupFigures;
use super::level::{DataflowFigures, LevelFigures};
use super::node::{Inputs, NodeFigures, Used};
use super::service::{ActorFigures, AuditFigures, DownloadsFigures, PeerFigures, PoolFigures};
use super::span::{Known, seconds};
use crate::top::past::Past;
use crate::top::waits::Waits;

/// What kind of process a runtime is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::top) enum RuntimeKind {
    /// It runs one dataflow, and ends with it.
    Dataflow,
    /// It runs what it is asked to run. Its dataflows are shown as runtimes of their own.
    Agent,
}

/// A runtime, with the names by which a person knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::top) struct About {
    /// What kind of process it is.
    pub(in crate::top) kind: RuntimeKind,
    /// The dataflow's name, or the agent's own.
    pub(in crate::top) name: String,
    /// The run's name; of a dataflow only.
    pub(in crate::top) run: Option<String>,
    /// The description, or the file of peers.
    pub(in crate::top) file: String,
    /// Its process.
    pub(in crate::top) pid: u32,
}

/// What is wrong with a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) enum Trouble {
    /// It does not answer as it should, for this reason.
    Silent(String),
    /// It has answered that it tells nothing, for this reason.
    Refuses(String),
}

impl Trouble {
    /// Why.
    fn why(&self) -> &str {
        match self {
            Trouble::Silent(why) | Trouble::Refuses(why) => why,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Silent(why) => write!(f, "does not answer: {why}"),
            Trouble::Refuses(why) => write!(f, "refuses: {why}"),
        }
    }
}

fn why<S: Serializer>(trouble: &Option<Trouble>, to: S) -> Result<S::Ok, S::Error> {
    trouble.as_ref().map(Trouble::why).serialize(to)
}

/// The figures of a runtime.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct RuntimeFigures {
    /// Its number here, which no other gets.
    #[serde(skip)]
    pub(in crate::top) number: u64,
    /// Which one.
    #[serde(flatten)]
    pub(in crate::top) about: About,
    /// Why it says nothing at this moment, if it does not.
    #[serde(serialize_with = "why")]
    pub(in crate::top) error: Option<Trouble>,
    /// How long ago it has said what stands here, in seconds.
    pub(in crate::top) age_s: f64,
    /// What it has answered last.
    #[serde(flatten)]
    pub(in crate::top) answer: Option<Answer>,
}

/// What a runtime has answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::top) struct Answer {
    /// Grows with every change.
    pub(in crate::top) revision: u64,
    /// For how long its statistics have been kept, in seconds; `None` of an agent, which puts together what others keep.
    pub(in crate::top) at_s: Option<f64>,
    /// Over which time rates are, in seconds.
    pub(in crate::top) rates_over_s: Option<f64>,
    /// Sums over everything.
    pub(in crate::top) total: LevelFigures,
    /// Its dataflows.
    pub(in crate::top) dataflows: Vec<DataflowFigures>,
    /// All nodes of one name.
    pub(in crate::top) groups: Vec<GroupFigures>,
    /// The nodes.
    pub(in crate::top) nodes: Vec<NodeFigures>,
    /// The edges.
    pub(in crate::top) edges: Vec<EdgeFigures>,
    /// The peers.
    pub(in crate::top) peers: Vec<PeerFigures>,
    /// The downloads.
    pub(in crate::top) downloads: DownloadsFigures,
    /// The actors.
    pub(in crate::top) actors: Vec<ActorFigures>,
    /// The pool, once there is one.
    pub(in crate::top) pool: Option<PoolFigures>,
    /// What the auditor has found.
    pub(in crate::top) audit: AuditFigures,
}

/// The figures of what one runtime has said; `None` before it has said anything.
pub(in crate::top) fn figures(kind: RuntimeKind, past: &Past) -> Option<Answer> {
    let known = &Known {
        now: past.now()?,
        for_rates: past.for_rates(),
        for_processes: past.for_processes(),
        for_spans: past.for_spans(),
    };
    let now = known.now;
    let dataflows = dataflow_names(now);
    let dataflow = |run: RunNumber| dataflows.get(&run).cloned().unwrap_or_default();
    let nodes: BTreeMap<NodeKey, &str> = now
        .nodes
        .iter()
        .map(|row| (row.key, row.name.as_str()))
        .collect();
    let node = |run: RunNumber, node| {
        let key = NodeKey { run, node };
        nodes.get(&key).copied().unwrap_or("?").to_owned()
    };
    let waits = Waits::of(&now.edges);
    let inputs = Inputs::of(now);
    let inputs_before = known.for_spans.map(Inputs::of).unwrap_or_default();
    let rows = now.nodes.iter();
    let node_figures: Vec<NodeFigures> = rows
        .map(|row| {
            let names = |keys: Vec<NodeKey>| {
                let names = keys.into_iter().map(|key| node(key.run, key.node));
                names.collect::<Vec<String>>()
            };
            let (chain, others) = waits.of_node(row.key);
            NodeFigures::of(
                known,
                row,
                dataflow(row.key.run),
                (inputs.get(&row.key), inputs_before.get(&row.key)),
                (names(chain), names(others)),
            )
        })
        .collect();
    let (mut of_runs, mut of_groups) = (BTreeMap::new(), BTreeMap::new());
    let names: BTreeSet<&str> = (now.groups.iter())
        .filter_map(|row| Some(row.name.as_ref()?.as_str()))
        .collect();
    for figures in &node_figures {
        let run: &mut Vec<&NodeFigures> = of_runs.entry(figures.key.run).or_default();
        run.push(figures);
        // Those that found no room among the names are in the group without one.
        let name = names.get(figures.node.as_str()).copied();
        let group: &mut Vec<&NodeFigures> = of_groups.entry(name).or_default();
        group.push(figures);
    }
    let used = |nodes: Option<&Vec<&NodeFigures>>| Used::by(nodes.into_iter().flatten().copied());
    Some(Answer {
        revision: now.revision,
        at_s: (kind == RuntimeKind::Dataflow).then(|| seconds(now.at_ns)),
        rates_over_s: known.rates_over_s(),
        total: LevelFigures::of(
            known,
            known.for_rates.map(|before| &before.total),
            known.for_spans.map(|before| &before.total),
            &now.total,
            Used::by(&node_figures),
        ),
        dataflows: now
            .dataflows
            .iter()
            .map(|row| DataflowFigures::of(known, row, used(of_runs.get(&row.number))))
            .collect(),
        groups: now
            .groups
            .iter()
            .map(|row| {
                let name = row.name.as_ref().map(|name| name.as_str());
                GroupFigures::of(known, row, used(of_groups.get(&name)))
            })
            .collect(),
        nodes: node_figures,
        edges: now
            .edges
            .iter()
            .map(|row| {
                let run = row.key.run;
                let ends = (node(run, row.source), node(run, row.target));
                EdgeFigures::of(known, row, dataflow(run), ends)
            })
            .collect(),
        peers: now
            .peers
            .iter()
            .map(|row| PeerFigures::of(known, row))
            .collect(),
        downloads: DownloadsFigures::of(known, &now.downloads),
        actors: now
            .actors
            .iter()
            .map(|row| ActorFigures::of(known, row))
            .collect(),
        pool: now.pool.as_ref().map(|row| PoolFigures::of(known, row)),
        audit: (&now.audit).into(),
    })
}

/// The dataflows by name; those whose name another one has too, by that of their run.
fn dataflow_names(statistics: &Statistics) -> BTreeMap<RunNumber, String> {
    let (mut once, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for row in &statistics.dataflows {
        if !once.insert(&row.name) {
            twice.insert(&row.name);
        }
    }
    let name = |row: &dataflow_ids::stats::DataflowRow| match twice.contains(&row.name) {
        true => super::service::line(&row.run),
        false => row.name.to_string(),
    };
    (statistics.dataflows.iter())
        .map(|row| (row.number, name(row)))
        .collect()
}
