//! The world outside of the runtimes: all simulated processes, and who of them does something next.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::flow::{FlowEdge, Graph};
use dataflow_core::lifecycle::Exit;
use dataflow_descriptor::Dataflow;
use dataflow_ids::{Epoch, NodeIndex, OnFailure};
use dataflow_runtime::embed::Inspector;
use tokio::sync::Notify;

use super::draw::Draw;
use super::ledger::Ledger;
use super::notes::Notes;
use super::plan::RunPlan;
use crate::models::{FakeFetch, FakeFetcher};
use crate::process::{CrashPoint, Observation, SimulatedProcess, Stage};

/// The first number of a process. It only has to differ from nothing.
const FIRST_PID: u32 = 1000;

/// A process that was started and is not reaped, and everything that the runtime has of it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) run: usize,
    pub(super) node: NodeIndex,
    pub(super) epoch: Epoch,
    pub(super) pid: u32,
    pub(super) process: RefCell<SimulatedProcess>,
    /// Something was said, or the process has ended.
    pub(super) said: Notify,
    pub(super) ended: Notify,
    pub(super) is_reaped: Cell<bool>,
    /// What it has printed and nobody has read.
    pub(super) printed: RefCell<VecDeque<u8>>,
    pub(super) was_killed: Cell<bool>,
    /// When the runtime has heard that it is ready.
    pub(super) ready_at: Cell<Option<Duration>>,
}

impl Entry {
    pub(super) fn exit(&self) -> Option<Exit> {
        self.process.borrow().ended()
    }
}

/// What the world remembers of a run.
#[derive(Debug)]
pub(super) struct RunRecord {
    pub(super) plan: RunPlan,
    pub(super) graph: Graph,
    pub(super) ledger: RefCell<Ledger>,
    /// The last incarnation that was started of each node, and how it ended.
    pub(super) last: RefCell<BTreeMap<NodeIndex, (Epoch, Option<Exit>)>>,
    /// Since when nothing may be started any more.
    pub(super) stopping_since: Cell<Option<Duration>>,
    /// What persons have asked for.
    pub(super) asked: RefCell<Asked>,
    /// Nodes that have been Ready once.
    pub(super) was_ready: RefCell<BTreeSet<NodeIndex>>,
    /// Looks at the run, once there is one.
    pub(super) inspector: RefCell<Option<Inspector>>,
    /// A process has ended badly.
    pub(super) has_crashed: Cell<bool>,
    /// A process has ended before it was ready, or could not be started.
    pub(super) has_failed_up: Cell<bool>,
    pub(super) lines_printed: Cell<u64>,
    pub(super) is_closed: Cell<bool>,
}

impl RunRecord {
    /// Whether a node may have stopped the dataflow by its end.
    pub(super) fn may_have_failed(&self) -> bool {
        let stops = self.plan.dataflow.on_failure == OnFailure::Stop;
        self.has_failed_up.get() || (self.has_crashed.get() && stops)
    }
}

/// What persons have asked of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) stop_at: Option<Duration>,
    pub(super) now_at: Option<Duration>,
    pub(super) force_at: Option<Duration>,
    /// Nodes that were to be parked, or started again.
    pub(super) by_hand: BTreeSet<NodeIndex>,
}

/// The world outside of the runtimes.
#[derive(Debug)]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) notes: Notes,
    pub(super) runs: Vec<RunRecord>,
    pub(super) entries: RefCell<Vec<Rc<Entry>>>,
    pub(super) draw: RefCell<Draw>,
    /// What fetches the models, while there is one.
    pub(super) fetcher: RefCell<Option<FakeFetcher>>,
    next_pid: Cell<u32>,
}

impl World {
    pub(super) fn new(seed: u64, notes: Notes, plans: Vec<RunPlan>) -> World {
        let runs = plans.into_iter().enumerate().map(|(run, plan)| RunRecord {
            ledger: RefCell::new(Ledger::new(run, &plan.dataflow)),
            graph: graph(&plan.dataflow),
            plan,
            last: RefCell::default(),
            stopping_since: Cell::new(None),
            asked: RefCell::default(),
            was_ready: RefCell::default(),
            inspector: RefCell::new(None),
            has_crashed: Cell::new(false),
            has_failed_up: Cell::new(false),
            lines_printed: Cell::new(0),
            is_closed: Cell::new(false),
        });
        World {
            seed,
            notes,
            runs: runs.collect(),
            entries: RefCell::default(),
            draw: RefCell::new(Draw::new(seed, 2)),
            fetcher: RefCell::new(None),
            next_pid: Cell::new(FIRST_PID),
        }
    }

    /// The fetches that were begun.
    pub(super) fn fetches(&self) -> Vec<FakeFetch> {
        let fetcher = self.fetcher.borrow();
        fetcher
            .as_ref()
            .map(FakeFetcher::fetches)
            .unwrap_or_default()
    }

