//! What statistics must say, counted from the members each time it is asked for. Slow, and simple enough to be believed.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_core::lifecycle::transition_allowed;
use dataflow_core::stats::{EdgeFacts, EdgeSpec, ProcessFacts, Transition};
use dataflow_ids::stats::{EdgeKey, HISTOGRAM_BUCKETS, Level, NodeKey, RunNumber};
use dataflow_ids::{Epoch, LifeCycle, NodeId};

use super::flat::{Flat, add, counted, counters, gauges, histograms, no_histograms};

/// The most that a reading of any counter is believed, and of a count of messages.
const COUNTER_MAX: u64 = 1 << 60;
const MESSAGES_MAX: u64 = 1 << 48;
/// How much more time there may have been than is known.
const UNTOLD_MAX_NS: u64 = 10_000_000_000;
/// The most that a gauge of an edge is believed.
const GAUGE_MAX: u64 = u32::MAX as u64;
/// The most memory that is believed.
const MEMORY_MAX_BYTES: u64 = 1 << 43;

/// What a change of state that was told is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The next one: it was taken.
    News,
    /// One that was told before, or that lies before what was caught up with.
    Known,
    /// One before which some are missing.
    TooEarly,
    /// Of an incarnation before the one that is known.
    Old,
    /// The next one, which must not be.
    NotAllowed,
    /// Of nobody.
    NotThere,
}

#[derive(Debug, Clone)]
struct Node {
    group: Option<NodeId>,
    state: LifeCycle,
    epoch: Epoch,
    since_ns: u64,
    times: [u128; LifeCycle::ALL.len()],
    /// The numbers of its changes that have been told, each once.
    changes: BTreeSet<u64>,
    restarts: u64,
    traffic: [[u64; 9]; 2],
    cpu_ns: u64,
    read: (Epoch, u64),
    memory_bytes: u64,
    pid: Option<u32>,
}

#[derive(Debug, Clone)]
struct Edge {
    spec: EdgeSpec,
    counters: [u64; 9],
    gauges: [u64; 3],
    histograms: Vec<u64>,
}

/// All members, and what those have counted that have gone, of each run and group.
#[derive(Debug, Clone, Default)]
pub(super) struct Naive {
    groups_max: usize,
    at_ns: u64,
    names: Vec<NodeId>,
    nodes: BTreeMap<NodeKey, Node>,
    edges: BTreeMap<EdgeKey, Edge>,
    gone: BTreeMap<(RunNumber, Option<NodeId>), Vec<u128>>,
}

fn counted_of(node: &Node, histograms: &[u64]) -> Vec<u128> {
    let Node {
        changes,
        restarts,
        cpu_ns,
        times,
        traffic,
        ..
    } = node;
    let transitions = changes.len() as u64;
    counted(transitions, *restarts, *cpu_ns, times, traffic, histograms)
}

fn nobody(group: Option<NodeId>, at_ns: u64) -> Node {
    Node {
        group,
        state: LifeCycle::Declared,
        epoch: Epoch::NONE,
        since_ns: at_ns,
        times: [0; LifeCycle::ALL.len()],
        changes: BTreeSet::new(),
        restarts: 0,
        traffic: [[0; 9]; 2],
        cpu_ns: 0,
        read: (Epoch::NONE, 0),
        memory_bytes: 0,
        pid: None,
    }
}

fn grow(known: &mut u64, now: u64) -> u64 {
    let more = now.min(COUNTER_MAX).saturating_sub(*known);
    *known += more;
    more
}

impl Naive {
    pub(super) fn new(groups_max: usize) -> Naive {
        Naive {
            groups_max,
            ..Naive::default()
        }
    }

    /// A moment is told of; it never goes back.
    pub(super) fn moment(&mut self, at_ns: u64) -> u64 {
        self.at_ns = self.at_ns.max(at_ns);
        self.at_ns
    }

    pub(super) fn add_node(&mut self, at_ns: u64, key: NodeKey, name: &NodeId) {
        if self.nodes.contains_key(&key) {
            return;
        }
        let at_ns = self.moment(at_ns);
        if !self.names.contains(name) && self.names.len() < self.groups_max {
            self.names.push(name.clone());
        }
        let group = self.names.contains(name).then(|| name.clone());
        self.nodes.insert(key, nobody(group, at_ns));
    }

