//! How the dataflow stands and how it ended, read from the table and from what the actors decided.

use std::collections::BTreeSet;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::broken::{Rule, is_broken};
use dataflow_core::flow::Because;
use dataflow_core::inputs::{InputReading, Inputs};
use dataflow_core::outcome::Outcome as CoreOutcome;
use dataflow_core::waiting::stop::{self, Standing, WaitsFor};
use dataflow_descriptor::Edge;
use dataflow_ids::stats::NodeKey;
use dataflow_ids::{EdgeId, End, LifeCycle, NodeIndex};
use dataflow_shm::edge::EdgeReading;
use dataflow_wire::status::{
    DataflowStatus, EdgeCounts, EdgeStatus, NodeReport, NodeStatus, Outcome, Phase, Report,
    Waiting, WaitingFor,
};
use dataflow_wire::waits::NodeWait;

use super::Root;
use super::edges::name_of;
use super::table::Process;
use crate::actors::ActorName;
use crate::supervision::Counts;

/// What was counted on the edges of a node.
#[derive(Debug, Clone, Copy, Default)]
struct NodeCounts {
    sent: u64,
    delivered: u64,
}

impl Root {
    /// How the dataflow stands by these readings. Never waits for anybody.
    pub(crate) fn status(&self, readings: &[EdgeReading]) -> DataflowStatus {
        let waiting = if self.phase.get() == Phase::Stopping {
            self.waiting(readings)
        } else {
            Vec::new()
        };
        let mut counts = vec![NodeCounts::default(); self.dataflow.nodes.len()];
        for (edge, reading) in self.dataflow.edges.iter().zip(readings) {
            // No sum of these overflows: each is a number of messages that there can be.
            counts[edge.source.index.0 as usize].sent += reading.counts.sent;
            counts[edge.target.index.0 as usize].delivered += reading.counts.delivered;
        }
        DataflowStatus {
            name: self.dataflow.name.clone(),
            run: self.run.clone(),
            file: self.dataflow.file.clone(),
            pid: self.pid,
            up_for: self.env.now().since(self.began),
            phase: self.phase.get(),
            nodes: (self.dataflow.nodes.iter().zip(counts))
                .zip(self.waits(readings))
                .map(|((node, counts), waits)| self.node_status(node.index, counts, waits))
                .collect(),
            edges: self.edge_statuses(readings),
            models: self.model_statuses(),
            waiting,
        }
    }

    /// How one node stands.
    pub(super) fn status_of(&self, node: NodeIndex) -> NodeStatus {
        let readings = self.read_edges();
        let mut counts = NodeCounts::default();
        let read = |edge: &Edge| readings.get(edge.id.0 as usize).map(|it| it.counts);
        for edge in self.edges_from(node).filter_map(read) {
            counts.sent += edge.sent;
        }
        for edge in self.edges_into(node).filter_map(read) {
            counts.delivered += edge.delivered;
        }
        let waits = self.waits(&readings).into_iter().nth(node.0 as usize);
        self.node_status(node, counts, waits.unwrap_or_default())
    }

    /// Where a node stands as the statistics know it, and since when; before they do, as its machine says.
    pub(super) fn state_of(&self, node: NodeIndex) -> (LifeCycle, Time) {
        let run = self.memory.run_number();
        match self.memory.statistics().node(NodeKey { run, node }) {
            Some(kept) => (kept.state, Time(Duration::from_nanos(kept.since_ns))),
            None => (self.memory.node(node).read().state(), self.began),
        }
    }

    /// A node as the statistics know it; what they do not keep comes from its machine.
    fn node_status(&self, node: NodeIndex, counts: NodeCounts, waits: Vec<NodeWait>) -> NodeStatus {
        let spec = self.spec(node);
        let (state, since) = self.state_of(node);
        let machine = self.memory.node(node).read();
        NodeStatus {
            node: spec.id.clone(),
            state,
            state_for: self.env.now().since(since),
            epoch: machine.epoch(),
            pid: machine.pid(),
            restarts: machine.restarts(),
            sent: counts.sent,
            delivered: counts.delivered,
            end: machine.end().cloned(),
            because: machine.because().map(str::to_owned),
            waits,
            log: self.logs.borrow().losses(&spec.id),
        }
    }

    /// What the headers of all edges say, in the order of the description. Nobody learns of it.
    pub(crate) fn read_edges(&self) -> Vec<EdgeReading> {
        let table = self.table.borrow();
        table.edges.iter().map(|row| row.keeper.read()).collect()
    }

    /// What the headers of all edges say, in the order of the description. The statistics learn it too.
    pub(super) fn readings(&self) -> Vec<EdgeReading> {
        let readings = self.read_edges();
        self.look_for_damage();
        self.fold_readings(&readings);
        readings
    }

