//! Drives the runs of one seed from their beginning to their end, one step at a time.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use dataflow_core::placement::Capabilities;
use dataflow_ids::{Forcer, NodeId, NodeIndex, StopMode};
use dataflow_runtime::actor::{Injected, When};
use dataflow_runtime::embed::{Inspector, Surroundings, embed};
use dataflow_runtime::{RunError, RunOptions};
use dataflow_wire::status::{Phase, Report};
use tokio::task::JoinHandle;

use super::SETTLE;
use super::draw::Draw;
use super::launcher::SimulationLauncher;
use super::models::Service;
use super::plan::{FaultKind, RunPlan, Weather};
use super::script::{Deed, Entry};
use super::watch::Watch;
use super::world::World;
use crate::process::{Releases, SimulatedProcess};

/// The longest that time passes without a look.
pub(super) const LOOK_AT_LEAST_EVERY: Duration = Duration::from_millis(500);
/// So long after the last deed who is stuck has been named, and is helped.
const PATIENCE: Duration = Duration::from_secs(240);
/// So long after the last deed every run has ended.
const ENDS_WITHIN: Duration = Duration::from_secs(3600);
/// What the outputs of a node may take that says nothing.
const OUTPUT_MEMORY_BYTES: u64 = 64 * 1024;

/// One run and the task that runs it.
struct Running {
    watch: Watch,
    /// Faults of its actors.
    faults: Vec<Injected>,
    task: JoinHandle<Result<Report, RunError>>,
    is_over: bool,
}

/// Drives the runs of one seed.
pub(super) struct Driver {
    world: Rc<World>,
    runs: Vec<Running>,
    models: Service,
    script: VecDeque<Entry>,
    draw: Draw,
    last_deed: Duration,
    is_helped: bool,
}

impl Driver {
    /// Makes the runs. Nothing has begun.
    pub(super) fn new(world: &Rc<World>, script: Vec<Entry>) -> Result<Driver, RunError> {
        let mut runs = Vec::new();
        let mut models = Service::new(world);
        // Strangers may be there before the runs.
        models.do_deeds();
        for run in 0..world.runs.len() {
            let (told, events) = mpsc::channel();
            let launcher = SimulationLauncher {
                world: Rc::clone(world),
                run,
            };
            let surroundings = Surroundings {
                launcher: Rc::new(launcher),
                models: models.source(),
                seed: world.seed.wrapping_add(run as u64),
                run: run_name(world.seed, run),
                pid: 1,
                capabilities: Capabilities {
                    memory_bytes: 1 << 30,
                    cpus: 4,
                    gpu: false,
                    labels: Default::default(),
                },
                output_memory_bytes: OUTPUT_MEMORY_BYTES,
                options: RunOptions::default(),
                begins_at: SystemTime::UNIX_EPOCH,
            };
            let dataflow = world.runs[run].plan.dataflow.clone();
            let embedded = embed(dataflow, surroundings, told)?;
            let inspector = embedded.inspector();
            let faults = inject(&world.runs[run].plan, &inspector);
            let watch = Watch::new(world, run, embedded.controls(), inspector, events);
            runs.push(Running {
                watch,
                faults,
                task: tokio::task::spawn_local(embedded.run()),
                is_over: false,
            });
        }
        let last_deed = script.last().map_or(Duration::ZERO, |entry| entry.at);
        Ok(Driver {
            world: Rc::clone(world),
            runs,
            models,
            script: script.into(),
            draw: Draw::new(world.seed, 5),
            last_deed,
            is_helped: false,
        })
    }

