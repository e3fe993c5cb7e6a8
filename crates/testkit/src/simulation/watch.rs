//! One run under observation: everything that can be seen of it from outside, looked at whenever nothing moves.

use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{EdgeId, End, Epoch, Forcer, LifeCycle, NodeIndex};
use dataflow_runtime::embed::Inspector;
use dataflow_runtime::logs::LogStream;
use dataflow_runtime::{Controls, RunError, RunEvent};
use dataflow_shm::edge::EdgeCounts;
use dataflow_wire::status::{Outcome, Phase, Report, WaitingFor};

use super::models;
use super::restarts::{Restarts, Transition};
use super::world::{RunRecord, World};

/// So long after the beginning of a stop it says whom it waits for.
const SAYS_AFTER: Duration = Duration::from_millis(1500);

/// So long nobody need be named between one end and the next.
const NAMELESS_MAX: Duration = Duration::from_secs(2);

/// One run under observation.
pub(super) struct Watch {
    world: Rc<World>,
    run: usize,
    pub(super) controls: Controls,
    inspector: Inspector,
    events: mpsc::Receiver<RunEvent>,
    states: Vec<LifeCycle>,
    epochs: Vec<Epoch>,
    /// What each node's restart policy has done.
    restarts: Vec<Restarts>,
    counts: Vec<EdgeCounts>,
    phase: Phase,
    lines: u64,
    looks: u64,
    /// Since when nobody is named while the stop waits.
    nameless_since: Option<Duration>,
    /// The report that the events brought.
    told: Option<Box<Report>>,
}

impl Watch {
    pub(super) fn new(
        world: &Rc<World>,
        run: usize,
        controls: Controls,
        inspector: Inspector,
        events: mpsc::Receiver<RunEvent>,
    ) -> Watch {
        let dataflow = &world.runs[run].plan.dataflow;
        *world.runs[run].inspector.borrow_mut() = Some(inspector.clone());
        Watch {
            world: Rc::clone(world),
            run,
            controls,
            inspector,
            events,
            states: vec![LifeCycle::Declared; dataflow.nodes.len()],
            epochs: vec![Epoch::NONE; dataflow.nodes.len()],
            restarts: vec![Restarts::default(); dataflow.nodes.len()],
            counts: vec![EdgeCounts::default(); dataflow.edges.len()],
            phase: Phase::Starting,
            lines: 0,
            looks: 0,
            nameless_since: None,
            told: None,
        }
    }