    pub(super) fn add_edge(&mut self, spec: &EdgeSpec) {
        let has = |node| {
            self.nodes.contains_key(&NodeKey {
                run: spec.key.run,
                node,
            })
        };
        if has(spec.source) && has(spec.target) && !self.edges.contains_key(&spec.key) {
            let edge = Edge {
                spec: spec.clone(),
                counters: [0; 9],
                gauges: [0; 3],
                histograms: no_histograms(),
            };
            self.edges.insert(spec.key, edge);
        }
    }

    pub(super) fn remove_edge(&mut self, key: EdgeKey) {
        let Some(edge) = self.edges.remove(&key) else {
            return;
        };
        let (run, node) = (key.run, edge.spec.target);
        let group = self.nodes[&NodeKey { run, node }].group.clone();
        // Nothing but how long its messages took: its counters are with its nodes.
        let counted = counted_of(&nobody(None, 0), &edge.histograms);
        add(self.gone.entry((run, group)).or_default(), &counted);
    }

    pub(super) fn remove_node(&mut self, at_ns: u64, key: NodeKey) {
        if !self.nodes.contains_key(&key) {
            return;
        }
        let at_ns = self.moment(at_ns);
        let is_end = |edge: &EdgeSpec| edge.source == key.node || edge.target == key.node;
        let ends = self
            .edges
            .values()
            .filter(|edge| edge.spec.key.run == key.run);
        let ends: Vec<EdgeKey> = ends
            .filter(|edge| is_end(&edge.spec))
            .map(|edge| edge.spec.key)
            .collect();
        for edge in ends {
            self.remove_edge(edge);
        }
        let mut node = self.nodes.remove(&key).expect("it is there");
        node.times[node.state as usize] += u128::from(at_ns - node.since_ns);
        let mut counted = counted_of(&node, &no_histograms());
        counted.push(1);
        add(
            self.gone.entry((key.run, node.group)).or_default(),
            &counted,
        );
    }

    pub(super) fn remove_run(&mut self, at_ns: u64, run: RunNumber) {
        let keys: Vec<NodeKey> = self.nodes.keys().copied().collect();
        for key in keys.into_iter().filter(|key| key.run == run) {
            self.remove_node(at_ns, key);
        }
        self.moment(at_ns);
        // Nobody asks for the run any more, only for its groups.
        let earlier = RunNumber(u64::MAX);
        let gone = std::mem::take(&mut self.gone);
        for ((of, group), counted) in gone {
            let of = if of == run { earlier } else { of };
            add(self.gone.entry((of, group)).or_default(), &counted);
        }
    }

    /// What a change of state that is told says. It is news when its number has never been told, and can be placed when all
    /// numbers before it have been.
    pub(super) fn transition(&mut self, run: RunNumber, transition: &Transition) -> Heard {
        let key = NodeKey {
            run,
            node: transition.node,
        };
        let Some(node) = self.nodes.get(&key) else {
            return Heard::NotThere;
        };
        if node.changes.contains(&transition.sequence) {
            return Heard::Known;
        }
        if transition.epoch < node.epoch {
            return Heard::Old;
        }
        // They begin at 1, so none is missing when there are as many.
        if (node.changes.len() as u64) < transition.sequence - 1 {
            return Heard::TooEarly;
        }
        if !transition_allowed(node.state, transition.to) {
            return Heard::NotAllowed;
        }
        self.change(key, transition);
        Heard::News
    }

    /// Where a node stands is told: all changes up to it have happened.
    pub(super) fn catch_up(&mut self, run: RunNumber, stands: &Transition) {
        let node = stands.node;
        let key = NodeKey { run, node };
        let is_news = |node: &Node| (node.changes.len() as u64) < stands.sequence;
        if self.nodes.get(&key).is_some_and(is_news) {
            self.change(key, stands);
        }
    }

    fn change(&mut self, key: NodeKey, transition: &Transition) {
        let at_ns = self.moment(u64::try_from(transition.at.0.as_nanos()).expect("soon"));
        let node = self.nodes.get_mut(&key).expect("it is there");
        node.changes.extend(1..=transition.sequence);
        node.times[node.state as usize] += u128::from(at_ns - node.since_ns);
        node.since_ns = at_ns;
        node.state = transition.to;
        // Every start but the first is one again.
        let starts = u64::from(node.epoch.0).max(1)..u64::from(transition.epoch.0).max(1);
        node.restarts += starts.count() as u64;
        node.epoch = transition.epoch;
    }