    /// What stands on all edges at the end, when no process is left that could write there. The statistics learn it
    /// too.
    fn last_readings(&self) -> Vec<EdgeReading> {
        for row in &self.table.borrow().edges {
            row.keeper.read_settled();
        }
        self.readings()
    }

    /// Says of each edge, once, that its header holds what no correct process writes there (I-3).
    fn look_for_damage(&self) {
        let mut found = Vec::new();
        for (edge, row) in (self.dataflow.edges.iter()).zip(&mut self.table.borrow_mut().edges) {
            let Some(damaged) = row.keeper.damage().filter(|_| row.damage.is_none()) else {
                continue;
            };
            let what = damaged.what.to_string();
            found.push((edge, format!("edge {} is damaged: {what}", name_of(edge))));
            row.damage = Some(what);
        }
        for (edge, line) in found {
            tracing::warn!(edge = %edge.id, line, "edge damaged");
            self.say(edge.target.index, line);
        }
    }

    fn edge_statuses(&self, readings: &[EdgeReading]) -> Vec<EdgeStatus> {
        let table = self.table.borrow();
        (self.dataflow.edges.iter().zip(&table.edges).zip(readings))
            .map(|((edge, row), reading)| EdgeStatus {
                edge: edge.id,
                source: edge.source.node.clone(),
                output: edge.source.output.clone(),
                target: edge.target.node.clone(),
                input: edge.target.input.clone(),
                policy: edge.policy,
                queue_size: edge.queue_size,
                blocked: reading.sender_sleep.is_some() && !row.is_closed,
                closed: row.is_closed,
                drained: row.is_drained,
                damage: row.damage.clone(),
                counts: counts_of(reading),
            })
            .collect()
    }

    /// Whom the stop waits for.
    pub(super) fn waiting(&self, readings: &[EdgeReading]) -> Vec<Waiting> {
        if is_broken(Rule::WaitingNamesNobody) {
            return Vec::new();
        }
        let now = self.env.now();
        let lead = self.memory.lead.read();
        let mut waiting = Vec::new();
        let mut named = BTreeSet::new();
        for asked in lead.drain.waiting() {
            let place = asked.edge.0 as usize;
            let (Some(edge), Some(reading)) = (self.dataflow.edges.get(place), readings.get(place))
            else {
                continue;
            };
            let busy_for = (asked.answer.as_ref())
                .filter(|answer| !answer.busy_for.is_zero())
                .map(|answer| answer.busy_for.saturating_add(now.since(answer.at)));
            named.insert(edge.target.index);
            // It is closed, so all that is owed is at or below its last sequence.
            waiting.push(self.waiting_for_tokens(edge, reading, busy_for));
        }
        let nodes = self.dataflow.nodes.iter();
        let standings = nodes.map(|spec| self.standing(spec.index, readings));
        let others = stop::whom(&named, standings);
        waiting.extend(others.into_iter().filter_map(|it| self.named(it, readings)));
        waiting
    }

    /// Whom a node waits for before it ends, when that is not the node itself; otherwise the node.
    pub(super) fn waiting_for_exit(
        &self,
        node: NodeIndex,
        readings: &[EdgeReading],
    ) -> Vec<Waiting> {
        let whom = self.standing(node, readings).waits_for();
        (whom.into_iter())
            .filter_map(|it| self.named(it, readings))
            .collect()
    }

    /// How a node stands, for the question whom a stop waits for.
    fn standing(&self, node: NodeIndex, readings: &[EdgeReading]) -> Standing {
        let machine = self.memory.node(node).read();
        let table = self.table.borrow();
        let reading = |edge: &Edge| readings.get(edge.id.0 as usize);
        let inputs = self.edges_into(node).map(|edge| InputReading {
            is_closed: table.edge(edge.id).is_some_and(|row| row.is_closed),
            queued: reading(edge).map_or(0, |reading| reading.counts.queued),
        });
        let is_blocked = |edge: &&Edge| {
            reading(edge).is_some_and(|reading| {
                let is_owed = reading.counts.queued > 0 || reading.counts.held > 0;
                reading.sender_sleep.is_some() && is_owed
            })
        };
        Standing {
            node,
            state: machine.state(),
            has_process: machine.has_process(),
            inputs: Inputs::of(inputs),
            blocked_on: (self.edges_from(node).filter(is_blocked))
                .map(|edge| edge.id)
                .collect(),
        }
    }

