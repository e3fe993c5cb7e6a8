//! Members of a book: runs, nodes and edges that come and go.

use std::sync::Arc;

use dataflow_ids::stats::{Counter, EdgeHistograms, EdgeKey, NodeKey, RunNumber, StatesNs};
use dataflow_ids::{DataflowName, EdgeId, Epoch, LifeCycle, NodeId, PeerId};

use super::book::Book;
use super::facts::{EdgeSpec, NotThere};
use super::levels::{self, Faults};
use super::rows::{EdgeNumbers, Life, Run, RunSpec, Traffic};
use crate::time::Time;

impl Book {
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
        self.now.runs.insert(number.0, run);
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
        let (group, name) = self.join_group(name);
        let life = Life {
            sequence: 0,
            added_revision: 0,
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

    /// Puts a node there that is not there yet, with what it has counted: it comes in now. Its run is there.
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
        let life = Life {
            sequence,
            added_revision: sequence,
            ..life
        };
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
            self.put_edge(spec, EdgeNumbers::default(), None);
        }
        Ok(())
    }

    /// Puts an edge there that is not there yet, between nodes that are: it comes in now. What was counted on it is not added
    /// to its nodes.
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
            added_revision: sequence,
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
}
