//! What is kept of each member. It lies in columns by what changes together, so that a change copies little.

use std::collections::BTreeSet;
use std::sync::Arc;

use dataflow_ids::stats::{
    Counter, DataflowRow, EdgeCounters, EdgeGauges, EdgeHistograms, EdgeKey, EdgeRow, Level,
    NodeKey, NodeNumbers, NodeRow, ProcessNumbers, RunNumber, StatesNs,
};
use dataflow_ids::{DataflowName, EdgeId, Epoch, Lacks, LifeCycle, NodeId, NodeIndex, PeerId};

use super::facts::EdgeSpec;
use super::groups::GroupNumber;
use super::levels;
use super::pages::Pages;
use super::slots::Share;

/// What a transition changes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) sequence: u64,
    pub(super) added_revision: u64,
    pub(super) group: GroupNumber,
    pub(super) added_ns: u64,
    pub(super) since_ns: u64,
    pub(super) time_in_state_ns: StatesNs<u64>,
    /// Of a node of ours, also the number of the last of its changes that is known.
    pub(super) transitions: Counter,
    pub(super) restarts: Counter,
    pub(super) epoch: Epoch,
    pub(super) state: LifeCycle,
}

/// What a reading changes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) sequence: u64,
    pub(super) out: EdgeCounters,
    pub(super) into: EdgeCounters,
    pub(super) process: ProcessNumbers,
    pub(super) pid: Option<u32>,
    /// The incarnation whose process was read last.
    pub(super) read_epoch: Epoch,
    /// What that incarnation has used.
    pub(super) read_cpu_ns: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic {
            sequence: 0,
            out: Default::default(),
            into: Default::default(),
            process: ProcessNumbers::default(),
            pid: None,
            read_epoch: Epoch::NONE,
            read_cpu_ns: 0,
        }
    }
}

/// What does not change of a run.
#[derive(Debug)]
pub(super) struct RunSpec {
    pub(super) number: RunNumber,
    pub(super) peer: PeerId,
    pub(super) run: String,
    pub(super) name: DataflowName,
    pub(super) added_ns: u64,
    /// Whether its edges are read here, and its nodes count what is read.
    pub(super) is_own: bool,
}

/// What was counted on the edges of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct OnEdges {
    pub(super) out: EdgeCounters,
    pub(super) into: EdgeCounters,
}

/// The numbers of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EdgeNumbers {
    /// Grows with every change of the edge.
    pub sequence: u64,
    /// The revision in which it came in.
    pub added_revision: u64,
    /// What was counted.
    pub counters: EdgeCounters,
    /// What there is.
    pub gauges: EdgeGauges,
    /// When the oldest message that waits in the queue was sent.
    pub oldest_ns: Option<u64>,
    /// What its sender lacks there, if it waits because of it.
    pub lacks: Option<Lacks>,
    /// Whether its sender has ended for good.
    pub is_closed: bool,
}

/// A run, with its members.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) spec: Arc<RunSpec>,
    pub(super) level: Level,
    pub(super) names: Pages<Arc<NodeId>>,
    pub(super) lives: Pages<Life>,
    pub(super) traffic: Pages<Traffic>,
    pub(super) edges: Pages<Arc<EdgeSpec>>,
    pub(super) edge_numbers: Pages<EdgeNumbers>,
    /// Those of edges on which something was timed.
    pub(super) histograms: Pages<Arc<EdgeHistograms>>,
    /// The edges of each node.
    pub(super) ends: Arc<BTreeSet<(NodeIndex, EdgeId)>>,
    /// What was counted on edges that have gone, of nodes that have had such.
    pub(super) on_gone_edges: Pages<Arc<OnEdges>>,
}

/// These have nothing in them that is kept alone.
impl Share for Life {
    fn share(&mut self) {}
}

impl Share for Traffic {
    fn share(&mut self) {}
}

impl Share for EdgeNumbers {
    fn share(&mut self) {}
}

impl Share for Run {
    fn share(&mut self) {
        self.names.share();
        self.lives.share();
        self.traffic.share();
        self.edges.share();
        self.edge_numbers.share();
        self.histograms.share();
        self.on_gone_edges.share();
    }
}

impl Run {
    /// A run without members.
    pub(super) fn new(spec: Arc<RunSpec>) -> Run {
        Run {
            spec,
            level: Level::default(),
            names: Pages::default(),
            lives: Pages::default(),
            traffic: Pages::default(),
            edges: Pages::default(),
            edge_numbers: Pages::default(),
            histograms: Pages::default(),
            ends: Arc::default(),
            on_gone_edges: Pages::default(),
        }
    }

