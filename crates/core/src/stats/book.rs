//! The book: all statistics, changed as things happen.

use std::sync::Arc;

use dataflow_ids::stats::{
    ActorRow, AuditRow, Counter, Downloads, EdgeHistograms, EdgeKey, Keeper, Level, NodeKey,
    NodeNumbers, PeerRow, PoolRow, ProcessNumbers, RunNumber, StatesNs,
};
use dataflow_ids::{DataflowName, EdgeId, Epoch, LifeCycle, NodeId, PeerId};

use super::facts::{EdgeSpec, NotThere, RefusedTransition, Transition};
use super::groups::GroupNumber;
use super::journal::{Fact, Journal};
use super::levels::{self, Faults, Step};
use super::rows::{EdgeNumbers, Life, Run, RunSpec, Traffic};
use super::snapshot::Snapshot;
use crate::broken::{Rule, is_broken};
use crate::lifecycle::transition_allowed;
use crate::time::Time;

/// All statistics of one keeper. Its methods take what has happened, and each changes all levels in one step.
///
/// Moments never go back: one that is earlier than what the book has seen counts as the latest that it has seen. No
/// method panics, whatever it is told.
#[derive(Debug, Clone)]
pub struct Book {
    pub(super) now: Snapshot,
    groups_max: usize,
    runs_given: u64,
    /// For a copy on another thread.
    pub(super) journal: Journal,
}

/// A moment, as rows have it.
pub(super) fn nanoseconds(at: Time) -> u64 {
    u64::try_from(at.0.as_nanos()).unwrap_or(u64::MAX)
}

/// What the levels of a node are changed by.
pub(super) struct Levels<'a> {
    pub(super) total: &'a mut Level,
    pub(super) run: &'a mut Level,
    pub(super) group: Option<&'a mut Level>,
}

impl Levels<'_> {
    pub(super) fn each(&mut self, mut change: impl FnMut(&mut Level)) {
        change(self.total);
        change(self.run);
        if let Some(group) = &mut self.group {
            change(group);
        }
    }
}

impl Book {
    /// A book without members. `keeper` is a number that no other book ever had; at most `groups_max` names have a group
    /// of their own ([`GROUPS_MAX`](super::GROUPS_MAX)).
    #[must_use]
    pub fn new(keeper: Keeper, groups_max: usize) -> Book {
        Book {
            now: Snapshot::empty(keeper),
            groups_max,
            runs_given: 0,
            journal: Journal::default(),
        }
    }

    /// Adds a run of a dataflow, without members.
    pub fn add_dataflow(
        &mut self,
        at: Time,
        peer: PeerId,
        run: String,
        name: DataflowName,
    ) -> RunNumber {
        let added_ns = self.moment(at);
        self.put_run(|number| RunSpec {
            number,
            peer,
            run,
            name,
            added_ns,
            is_own: true,
        })
    }

    /// Puts a run there, without members.
    pub(super) fn put_run(&mut self, spec: impl FnOnce(RunNumber) -> RunSpec) -> RunNumber {
        self.journal.leave_gap();
        let number = RunNumber(self.runs_given);
        self.runs_given += 1;
        self.changed();
        let run = Run::new(Arc::new(spec(number)));
        self.now.runs.insert(number.0, Arc::new(run));
        number
    }

    /// Removes a run with its members. What they have counted stays in the numbers of their groups and in the total.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when it is not there.
    pub fn remove_dataflow(&mut self, at: Time, run: RunNumber) -> Result<(), NotThere> {
        self.now.runs.get(run.0).ok_or(NotThere::Run(run))?;
        let at_ns = self.moment(at);
        self.remove_dataflow_at(at_ns, run)
    }

    pub(super) fn remove_dataflow_at(
        &mut self,
        at_ns: u64,
        run: RunNumber,
    ) -> Result<(), NotThere> {
        self.journal.leave_gap();
        let there = self.now.runs.get(run.0).ok_or(NotThere::Run(run))?;
        let edges: Vec<u64> = there.edges.iter().map(|(edge, _)| edge).collect();
        let nodes: Vec<u64> = there.lives.iter().map(|(node, _)| node).collect();
        for edge in edges {
            self.drop_edge(run, edge);
        }
        for node in nodes {
            self.drop_node(run, node, at_ns);
        }
        self.now.runs.remove(run.0);
        self.changed();
        Ok(())
    }