    /// Goes on until every run has ended, or something is wrong.
    pub(super) async fn drive(mut self) {
        let mut wait = SETTLE;
        while !self.runs.iter().all(|run| run.is_over) {
            tokio::time::sleep(wait).await;
            self.look().await;
            if self.world.notes.violation().is_some() {
                break;
            }
            let did_deeds = self.do_deeds();
            self.models.do_deeds();
            let mut did_any = false;
            for _ in 0..self.draw.one_of(&[1, 1, 2, 4, 8, 16]) {
                did_any |= self.world.step();
            }
            if did_any || did_deeds {
                wait = SETTLE;
                continue;
            }
            for run in &mut self.runs {
                run.watch.look_whom_it_waits_for();
            }
            self.help_who_is_stuck();
            wait = self.until_next((wait * 2).min(LOOK_AT_LEAST_EVERY));
        }
        for (run, record) in self.runs.iter().zip(&self.world.runs) {
            run.task.abort();
            // It holds the run, which holds this world.
            record.inspector.take();
        }
        self.models.end().await;
    }

    async fn look(&mut self) {
        for run in &mut self.runs {
            if run.is_over {
                continue;
            }
            if !run.task.is_finished() {
                run.watch.look();
                continue;
            }
            run.is_over = true;
            for fault in &run.faults {
                let struck = fault.struck();
                self.world
                    .notes
                    .count_many("faults of actors that struck", struck);
            }
            match (&mut run.task).await {
                Ok(result) => run.watch.ended(&result),
                Err(error) => self.world.notes.wrong("panics", || error.to_string()),
            }
        }
        for entry in self.world.living(None) {
            if let Err(what) = entry.process.borrow().check_held() {
                self.world
                    .notes
                    .wrong("I-1", || format!("run {}: {what}", entry.run));
            }
        }
        let now = self.world.notes.now();
        self.world
            .notes
            .check(now < self.last_deed + ENDS_WITHIN, "every run ends", || {
                let open: Vec<_> = (0..self.runs.len())
                    .filter(|run| !self.runs[*run].is_over)
                    .collect();
                format!("runs {open:?} go on {ENDS_WITHIN:?} after the last deed")
            });
    }

    /// How long nothing can happen, at most `longest`.
    fn until_next(&self, longest: Duration) -> Duration {
        let now = self.world.notes.now();
        let deed = self.script.front().map(|entry| entry.at);
        let next = [self.world.next_at(), deed].into_iter().flatten().min();
        let wait = next.map_or(longest, |at| at.saturating_sub(now));
        wait.clamp(SETTLE, longest)
    }

    /// Who is stuck has had its time: it must be named by now, and is helped.
    fn help_who_is_stuck(&mut self) {
        let now = self.world.notes.now();
        if self.is_helped || !self.script.is_empty() || now < self.last_deed + PATIENCE {
            return;
        }
        self.is_helped = true;
        for (number, run) in self.runs.iter_mut().enumerate() {
            let record = &self.world.runs[number];
            let Some(stuck) = record.plan.stuck.filter(|_| !run.is_over) else {
                continue;
            };
            let living = self.world.living(Some(number));
            let entry = living.iter().find(|entry| entry.node == stuck);
            let is_free = entry.is_none_or(|entry| entry.process.borrow().next_at(now).is_some());
            if is_free {
                continue;
            }
            self.world.notes.check(
                run.watch.phase() == Phase::Stopping && run.watch.is_named(stuck),
                "waiting",
                || format!("run {number}: {stuck:?} holds up the stop and is not named"),
            );
            self.world.notes.count("stuck nodes that were named");
            if self.draw.percent(50) {
                self.world.notes.count("stuck nodes that were helped");
                for entry in &living {
                    self.world.touch(entry, SimulatedProcess::relent);
                }
            } else {
                record.asked.borrow_mut().force_at = Some(now);
                run.watch.controls.force(Forcer::DownForce);
            }
        }
        for entry in self.world.living(None) {
            // One that holds until its end can keep its sender from ending, and so itself.
            let holds = entry.process.borrow().behaviour().releases != Releases::InTime;
            if holds || self.world.runs[entry.run].plan.weather == Weather::Stuck {
                self.world.touch(&entry, SimulatedProcess::relent);
            }
        }
    }

