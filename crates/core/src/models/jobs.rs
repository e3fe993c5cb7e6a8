//! The jobs of the `DownloadActor`: what is fetched for whom, and whose word about it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::spec::Listing;
use crate::broken::{Rule, is_broken};

/// The number of a fetch. A fetch that begins later has a greater one, also when it is for the same order: what is
/// said with a number that is not of a fetch in hand is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchEpoch(pub u64);

/// The number of somebody's want. It is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub u64);

/// A fact that concerns the jobs. `O` is what can be ordered, `F` why it cannot be had. Every fact may be told twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent<O, F> {
    /// Somebody wants this.
    Want {
        /// Who.
        subscriber: SubscriberId,
        /// What.
        order: O,
    },
    /// Somebody wants it no more.
    LetGo {
        /// Who.
        subscriber: SubscriberId,
    },
    /// A fetch has said something.
    Fetched {
        /// Which fetch.
        epoch: FetchEpoch,
        /// What it said.
        said: FetchSaid<F>,
    },
}

/// What a fetch says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchSaid<F> {
    /// What the files are.
    Resolved(Arc<Listing>),
    /// All files are there and right.
    Finished {
        /// The folder in which they are.
        snapshot: PathBuf,
    },
    /// It has failed for good.
    Failed(F),
}

/// What the shell must do, in the order given. Everything may be done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobCommand<O> {
    /// Begin to fetch. Done at most once for an epoch: the table of fetches refuses the second.
    Fetch {
        /// The number of the fetch.
        epoch: FetchEpoch,
        /// What to fetch.
        order: O,
    },
    /// Let go of a fetch: it is over, or nobody wants it any more.
    End {
        /// Which.
        epoch: FetchEpoch,
    },
    /// A job stands otherwise: tell everybody who wants it.
    Publish {
        /// Which.
        order: O,
    },
}

/// Where a job stands. A job that nobody wants is not kept, so none is ever cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState<F> {
    /// It is not known yet which files it consists of.
    Resolving,
    /// Its files are fetched.
    Fetching,
    /// Its files are there.
    Ready {
        /// The folder in which they are.
        snapshot: PathBuf,
    },
    /// It cannot be had. Who wants it again has it tried again.
    Failed(F),
}

impl<F> JobState<F> {
    /// Whether a fetch is in hand for it.
    #[must_use]
    pub fn is_in_hand(&self) -> bool {
        matches!(self, JobState::Resolving | JobState::Fetching)
    }
}

/// What is fetched for everybody who has ordered the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job<F> {
    /// The fetch that it stands on.
    pub epoch: FetchEpoch,
    /// Where it stands.
    pub state: JobState<F>,
    /// Its files, once they are known.
    pub listing: Option<Arc<Listing>>,
    /// Who wants it; never nobody.
    pub subscribers: BTreeSet<SubscriberId>,
}

/// All jobs: one for each order, however many want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jobs<O, F> {
    jobs: BTreeMap<O, Job<F>>,
    /// The epoch of the fetch that began last.
    last_epoch: FetchEpoch,
}

impl<O, F> Default for Jobs<O, F> {
    fn default() -> Self {
        Jobs {
            jobs: BTreeMap::new(),
            last_epoch: FetchEpoch(0),
        }
    }
}

impl<O: Clone + Ord + fmt::Debug, F: Clone> Jobs<O, F> {
    /// No job: nobody wants anything yet.
    #[must_use]
    pub fn new() -> Self {
        Jobs::default()
    }

    /// How the job for an order stands; `None` when nobody wants it.
    #[must_use]
    pub fn job(&self, order: &O) -> Option<&Job<F>> {
        self.jobs.get(order)
    }

    /// Every job, by its order.
    pub fn jobs(&self) -> impl Iterator<Item = (&O, &Job<F>)> {
        self.jobs.iter()
    }

    /// What the fetch of this number is for, if its word counts.
    #[must_use]
    pub fn order_of(&self, epoch: FetchEpoch) -> Option<&O> {
        let mut jobs = self.jobs.iter();
        Some(jobs.find(|(_, job)| job.epoch == epoch)?.0)
    }

    /// Takes one event; gives what must be done, in order.
    pub fn handle(&mut self, event: JobEvent<O, F>) -> Vec<JobCommand<O>> {
        match event {
            JobEvent::Want { subscriber, order } => self.want(subscriber, order),
            JobEvent::LetGo { subscriber } => self.let_go(subscriber),
            JobEvent::Fetched { epoch, said } => self.fetched(epoch, said),
        }
    }

    fn want(&mut self, subscriber: SubscriberId, order: O) -> Vec<JobCommand<O>> {
        if let Some(job) = self.jobs.get_mut(&order) {
            let is_new = job.subscribers.insert(subscriber);
            let is_tried_again = is_new && matches!(job.state, JobState::Failed(_));
            if !is_tried_again {
                return vec![JobCommand::Publish { order }];
            }
        }
        self.last_epoch.0 += 1;
        let epoch = self.last_epoch;
        let job = self.jobs.entry(order.clone()).or_insert_with(|| Job {
            epoch,
            state: JobState::Resolving,
            listing: None,
            subscribers: BTreeSet::from([subscriber]),
        });
        (job.epoch, job.state, job.listing) = (epoch, JobState::Resolving, None);
        vec![
            JobCommand::Fetch {
                epoch,
                order: order.clone(),
            },
            JobCommand::Publish { order },
        ]
    }

    fn let_go(&mut self, subscriber: SubscriberId) -> Vec<JobCommand<O>> {
        let mut ended = Vec::new();
        self.jobs.retain(|_, job| {
            if job.subscribers.remove(&subscriber) && job.subscribers.is_empty() {
                ended.push(JobCommand::End { epoch: job.epoch });
                return false;
            }
            true
        });
        ended
    }

    fn fetched(&mut self, epoch: FetchEpoch, said: FetchSaid<F>) -> Vec<JobCommand<O>> {
        let counts = |job: &Job<F>| {
            job.epoch == epoch
                || (is_broken(Rule::LateFetchIsBelieved)
                    && job.epoch > epoch
                    && job.state.is_in_hand())
        };
        let Some((order, job)) = self.jobs.iter_mut().find(|(_, job)| counts(job)) else {
            return Vec::new();
        };
        match said {
            FetchSaid::Resolved(listing) => {
                // It may come late, or again. The files are the same: one fetch is of one commit.
                if job.listing.is_some() || matches!(job.state, JobState::Failed(_)) {
                    return Vec::new();
                }
                job.listing = Some(listing);
                if matches!(job.state, JobState::Resolving) {
                    job.state = JobState::Fetching;
                }
            }
            // The first end counts: a fetch says nothing after it.
            _ if !job.state.is_in_hand() => return Vec::new(),
            FetchSaid::Finished { snapshot } => job.state = JobState::Ready { snapshot },
            FetchSaid::Failed(failure) => job.state = JobState::Failed(failure),
        }
        // Who wants it is told while the last progress can still be looked up.
        let order = order.clone();
        let mut commands = vec![JobCommand::Publish { order }];
        if !job.state.is_in_hand() {
            commands.push(JobCommand::End { epoch: job.epoch });
        }
        commands
    }
}