    /// Who is waited for, in the words of the conversation with commands.
    fn named(&self, whom: WaitsFor, readings: &[EdgeReading]) -> Option<Waiting> {
        let node = match whom {
            WaitsFor::Receiver(edge) => {
                let reading = readings.get(edge.0 as usize)?;
                return Some(self.waiting_for_tokens(self.dataflow.edge(edge)?, reading, None));
            }
            WaitsFor::End(node) => node,
        };
        Some(Waiting {
            node: self.spec(node).id.clone(),
            pid: self.memory.node(node).read().pid(),
            busy_for: self.busy_for(node),
            what: WaitingFor::Exit,
        })
    }

    fn waiting_for_tokens(
        &self,
        edge: &Edge,
        reading: &EdgeReading,
        busy_for: Option<Duration>,
    ) -> Waiting {
        Waiting {
            node: edge.target.node.clone(),
            pid: self.memory.node(edge.target.index).read().pid(),
            busy_for,
            what: WaitingFor::Tokens {
                source: edge.source.node.clone(),
                output: edge.source.output.clone(),
                held: reading.counts.held,
                queued: reading.counts.queued,
            },
        }
    }

    /// How the dataflow ended.
    pub(super) fn report(&self, outcome: CoreOutcome, because: &Because) -> Report {
        let now = self.env.now();
        let lead = self.memory.lead.read();
        let nodes = self.dataflow.nodes.iter().map(|spec| {
            let machine = self.memory.node(spec.index).read();
            let end = machine.end().cloned().unwrap_or(End::Drained);
            let last_lines = match &end {
                End::Crashed { .. } => self.logs.borrow().last_lines(&spec.id),
                End::Drained | End::Forced { .. } => Vec::new(),
            };
            NodeReport {
                node: spec.id.clone(),
                end,
                restarts: machine.restarts(),
                last_lines,
                log: self.logs.borrow().losses(&spec.id),
            }
        });
        Report {
            name: self.dataflow.name.clone(),
            run: self.run.clone(),
            up_for: now.since(self.began),
            stop_took: lead.stop_began.map(|began| now.since(began)),
            outcome: match outcome {
                CoreOutcome::Drained => Outcome::Drained,
                CoreOutcome::Failed => Outcome::Failed,
                CoreOutcome::Forced => Outcome::Forced,
            },
            because: self.in_words(because),
            forced: lead.flow.forced(),
            nodes: nodes.collect(),
            edges: self.edge_statuses(&self.last_readings()),
        }
    }

    fn in_words(&self, because: &Because) -> String {
        let id = |node: NodeIndex| &self.spec(node).id;
        match because {
            Because::AllEnded => "all nodes have ended".to_owned(),
            Because::Asked { by } => format!("stopped by {by}"),
            Because::Forced { by } => format!("forced by {by}"),
            Because::NodeFailed { node, how } => format!("node `{}` failed: {how}", id(*node)),
            Because::UpFailed { node, why } => {
                format!("node `{}` could not be brought up: {why}", id(*node))
            }
        }
    }

    /// What has become of the messages to each actor, with its name.
    pub(crate) fn mailboxes(&self) -> Vec<(String, Counts)> {
        let handles = &self.handles;
        let nodes = (0..).map(NodeIndex).zip(&handles.nodes);
        let mut mailboxes = vec![
            (ActorName::Dataflow.to_string(), handles.dataflow.counts()),
            (ActorName::Scheduler.to_string(), handles.scheduler.counts()),
            (ActorName::Stats.to_string(), handles.stats.counts()),
        ];
        mailboxes.extend(nodes.map(|(node, it)| (ActorName::Node(node).to_string(), it.counts())));
        mailboxes
    }

    /// What every edge stands at, by its name.
    pub(crate) fn edge_readings(&self) -> Vec<(EdgeId, EdgeReading)> {
        let edges = self.dataflow.edges.iter().map(|edge| edge.id);
        edges.zip(self.read_edges()).collect()
    }

    /// How many segments of nodes are held.
    pub(crate) fn segments(&self) -> usize {
        self.table.borrow().segments.len()
    }

    /// Kills every process at once and reaps it: the runtime itself cannot go on.
    pub(super) fn kill_all(&self) {
        let mut table = self.table.borrow_mut();
        for row in &mut table.nodes {
            if let Process::Running(running) = &row.process {
                running.process.signal(rustix::process::Signal::KILL);
                // It was killed, so this does not last.
                running.process.reap();
            }
            row.process = Process::None;
        }
    }
}

fn counts_of(reading: &EdgeReading) -> EdgeCounts {
    let counts = &reading.counts;
    EdgeCounts {
        sent: counts.sent,
        delivered: counts.delivered,
        released: counts.released,
        lost: counts.lost,
        dropped_full: counts.dropped_full,
        dropped_receiver_closed: counts.dropped_receiver_closed,
        dropped_memory: counts.dropped_memory,
        queued: counts.queued,
        held: counts.held,
        bytes: counts.bytes,
        blocked_ns: counts.blocked_ns,
    }
}