    fn record(&self) -> &RunRecord {
        &self.world.runs[self.run]
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    fn check(&self, holds: bool, rule: &'static str, what: impl FnOnce() -> String) {
        let run = self.run;
        self.world
            .notes
            .check(holds, rule, || format!("run {run}: {}", what()));
    }

    /// Nothing moves: what must be true now?
    pub(super) fn look(&mut self) {
        self.looks += 1;
        self.hear();
        let readings = self.inspector.readings();
        {
            let ledger = self.record().ledger.borrow();
            for (edge, reading) in &readings {
                ledger.compare(&self.world.notes, *edge, reading);
            }
        }
        for (edge, reading) in readings {
            self.look_at_edge(edge, reading.counts);
        }
        // What has happened by then stays to be seen, so these may be looked at less often: they cost more.
        if self.looks.is_multiple_of(4) || self.told.is_some() {
            self.look_at_actors();
        }
        if self.looks.is_multiple_of(8) {
            self.look_at_status();
        }
    }

    fn look_at_actors(&self) {
        for (actor, counts) in self.inspector.mailboxes() {
            self.check(counts.balances(), "I-10", || format!("{actor}: {counts:?}"));
            // What comes after the end of a run is nobody's.
            let is_lost = counts.dead_lettered > 0 && self.told.is_none();
            self.check(!is_lost, "I-10", || {
                format!("{actor} has dead letters without a panic: {counts:?}")
            });
        }
        if let Err(error) = self.inspector.audit() {
            self.check(false, "I-13", || error.to_string());
        }
    }

    fn look_at_edge(&mut self, edge: EdgeId, now: EdgeCounts) {
        let before = std::mem::replace(&mut self.counts[edge.0 as usize], now);
        let fell = [
            (before.sent, now.sent),
            (before.delivered, now.delivered),
            (before.released, now.released),
            (before.lost, now.lost),
            (before.dropped_full, now.dropped_full),
            (before.dropped_receiver_closed, now.dropped_receiver_closed),
            (before.dropped_memory, now.dropped_memory),
            (before.bytes, now.bytes),
        ]
        .iter()
        .any(|(before, now)| now < before);
        self.check(!fell, "I-14", || {
            format!("{edge}: {before:?} became {now:?}")
        });
        let target = self.record().plan.dataflow.edges[edge.0 as usize]
            .target
            .index;
        let state = self.states[target.0 as usize];
        let has_ended = state.is_final() || state == LifeCycle::Draining;
        self.check(
            now.dropped_receiver_closed == 0 || has_ended,
            "queued input is kept for the next incarnation",
            || format!("{edge}: {now:?} while its receiver is {state}"),
        );
    }

    fn look_at_status(&self) {
        let status = self.inspector.status();
        for edge in &status.edges {
            let owed = edge.counts.queued + edge.counts.held;
            self.check(!edge.drained || owed == 0, "I-6", || {
                format!("{} is drained with {:?}", edge.edge, edge.counts)
            });
        }
        let dataflow = &self.record().plan.dataflow;
        for (edge, described) in status.edges.iter().zip(&dataflow.edges) {
            let source = self.states[described.source.index.0 as usize];
            let has_ended = source.is_final() || source == LifeCycle::Draining;
            self.check(!edge.closed || has_ended, "closed", || {
                format!("{} is closed while its sender is {source}", edge.edge)
            });
        }
        for (node, state) in status.nodes.iter().zip(&self.states) {
            if node.state == LifeCycle::Downloading {
                models::look_at_waiting(&self.world.notes, node);
            }
            // Their keeper may be about to be rebuilt.
            let is_late = !self.record().plan.faults.is_empty();
            self.check(is_late || node.state == *state, "I-13", || {
                format!(
                    "{} is {}, its statistics say {}",
                    node.node, state, node.state
                )
            });
        }
    }

    /// Hears what the run has told its caller.
    fn hear(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                RunEvent::Log { stream, line, .. } => {
                    self.world
                        .notes
                        .trace(|| format!("r{} log: {line}", self.run));
                    self.lines += u64::from(stream == LogStream::Stdout);
                }
                RunEvent::State {
                    node,
                    from,
                    to,
                    epoch,
                    because,
                } => {
                    let run = self.run;
                    self.world.notes.trace(|| {
                        format!("r{run} {node} {from} -> {to} as {epoch}, because {because:?}")
                    });
                    let dataflow = &self.record().plan.dataflow;
                    let index = dataflow.node_by_id(node.as_str()).map(|node| node.index);
                    if let Some(index) = index {
                        let because = because.as_deref();
                        let transition = Transition { from, to, epoch };
                        self.restarts[index.0 as usize].saw(
                            &self.world,
                            (self.run, index),
                            transition,
                            because,
                        );
                        self.changed(index, (from, to), epoch);
                    }
                }
                RunEvent::Phase(phase) => {
                    self.world
                        .notes
                        .trace(|| format!("r{} is {phase}", self.run));
                    self.phase = phase;
                    if phase == Phase::Stopping {
                        self.record()
                            .stopping_since
                            .set(Some(self.world.notes.now()));
                        self.record().ledger.borrow_mut().stop_begins();
                    }
                }
                RunEvent::Waiting(waiting) => {
                    self.world
                        .notes
                        .count("times it was said whom a stop waits for");
                    self.world
                        .notes
                        .trace(|| format!("r{} waits: {waiting:?}", self.run));
                    self.check(!waiting.is_empty(), "waiting", || "for nobody".to_owned());
                }
                RunEvent::Model(status) => {
                    let (run, view) = (self.run, &status.view);
                    self.world.notes.trace(|| {
                        let far = (view.bytes_done, view.bytes_total);
                        format!("r{run} {} is {:?}, {far:?}", status.model, view.state)
                    });
                }
                RunEvent::Ended(report) => self.told = Some(report),
            }
        }
    }

    fn changed(&mut self, node: NodeIndex, (from, to): (LifeCycle, LifeCycle), epoch: Epoch) {
        let place = node.0 as usize;
        let known = self.states[place];
        self.check(known == from, "life cycle", || {
            format!("{node:?} went from {from} to {to}, and was {known}")
        });
        self.check(!known.is_final(), "I-8", || {
            format!("{node:?} was {known} and is {to}")
        });
        let (before, is_start) = (self.epochs[place], to == LifeCycle::Starting);
        self.check(
            epoch == if is_start { before.next() } else { before },
            "epochs",
            || format!("{node:?} is {to} as {epoch} after {before}"),
        );
        self.states[place] = to;
        self.epochs[place] = epoch;
        self.world.notes.count(match to {
            LifeCycle::Backoff => "states: backoff",
            LifeCycle::Downloading => "states: downloading",
            LifeCycle::Parked => "states: parked",
            LifeCycle::Finished => "states: finished",
            LifeCycle::Failed => "states: failed",
            LifeCycle::Draining => "states: draining",
            LifeCycle::Stopping => "states: stopping",
            LifeCycle::Running => "states: running",
            _ => return,
        });
        if to.is_final() {
            self.nothing_is_owed(node);
        }
    }

    /// A node has ended and its outputs are drained: nobody has anything of them any more.
    fn nothing_is_owed(&self, node: NodeIndex) {
        let readings = self.inspector.readings();
        for edge in self.record().plan.dataflow.edges_from(node) {
            let counts = readings[edge.id.0 as usize].1.counts;
            self.check(counts.queued + counts.held == 0, "I-6", || {
                format!("{node:?} has ended, {}: {counts:?}", edge.id)
            });
        }
    }

    /// Nothing can happen by itself at this moment: a stop that goes on names somebody.
    pub(super) fn look_whom_it_waits_for(&mut self) {
        let since = self.record().stopping_since.get();
        let now = self.world.notes.now();
        if self.phase != Phase::Stopping || since.is_none_or(|since| now < since + SAYS_AFTER) {
            return;
        }
        let living = self.world.living(Some(self.run));
        if living.is_empty() {
            return;
        }
        let waiting = self.inspector.status().waiting;
        if !waiting.is_empty() {
            self.nameless_since = None;
        }
        let is_new = waiting.is_empty() && self.nameless_since.is_none();
        if is_new {
            self.nameless_since = Some(now);
        }
        // Between one end and the next an actor may have to be rebuilt.
        let nameless_since = self.nameless_since;
        let is_too_long = nameless_since.is_some_and(|since| now > since + NAMELESS_MAX);
        self.check(!is_too_long, "waiting", || {
            format!(
                "nobody is named since {nameless_since:?}, {} processes live",
                living.len()
            )
        });
        for named in &waiting {
            let dataflow = &self.record().plan.dataflow;
            let Some(node) = dataflow.node_by_id(named.node.as_str()) else {
                continue;
            };
            let process = living.iter().find(|entry| entry.node == node.index);
            // An actor that is rebuilt has not heard of its end yet.
            let is_late = !self.record().plan.faults.is_empty();
            self.check(
                is_late || named.pid.is_none() || named.pid == process.map(|entry| entry.pid),
                "waiting",
                || format!("{named} has no such process"),
            );
        }
    }

    /// Whether this node is named as one that the stop waits for.
    pub(super) fn is_named(&self, node: NodeIndex) -> bool {
        let id = &self.record().plan.dataflow.nodes[node.0 as usize].id;
        let status = self.inspector.status();
        let mut named = status.waiting.iter().filter(|waiting| waiting.node == *id);
        named.any(|waiting| match waiting.what {
            WaitingFor::Exit | WaitingFor::Ready { .. } => true,
            WaitingFor::Tokens { held, queued, .. } => held + queued > 0,
        })
    }

    /// The run has ended with this.
    pub(super) fn ended(&mut self, result: &Result<Report, RunError>) {
        self.look();
        let report = match result {
            Ok(report) => report,
            Err(error) => return self.check(false, "the run goes on", || error.to_string()),
        };
        self.world
            .notes
            .trace(|| format!("r{} report: {report:?}", self.run));
        self.check(self.told.as_deref() == Some(report), "report", || {
            format!("the events said {:?}", self.told)
        });
        let entries = self.world.entries.borrow();
        let left = entries.iter().filter(|entry| entry.run == self.run).count();
        self.check(left == 0, "I-5", || {
            format!("{left} processes are not reaped")
        });
        let segments = self.inspector.segments();
        self.check(segments == 0, "I-5", || {
            format!("{segments} segments are held")
        });
        self.check(self.record().is_closed.get(), "launcher", || {
            "was not closed".to_owned()
        });
        let printed = self.record().lines_printed.get();
        self.check(self.lines == printed, "logs", || {
            format!("{printed} lines were printed, {} were logged", self.lines)
        });
        self.check(
            self.states.iter().all(|state| state.is_final()),
            "I-8",
            || format!("the run has ended with {:?}", self.states),
        );
        self.check_edges(report);
        self.check_nodes(report);
        self.check_outcome(report);
    }

    fn check_edges(&self, report: &Report) {
        let ledger = self.record().ledger.borrow();
        for status in &report.edges {
            ledger.compare_at_end(&self.world.notes, status.edge, &status.counts);
            self.check(status.closed && status.drained, "I-8", || {
                format!("{} is not closed and drained at the end", status.edge)
            });
            self.world.notes.count("edges at the end of their run");
            if status.counts.dropped_receiver_closed > 0 {
                self.world
                    .notes
                    .count("edges with messages that nobody read");
            }
            if status.counts.lost > 0 {
                self.world.notes.count("edges with lost messages");
            }
        }
    }

    fn check_nodes(&self, report: &Report) {
        let last = self.record().last.borrow();
        for (index, node) in (0..).map(NodeIndex).zip(&report.nodes) {
            let last = last.get(&index);
            let exit = last.and_then(|(_, exit)| *exit);
            let restarts = last.map_or(0, |(epoch, _)| epoch.0.saturating_sub(1));
            self.check(node.restarts == restarts, "report", || {
                format!("{node:?} was started {restarts} times again")
            });
            let fits = match (&node.end, exit) {
                (End::Drained, None) => true,
                (End::Drained, Some(exit)) => exit.is_success() || exit.is_by_terminate(),
                (End::Forced { .. }, Some(exit)) => exit == Exit::Signal(9),
                // Returned before it was ready, or was restarted too often.
                (End::Crashed { .. }, Some(_)) => true,
                (end, None) => models::may_lack_one(&self.world, self.run, index, end),
            };
            self.check(fits, "I-8", || format!("{node:?} ended by {exit:?}"));
            self.world.notes.count(match node.end {
                End::Drained => "ends: drained",
                End::Forced { .. } => "ends: forced",
                End::Crashed { .. } => "ends: crashed",
            });
        }
    }

    fn check_outcome(&self, report: &Report) {
        let asked = self.record().asked.borrow();
        let any = |is: fn(&End) -> bool| report.nodes.iter().any(|node| is(&node.end));
        let any_forced = any(|end| matches!(end, End::Forced { .. }));
        let any_crashed = any(|end| matches!(end, End::Crashed { .. }));
        self.check(
            !any_forced || asked.force_at.is_some(),
            "only a person forces",
            || format!("{:?}", report.nodes),
        );
        let fits = match report.outcome {
            Outcome::Drained => !any_forced && !any_crashed,
            Outcome::Failed => !any_forced,
            Outcome::Forced => any_forced,
        };
        self.check(fits, "I-8", || {
            format!("{:?}: {:?}", report.outcome, report.nodes)
        });
        let by = report.forced;
        self.check(
            by.is_none() || asked.force_at.is_some(),
            "only a person forces",
            || format!("{:?}", by.map(|by: Forcer| by.to_string())),
        );
        self.world.notes.count(match report.outcome {
            Outcome::Drained => "outcomes: drained",
            Outcome::Failed => "outcomes: failed",
            Outcome::Forced => "outcomes: forced",
        });
    }
}
