//! The dataflows that run on the agent: each on a thread of its own, so that none delays another, or the peers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread;

use dataflow_descriptor::{Environment, check_file_in};
use dataflow_ids::Forcer;
use dataflow_wire::client::{ClientReply, UpRefusal, UpRequest};
use dataflow_wire::status::Outcome;
use tokio::sync::{oneshot, watch};

use super::AgentEvent;
use super::news::{NewsReceiver, NewsSender, news};
use super::steering::{Steering, Stop};
use crate::env::spawn_guarded;
use crate::error::{ErrorClass, RunError, UpError};
use crate::options::{AgentMachine, GivenEnvironment, RunOptions};
use crate::prepare::{Host, Run, prepare_in};
use crate::registry::Registry;
use crate::supervision::panic_text;

/// How many dataflows may run on one agent at a time: each has some threads and processes of its own.
pub(super) const RUNS_MAX: usize = 256;

/// The dataflows of an agent.
pub(super) struct Runs {
    registry: Registry,
    host: Host,
    /// What this machine is called, and what it offers at this moment.
    machine: Box<dyn Fn() -> AgentMachine>,
    hosted: RefCell<BTreeMap<u64, Steering>>,
    next: Cell<u64>,
    /// No other begins.
    is_ending: Cell<bool>,
    count: watch::Sender<usize>,
    /// How many commands are still told how theirs goes.
    told: watch::Sender<usize>,
    events: mpsc::Sender<AgentEvent>,
}

/// A command that is told how its dataflow goes; it counts until this is dropped.
pub(super) struct Telling(Rc<Runs>);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.told.send_modify(|count| *count -= 1);
    }
}

impl Runs {
    /// None yet.
    pub(super) fn new(
        registry: Registry,
        host: Host,
        machine: Box<dyn Fn() -> AgentMachine>,
        events: mpsc::Sender<AgentEvent>,
    ) -> Rc<Runs> {
        Rc::new(Runs {
            registry,
            host,
            machine,
            hosted: RefCell::default(),
            next: Cell::new(0),
            is_ending: Cell::new(false),
            count: watch::Sender::new(0),
            told: watch::Sender::new(0),
            events,
        })
    }

    /// Begins to run what a command asks for. What becomes of it is told to what is returned.
    pub(super) fn begin(
        self: &Rc<Self>,
        request: UpRequest,
    ) -> Result<(Steering, NewsReceiver), UpRefusal> {
        if self.is_ending.get() {
            return Err(UpRefusal::AgentEnds);
        }
        if self.hosted.borrow().len() >= RUNS_MAX {
            return Err(UpRefusal::Failure {
                why: format!(
                    "{RUNS_MAX} dataflows run on this agent already: stop one, or run this one with \
                     `dataflow up --no-agent`"
                ),
            });
        }
        let (to_client, receiver) = news();
        let steering = Steering::default();
        let hosted = Hosted {
            request,
            registry: self.registry.clone(),
            host: self.host.clone(),
            machine: (self.machine)(),
            steering: steering.clone(),
            to_client,
            events: self.events.clone(),
        };
        let (done, ended) = oneshot::channel();
        let number = self.next.replace(self.next.get() + 1);
        thread::Builder::new()
            .name(format!("dataflow-run-{number}"))
            .spawn(move || {
                hosted.run();
                let _ = done.send(());
            })
            .map_err(|error| UpRefusal::Failure {
                why: format!("the agent cannot start a thread for it: {error}"),
            })?;
        self.hosted.borrow_mut().insert(number, steering.clone());
        self.count.send_modify(|count| *count += 1);
        let runs = Rc::clone(self);
        let until_its_end = async move {
            // Dropped or sent, the thread is over.
            let _ = ended.await;
            runs.hosted.borrow_mut().remove(&number);
            runs.count.send_modify(|count| *count -= 1);
        };
        spawn_guarded(until_its_end, |what| {
            tracing::error!(%what, "task that waits for a dataflow's end panicked");
        })
        .detach();
        Ok((steering, receiver))
    }