    /// Adds a node in state `Declared`. A node that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when its run is not there.
    pub fn add_node(&mut self, at: Time, key: NodeKey, name: &NodeId) -> Result<(), NotThere> {
        let node = u64::from(key.node.0);
        let run = self.now.runs.get(key.run.0).ok_or(NotThere::Run(key.run))?;
        if run.lives.get(node).is_some() {
            return Ok(());
        }
        let at_ns = self.moment(at);
        let (group, name) = self.join_group(name, true);
        let life = Life {
            sequence: 0,
            added_revision: self.now.revision + 1,
            group,
            added_ns: at_ns,
            since_ns: at_ns,
            time_in_state_ns: StatesNs::default(),
            transitions: Counter::default(),
            restarts: Counter::default(),
            epoch: Epoch::NONE,
            state: LifeCycle::Declared,
        };
        self.put_node(key, name, life, Traffic::default());
        Ok(())
    }

    /// Puts a node there that is not there yet, with what it has counted. Its run is there.
    pub(super) fn put_node(
        &mut self,
        key: NodeKey,
        name: Arc<NodeId>,
        life: Life,
        traffic: Traffic,
    ) {
        self.journal.leave_gap();
        let node = u64::from(key.node.0);
        let sequence = self.changed();
        let life = Life { sequence, ..life };
        let traffic = Traffic {
            sequence,
            ..traffic
        };
        let Some(run) = self.run_mut(key.run) else {
            return;
        };
        run.names.insert(node, name);
        run.lives.insert(node, life);
        run.traffic.insert(node, traffic);
        self.each_level(key.run, life.group, |level| {
            levels::join(level, &life, &traffic);
        });
    }

    /// Removes a node with its edges. What it has counted stays in the numbers of its group, its dataflow and in the
    /// total.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when it is not there.
    pub fn remove_node(&mut self, at: Time, key: NodeKey) -> Result<(), NotThere> {
        self.node(key).ok_or(NotThere::Node(key))?;
        let at_ns = self.moment(at);
        self.remove_node_at(at_ns, key)
    }

    pub(super) fn remove_node_at(&mut self, at_ns: u64, key: NodeKey) -> Result<(), NotThere> {
        let run = self.now.runs.get(key.run.0).ok_or(NotThere::Run(key.run))?;
        let node = u64::from(key.node.0);
        run.lives.get(node).ok_or(NotThere::Node(key))?;
        let edges: Vec<EdgeId> = run.edges_of(key.node).collect();
        for edge in edges {
            self.drop_edge(key.run, edge.0.into());
        }
        self.drop_node(key.run, node, at_ns);
        Ok(())
    }

    /// Adds an edge between two nodes. One that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when its run or one of its nodes is not there.
    pub fn add_edge(&mut self, spec: EdgeSpec) -> Result<(), NotThere> {
        let key = spec.key;
        let run = self.now.runs.get(key.run.0).ok_or(NotThere::Run(key.run))?;
        for node in [spec.source, spec.target] {
            let key = NodeKey { run: key.run, node };
            run.lives.get(node.0.into()).ok_or(NotThere::Node(key))?;
        }
        if run.edges.get(key.edge.0.into()).is_none() {
            let numbers = EdgeNumbers {
                added_revision: self.now.revision + 1,
                ..EdgeNumbers::default()
            };
            self.put_edge(spec, numbers, None);
        }
        Ok(())
    }

    /// Puts an edge there that is not there yet, between nodes that are. What was counted on it is not added to its
    /// nodes.
    pub(super) fn put_edge(
        &mut self,
        spec: EdgeSpec,
        numbers: EdgeNumbers,
        histograms: Option<Arc<EdgeHistograms>>,
    ) {
        self.journal.leave_gap();
        let EdgeSpec {
            key,
            source,
            target,
            ..
        } = spec;
        let edge = u64::from(key.edge.0);
        let sequence = self.changed();
        let numbers = EdgeNumbers {
            sequence,
            ..numbers
        };
        let Some(run) = self.run_mut(key.run) else {
            return;
        };
        let group = run.lives.get(target.0.into()).map(|life| life.group);
        run.edges.insert(edge, Arc::new(spec));
        run.edge_numbers.insert(edge, numbers);
        if let Some(histograms) = &histograms {
            run.histograms.insert(edge, Arc::clone(histograms));
        }
        let ends = Arc::make_mut(&mut run.ends);
        ends.insert((source, key.edge));
        ends.insert((target, key.edge));
        let Some(group) = group else {
            return;
        };
        self.each_level(key.run, group, |level| {
            levels::join_edge(level, &numbers.gauges, histograms.as_deref());
        });
    }

    /// Removes an edge. What was counted on it stays in the numbers of its nodes.
    ///
    /// # Errors
    ///
    /// [`NotThere`] when it is not there.
    pub fn remove_edge(&mut self, key: EdgeKey) -> Result<(), NotThere> {
        let run = self.now.runs.get(key.run.0).ok_or(NotThere::Run(key.run))?;
        let edge = u64::from(key.edge.0);
        run.edges.get(edge).ok_or(NotThere::Edge(key))?;
        self.drop_edge(key.run, edge);
        Ok(())
    }