    /// Does what is due by the script; says whether anything was.
    fn do_deeds(&mut self) -> bool {
        let now = self.world.notes.now();
        let mut any = false;
        while self.script.front().is_some_and(|entry| entry.at <= now)
            && let Some(entry) = self.script.pop_front()
        {
            if self.runs[entry.run].is_over {
                continue;
            }
            any = true;
            self.world
                .notes
                .trace(|| format!("r{} DEED {:?}", entry.run, entry.deed));
            self.do_deed(entry.run, &entry.deed);
        }
        any
    }

    fn do_deed(&self, run: usize, deed: &Deed) {
        let (notes, record) = (&self.world.notes, &self.world.runs[run]);
        let (now, controls) = (notes.now(), &self.runs[run].watch.controls);
        let process = |node| {
            let living = self.world.living(Some(run));
            living.into_iter().find(|entry| entry.node == node)
        };
        match *deed {
            Deed::Stop { mode, force_after } => {
                let mut asked = record.asked.borrow_mut();
                if asked.stop_at.is_none() {
                    asked.stop_at = Some(now);
                    record.ledger.borrow_mut().stop_begins();
                }
                if mode == StopMode::Now {
                    asked.now_at = Some(now);
                }
                if force_after.is_some() {
                    notes.count("deeds: stop with a time after which to force");
                    asked.force_at = Some(now);
                }
                notes.count(match mode {
                    StopMode::Graceful => "deeds: stop",
                    StopMode::Now => "deeds: stop now",
                });
                controls.stop(mode, force_after);
            }
            Deed::Force { by } => {
                record.asked.borrow_mut().force_at = Some(now);
                notes.count("deeds: force");
                controls.force(by);
            }
            Deed::Park { node, kill } => {
                notes.count("deeds: stop NODE");
                self.by_hand(run, node, kill);
                controls.stop_node(self.id_of(run, node), kill);
            }
            Deed::Restart { node, kill } => {
                notes.count("deeds: restart NODE");
                self.by_hand(run, node, kill);
                controls.restart(self.id_of(run, node), kill);
            }
            Deed::Kill { node } => {
                if let Some(entry) = process(node) {
                    notes.count("deeds: SIGKILL");
                    self.world.touch(&entry, SimulatedProcess::kill);
                }
            }
            Deed::Terminate { node } => {
                if let Some(entry) = process(node) {
                    notes.count("deeds: SIGTERM");
                    self.world.touch(&entry, SimulatedProcess::terminate);
                }
            }
            Deed::StandStill { node, time } => {
                if let Some(entry) = process(node) {
                    notes.count("deeds: SIGSTOP and SIGCONT");
                    self.world
                        .touch(&entry, |process| process.stand_still(now + time));
                }
            }
        }
    }
}

/// Lets the faults of the plan strike at the actors of a run.
fn inject(plan: &RunPlan, inspector: &Inspector) -> Vec<Injected> {
    let actors = inspector.actors();
    let mut injected = Vec::new();
    for fault in &plan.faults {
        let actor = &actors[fault.actor % actors.len()];
        let when = When::any().nth(fault.nth);
        injected.push(match fault.kind {
            FaultKind::Of(kind) => actor.inject(when, kind),
            FaultKind::Duplicate => actor.duplicate(when),
        });
    }
    injected
}

impl Driver {
    fn id_of(&self, run: usize, node: NodeIndex) -> NodeId {
        let nodes = &self.world.runs[run].plan.dataflow.nodes;
        nodes[node.0 as usize].id.clone()
    }

    fn by_hand(&self, run: usize, node: NodeIndex, kill: Option<Forcer>) {
        let mut asked = self.world.runs[run].asked.borrow_mut();
        asked.by_hand.insert(node);
        if kill.is_some() {
            self.world.notes.count("deeds: with a SIGKILL of one node");
            asked.force_at.get_or_insert(self.world.notes.now());
        }
    }
}

/// The run's name, which is part of the names of its memory.
pub(super) fn run_name(seed: u64, run: usize) -> String {
    format!("sim-{seed}-{run}")
}
