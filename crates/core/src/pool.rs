//! Which thread of the pool takes which job (section 12 of the design).
//!
//! Whoever submits a job decides, under the pool's lock, who runs it: an idle thread, a new one, or, once there may be
//! no more threads, the next that gets free. So a job waits only while every thread that may exist is busy.
//!
//! Between the calls: a job is queued only while no thread is idle, and while there are `max` threads or no further
//! one could be started; and jobs are queued only while there is a thread that will come for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The limits of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Threads that stay when they have nothing to do.
    pub core: usize,
    /// Threads at most.
    pub max: usize,
    /// Jobs that may wait for a thread.
    pub queue_max: usize,
}

/// A thread of the pool. No two of one pool have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u64);

/// Where a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To this thread, which waits for one: [`Roster::give`].
    Idle(WorkerId),
    /// To a thread that is to be started: [`Roster::begin`], or [`Roster::place_without_thread`] if it cannot be.
    New,
    /// Into the queue: [`Roster::enqueue`].
    Queue,
    /// Back to whoever submitted it.
    Nowhere(Refusal),
}

/// Why a pool does not take a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// All threads are busy, and the queue is full.
    Full,
    /// The system starts no thread, and the pool has none that would come for the job.
    NoThread,
    /// The pool is drained.
    Closed,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// It returned.
    Completed,
    /// It panicked.
    Panicked,
}

/// What a thread has to do that has nothing in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order<J> {
    /// Run this job.
    Run(Arc<str>, J),
    /// Wait until there is another order. Who may expire waits for `keep_alive` at most.
    Wait {
        /// Whether there are more threads than those that stay.
        may_expire: bool,
    },
    /// End. The thread is not counted any more.
    Leave,
}

/// What a pool has done and does. What was submitted is either among `completed`, `panicked` and `refused`, or still
/// among `running` and `queued`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatistics {
    /// Jobs that a thread has.
    pub running: usize,
    /// Threads that wait for a job.
    pub idle: usize,
    /// Jobs that wait for a thread.
    pub queued: usize,
    /// Threads that were started since the pool is there.
    pub threads_started: u64,
    /// Threads that could not be started.
    pub threads_not_started: u64,
    /// Jobs that have returned.
    pub completed: u64,
    /// Jobs that have panicked.
    pub panicked: u64,
    /// Jobs that were given back.
    pub refused: u64,
}

impl PoolStatistics {
    /// Threads that there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.running + self.idle
    }
}

/// The threads of a pool, and the jobs that they run or that wait for them. `J` is a job, which nobody here looks into.
#[derive(Debug, Clone)]
pub struct Roster<J> {
    limits: PoolLimits,
    is_closed: bool,
    /// Who became idle last stands last and is asked first: its caches are warm, and the others may expire.
    idle: Vec<WorkerId>,
    busy: BTreeMap<WorkerId, Work<J>>,
    queue: VecDeque<(Arc<str>, J)>,
    next_worker: u64,
    threads_not_started: u64,
    completed: u64,
    panicked: u64,
    refused: u64,
}

/// What a thread has.
#[derive(Debug, Clone)]
struct Work<J> {
    name: Arc<str>,
    /// `None` once the thread has come for it.
    job: Option<J>,
}

impl<J> Roster<J> {
    /// A pool without any thread yet.
    #[must_use]
    pub fn new(limits: PoolLimits) -> Self {
        Roster {
            limits,
            is_closed: false,
            idle: Vec::new(),
            busy: BTreeMap::new(),
            queue: VecDeque::new(),
            next_worker: 0,
            threads_not_started: 0,
            completed: 0,
            panicked: 0,
            refused: 0,
        }
    }

    /// Where the next job goes. An idle thread is reserved by this: it must be given the job.
    pub fn place(&mut self) -> Place {
        if self.is_closed {
            return self.refuse(Refusal::Closed);
        }
        if let Some(worker) = self.idle.pop() {
            return Place::Idle(worker);
        }
        // Those that wait come first; for them, `wants_thread` asks for threads.
        if self.queue.is_empty() && self.threads() < self.limits.max {
            return Place::New;
        }
        self.queue_or_refuse(Refusal::Full)
    }

    /// Where it goes after all, when the thread for it could not be started.
    pub fn place_without_thread(&mut self) -> Place {
        self.threads_not_started += 1;
        if self.threads() == 0 {
            return self.refuse(Refusal::NoThread);
        }
        self.queue_or_refuse(Refusal::Full)
    }

