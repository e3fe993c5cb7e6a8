//! How the dataflow stands and how it ended, read from the table and from what the actors decided.

use std::time::Duration;

use dataflow_core::flow::Because;
use dataflow_core::outcome::Outcome as CoreOutcome;
use dataflow_core::stats::{EdgeCounters, EdgeGauges, EdgeTotals};
use dataflow_descriptor::Edge;
use dataflow_ids::{EdgeId, End, LifeCycle, NodeIndex, Sequence};
use dataflow_shm::edge::{EdgeReading, Tokens};
use dataflow_wire::status::{
    DataflowStatus, EdgeCounts, EdgeStatus, NodeReport, NodeStatus, Outcome, Phase, Report,
    Waiting, WaitingFor,
};

use super::Root;
use super::table::Process;

impl Root {
    /// How the dataflow stands. Never waits for anybody.
    pub(super) fn status(&self) -> DataflowStatus {
        let edges = self.edge_statuses();
        let waiting = if self.phase.get() == Phase::Stopping {
            self.waiting()
        } else {
            Vec::new()
        };
        DataflowStatus {
            name: self.dataflow.name.clone(),
            run: self.run.clone(),
            file: self.dataflow.file.clone(),
            pid: std::process::id(),
            up_for: self.env.now().since(self.began),
            phase: self.phase.get(),
            nodes: (0..)
                .map(NodeIndex)
                .zip(&self.dataflow.nodes)
                .map(|(index, _)| self.node_status(index, &edges))
                .collect(),
            edges,
            waiting,
        }
    }

    fn node_status(&self, node: NodeIndex, edges: &[EdgeStatus]) -> NodeStatus {
        let spec = self.spec(node);
        let machine = self.memory.node(node).read();
        let statistics = self.memory.stats.read();
        let since = statistics.node(node).map_or(self.began, |node| node.since);
        let sent = edges.iter().filter(|edge| edge.source == spec.id);
        let delivered = edges.iter().filter(|edge| edge.target == spec.id);
        NodeStatus {
            node: spec.id.clone(),
            state: machine.state(),
            state_for: self.env.now().since(since),
            epoch: machine.epoch(),
            pid: machine.pid(),
            restarts: machine.restarts(),
            sent: sent.map(|edge| edge.counts.sent).sum(),
            delivered: delivered.map(|edge| edge.counts.delivered).sum(),
            end: machine.end().cloned(),
            because: (machine.because().map(str::to_owned))
                .or_else(|| self.silence(node, machine.state())),
        }
    }

    /// Why a node that starts is not ready, as far as that can be seen from here.
    fn silence(&self, node: NodeIndex, state: LifeCycle) -> Option<String> {
        if state != LifeCycle::Starting {
            return None;
        }
        let table = self.table.borrow();
        let process = &table.node(node).process;
        let running = process.running(process.epoch())?;
        Some(if running.is_connected {
            "connected; not ready before its first recv or send".to_owned()
        } else {
            "started; its library has not connected yet".to_owned()
        })
    }

    fn edge_statuses(&self) -> Vec<EdgeStatus> {
        let table = self.table.borrow();
        let mut totals = Vec::with_capacity(table.edges.len());
        let statuses = (self.dataflow.edges.iter().zip(&table.edges))
            .map(|(edge, row)| {
                let reading = row.keeper.read();
                totals.push((edge.id, totals_of(&reading)));
                EdgeStatus {
                    edge: edge.id,
                    source: edge.source.node.clone(),
                    output: edge.source.output.clone(),
                    target: edge.target.node.clone(),
                    input: edge.target.input.clone(),
                    policy: edge.policy,
                    queue_size: edge.queue_size,
                    blocked: reading.sender_blocked && !row.is_closed,
                    closed: row.is_closed,
                    drained: row.is_drained,
                    counts: counts_of(&reading),
                }
            })
            .collect();
        drop(table);
        self.fold(totals);
        statuses
    }