    /// The edges of a node.
    pub(super) fn edges_of(&self, node: NodeIndex) -> impl Iterator<Item = EdgeId> {
        let all = (node, EdgeId(0))..=(node, EdgeId(u32::MAX));
        self.ends.range(all).map(|(_, edge)| *edge)
    }

    /// What was counted on all edges of a node, also those that have gone.
    pub(super) fn on_edges(&self, node: u64) -> OnEdges {
        let gone = self.on_gone_edges.get(node);
        let mut sums = gone.map_or_else(OnEdges::default, |gone| **gone);
        let Ok(node) = u32::try_from(node).map(NodeIndex) else {
            return sums;
        };
        for edge in self.edges_of(node).map(|edge| u64::from(edge.0)) {
            let (Some(spec), Some(numbers)) = (self.edges.get(edge), self.edge_numbers.get(edge))
            else {
                continue;
            };
            if spec.source == node {
                levels::add_counters(&mut sums.out, &numbers.counters);
            }
            if spec.target == node {
                levels::add_counters(&mut sums.into, &numbers.counters);
            }
        }
        sums
    }

    /// Keeps what was counted on an edge that goes, for its nodes.
    pub(super) fn keep_of_gone(&mut self, spec: &EdgeSpec, counters: &EdgeCounters) {
        if !self.spec.is_own || *counters == EdgeCounters::default() {
            return;
        }
        let mut add = |node: NodeIndex, side: fn(&mut OnEdges) -> &mut EdgeCounters| {
            let node = u64::from(node.0);
            let known = self.on_gone_edges.get(node);
            let mut sums = known.map_or_else(OnEdges::default, |known| **known);
            levels::add_counters(side(&mut sums), counters);
            self.on_gone_edges.insert(node, Arc::new(sums));
        };
        add(spec.source, |sums| &mut sums.out);
        add(spec.target, |sums| &mut sums.into);
    }

    pub(super) fn row(&self) -> DataflowRow {
        DataflowRow {
            number: self.spec.number,
            peer: self.spec.peer.clone(),
            run: self.spec.run.clone(),
            name: self.spec.name.clone(),
            added_ns: self.spec.added_ns,
            level: self.level,
        }
    }

    pub(super) fn node_numbers(&self, node: u64) -> Option<NodeNumbers> {
        let (life, traffic) = (self.lives.get(node)?, self.traffic.get(node)?);
        Some(NodeNumbers {
            sequence: life.sequence.max(traffic.sequence),
            added_revision: life.added_revision,
            epoch: life.epoch,
            state: life.state,
            added_ns: life.added_ns,
            since_ns: life.since_ns,
            time_in_state_ns: life.time_in_state_ns,
            transitions: life.transitions,
            restarts: life.restarts,
            out: traffic.out,
            into: traffic.into,
            process: traffic.process,
        })
    }

    pub(super) fn node_row(&self, node: u64) -> Option<NodeRow> {
        Some(NodeRow {
            key: self.node_key(node)?,
            name: NodeId::clone(self.names.get(node)?),
            pid: self.traffic.get(node)?.pid,
            numbers: self.node_numbers(node)?,
        })
    }

    pub(super) fn node_key(&self, node: u64) -> Option<NodeKey> {
        Some(NodeKey {
            run: self.spec.number,
            node: NodeIndex(u32::try_from(node).ok()?),
        })
    }

    pub(super) fn edge_row(&self, edge: u64) -> Option<EdgeRow> {
        let (spec, numbers) = (self.edges.get(edge)?, self.edge_numbers.get(edge)?);
        let histograms = self.histograms.get(edge).map_or_else(
            || Box::new(EdgeHistograms::default()),
            |there| Box::new(**there),
        );
        Some(EdgeRow {
            key: spec.key,
            sequence: numbers.sequence,
            added_revision: numbers.added_revision,
            source: spec.source,
            output: spec.output.clone(),
            target: spec.target,
            input: spec.input.clone(),
            policy: spec.policy,
            queue_size: spec.queue_size,
            counters: numbers.counters,
            gauges: numbers.gauges,
            oldest_ns: numbers.oldest_ns,
            lacks: numbers.lacks,
            is_closed: numbers.is_closed,
            histograms,
        })
    }

    /// Counts how long more messages of an edge took.
    pub(super) fn add_histograms(&mut self, edge: u64, timed: &EdgeHistograms) {
        match self.histograms.get_mut(edge) {
            Some(known) => levels::add_histograms(Arc::make_mut(known), timed),
            None => self.histograms.insert(edge, Arc::new(*timed)),
        }
    }

    pub(super) fn edge_key(&self, edge: u64) -> Option<EdgeKey> {
        Some(EdgeKey {
            run: self.spec.number,
            edge: EdgeId(u32::try_from(edge).ok()?),
        })
    }
}