    fn queue_or_refuse(&mut self, otherwise: Refusal) -> Place {
        if self.queue.len() < self.limits.queue_max {
            Place::Queue
        } else {
            self.refuse(otherwise)
        }
    }

    fn refuse(&mut self, why: Refusal) -> Place {
        self.refused += 1;
        Place::Nowhere(why)
    }

    /// The number of the thread that is started next.
    #[must_use]
    pub fn next_worker(&self) -> WorkerId {
        WorkerId(self.next_worker)
    }

    /// The thread [`Roster::next_worker`] was started, for this job.
    pub fn begin(&mut self, name: Arc<str>, job: J) {
        let worker = self.next_worker();
        self.next_worker += 1;
        self.give(worker, name, job);
    }

    /// Gives a job to a thread that was reserved for it.
    pub fn give(&mut self, worker: WorkerId, name: Arc<str>, job: J) {
        let job = Some(job);
        self.busy.insert(worker, Work { name, job });
    }

    /// Lets a job wait. Returns how many jobs wait then: it is the last of them.
    pub fn enqueue(&mut self, name: Arc<str>, job: J) -> usize {
        self.queue.push_back((name, job));
        self.queue.len()
    }

    /// Whether a job waits although there may be more threads: it was queued when none could be started.
    #[must_use]
    pub fn wants_thread(&self) -> bool {
        !self.queue.is_empty() && self.threads() < self.limits.max
    }

    /// The thread [`Roster::next_worker`] was started, for the first job of the queue.
    pub fn begin_queued(&mut self) {
        if let Some((name, job)) = self.queue.pop_front() {
            self.begin(name, job);
        }
    }

    /// No thread could be started for the jobs of the queue.
    pub fn queued_without_thread(&mut self) {
        self.threads_not_started += 1;
    }

    /// What a thread has to do that has nothing in hand.
    pub fn order(&mut self, worker: WorkerId) -> Order<J> {
        if let Some(work) = self.busy.get_mut(&worker)
            && let Some(job) = work.job.take()
        {
            return Order::Run(Arc::clone(&work.name), job);
        }
        if self.is_closed {
            self.remove_idle(worker);
            return Order::Leave;
        }
        let may_expire = self.threads() > self.limits.core;
        Order::Wait { may_expire }
    }

    /// A thread's job has ended. It is given the first one of the queue, which it has to run, or is idle.
    pub fn finish(&mut self, worker: WorkerId, end: JobEnd) -> Option<(Arc<str>, J)> {
        self.busy.remove(&worker)?;
        match end {
            JobEnd::Completed => self.completed += 1,
            JobEnd::Panicked => self.panicked += 1,
        }
        let next = self.queue.pop_front();
        match &next {
            Some((name, _)) => {
                let name = Arc::clone(name);
                self.busy.insert(worker, Work { name, job: None });
            }
            None => self.idle.push(worker),
        }
        next
    }

    /// A thread has waited for as long as it may. Whether it ends: it does not if it was given a job in the meantime,
    /// or is one of those that stay.
    pub fn expire(&mut self, worker: WorkerId) -> bool {
        self.threads() > self.limits.core && self.remove_idle(worker)
    }

    fn remove_idle(&mut self, worker: WorkerId) -> bool {
        let place = self.idle.iter().position(|idle| *idle == worker);
        if let Some(place) = place {
            self.idle.remove(place);
        }
        place.is_some()
    }

    /// From now on jobs are refused. Those that wait are still run; threads leave when there is nothing more to do.
    /// Returns who waits and has to be told.
    pub fn close(&mut self) -> &[WorkerId] {
        self.is_closed = true;
        &self.idle
    }

    /// Threads that there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.busy.len() + self.idle.len()
    }

    /// Whether the pool is closed and its last thread has left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_closed && self.threads() == 0
    }

    /// The names of the jobs that threads have, oldest thread first.
    pub fn running(&self) -> impl Iterator<Item = &Arc<str>> {
        self.busy.values().map(|work| &work.name)
    }

    /// The names of the jobs that wait, the next one first.
    pub fn queued(&self) -> impl Iterator<Item = &Arc<str>> {
        self.queue.iter().map(|(name, _)| name)
    }

    /// What it has done and does.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        PoolStatistics {
            running: self.busy.len(),
            idle: self.idle.len(),
            queued: self.queue.len(),
            threads_started: self.next_worker,
            threads_not_started: self.threads_not_started,
            completed: self.completed,
            panicked: self.panicked,
            refused: self.refused,
        }
    }
}
