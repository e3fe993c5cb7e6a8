//! The runtimes that are looked at: each has a thread that listens to it, and one thread looks who comes.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dataflow_descriptor::harmless_text;
use dataflow_ids::stats::Statistics;
use dataflow_runtime::client::{ClientError, Silence, Watcher};
use dataflow_runtime::registry::{self, FoundAgent, FoundRun};

use super::board::{Board, Said};
use super::figures::{About, RuntimeKind, Trouble};
use crate::error::CliError;
use crate::{running, silence};

/// How often it is looked who has come.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(1);
/// How long a runtime that does not answer as it should is left alone.
const ASK_AGAIN_PAUSE: Duration = Duration::from_millis(500);

/// What happens while one looks.
#[derive(Debug)]
pub(super) enum Event {
    /// These runtimes are there.
    Found(Result<Vec<Found>, String>),
    /// A runtime has said something.
    Said(u64, Said),
    /// Its last statistics lie here, until they are taken.
    Statistics(u64, Latest),
    /// A key was pressed, or the terminal has changed.
    #[cfg(feature = "top")]
    Terminal(super::live::FromTerminal),
    /// Somebody has asked this process to end.
    Leave,
}

/// What a runtime has said last: whoever is slow to take it finds what is newest, and nothing that is older.
#[derive(Debug, Clone, Default)]
pub(super) struct Latest(Arc<Mutex<Option<Box<Statistics>>>>);

/// What is told of one runtime for as long as it is listened to.
#[derive(Debug, Default)]
struct Told {
    has_begun: bool,
    latest: Latest,
}

impl Told {
    /// The event of these statistics, unless there is one already that will find them. The first have one of their own:
    /// rates begin with them, so nothing takes their place.
    fn event(&mut self, number: u64, statistics: Box<Statistics>) -> Option<Event> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(Event::Said(number, Said::Statistics(statistics)));
        }
        let is_new = self.latest.put(statistics);
        is_new.then(|| Event::Statistics(number, self.latest.clone()))
    }
}

impl Latest {
    /// Puts it there; gives whether nothing was there, so that somebody has to be told.
    fn put(&self, statistics: Box<Statistics>) -> bool {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.replace(statistics).is_none()
    }

    fn take(&self) -> Option<Box<Statistics>> {
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place.take()
    }
}

impl Event {
    /// What the runtime of this number has said, if that is the event.
    pub(super) fn said(self) -> Result<(u64, Said), Event> {
        match self {
            Event::Statistics(number, latest) => match latest.take() {
                Some(statistics) => Ok((number, Said::Statistics(statistics))),
                None => Err(Event::Statistics(number, latest)),
            },
            Event::Said(number, said) => Ok((number, said)),
            event => Err(event),
        }
    }
}

/// A runtime that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Run(FoundRun),
    Agent(FoundAgent),
}

impl Found {
    fn about(&self) -> About {
        match self {
            Found::Run(run) => About {
                kind: RuntimeKind::Dataflow,
                name: run.name.to_string(),
                run: Some(run.run.clone()),
                file: run.file.display().to_string(),
                pid: run.pid,
            },
            Found::Agent(agent) => About {
                kind: RuntimeKind::Agent,
                name: agent.this.to_string(),
                run: None,
                file: agent.file.display().to_string(),
                pid: agent.pid,
            },
        }
    }

    /// By what it is known: a name can be given again, a process' number too, and both together are not.
    fn identity(&self) -> (RuntimeKind, String, u32) {
        let about = self.about();
        (about.kind, about.run.unwrap_or(about.name), about.pid)
    }

    fn lives(&self) -> bool {
        match self {
            Found::Run(run) => run.lives(),
            Found::Agent(agent) => registry::agent().map(|now| now.as_ref() == Some(agent)),
        }
        // Who cannot be looked up is asked again.
        .unwrap_or(true)
    }
}

/// The runtimes that `which` means, and the agent: the one that runs them, or, when nothing is meant, that of this machine.
///
/// # Errors
///
/// [`CliError::Registry`] when the registry cannot be read.
pub(super) fn find(which: Option<&str>) -> Result<Vec<Found>, CliError> {
    let runs = running::all(which)?;
    let agent = registry::agent()?
        .filter(|agent| which.is_none() || runs.iter().any(|run| run.pid == agent.pid));
    let runs = runs.into_iter().map(Found::Run);
    Ok(runs.chain(agent.map(Found::Agent)).collect())
}

/// Looks who is there, again and again, on a thread of its own.
///
/// # Errors
///
/// [`CliError::System`] when there is no thread for it.
pub(super) fn look_around(which: Option<String>, to: Sender<Event>) -> Result<(), CliError> {
    let look = move || {
        loop {
            std::thread::sleep(LOOK_AROUND_EVERY);
            let found = find(which.as_deref()).map_err(|error| error.to_string());
            if to.send(Event::Found(found)).is_err() {
                return;
            }
        }
    };
    start("dataflow-look", look)
}