    /// A command is told from now on.
    pub(super) fn telling(self: &Rc<Self>) -> Telling {
        self.told.send_modify(|count| *count += 1);
        Telling(Rc::clone(self))
    }

    /// Waits until every command has been told all there is.
    pub(super) async fn all_told(&self) {
        let mut told = self.told.subscribe();
        // It lives as long as this.
        let _ = told.wait_for(|count| *count == 0).await;
    }

    /// Stops every dataflow, and lets no other begin.
    pub(super) fn stop(&self, stop: Stop) {
        self.is_ending.set(true);
        for steering in self.hosted.borrow().values() {
            steering.stop(stop);
        }
    }

    /// Kills every process of every dataflow, on a person's word.
    pub(super) fn force(&self, by: Forcer) {
        self.is_ending.set(true);
        for steering in self.hosted.borrow().values() {
            steering.force(by);
        }
    }

    /// Whether no other begins.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    /// Waits until none runs.
    pub(super) async fn all_ended(&self) {
        let mut count = self.count.subscribe();
        // It lives as long as this.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

/// A dataflow whose beginning was told. Its end is told too, however it comes.
struct ToldRun {
    events: mpsc::Sender<AgentEvent>,
    dataflow: String,
    how: Option<String>,
}

impl ToldRun {
    fn begin(events: mpsc::Sender<AgentEvent>, dataflow: String) -> ToldRun {
        let _ = events.send(AgentEvent::RunBegun {
            dataflow: dataflow.clone(),
        });
        ToldRun {
            events,
            dataflow,
            how: None,
        }
    }

    /// It has ended like this, in one line.
    fn end(mut self, how: String) {
        self.how = Some(how);
    }
}

impl Drop for ToldRun {
    fn drop(&mut self) {
        let how = self.how.take();
        let _ = self.events.send(AgentEvent::RunEnded {
            dataflow: std::mem::take(&mut self.dataflow),
            how: how.unwrap_or_else(|| "a fault of ours ended it".to_owned()),
        });
    }
}

/// What the thread of a dataflow has.
struct Hosted {
    request: UpRequest,
    registry: Registry,
    host: Host,
    machine: AgentMachine,
    steering: Steering,
    to_client: NewsSender,
    events: mpsc::Sender<AgentEvent>,
}

impl Hosted {
    /// Runs the dataflow to its end. A panic ends it, and nothing else.
    fn run(self) {
        let to_client = self.to_client.clone();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run_guarded())) {
            let what = panic_text(&*panic);
            tracing::error!(%what, "thread of a dataflow panicked");
            to_client.reply(ClientReply::BrokeOff {
                why: format!(
                    "a fault of ours ended it ({what}): please report it with the run's logs"
                ),
                has_ended: false,
            });
        }
        to_client.end();
    }

    fn run_guarded(self) {
        let run = match self.prepare() {
            Ok(run) => run,
            Err(refusal) => return self.to_client.reply(ClientReply::UpRefused(refusal)),
        };
        let dataflow = run.dataflow_name().to_string();
        tracing::info!(%dataflow, run = run.name(), "dataflow begins");
        let told = ToldRun::begin(self.events.clone(), dataflow.clone());
        self.to_client.reply(ClientReply::Begun {
            run: run.name().to_owned(),
        });
        self.steering.begins(run.controls());
        let how = self.run_to_its_end(run);
        tracing::info!(%dataflow, how, "dataflow ended");
        told.end(how);
    }

