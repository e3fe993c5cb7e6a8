//! The machine that lives a node's life.

mod ending;
mod wishes;

use dataflow_ids::{EdgeId, End, Epoch, Forcer, LifeCycle, Sequence, StopMode};

use super::events::{Needs, NodeCommand, NodeEvent, NodeSettings, Program};
use crate::broken::{Rule, is_broken};
use crate::random::Random;
use crate::restart::RestartTracker;
use crate::time::Time;

/// The life of one node, from `Declared` to `Finished` or `Failed`.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeMachine {
    program: Program,
    state: LifeCycle,
    epoch: Epoch,
    /// How often its state has changed.
    changes: u64,
    /// What it still waits for before it starts.
    needs: Needs,
    /// There from the command to spawn until the process is reaped.
    incarnation: Option<Incarnation>,
    intent: Intent,
    /// The dataflow stops, so nothing is restarted.
    stop_begun: bool,
    /// No message will come any more, so nothing is restarted.
    inputs_closed: bool,
    forced: Option<Forcer>,
    /// How the last incarnation ended, if one did.
    last_end: Option<End>,
    /// How the node ended, from `Draining` on.
    end: Option<End>,
    because: Option<String>,
    /// When the backoff is over, of which there was one last.
    again_at: Option<Time>,
    restarts: RestartTracker,
    random: Random,
}

/// One process of the node.
#[derive(Debug, Clone, PartialEq)]
struct Incarnation {
    started_at: Time,
    /// Known once it runs. Its library can be heard before that is.
    pid: Option<u32>,
    connected: bool,
    ready: bool,
    stop_sent: Option<StopMode>,
    stop_delivered: bool,
    terminate_sent: bool,
    /// Who wants this process killed, and not the node ended.
    killer: Option<Forcer>,
    kill_sent: bool,
}

/// What is to become of the current process.
#[derive(Debug, Clone, PartialEq)]
enum Intent {
    Run,
    /// A person wants it stopped and its outputs open.
    Park,
    /// A person wants a new one.
    Restart,
    /// It ends for good.
    Stop {
        mode: StopMode,
        upto: Vec<(EdgeId, Sequence)>,
    },
}

impl NodeMachine {
    /// The machine of a node that is declared and nothing else.
    #[must_use]
    pub fn new(settings: NodeSettings) -> Self {
        NodeMachine {
            program: settings.program,
            state: LifeCycle::Declared,
            epoch: Epoch::NONE,
            changes: 0,
            needs: settings.needs,
            incarnation: None,
            intent: Intent::Run,
            stop_begun: false,
            inputs_closed: false,
            forced: None,
            last_end: None,
            end: None,
            because: None,
            again_at: None,
            restarts: RestartTracker::new(settings.restart),
            random: Random::new(settings.seed),
        }
    }

    /// Where the node stands.
    #[must_use]
    pub fn state(&self) -> LifeCycle {
        self.state
    }