    pub(super) fn edge_read(&mut self, key: EdgeKey, facts: &EdgeFacts) {
        let Some(edge) = self.edges.get_mut(&key) else {
            return;
        };
        let now = counters(&facts.counters);
        let mut grown = [0; 9];
        for (place, now) in now.into_iter().enumerate() {
            let max = match place {
                7 => (self.at_ns + UNTOLD_MAX_NS) * 1024,
                8 => self.at_ns + UNTOLD_MAX_NS,
                _ => MESSAGES_MAX,
            };
            grown[place] = grow(&mut edge.counters[place], now.min(max));
        }
        let [queued, held, blocked] = gauges(&facts.gauges);
        edge.gauges = [queued.min(GAUGE_MAX), held.min(GAUGE_MAX), blocked.min(1)];
        let read = histograms(&facts.histograms).into_iter().enumerate();
        for (known, (place, now)) in edge.histograms.iter_mut().zip(read) {
            // After the counts of each histogram comes the sum of its spans.
            let is_sum = place % (HISTOGRAM_BUCKETS + 1) == HISTOGRAM_BUCKETS;
            grow(known, if is_sum { now } else { now.min(MESSAGES_MAX) });
        }
        let ends = [(edge.spec.source, 0), (edge.spec.target, 1)];
        for (node, side) in ends {
            let node = self.nodes.get_mut(&NodeKey { run: key.run, node });
            let traffic = &mut node.expect("its edge has gone before it").traffic[side];
            for (sum, grown) in traffic.iter_mut().zip(grown) {
                *sum = sum.saturating_add(grown);
            }
        }
    }

    pub(super) fn process_read(&mut self, key: NodeKey, facts: &ProcessFacts) {
        let Some(node) = self.nodes.get_mut(&key) else {
            return;
        };
        let (epoch, before) = node.read;
        if facts.epoch < epoch {
            return;
        }
        let before = if facts.epoch == epoch { before } else { 0 };
        node.read = (facts.epoch, facts.cpu_ns.max(before));
        let stands = node
            .cpu_ns
            .saturating_add(facts.cpu_ns.saturating_sub(before));
        grow(&mut node.cpu_ns, stands);
        // That it has no process any more is not taken back.
        let is_same = facts.epoch == epoch && epoch != Epoch::NONE;
        if !(is_same && node.pid.is_none() && facts.pid.is_some()) {
            node.memory_bytes = facts.memory_bytes.min(MEMORY_MAX_BYTES);
            node.pid = facts.pid;
        }
    }

    /// The names that have a group, and `None` for the others.
    pub(super) fn groups(&self) -> impl Iterator<Item = Option<NodeId>> {
        self.names.iter().cloned().map(Some).chain([None])
    }

    /// The sums over the members for which this holds.
    pub(super) fn level(&self, is_in: impl Fn(RunNumber, &Option<NodeId>) -> bool) -> Flat {
        let nothing = Flat::of(&Level::default());
        let (mut sums, mut retired) = (nothing.counters.clone(), Vec::new());
        for ((run, group), counted) in &self.gone {
            if is_in(*run, group) {
                add(&mut retired, counted);
            }
        }
        let mut states = [0_u128; LifeCycle::ALL.len()];
        let mut since = [0_u128; LifeCycle::ALL.len()];
        let mut gauges = [0_u128; 3];
        let (mut nodes, mut edges, mut memory) = (0, 0, 0);
        for (key, node) in &self.nodes {
            if is_in(key.run, &node.group) {
                nodes += 1;
                states[node.state as usize] += 1;
                since[node.state as usize] += u128::from(node.since_ns);
                memory += u128::from(node.memory_bytes);
                add(&mut sums, &counted_of(node, &no_histograms()));
            }
        }
        for (key, edge) in &self.edges {
            let (run, node) = (key.run, edge.spec.target);
            if is_in(run, &self.nodes[&NodeKey { run, node }].group) {
                edges += 1;
                for (sum, gauge) in gauges.iter_mut().zip(edge.gauges) {
                    *sum += u128::from(gauge);
                }
                add(&mut sums, &counted_of(&nobody(None, 0), &edge.histograms));
            }
        }
        // What has gone is part of the sums, and stands once more behind them with how many have gone.
        let counted = counted_of(&nobody(None, 0), &no_histograms()).len();
        retired.resize(counted + 1, 0);
        add(&mut sums, &retired[..counted]);
        for (place, number) in retired.into_iter().enumerate() {
            sums[counted + place] = number;
        }
        let mut all = vec![nodes, edges];
        all.extend(states);
        all.extend(since);
        all.extend(gauges);
        all.push(memory);
        Flat {
            counters: sums,
            gauges: all,
        }
    }
}