    fn drop_edge(&mut self, key: RunNumber, edge: u64) {
        self.journal.leave_gap();
        self.changed();
        let Some(run) = self.run_mut(key) else {
            return;
        };
        let numbers = run.edge_numbers.remove(edge).unwrap_or_default();
        let histograms = run.histograms.remove(edge);
        let spec = run.edges.remove(edge);
        if let Some(spec) = &spec {
            let ends = Arc::make_mut(&mut run.ends);
            ends.remove(&(spec.source, spec.key.edge));
            ends.remove(&(spec.target, spec.key.edge));
            run.keep_of_gone(spec, &numbers.counters);
        }
        let target = spec.map(|spec| u64::from(spec.target.0));
        let group = target.and_then(|target| Some(run.lives.get(target)?.group));
        let mut faults = Faults::default();
        match group {
            Some(group) => self.each_level(key, group, |level| {
                levels::leave_edge(level, &numbers.gauges, histograms.as_deref(), &mut faults);
            }),
            None => faults.0 += 1,
        }
        self.blame(&faults);
    }

    fn drop_node(&mut self, key: RunNumber, node: u64, at_ns: u64) {
        self.journal.leave_gap();
        self.changed();
        let Some(run) = self.run_mut(key) else {
            return;
        };
        run.names.remove(node);
        run.on_gone_edges.remove(node);
        let (Some(life), Some(traffic)) = (run.lives.remove(node), run.traffic.remove(node)) else {
            return;
        };
        let mut faults = Faults::default();
        self.each_level(key, life.group, |level| {
            levels::leave(level, &life, &traffic, at_ns, &mut faults);
        });
        self.blame(&faults);
    }

    /// Takes a node's new state. One that it is in already, in the same incarnation, is a repetition and changes nothing.
    ///
    /// # Errors
    ///
    /// [`RefusedTransition`] when the life cycle does not allow it, it is old, or the node is not there: nothing has
    /// changed then.
    pub fn transition(
        &mut self,
        run: RunNumber,
        transition: Transition,
    ) -> Result<(), RefusedTransition> {
        (self.journal).write(1, || Fact::Transition(run, transition));
        let Transition {
            node,
            to,
            epoch,
            at,
        } = transition;
        let key = NodeKey { run, node };
        let node = u64::from(node.0);
        let life = (self.now.runs.get(run.0)).and_then(|run| run.lives.get(node));
        let life = *life.ok_or(RefusedTransition::NotThere(key))?;
        if life.epoch > epoch {
            let known = life.epoch;
            return Err(RefusedTransition::Old { epoch, known });
        }
        if (life.state, life.epoch) == (to, epoch) {
            return Ok(());
        }
        let from = life.state;
        if !transition_allowed(from, to) && !is_broken(Rule::AnyTransitionIsAllowed) {
            self.now.audit.refused_transitions.add(1);
            self.changed();
            return Err(RefusedTransition::NotAllowed { from, to });
        }
        let at_ns = self.moment(at);
        let sequence = self.changed();
        // The first incarnation is a start, every later one a restart.
        let starts = |epoch: Epoch| u64::from(epoch.0.saturating_sub(1));
        let step = Step {
            from,
            to,
            since_ns: life.since_ns,
            at_ns,
            restarts: starts(epoch).saturating_sub(starts(life.epoch)),
        };
        let Some(there) = self.now.runs.get_mut(run.0).map(Arc::make_mut) else {
            return Ok(());
        };
        let Some(life) = there.lives.get_mut(node) else {
            return Ok(());
        };
        life.sequence = sequence;
        let spent = at_ns.saturating_sub(life.since_ns);
        life.time_in_state_ns[from] = life.time_in_state_ns[from].saturating_add(spent);
        life.since_ns = at_ns;
        life.transitions.add(1);
        life.restarts.add(step.restarts);
        life.epoch = epoch;
        life.state = to;
        let group = life.group;
        let keeps_old = is_broken(Rule::StatisticsKeepTheOldState);
        let mut faults = Faults::default();
        let mut levels = Levels {
            total: Arc::make_mut(&mut self.now.total),
            run: &mut there.level,
            group: self.now.groups.level_mut(group),
        };
        levels.each(|level| levels::transition(level, &step, keeps_old, &mut faults));
        self.blame(&faults);
        Ok(())
    }

    /// Takes how all kinds of actors stand now.
    pub fn actors(&mut self, mut rows: Vec<ActorRow>) {
        (self.journal).write(rows.len(), || Fact::Actors(rows.clone()));
        rows.sort_by(|one, other| one.actor.cmp(&other.actor));
        if *self.now.actors != rows {
            self.now.actors = Arc::new(rows);
            self.changed();
        }
    }