    /// Gives how it ended, in one line.
    fn run_to_its_end(&self, run: Run) -> String {
        let (sender, events) = mpsc::channel();
        let to_client = self.to_client.clone();
        let wants_lines = self.request.wants_lines;
        let passing_on = thread::Builder::new()
            .name("dataflow-events".to_owned())
            .spawn(move || {
                for event in events {
                    to_client.event(event, wants_lines);
                }
            });
        let result = run.block_on(sender);
        if let Ok(thread) = passing_on {
            // It only passes on, so it cannot have panicked.
            let _ = thread.join();
        }
        let (why, report) = match result {
            Ok(report) => (None, Some(report)),
            Err(RunError::ReportNotWritten { source, report }) => {
                let why = format!("the report of this run could not be written: {source}");
                (Some(why), Some(*report))
            }
            Err(error) => (Some(error.to_string()), None),
        };
        if let Some(why) = why.clone() {
            let has_ended = report.is_some();
            self.to_client
                .reply(ClientReply::BrokeOff { why, has_ended });
        }
        let how = match &report {
            Some(report) if report.outcome == Outcome::Drained => "drained".to_owned(),
            Some(report) => report.because.clone(),
            None => why.unwrap_or_default(),
        };
        if let Some(report) = report {
            self.to_client.reply(ClientReply::Ended(Box::new(report)));
        }
        how
    }

    fn prepare(&self) -> Result<Run, UpRefusal> {
        let request = &self.request;
        let variables: BTreeMap<_, _> = request.environment.iter().cloned().collect();
        let folder = std::path::PathBuf::from(&request.folder);
        let get = |name: &str| variables.get(std::ffi::OsStr::new(name));
        let environment = Environment {
            virtual_env: get("VIRTUAL_ENV")
                .filter(|value| !value.is_empty())
                .map(|value| folder.join(value)),
            search_path: get("PATH").cloned(),
        };
        let file = &request.file;
        let Some(dataflow) = check_file_in(file, &environment).dataflow else {
            let file = file.display();
            return Err(UpRefusal::Input {
                why: format!("{file} has errors by now: `dataflow check {file}` lists them"),
            });
        };
        let options = RunOptions {
            force_after: request.force_after,
            terminal: request.terminal.clone(),
            log_bytes_max: request.log_bytes_max,
            fetch_bytes_per_second_max: request.fetch_bytes_per_second_max,
            environment: Some(Arc::new(GivenEnvironment {
                variables: Arc::new(variables),
                folder,
            })),
            agent: Some(self.machine.clone()),
            // Those of all its dataflows are the agent's to show.
            metrics: None,
            seed: None,
            interruption: self.steering.interruption(),
        };
        prepare_in(&self.registry, dataflow, options, &self.host).map_err(refusal)
    }
}

fn refusal(error: UpError) -> UpRefusal {
    match error {
        UpError::RunsAlready { name, pid, file } => UpRefusal::RunsAlready { name, pid, file },
        UpError::Interrupted => UpRefusal::Interrupted,
        error => {
            let why = error.to_string();
            match error.class() {
                ErrorClass::Input => UpRefusal::Input { why },
                ErrorClass::Failure => UpRefusal::Failure { why },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataflow_whose_thread_panics_is_told_to_have_ended() {
        let (sender, events) = mpsc::channel();
        let ends = catch_unwind(AssertUnwindSafe(|| {
            let _told = ToldRun::begin(sender.clone(), "flow".to_owned());
            panic!("on purpose");
        }));
        assert!(ends.is_err());
        ToldRun::begin(sender, "other".to_owned()).end("drained".to_owned());
        let told: Vec<AgentEvent> = events.iter().collect();
        match &told[..] {
            [
                AgentEvent::RunBegun { dataflow },
                AgentEvent::RunEnded {
                    dataflow: ended,
                    how,
                },
                AgentEvent::RunBegun { .. },
                AgentEvent::RunEnded { how: drained, .. },
            ] => {
                assert_eq!((dataflow.as_str(), ended.as_str()), ("flow", "flow"));
                assert_eq!(
                    (how.as_str(), drained.as_str()),
                    ("a fault of ours ended it", "drained")
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
