//! The processes of nodes: started, watched, signalled, reaped.
//!
//! A process has ended when its pidfd says so. Then the rest of its group is killed while its number is still its
//! own, everything it had said is heard, and only then is its end a fact that anybody acts upon.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_descriptor::Program;
use dataflow_ids::{Epoch, NodeIndex};
use dataflow_shm::child::{BaseEnvironment, ChildConfig};
use rustix::process::Signal;

use super::pump::Pump;
use super::table::{Process, Running};
use super::{Root, RootRef};
use crate::actors::NodeMessage;
use crate::env::TaskName;
use crate::logs::LogStream;
use crate::process::{LaunchOrder, Launched};

/// How long the rest of a process group that was sent SIGKILL is waited for. Its leader, and the process that
/// speaks, are waited for without a limit.
const GROUP_END_MAX: Duration = Duration::from_secs(1);

/// What the table knows about a node's process, for an actor that adopts it.
pub(crate) enum ProcessFact {
    /// It runs and has not said hello.
    Spawned { pid: u32 },
    /// It runs and was welcomed.
    Connected,
    /// It could not be started.
    SpawnFailed { cause: String },
    /// It has been reaped.
    Exited { exit: Exit },
}

impl Root {
    /// Starts an incarnation of a node. Starting one that was started already changes nothing.
    pub(crate) fn spawn_node(self: &Rc<Self>, node: NodeIndex, epoch: Epoch) {
        if self.table.borrow().node(node).process.epoch() >= epoch {
            return;
        }
        self.set_epoch(node, epoch);
        let root = Rc::clone(self);
        let task = self.env.spawn(TaskName::Node(node, epoch), async move {
            if let Err(cause) = root.launch(node, epoch).await {
                root.not_started(node, epoch, cause);
                return;
            }
            root.watch(node, epoch).await;
        });
        self.table.borrow_mut().node_mut(node).process = Process::Starting { epoch, task };
    }