    /// Takes how all peers stand now.
    pub fn peers(&mut self, mut rows: Vec<PeerRow>) {
        (self.journal).write(rows.len(), || Fact::Peers(rows.clone()));
        rows.sort_by(|one, other| one.peer.cmp(&other.peer));
        if *self.now.peers != rows {
            self.now.peers = Arc::new(rows);
            self.changed();
        }
    }

    /// Takes how all downloads stand now.
    pub fn downloads(&mut self, downloads: Downloads) {
        let weight = downloads.rows.len();
        (self.journal).write(weight, || Fact::Downloads(downloads.clone()));
        if *self.now.downloads != downloads {
            self.now.downloads = Arc::new(downloads);
            self.changed();
        }
    }

    /// Takes how the pool stands now.
    pub fn pool(&mut self, row: PoolRow) {
        self.journal.write(1, || Fact::Pool(row));
        if self.now.pool != Some(row) {
            self.now.pool = Some(row);
            self.changed();
        }
    }

    /// Takes what an auditor has counted again, and how many sums were not those of their members.
    pub fn audited(&mut self, recounted: u64, mismatches: u64) {
        if (recounted, mismatches) == (0, 0) {
            return;
        }
        (self.journal).write(1, || Fact::Audited(recounted, mismatches));
        self.now.audit.recounted.add(recounted);
        self.now.audit.mismatches.add(mismatches);
        self.changed();
    }

    /// All that the book knows, for readers: it does not change any more, and shares what has not changed with the book
    /// and with other snapshots.
    pub fn publish(&mut self, at: Time) -> Arc<Snapshot> {
        self.moment(at);
        Arc::new(self.now.clone())
    }

    /// The group that a node of this name is put into, and the name as all nodes of it share it; with `has_group` false, that
    /// without a name.
    pub(super) fn join_group(
        &mut self,
        name: &NodeId,
        has_group: bool,
    ) -> (GroupNumber, Arc<NodeId>) {
        let groups = &mut self.now.groups;
        let before = groups.len();
        let joined = match has_group {
            true => groups.join(name, self.groups_max),
            false => (groups.nameless(), Arc::new(name.clone())),
        };
        if groups.len() > before {
            self.changed();
        }
        joined
    }

    /// As [`Snapshot::total`].
    #[must_use]
    pub fn total(&self) -> &Level {
        self.now.total()
    }

    /// As [`Snapshot::dataflow`].
    #[must_use]
    pub fn dataflow(&self, run: RunNumber) -> Option<&Level> {
        self.now.dataflow(run)
    }

    /// As [`Snapshot::group`].
    #[must_use]
    pub fn group(&self, name: Option<&NodeId>) -> Option<&Level> {
        self.now.group(name)
    }

    /// As [`Snapshot::node`].
    #[must_use]
    pub fn node(&self, key: NodeKey) -> Option<NodeNumbers> {
        self.now.node(key)
    }

    /// As [`Snapshot::edge`].
    #[must_use]
    pub fn edge(&self, key: EdgeKey) -> Option<&EdgeNumbers> {
        self.now.edge(key)
    }

    /// Grows with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.now.revision
    }

    /// What the auditor has found.
    #[must_use]
    pub fn audit_row(&self) -> &AuditRow {
        self.now.audit()
    }

    /// The moment, as the book counts it: never before one that it has seen.
    pub(super) fn moment(&mut self, at: Time) -> u64 {
        let at_ns = nanoseconds(at);
        if is_broken(Rule::MomentsGoBack) {
            self.now.at_ns = at_ns;
        }
        self.now.at_ns = self.now.at_ns.max(at_ns);
        self.now.at_ns
    }

    /// Something changes; gives the revision that it leads to.
    pub(super) fn changed(&mut self) -> u64 {
        self.now.revision += 1;
        self.now.revision
    }

    pub(super) fn blame(&mut self, faults: &Faults) {
        self.now.audit.mismatches.add(faults.0);
    }

    pub(super) fn run_mut(&mut self, run: RunNumber) -> Option<&mut Run> {
        self.now.runs.get_mut(run.0).map(Arc::make_mut)
    }

    pub(super) fn each_level(
        &mut self,
        run: RunNumber,
        group: GroupNumber,
        change: impl FnMut(&mut Level),
    ) {
        let Some(there) = self.now.runs.get_mut(run.0) else {
            return;
        };
        let mut levels = Levels {
            total: Arc::make_mut(&mut self.now.total),
            run: &mut Arc::make_mut(there).level,
            group: self.now.groups.level_mut(group),
        };
        levels.each(change);
    }
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
