//! What is known of each runtime. It has no clock: who tells it something says when that is.

use std::time::Duration;

use dataflow_ids::stats::{ActorRow, Statistics};

use super::figures::{About, Picture, RuntimeFigures, RuntimeKind, Trouble, figures};
use super::past::Past;

/// How long it is said that a runtime has ended.
const ENDED_SAID_FOR: Duration = Duration::from_secs(10);
/// After this many times the time in which it should have said something, a runtime is one that does not answer.
const QUIET_AFTER: u32 = 3;
/// And not before this time.
const QUIET_AFTER_MIN: Duration = Duration::from_secs(2);

/// What a runtime has said.
#[derive(Debug)]
pub(super) enum Said {
    /// Its statistics.
    Statistics(Box<Statistics>),
    /// Nothing that can be used.
    Nothing(Trouble),
    /// It has ended.
    Ended,
}

/// What is known of each runtime.
#[derive(Debug)]
pub(super) struct Board {
    every: Duration,
    runtimes: Vec<Known>,
    came: u64,
    ended: Vec<(Duration, String)>,
}

#[derive(Debug)]
struct Known {
    number: u64,
    about: About,
    past: Past,
    error: Option<Trouble>,
    heard_at: Duration,
}

impl Board {
    /// Nothing is known; whoever comes is to say something once in `every`.
    pub(super) fn new(every: Duration) -> Board {
        Board {
            every,
            runtimes: Vec::new(),
            came: 0,
            ended: Vec::new(),
        }
    }

    /// A runtime has come. Gives its number, which no other ever gets.
    pub(super) fn came(&mut self, at: Duration, about: About) -> u64 {
        self.came += 1;
        self.runtimes.push(Known {
            number: self.came,
            about,
            past: Past::over(self.every),
            error: None,
            heard_at: at,
        });
        // In the order of the registry, whoever came first; agents serve the others, and stand behind them.
        self.runtimes.sort_by(|one, other| {
            let order = |known: &Known| {
                let about = &known.about;
                (
                    about.kind,
                    about.file.clone(),
                    about.name.clone(),
                    known.number,
                )
            };
            order(one).cmp(&order(other))
        });
        self.came
    }

    /// A runtime has said something.
    pub(super) fn said(&mut self, at: Duration, number: u64, said: Said) {
        let place = self
            .runtimes
            .iter()
            .position(|known| known.number == number);
        let Some(place) = place else { return };
        let known = &mut self.runtimes[place];
        match said {
            Said::Statistics(mut statistics) => {
                if known.about.kind == RuntimeKind::Agent {
                    // Each of its dataflows has a socket of its own, and is a runtime here.
                    statistics.dataflows.clear();
                    statistics.groups.clear();
                    statistics.nodes.clear();
                    statistics.edges.clear();
                    let own = [ActorRow::PEER, ActorRow::DOWNLOAD];
                    (statistics.actors).retain(|row| own.contains(&row.actor.as_str()));
                }
                known.past.push(*statistics);
                known.error = None;
                known.heard_at = at;
            }
            Said::Nothing(trouble) => known.error = Some(trouble),
            Said::Ended => {
                let about = self.runtimes.remove(place).about;
                let what = match (about.kind, about.run) {
                    (RuntimeKind::Dataflow, Some(run)) => {
                        format!("{} has ended (run {run})", about.name)
                    }
                    (RuntimeKind::Dataflow, None) => format!("{} has ended", about.name),
                    (RuntimeKind::Agent, _) => format!("the agent {} has ended", about.name),
                };
                self.ended.push((at + ENDED_SAID_FOR, what));
            }
        }
    }

    /// Those that should have said something long ago: their numbers and processes.
    pub(super) fn quiet(&self, at: Duration) -> Vec<(u64, u32)> {
        let after = (self.every * QUIET_AFTER).max(QUIET_AFTER_MIN);
        let quiet =
            (self.runtimes.iter()).filter(|known| at.saturating_sub(known.heard_at) > after);
        quiet.map(|known| (known.number, known.about.pid)).collect()
    }

    /// Whether nobody is left.
    pub(super) fn is_empty(&self) -> bool {
        self.runtimes.is_empty()
    }

    /// Whether no dataflow is left: only an agent, which stays.
    pub(super) fn has_no_dataflow(&self) -> bool {
        let mut runtimes = self.runtimes.iter();
        !runtimes.any(|known| known.about.kind == RuntimeKind::Dataflow)
    }

    /// Whether each has answered, or cannot.
    pub(super) fn is_complete(&self, has_enough: impl Fn(&Past) -> bool) -> bool {
        let mut known = self.runtimes.iter();
        known.all(|known| known.error.is_some() || has_enough(&known.past))
    }

    /// Of those that have not said anything, `why` says so, from the number of their process.
    pub(super) fn missing(&mut self, why: impl Fn(u32) -> String) {
        for known in &mut self.runtimes {
            if known.past.now().is_none() && known.error.is_none() {
                known.error = Some(Trouble::Silent(why(known.about.pid)));
            }
        }
    }

    /// Everything that is known at this moment.
    pub(super) fn picture(&self, at: Duration) -> Picture {
        let runtimes = self.runtimes.iter().map(|known| RuntimeFigures {
            number: known.number,
            about: known.about.clone(),
            error: known.error.clone(),
            age_s: at.saturating_sub(known.heard_at).as_secs_f64(),
            answer: figures(known.about.kind, &known.past),
        });
        Picture::of(runtimes.collect())
    }

    /// Who has ended a moment ago, one a line.
    #[cfg(feature = "top")]
    pub(super) fn ended(&mut self, at: Duration) -> Vec<String> {
        self.ended.retain(|(until, _)| at < *until);
        self.ended.iter().map(|(_, what)| what.clone()).collect()
    }
}