    async fn launch(self: &Rc<Self>, node: NodeIndex, epoch: Epoch) -> Result<(), String> {
        let order = LaunchOrder {
            node: self.spec(node).id.clone(),
            index: node,
            epoch,
            program: self.child_config(node),
        };
        let launched = self.env.launcher().launch(order).await;
        self.install(node, epoch, launched.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// What a node is started with.
    fn child_config(&self, node: NodeIndex) -> ChildConfig {
        let spec = self.spec(node);
        let (program, script) = match (spec.program, &spec.python) {
            (Program::Python, Some(python)) => (python.clone(), Some(spec.path.clone())),
            _ => (spec.path.clone(), None),
        };
        let mut env: BTreeMap<OsString, Option<OsString>> = BTreeMap::new();
        let mut set = |key: &str, value: &OsStr| env.insert(key.into(), Some(value.into()));
        set("PYTHONUNBUFFERED", "1".as_ref());
        if let Some(terminal) = &self.options.terminal {
            set("DATAFLOW_TERMINAL", terminal.as_os_str());
        }
        for (key, value) in self.dataflow.env.iter().chain(&spec.env) {
            set(key, value.as_ref());
        }
        for (key, path) in &self.model_variables(node) {
            set(key, path);
        }
        set("DATAFLOW_NODE", spec.id.as_str().as_ref());
        set("DATAFLOW_RUN", self.run.as_ref());
        ChildConfig {
            program,
            base: match &self.options.environment {
                Some(given) => BaseEnvironment::Only(Arc::clone(&given.variables)),
                None => BaseEnvironment::Inherited,
            },
            args: (script.into_iter().map(OsString::from))
                .chain(spec.args.iter().map(OsString::from))
                .collect(),
            env,
            folder: self.dataflow.folder.clone(),
            control: None,
            descriptor_limit: None,
        }
    }

    /// A process runs: everything that leads to it goes into the table before anything else happens.
    fn install(self: &Rc<Self>, node: NodeIndex, epoch: Epoch, launched: Launched) {
        let id = &self.spec(node).id;
        let Launched {
            pid,
            process,
            control,
            stdout,
            stderr,
        } = launched;
        let pump = |pipe, stream| {
            let (env, logs) = (self.env.clone(), Rc::clone(&self.logs));
            Rc::new(Pump::new(pipe, id.clone(), stream, env, logs))
        };
        let pumps = vec![
            pump(stdout, LogStream::Stdout),
            pump(stderr, LogStream::Stderr),
        ];

        self.process_is(node, epoch, Some(pid), None);
        let name = TaskName::Node(node, epoch);
        let mut tasks = vec![
            self.env.spawn(
                name,
                Rc::clone(self).listen(node, epoch, Rc::clone(&control)),
            ),
            self.env.spawn(name, {
                let control = Rc::clone(&control);
                async move { control.write_queued().await }
            }),
        ];
        for (place, pump) in pumps.iter().enumerate() {
            let pump = Rc::clone(pump);
            let name = TaskName::Pump(node, epoch, place);
            tasks.push(self.env.spawn(name, async move { pump.run().await }));
        }
        let starting = {
            let mut table = self.table.borrow_mut();
            let row = table.node_mut(node);
            std::mem::replace(
                &mut row.process,
                Process::Running(Box::new(Running {
                    epoch,
                    pid,
                    process,
                    control,
                    pumps,
                    is_connected: false,
                    is_refused: false,
                    is_over: false,
                    said: Vec::new(),
                    busy: None,
                    warnings: 0,
                    tasks,
                })),
            )
        };
        if let Process::Starting { task, .. } = starting {
            // It is the task that runs this, and goes on to watch.
            task.detach();
        }
        tracing::debug!(node = %id, pid, %epoch, "process started");
        self.handles()
            .node(node)
            .fact(NodeMessage::Spawned { epoch, pid });
    }

    fn not_started(&self, node: NodeIndex, epoch: Epoch, cause: String) {
        self.say(node, format!("could not be started: {cause}"));
        let failed = Process::Failed {
            epoch,
            cause: cause.clone(),
        };
        let before = std::mem::replace(&mut self.table.borrow_mut().node_mut(node).process, failed);
        if let Process::Starting { task, .. } = before {
            task.detach();
        }
        self.handles()
            .node(node)
            .fact(NodeMessage::SpawnFailed { epoch, cause });
    }

    /// Waits for the end of a process, and buries it.
    pub(super) async fn watch(self: &Rc<Self>, node: NodeIndex, epoch: Epoch) {
        let Some(process) = (self.table.borrow().node(node).process.running(epoch))
            .map(|running| Rc::clone(&running.process))
        else {
            return;
        };
        process.ended().await;
        let Some(control) = (self.table.borrow().node(node).process.running(epoch))
            .map(|running| Rc::clone(&running.control))
        else {
            return;
        };
        // A process may have ended before anything that it said was heard.
        self.hear_rest(node, epoch, &*control);
        {
            let mut table = self.table.borrow_mut();
            let Some(running) = table.node_mut(node).process.running_mut(epoch) else {
                return;
            };
            running.is_over = true;
            // Not reaped yet, so its number and its group are still its own.
            running.process.signal(Signal::KILL);
        }
        // It was killed; nobody repairs its edges before it is known to be gone.
        process.rest_ended().await;
        // The others of the group die now too, and with the last one its end of the conversation. Whoever keeps it
        // open for longer has left the group, and is waited for no more.
        let _ = tokio::time::timeout(GROUP_END_MAX, control.ended()).await;
        self.bury(node, epoch);
    }

    fn bury(self: &Rc<Self>, node: NodeIndex, epoch: Epoch) {
        let Some((control, pumps)) = (self.table.borrow().node(node).process.running(epoch))
            .map(|running| (Rc::clone(&running.control), running.pumps.clone()))
        else {
            return;
        };
        self.hear_rest(node, epoch, &*control);
        for pump in &pumps {
            pump.read_rest();
        }
        self.say_left_out(node, epoch);
        let (used, exit) = {
            let mut table = self.table.borrow_mut();
            let process = &mut table.node_mut(node).process;
            let Some(running) = process.running(epoch) else {
                return;
            };
            let used = running.process.usage();
            let exit = running.process.reap();
            *process = Process::Reaped { epoch, exit };
            table.segments.forget(node);
            (used, exit)
        };
        if let Some(used) = used {
            self.note_last_usage(node, epoch, used);
        }
        // With what it has used in all: what was read while it ran may say less, and need not have been read at all.
        self.process_is(node, epoch, None, used);
        tracing::debug!(node = %self.spec(node).id, %epoch, %exit, "process reaped");
        self.say_segments_complete(node, epoch);
        self.handles()
            .node(node)
            .fact(NodeMessage::Exited { epoch, exit });
    }

    /// What the table knows, for an actor that begins.
    pub(crate) fn process_fact(&self, node: NodeIndex) -> Option<(Epoch, ProcessFact)> {
        let table = self.table.borrow();
        let fact = match &table.node(node).process {
            Process::None | Process::Starting { .. } => return None,
            Process::Running(running) if running.is_connected => ProcessFact::Connected,
            Process::Running(running) => ProcessFact::Spawned { pid: running.pid },
            Process::Failed { cause, .. } => ProcessFact::SpawnFailed {
                cause: cause.clone(),
            },
            Process::Reaped { exit, .. } => ProcessFact::Exited { exit: *exit },
        };
        Some((table.node(node).process.epoch(), fact))
    }

    /// Asks a process group to end.
    pub(crate) fn terminate(&self, node: NodeIndex, epoch: Epoch) {
        self.signal_group(node, epoch, Signal::TERM);
    }

    /// Ends a process group, on a person's word.
    pub(crate) fn kill(&self, node: NodeIndex, epoch: Epoch) {
        self.signal_group(node, epoch, Signal::KILL);
    }

    /// Sends a signal to the group of a process that was not reaped; gives whether there is one.
    pub(super) fn signal_group(&self, node: NodeIndex, epoch: Epoch, signal: Signal) -> bool {
        let table = self.table.borrow();
        let Some(running) = table.node(node).process.running(epoch) else {
            return false;
        };
        running.process.signal(signal);
        true
    }

    /// A pipe's task has panicked: another one goes on with it, once.
    pub(super) fn pump_panicked(&self, node: NodeIndex, epoch: Epoch, place: usize) -> bool {
        let mut table = self.table.borrow_mut();
        let Some(running) = table.node_mut(node).process.running_mut(epoch) else {
            // What was left in it has been read at the end of its process.
            return true;
        };
        let Some(pump) = running.pumps.get(place).cloned() else {
            return true;
        };
        if !pump.may_panic() {
            return false;
        }
        let name = TaskName::Pump(node, epoch, place);
        let task = self.env.spawn(name, async move { pump.run().await });
        running.tasks.push(task);
        true
    }

    /// The task of a process has panicked: the process is ended, and another task buries it.
    pub(super) fn node_task_panicked(root: &RootRef, node: NodeIndex, epoch: Epoch, what: &str) {
        let why = format!("the runtime panicked over it: {what}");
        if root.signal_group(node, epoch, Signal::KILL) {
            root.say(node, why);
            let again = Rc::clone(root);
            let name = TaskName::Node(node, epoch);
            let watch = root.env.spawn(name, async move {
                again.watch(node, epoch).await;
            });
            watch.detach();
        } else if root.table.borrow().node(node).process.epoch() == epoch
            && root.process_fact(node).is_none()
        {
            root.not_started(node, epoch, why);
        }
    }
}