    /// Lets the statistics know what was read. A reading that finds no room is made up for by the next.
    fn fold(&self, totals: Vec<(EdgeId, EdgeTotals)>) {
        let _ = self
            .handles
            .stats
            .tell(crate::actors::StatsMessage::EdgesRead(totals));
    }

    /// Whom the stop waits for.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let now = self.env.now();
        let lead = self.memory.lead.read();
        let table = self.table.borrow();
        let mut waiting = Vec::new();
        let mut named = Vec::new();
        for asked in lead.drain.waiting() {
            let (Some(edge), Some(row)) = (self.dataflow.edge(asked.edge), table.edge(asked.edge))
            else {
                continue;
            };
            let owed = row.keeper.tokens(asked.upto);
            let busy_for = (asked.answer.as_ref())
                .filter(|answer| !answer.busy_for.is_zero())
                .map(|answer| answer.busy_for + now.since(answer.at));
            named.push(edge.target.index);
            waiting.push(self.waiting_for_tokens(edge, &owed, busy_for));
        }
        for spec in &self.dataflow.nodes {
            let machine = self.memory.node(spec.index).read();
            let has_inputs = self.dataflow.edges_into(spec.index).next().is_some();
            let all_closed = (self.dataflow.edges_into(spec.index))
                .all(|edge| table.edge(edge.id).is_some_and(|row| row.is_closed));
            let is_asked = machine.state() == LifeCycle::Stopping || (has_inputs && all_closed);
            if !machine.has_process() || !is_asked || named.contains(&spec.index) {
                continue;
            }
            // Who waits in a `send` is not the one to blame.
            let mut is_blocked = false;
            for edge in self.dataflow.edges_from(spec.index) {
                let Some(row) = table.edge(edge.id) else {
                    continue;
                };
                let owed = row.keeper.tokens(Sequence(u64::MAX));
                if row.keeper.read().sender_blocked && !owed.is_empty() {
                    is_blocked = true;
                    waiting.push(self.waiting_for_tokens(edge, &owed, None));
                }
            }
            if !is_blocked {
                waiting.push(Waiting {
                    node: spec.id.clone(),
                    pid: machine.pid(),
                    busy_for: None,
                    what: WaitingFor::Exit,
                });
            }
        }
        waiting
    }

    fn waiting_for_tokens(
        &self,
        edge: &Edge,
        owed: &Tokens,
        busy_for: Option<Duration>,
    ) -> Waiting {
        Waiting {
            node: edge.target.node.clone(),
            pid: self.memory.node(edge.target.index).read().pid(),
            busy_for,
            what: WaitingFor::Tokens {
                source: edge.source.node.clone(),
                output: edge.source.output.clone(),
                held: owed.held.len() as u64,
                queued: owed.queued,
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
            edges: self.edge_statuses(),
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

    /// Kills every process at once and reaps it: the runtime itself cannot go on.
    pub(super) fn kill_all(&self) {
        let mut table = self.table.borrow_mut();
        for row in &mut table.nodes {
            if let Process::Running(running) = &mut row.process {
                let group = running.pid;
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                // It was killed, so this does not last.
                let _ = running.child.wait();
            }
            row.process = Process::None;
        }
    }
}

fn totals_of(reading: &EdgeReading) -> EdgeTotals {
    let counts = &reading.counts;
    EdgeTotals {
        counters: EdgeCounters {
            sent: counts.sent,
            delivered: counts.delivered,
            released: counts.released,
            lost: counts.lost,
            dropped_full: counts.dropped_full,
            dropped_receiver_closed: counts.dropped_receiver_closed,
            dropped_memory: counts.dropped_memory,
            bytes: counts.bytes,
            blocked_ns: counts.blocked_ns,
        },
        gauges: EdgeGauges {
            queued: counts.queued,
            held: counts.held,
        },
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