/// Who is listened to.
#[derive(Debug)]
pub(super) struct Sources {
    every: Duration,
    to: Sender<Event>,
    begun: Instant,
    known: BTreeMap<(RuntimeKind, String, u32), u64>,
}

impl Sources {
    /// Nobody is listened to. What they will say once in `every` goes to `to`.
    pub(super) fn new(every: Duration, to: Sender<Event>) -> Sources {
        Sources {
            every,
            to,
            begun: Instant::now(),
            known: BTreeMap::new(),
        }
    }

    /// Where everything that happens is said.
    #[cfg(feature = "top")]
    pub(super) fn sender(&self) -> Sender<Event> {
        self.to.clone()
    }

    /// The moment, as the board has it.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Listens to those that were not known, and sees who has been quiet for too long.
    ///
    /// # Errors
    ///
    /// [`CliError::System`] when there is no thread to listen.
    pub(super) fn found(&mut self, found: Vec<Found>, board: &mut Board) -> Result<(), CliError> {
        let mut known = BTreeMap::new();
        for found in found {
            let identity = found.identity();
            let number = match self.known.get(&identity) {
                Some(number) => *number,
                None => {
                    let number = board.came(self.now(), found.about());
                    let (every, to) = (self.every, self.to.clone());
                    start("dataflow-listen", move || {
                        listen(&found, number, every, &to)
                    })?;
                    number
                }
            };
            known.insert(identity, number);
        }
        // Those that are not found any more say so themselves, with their last word.
        self.known = known;
        for (number, pid) in board.quiet(self.now()) {
            let silent = Trouble::Silent(why_silent(pid));
            board.said(self.now(), number, Said::Nothing(silent));
        }
        Ok(())
    }
}

/// Listens to one runtime until it has ended, or nobody wants to know.
fn listen(found: &Found, number: u64, every: Duration, to: &Sender<Event>) {
    loop {
        let error = listen_once(found, number, every, to);
        let Some(error) = error else { return };
        if !found.lives() {
            let _ = to.send(Event::Said(number, Said::Ended));
            return;
        }
        let trouble = match error {
            ClientError::Refused { reason } => Trouble::Refuses(harmless_text(&reason)),
            error => Trouble::Silent(harmless_text(&error.to_string())),
        };
        if to
            .send(Event::Said(number, Said::Nothing(trouble)))
            .is_err()
        {
            return;
        }
        std::thread::sleep(ASK_AGAIN_PAUSE);
    }
}

/// Listens until something goes wrong: `None` when nobody wants to know any more.
fn listen_once(
    found: &Found,
    number: u64,
    every: Duration,
    to: &Sender<Event>,
) -> Option<ClientError> {
    // Whether it says nothing is seen from here, for all of them in the same way.
    let on_silence = Box::new(|_: &Silence| {});
    let watcher = match found {
        Found::Run(run) => Watcher::of_run(run, every, on_silence),
        Found::Agent(agent) => Watcher::of_agent(agent, every, on_silence),
    };
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => return Some(error),
    };
    let mut told = Told::default();
    loop {
        match watcher.next() {
            Ok(Some(statistics)) => {
                if let Some(event) = told.event(number, Box::new(statistics.clone())) {
                    to.send(event).ok()?;
                }
            }
            Ok(None) => return Some(ClientError::Ended),
            Err(error) => return Some(error),
        }
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    // They end with this process.
    thread
        .spawn(work)
        .map(drop)
        .map_err(CliError::system("start a thread that asks runtimes"))
}

/// Why a process says nothing, as far as the system knows.
pub(super) fn why_silent(pid: u32) -> String {
    silence::remedy(&Silence::of(pid)).unwrap_or_else(|| "it says nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::example::statistics_at;
    use super::*;

    #[test]
    fn who_takes_nothing_for_long_finds_the_first_statistics_that_rates_begin_with_and_the_last() {
        let mut told = Told::default();
        let all = (1..=100).filter_map(|second| {
            let statistics = statistics_at(Duration::from_secs(second));
            told.event(7, Box::new(statistics))
        });
        let events: Vec<Event> = all.collect();
        let moments = events.into_iter().map(|event| match event.said() {
            Ok((7, Said::Statistics(statistics))) => statistics.at_ns / 1_000_000_000,
            other => panic!("{other:?}"),
        });
        assert_eq!(moments.collect::<Vec<u64>>(), [1, 100]);
        // Who has taken it is told of the next.
        let next = told.event(7, Box::new(statistics_at(Duration::from_secs(101))));
        assert!(matches!(
            next.map(Event::said),
            Some(Ok((7, Said::Statistics(_))))
        ));
    }
}
