//! The processes of nodes: started, watched, signalled, reaped.
//!
//! A process has ended when its pidfd says so. Then the rest of its group is killed while its number is still its
//! own, everything it had said is heard, and only then is its end a fact that anybody acts upon.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_descriptor::Program;
use dataflow_ids::{Epoch, NodeIndex};
use dataflow_shm::child::{ChildConfig, ControlSocket, SpawnedChild};
use dataflow_wire::node::CONTROL_FD_VARIABLE;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, kill_process_group};

use super::conversation::QUEUE_BYTES_MAX;
use super::guardian::Guardian;
use super::pump::Pump;
use super::readiness::watched;
use super::socket::FramedSocket;
use super::table::{Process, Running};
use super::{Purpose, Root, RootRef};
use crate::actors::NodeMessage;
use crate::env::TaskName;
use crate::logs::LogStream;

/// How long the rest of a process group that was sent SIGKILL is waited for. Its leader, and the process that
/// speaks, are waited for without a limit.
const GROUP_END_MAX: Duration = Duration::from_secs(1);
/// How soon the guardian is told again what its pipe had no room for.
const GUARDIAN_PAUSE: Duration = Duration::from_millis(100);

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

fn pid_number(pid: Pid) -> u32 {
    // Process numbers are positive.
    pid.as_raw_nonzero().get().unsigned_abs()
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
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|errno| no_socket(&errno))?;
        rustix::io::ioctl_fionbio(&ours, true).map_err(|errno| no_socket(&errno))?;
        let control_inode = rustix::fs::fstat(&theirs)
            .map_err(|errno| no_socket(&errno))?
            .st_ino;
        let config = self.child_config(node, theirs);
        let answer = self.env.launcher().launch(config);
        let spawned = match answer.await {
            Ok(Ok(spawned)) => spawned,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("the runtime is ending".to_owned()),
        };
        self.install((node, epoch), (ours, control_inode), spawned)
            .map_err(|error| format!("the runtime cannot watch it: {error}"))
    }

    /// What a node is started with.
    fn child_config(&self, node: NodeIndex, control: OwnedFd) -> ChildConfig {
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
        set("DATAFLOW_NODE", spec.id.as_str().as_ref());
        set("DATAFLOW_RUN", self.run.as_ref());
        ChildConfig {
            program,
            args: (script.into_iter().map(OsString::from))
                .chain(spec.args.iter().map(OsString::from))
                .collect(),
            env,
            folder: self.dataflow.folder.clone(),
            control: Some(ControlSocket {
                fd: control,
                variable: CONTROL_FD_VARIABLE,
            }),
            descriptor_limit: Some(self.descriptor_limit),
        }
    }

    /// A process runs: everything that leads to it goes into the table before anything else happens.
    fn install(
        self: &Rc<Self>,
        (node, epoch): (NodeIndex, Epoch),
        (socket, control_inode): (OwnedFd, u64),
        spawned: SpawnedChild,
    ) -> io::Result<()> {
        let id = self.spec(node).id.clone();
        let SpawnedChild {
            mut child,
            pidfd,
            stdout,
            stderr,
        } = spawned;
        let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
            return Err(io::Error::other("its number is none"));
        };
        let made = (|| {
            let spares = Rc::clone(&self.spares);
            let socket = FramedSocket::with_spares(socket, QUEUE_BYTES_MAX, spares)?;
            let socket = Rc::new(socket);
            let pump = |pipe: OwnedFd, stream| {
                Pump::new(pipe, id.clone(), stream, Rc::clone(&self.logs)).map(Rc::new)
            };
            let pumps = vec![
                pump(stdout.into(), LogStream::Stdout)?,
                pump(stderr.into(), LogStream::Stderr)?,
            ];
            Ok::<_, io::Error>((socket, pumps, watched(pidfd)?))
        })();
        let (socket, pumps, pidfd) = match made {
            Ok(made) => made,
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                // It was killed, so this does not last.
                let _ = child.wait();
                return Err(error);
            }
        };

        let name = TaskName::Node(node, epoch);
        let mut tasks = vec![
            self.env.spawn(
                name,
                Rc::clone(self).listen(node, epoch, Rc::clone(&socket)),
            ),
            self.env.spawn(name, {
                let socket = Rc::clone(&socket);
                async move {
                    // What cannot be sent any more is learned from the process's end.
                    let _ = socket.write_queued().await;
                }
            }),
        ];
        for (place, pump) in pumps.iter().enumerate() {
            let pump = Rc::clone(pump);
            let name = TaskName::Pump(node, epoch, place);
            tasks.push(self.env.spawn(name, async move { pump.run().await }));
        }
        let starting = {
            let mut table = self.table.borrow_mut();
            let process = &mut table.node_mut(node).process;
            std::mem::replace(
                process,
                Process::Running(Box::new(Running {
                    epoch,
                    pid,
                    child,
                    pidfd: Rc::new(pidfd),
                    socket,
                    pumps,
                    is_connected: false,
                    is_refused: false,
                    is_over: false,
                    speaker: None,
                    control_inode,
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
        self.guard(|guardian| guardian.add(pid));
        let pid = pid_number(pid);
        tracing::debug!(node = %id, pid, %epoch, "process started");
        self.handles()
            .node(node)
            .fact(NodeMessage::Spawned { epoch, pid });
        Ok(())
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
        let Some(pidfd) = (self.table.borrow().node(node).process.running(epoch))
            .map(|running| Rc::clone(&running.pidfd))
        else {
            return;
        };
        if pidfd.readable().await.is_err() {
            // The event loop is ending, and the run with it.
            return;
        }
        let Some((socket, speaker)) = (self.table.borrow_mut().node_mut(node).process)
            .running_mut(epoch)
            .map(|running| {
                running.is_over = true;
                // Not reaped yet, so its number and its group are still its own.
                running.signal(Signal::KILL);
                (Rc::clone(&running.socket), running.speaker.clone())
            })
        else {
            return;
        };
        if let Some(speaker) = speaker {
            // It was killed; nobody repairs its edges before the kernel says that it is gone.
            speaker.ended().await;
        }
        // The others of the group die now too, and with the last one its end of the socket. Whoever keeps it open
        // for longer has left the group, and is waited for no more.
        let _ = tokio::time::timeout(GROUP_END_MAX, socket.ended()).await;
        self.bury(node, epoch);
    }

    fn bury(self: &Rc<Self>, node: NodeIndex, epoch: Epoch) {
        let Some((socket, pumps)) = (self.table.borrow().node(node).process.running(epoch))
            .map(|running| (Rc::clone(&running.socket), running.pumps.clone()))
        else {
            return;
        };
        self.hear_rest(node, epoch, &socket);
        for pump in &pumps {
            pump.read_rest();
        }
        self.say_left_out(node, epoch);
        let exit = {
            let mut table = self.table.borrow_mut();
            let process = &mut table.node_mut(node).process;
            let Some(running) = process.running_mut(epoch) else {
                return;
            };
            let pid = running.pid;
            self.guard(|guardian| guardian.remove(pid));
            // Its pidfd was readable, so this does not wait.
            let exit = running.child.wait().map_or(Exit::Code(-1), exit_of);
            *process = Process::Reaped { epoch, exit };
            table.segments.forget(node);
            exit
        };
        tracing::debug!(node = %self.spec(node).id, %epoch, %exit, "process reaped");
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
            Process::Running(running) => ProcessFact::Spawned {
                pid: pid_number(running.pid),
            },
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
        running.signal(signal);
        true
    }

    /// Tells the guardian something, now or as soon as it listens.
    fn guard(self: &Rc<Self>, tell: impl FnOnce(&mut Guardian)) {
        let Some(guardian) = &mut *self.guardian.borrow_mut() else {
            return;
        };
        tell(guardian);
        if guardian.is_behind() {
            let at = self.env.now().after(GUARDIAN_PAUSE);
            self.arm(Purpose::Guardian, at, |root| root.guard(Guardian::flush));
        }
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

fn no_socket(errno: &rustix::io::Errno) -> String {
    format!("no control socket can be made for it: {errno}; raise the limit with `ulimit -n`")
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        // Only a stopped or continued process has neither, and those are not waited for.
        (None, None) => Exit::Code(-1),
    }
}