    /// Starts a process.
    pub(super) fn start(&self, run: usize, node: NodeIndex, epoch: Epoch) -> Rc<Entry> {
        let pid = self.next_pid.get();
        self.next_pid.set(pid + 1);
        let plan = &self.runs[run].plan;
        let spec = &plan.dataflow.nodes[node.0 as usize];
        let purpose = u64::from(pid) << 8 | 3;
        let mut draw = Draw::new(self.seed, purpose);
        let behaviour = super::character::behaviour(plan, spec, epoch, &mut draw);
        let now = self.notes.now();
        let process = SimulatedProcess::new(run as u32, pid, behaviour, draw.any(), now);
        let entry = Rc::new(Entry {
            run,
            node,
            epoch,
            pid,
            process: RefCell::new(process),
            said: Notify::new(),
            ended: Notify::new(),
            is_reaped: Cell::new(false),
            printed: RefCell::default(),
            was_killed: Cell::new(false),
            ready_at: Cell::new(None),
        });
        self.print(&entry, "started");
        self.entries.borrow_mut().push(Rc::clone(&entry));
        self.runs[run].last.borrow_mut().insert(node, (epoch, None));
        entry
    }

    fn print(&self, entry: &Entry, line: &str) {
        let mut printed = entry.printed.borrow_mut();
        printed.extend(line.bytes());
        printed.push_back(b'\n');
        let lines = &self.runs[entry.run].lines_printed;
        lines.set(lines.get() + 1);
    }

    /// Does something to a process, and takes note of what followed.
    pub(super) fn touch<T>(
        &self,
        entry: &Entry,
        act: impl FnOnce(&mut SimulatedProcess) -> T,
    ) -> T {
        let was_alive = entry.exit().is_none();
        let stage = entry.process.borrow().stage();
        let (result, observed, exit) = {
            let mut process = entry.process.borrow_mut();
            let result = act(&mut process);
            (result, process.take_observed(), process.ended())
        };
        for observation in &observed {
            self.observe(entry, observation);
        }
        if was_alive && let Some(exit) = exit {
            self.has_ended(entry, stage, exit);
        }
        entry.said.notify_one();
        result
    }

    fn observe(&self, entry: &Entry, observation: &Observation) {
        let Entry {
            run, node, epoch, ..
        } = *entry;
        let record = &self.runs[run];
        self.notes
            .trace(|| format!("r{run}.n{}.{epoch} {observation:?}", node.0));
        record.ledger.borrow_mut().observe(
            &self.notes,
            &record.plan.dataflow,
            (node, epoch),
            observation,
        );
        super::rules::after(self, entry, observation);
    }

    fn has_ended(&self, entry: &Entry, stage: Stage, exit: Exit) {
        let Entry {
            run, node, epoch, ..
        } = *entry;
        self.notes
            .trace(|| format!("r{run}.n{}.{epoch} ended: {exit}", node.0));
        self.notes.count(match stage {
            Stage::Started => "processes ended before hello",
            Stage::Greeted => "processes ended in the handshake",
            Stage::Connected => "processes ended before Ready",
            Stage::Running => "processes ended while running",
            Stage::Ending => "processes ended when they should",
        });
        if entry.process.borrow().behaviour().crash != CrashPoint::Never && !exit.is_success() {
            self.notes.count("crashes");
        }
        if stage < Stage::Running || entry.ready_at.get().is_none() {
            self.runs[run].has_failed_up.set(true);
        } else if !exit.is_success() {
            self.runs[run].has_crashed.set(true);
        }
        if let Some((last, end)) = self.runs[run].last.borrow_mut().get_mut(&node)
            && *last == epoch
        {
            *end = Some(exit);
        }
        entry.ended.notify_waiters();
    }

    /// A process was reaped: it is nobody's any more.
    pub(super) fn reaped(&self, entry: &Entry) {
        entry.is_reaped.set(true);
        self.entries.borrow_mut().retain(|it| it.pid != entry.pid);
    }

    /// The processes that live, of one run or of all.
    pub(super) fn living(&self, run: Option<usize>) -> Vec<Rc<Entry>> {
        let entries = self.entries.borrow();
        let of_run = entries
            .iter()
            .filter(|it| run.is_none_or(|run| run == it.run));
        of_run.filter(|it| it.exit().is_none()).cloned().collect()
    }

    /// One process, chosen at random among those that can, does one thing; says whether one did.
    pub(super) fn step(&self) -> bool {
        let living = self.living(None);
        if living.is_empty() {
            return false;
        }
        let first = self.draw.borrow_mut().place(living.len());
        let now = self.notes.now();
        (0..living.len()).any(|place| {
            let entry = &living[(first + place) % living.len()];
            self.touch(entry, |process| process.step(now))
        })
    }

    /// The next moment at which a process can do something that none can do now.
    pub(super) fn next_at(&self) -> Option<Duration> {
        let now = self.notes.now();
        self.living(None)
            .iter()
            .filter_map(|entry| entry.process.borrow().next_at(now))
            .min()
    }
}

fn graph(dataflow: &Dataflow) -> Graph {
    let edges: Vec<FlowEdge> = (dataflow.edges.iter())
        .map(|edge| FlowEdge {
            edge: edge.id,
            source: edge.source.index,
            target: edge.target.index,
        })
        .collect();
    Graph::new(dataflow.nodes.len() as u32, &edges).expect("the plan has no other nodes")
}