    /// Its current incarnation, or its last.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How often its state has changed: the `sequence` of its last `Report`.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Its process, while it has one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.incarnation
            .as_ref()
            .and_then(|incarnation| incarnation.pid)
    }

    /// Whether its process may still live: it was ordered and is not reaped.
    #[must_use]
    pub fn has_process(&self) -> bool {
        self.incarnation.is_some()
    }

    /// Whether the current incarnation has been Ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.incarnation
            .as_ref()
            .is_some_and(|incarnation| incarnation.ready)
    }

    /// Whether the user's code of the current incarnation has seen the stop.
    #[must_use]
    pub fn is_stop_delivered(&self) -> bool {
        self.incarnation
            .as_ref()
            .is_some_and(|incarnation| incarnation.stop_delivered)
    }

    /// How it ended: from `Draining` on, and never changed again.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.epoch.0.saturating_sub(1)
    }

    /// What explains its state, in one line.
    #[must_use]
    pub fn because(&self) -> Option<&str> {
        self.because.as_deref()
    }

    /// When it is started again, while it is in `Backoff`.
    #[must_use]
    pub fn starts_again_at(&self) -> Option<Time> {
        self.again_at.filter(|_| self.state == LifeCycle::Backoff)
    }

    /// Takes one event; gives what must be done, in order.
    pub fn handle(&mut self, now: Time, event: NodeEvent) -> Vec<NodeCommand> {
        let mut commands = Vec::new();
        if self.end.is_some() {
            if event == NodeEvent::OutputsDrained && self.state == LifeCycle::Draining {
                self.drained(&mut commands);
            }
            return commands;
        }
        match event {
            NodeEvent::Placed => {
                if self.state == LifeCycle::Declared {
                    self.go(LifeCycle::Placed, None, &mut commands);
                }
            }
            NodeEvent::NoPlace { why } => {
                if self.state == LifeCycle::Declared {
                    let how = format!("no place for it: {why}");
                    self.fail_before_it_began(how, &mut commands);
                }
            }
            NodeEvent::Start => match (self.state, self.needs) {
                (LifeCycle::Placed, Needs::Nothing) => self.start(now, None, &mut commands),
                (LifeCycle::Placed, Needs::Models) => {
                    self.go(LifeCycle::Downloading, None, &mut commands);
                }
                _ => {}
            },
            NodeEvent::ModelsReady => {
                self.needs = Needs::Nothing;
                if self.state == LifeCycle::Downloading {
                    self.start(now, None, &mut commands);
                }
            }
            NodeEvent::ModelsFailed { why } => {
                if self.epoch == Epoch::NONE && self.needs == Needs::Models {
                    self.fail_before_it_began(why, &mut commands);
                }
            }
            NodeEvent::Spawned { epoch, pid } => self.spawned(now, epoch, pid, &mut commands),
            NodeEvent::SpawnFailed { epoch, cause } => {
                if self.current(epoch).is_some_and(|it| it.pid.is_none()) {
                    let how = format!("could not be started: {cause}");
                    self.gone(now, End::Crashed { how: how.clone() }, how, &mut commands);
                }
            }
            NodeEvent::Connected { epoch } => {
                if let Some(incarnation) = self.current(epoch) {
                    incarnation.connected = true;
                    self.pursue(&mut commands);
                }
            }
            NodeEvent::Ready { epoch } => {
                if let Some(incarnation) = self.current(epoch) {
                    incarnation.connected = true;
                    self.ready(&mut commands);
                }
            }
            NodeEvent::Running { epoch } => {
                if let Some(incarnation) = self.current(epoch) {
                    incarnation.connected = true;
                    self.ready(&mut commands);
                    if self.state == LifeCycle::Ready {
                        self.go(LifeCycle::Running, None, &mut commands);
                    }
                }
            }
            NodeEvent::Exited { epoch, exit } => {
                if let Some(end) = self.end_of(epoch, exit) {
                    if !is_broken(Rule::NoRepair) {
                        commands.push(NodeCommand::Repair { epoch });
                    }
                    let before_ready = format!("{exit} before it was ready");
                    self.gone(now, end, before_ready, &mut commands);
                }
            }
            NodeEvent::StopBegun => self.stop_begun(&mut commands),
            NodeEvent::Stop { mode, upto } => self.stop(mode, upto, &mut commands),
            NodeEvent::StopDelivered { epoch } => {
                if let Some(incarnation) = self.current(epoch) {
                    incarnation.stop_delivered = true;
                }
            }
            NodeEvent::InputsClosed => {
                self.inputs_closed = true;
                if matches!(self.state, LifeCycle::Backoff | LifeCycle::Parked) {
                    self.finish_without_process("its inputs have closed", &mut commands);
                }
            }
            NodeEvent::BackoffElapsed { epoch } => {
                if self.state == LifeCycle::Backoff && epoch == self.epoch {
                    self.start(now, None, &mut commands);
                }
            }
            // Only what has closed its outputs can drain them.
            NodeEvent::OutputsDrained => {}
            NodeEvent::Force { by } => {
                self.forced.get_or_insert(by);
                self.stop_begun = true;
                self.stop(StopMode::Now, Vec::new(), &mut commands);
            }
            NodeEvent::Park { kill } => self.park(kill, &mut commands),
            NodeEvent::Restart { kill } => self.restart(now, kill, &mut commands),
        }
        commands
    }

    /// The current incarnation, if it has this epoch and is not reaped.
    fn current(&mut self, epoch: Epoch) -> Option<&mut Incarnation> {
        if epoch == self.epoch {
            self.incarnation.as_mut()
        } else {
            None
        }
    }

    fn go(&mut self, to: LifeCycle, because: Option<String>, commands: &mut Vec<NodeCommand>) {
        let from = self.state;
        self.state = to;
        self.changes = self.changes.saturating_add(1);
        self.because.clone_from(&because);
        commands.push(NodeCommand::Report {
            from,
            to,
            epoch: self.epoch,
            sequence: self.changes,
            end: self.end.clone(),
            because,
        });
    }

    fn fail_before_it_began(&mut self, how: String, commands: &mut Vec<NodeCommand>) {
        commands.push(NodeCommand::FailUp { why: how.clone() });
        self.finish(End::Crashed { how: how.clone() }, how, commands);
    }

    fn start(&mut self, now: Time, because: Option<String>, commands: &mut Vec<NodeCommand>) {
        if self.epoch == Epoch::NONE || !is_broken(Rule::EpochStays) {
            self.epoch = self.epoch.next();
        }
        self.intent = Intent::Run;
        self.incarnation = Some(Incarnation {
            started_at: now,
            pid: None,
            connected: false,
            ready: false,
            stop_sent: None,
            stop_delivered: false,
            terminate_sent: false,
            killer: None,
            kill_sent: false,
        });
        self.go(LifeCycle::Starting, because, commands);
        commands.push(NodeCommand::Spawn { epoch: self.epoch });
    }

    fn spawned(&mut self, now: Time, epoch: Epoch, pid: u32, commands: &mut Vec<NodeCommand>) {
        let Some(incarnation) = self.current(epoch) else {
            return;
        };
        if incarnation.pid.is_some() {
            return;
        }
        incarnation.pid = Some(pid);
        incarnation.started_at = now;
        if self.program == Program::MayLackLibrary || is_broken(Rule::ReadyWhenStarted) {
            self.ready(commands);
        } else {
            self.pursue(commands);
        }
    }

    fn ready(&mut self, commands: &mut Vec<NodeCommand>) {
        let Some(incarnation) = &mut self.incarnation else {
            return;
        };
        if !incarnation.ready {
            incarnation.ready = true;
            // Also when it stops: somebody may wait in `send` for this receiver to be ready.
            commands.push(NodeCommand::MarkReady);
            if self.state == LifeCycle::Starting {
                self.go(LifeCycle::Ready, None, commands);
            }
        }
        self.pursue(commands);
    }

    fn stop_begun(&mut self, commands: &mut Vec<NodeCommand>) {
        if self.state == LifeCycle::Backoff && is_broken(Rule::RestartInTheStop) {
            return;
        }
        self.stop_begun = true;
        match &self.incarnation {
            None => self.finish_without_process("the dataflow stops", commands),
            // Nothing can have been sent to it: the first `send` waits for Ready. If it becomes ready nevertheless,
            // it ends as everybody does.
            Some(incarnation) if self.epoch == FIRST && !incarnation.ready => {
                self.go_stopping("told to stop", commands);
                self.pursue(commands);
            }
            // It ends when it is told to, or when its inputs close.
            Some(_) => {}
        }
    }

    fn stop(
        &mut self,
        mode: StopMode,
        upto: Vec<(EdgeId, Sequence)>,
        commands: &mut Vec<NodeCommand>,
    ) {
        if self.incarnation.is_none() {
            self.finish_without_process("told to stop", commands);
            return;
        }
        match &self.intent {
            Intent::Stop { mode: known, .. } if *known >= mode => {}
            _ => self.intent = Intent::Stop { mode, upto },
        }
        self.go_stopping("told to stop", commands);
        self.pursue(commands);
    }

    /// Whether a stop is under way, which wins over everything else.
    fn ends_for_good(&self) -> bool {
        self.stop_begun || matches!(self.intent, Intent::Stop { .. })
    }

    fn go_stopping(&mut self, because: &str, commands: &mut Vec<NodeCommand>) {
        if self.state != LifeCycle::Stopping {
            self.go(LifeCycle::Stopping, Some(because.into()), commands);
        }
    }

    /// Tells the process what it must know by now and does not: called whenever that may have changed.
    fn pursue(&mut self, commands: &mut Vec<NodeCommand>) {
        let (epoch, program) = (self.epoch, self.program);
        let Some(incarnation) = &mut self.incarnation else {
            return;
        };
        if self.forced.is_some() || incarnation.killer.is_some() {
            if incarnation.pid.is_some() && !incarnation.kill_sent {
                incarnation.kill_sent = true;
                commands.push(NodeCommand::Kill { epoch });
            }
            return;
        }
        let is_fresh = epoch == FIRST && !incarnation.ready;
        let (mode, command) = match &self.intent {
            Intent::Run if is_fresh && self.stop_begun => {
                let (mode, upto) = (StopMode::Graceful, Vec::new());
                (mode, NodeCommand::SendStop { epoch, mode, upto })
            }
            Intent::Run => return,
            // What is queued is kept for the next incarnation, and a send that has begun ends as in any other
            // graceful stop: nothing is lost between the two.
            Intent::Park | Intent::Restart => {
                (StopMode::Graceful, NodeCommand::SendPause { epoch })
            }
            Intent::Stop { mode, upto } => {
                let (mode, upto) = (*mode, upto.clone());
                (mode, NodeCommand::SendStop { epoch, mode, upto })
            }
        };
        let is_deaf = program == Program::MayLackLibrary && !incarnation.connected;
        if is_fresh || is_deaf {
            if incarnation.pid.is_some() && !incarnation.terminate_sent {
                incarnation.terminate_sent = true;
                commands.push(NodeCommand::Terminate { epoch });
            }
        } else if incarnation.connected && incarnation.stop_sent < Some(mode) {
            incarnation.stop_sent = Some(mode);
            commands.push(command);
        }
    }
}

/// The epoch of the first incarnation.
const FIRST: Epoch = Epoch(1);
