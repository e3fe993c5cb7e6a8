//! Follows the file of peers: reads it when it has come to rest, and applies what it says, or tells what is wrong.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::Settle;
use dataflow_descriptor::{CheckedPeers, Diagnostic, Peers, check_peers_file_on};
use dataflow_ids::PeerId;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::folders::steps_to;
use super::guard::{OpenToOthers, group_that_writes, look_who_writes};
use super::judge::{AcceptedPeers, judge_peers};
use super::watch::FolderWatch;
use crate::agent::{AgentEvent, PeersHandle};
use crate::env::{Task, spawn_guarded};
use crate::machine;

/// How often the file is read although nobody has said that it was touched: not every file system tells.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The same, where the system does not let us watch.
const LOOK_OFTEN: Duration = Duration::from_secs(1);

/// What it takes to follow a file.
pub struct FollowStart {
    /// The file.
    pub file: PathBuf,
    /// Which of its peers this machine is.
    pub this: PeerId,
    /// What it said when it was read last, and what counts.
    pub peers: Peers,
    /// Where what it says is applied.
    pub handle: PeersHandle,
    /// What else is doubtful about what it says on this machine, a line each.
    pub doubts: Doubts,
    /// Who is told what is wrong.
    pub events: mpsc::Sender<AgentEvent>,
}

/// Finds what is doubtful about a file that is right, a line each.
pub type Doubts = Box<dyn Fn(&Peers) -> Vec<String>>;

impl fmt::Debug for FollowStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FollowStart({})", self.file.display())
    }
}

/// A file of peers that is followed, on the control thread. Dropping it ends that.
#[derive(Debug)]
pub struct PeersFile {
    _follows: Task,
}

impl PeersFile {
    /// Follows a file from now on. What was saved since it was read last is found too.
    ///
    /// # Panics
    ///
    /// On a thread without an actix system.
    #[must_use]
    pub fn follow(start: FollowStart) -> PeersFile {
        let handle = start.handle.clone();
        let follows = spawn_guarded(Follower::new(start).run(), move |what| {
            tracing::error!(%what, "what follows the file of peers panicked");
            handle.file_problem(Some(format!(
                "the file is not followed any more, since that panicked ({what}): restart the agent, and please report it"
            )));
        });
        PeersFile { _follows: follows }
    }
}

/// Everything that is wrong with a file, to be compared.
type Wrong = (Vec<Diagnostic>, Result<(), OpenToOthers>);

/// What a look at the file has found.
struct Found {
    watch: FolderWatch,
    checked: CheckedPeers,
    /// Whether nobody else may write it.
    guarded: Result<(), OpenToOthers>,
    /// What is doubtful about who may.
    group: Option<String>,
}

struct Follower {
    file: PathBuf,
    this: PeerId,
    handle: PeersHandle,
    doubts: Doubts,
    events: mpsc::Sender<AgentEvent>,
    start: Instant,
    settle: Settle,
    touched: Arc<Notify>,
    /// `None` while it is with who looks.
    watch: Option<FolderWatch>,
    watch_failure: Option<String>,
    /// What counts.
    applied: Peers,
    /// What was wrong at the last look, and not told yet: it may be half of a save.
    doubted: Option<Wrong>,
    /// What was told to be wrong with the file as it is.
    told: Option<String>,
}

impl Follower {
    fn new(start: FollowStart) -> Follower {
        Follower {
            file: start.file,
            this: start.this,
            handle: start.handle,
            doubts: start.doubts,
            events: start.events,
            start: Instant::now(),
            settle: Settle::new(),
            watch: None,
            watch_failure: None,
            touched: Arc::default(),
            applied: start.peers,
            doubted: None,
            told: None,
        }
    }

    fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    async fn run(mut self) {
        // What was saved before it was watched is looked at now.
        let mut look_at = Instant::now();
        loop {
            let read_at = self.settle.read_at().map(|at| self.start + at.0);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(read_at.unwrap_or(look_at)), if read_at.is_some() => {
                    if self.settle.is_due(self.now()) {
                        self.look(false).await;
                    }
                }
                () = self.touched.notified() => self.settle.touch(self.now()),
                () = tokio::time::sleep_until(look_at) => {
                    self.look(true).await;
                    look_at = Instant::now() + self.pause();
                }
            }
        }
    }

    /// How long it may be before somebody has to look.
    fn pause(&self) -> Duration {
        match self.watch_failure {
            None => LOOK_EVERY,
            Some(_) => LOOK_OFTEN,
        }
    }

    /// Reads the file, where that delays nobody, and takes what it says. With `anew`, folders that may be others of
    /// the same name are watched anew.
    async fn look(&mut self, anew: bool) {
        let file = self.file.clone();
        let this = self.this.clone();
        let watch = self.watch.take();
        let mut watch = watch.unwrap_or_else(|| FolderWatch::new(Arc::clone(&self.touched)));
        let look = apart(move || {
            // First the way, and the file when that is watched: nothing that is saved meanwhile is missed.
            watch.set(&steps_to(&file), anew);
            Found {
                watch,
                checked: check_peers_file_on(&file, &machine::as_peer(this)),
                guarded: look_who_writes(&file),
                group: group_that_writes(&file),
            }
        });
        match look.await {
            Some(found) => {
                self.watched(found.watch);
                self.take(found.checked, found.guarded, found.group);
            }
            None => tracing::error!(
                "the file of peers could not be read: that panicked, or has no thread"
            ),
        }
    }

    fn watched(&mut self, watch: FolderWatch) {
        let failure = watch.failure().map(str::to_owned);
        self.watch = Some(watch);
        if failure != self.watch_failure {
            if let Some(what) = &failure {
                tracing::warn!(%what, "file of peers cannot be watched, and is looked at every second");
            }
            self.watch_failure = failure;
        }
    }

    fn take(
        &mut self,
        checked: CheckedPeers,
        guarded: Result<(), OpenToOthers>,
        group: Option<String>,
    ) {
        let wrong: Wrong = (checked.diagnostics.clone(), guarded.clone());
        let judged = match guarded {
            Ok(()) => judge_peers(checked, &self.this),
            Err(open) => Err(open.to_string()),
        };
        match judged {
            Ok(AcceptedPeers {
                peers,
                mut warnings,
            }) => {
                self.doubted = None;
                warnings.extend((self.doubts)(&peers));
                warnings.extend(group);
                self.handle.warn(warnings);
                let was_wrong = self.told.take().is_some();
                if was_wrong {
                    tracing::info!(file = %self.file.display(), "file of peers is right again");
                    self.handle.file_problem(None);
                }
                if was_wrong || peers != self.applied {
                    self.applied = peers.clone();
                    self.handle.apply(peers);
                }
            }
            Err(report) => {
                if self.told.as_ref() == Some(&report) {
                    self.doubted = None;
                    return;
                }
                // Half of a save looks wrong too: what is wrong is told when it has stayed so.
                if self.doubted.as_ref() != Some(&wrong) {
                    self.doubted = Some(wrong);
                    self.settle.touch(self.now());
                    return;
                }
                self.doubted = None;
                self.tell(report);
            }
        }
    }

    /// The file is wrong: what it said before still counts.
    fn tell(&mut self, report: String) {
        let file = self.file.display();
        tracing::warn!(%file, "file of peers is wrong, and what it said before still counts:\n{report}");
        self.told = Some(report.clone());
        self.handle.file_problem(Some(report.clone()));
        // With nobody who listens, nobody misses it.
        let _ = self.events.send(AgentEvent::ReloadRefused { report });
    }
}

/// Does what may take for ever, as a file system that hangs does, on a thread of its own, which nobody waits for at the
/// end. `None` when that panicked, or there is no thread.
async fn apart<T: Send + 'static>(does: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, over) = oneshot::channel();
    thread::Builder::new()
        .name("dataflow-peers".to_owned())
        .spawn(move || {
            let _ = done.send(does());
        })
        .ok()?;
    over.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_hangs_keeps_no_agent_from_its_end() {
        let (go_on, hangs) = mpsc::channel::<()>();
        let (ended, end) = mpsc::channel();
        let agent = thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let (begun, looks) = oneshot::channel();
                let look = apart(move || {
                    let _ = begun.send(());
                    let _ = hangs.recv();
                });
                tokio::select! {
                    _ = look => unreachable!("it hangs"),
                    begun = looks => begun.unwrap(),
                }
            });
            ended.send(()).unwrap();
        });
        let in_time = end.recv_timeout(Duration::from_secs(60));
        go_on.send(()).unwrap();
        agent.join().unwrap();
        in_time.unwrap();
    }

    #[test]
    fn what_panics_apart_is_told() {
        let result = actix_rt::System::new().block_on(apart(|| panic!("on purpose")));
        assert_eq!(result, None::<()>);
    }
}
