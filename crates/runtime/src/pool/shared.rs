//! What the pool's handles and its threads share: the roster and the bells, under one lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use dataflow_core::pool::{JobEnd, Order, Place, PoolLimits, Refusal, Roster, WorkerId};

use super::job::{Job, JobResult, prepare};
use super::machinery::Machinery;

/// A pool over the lock, the bells and the threads of `M`.
pub(super) struct Shared<M: Machinery> {
    machinery: M,
    name: &'static str,
    keep_alive: Duration,
    state: M::Lock<State<M>>,
}

struct State<M: Machinery> {
    roster: Roster<Job>,
    /// Of each thread there is: where it waits.
    bells: BTreeMap<WorkerId, Arc<M::Bell>>,
    /// Who waits until the last thread has left.
    draining: Vec<Waker>,
}

/// Where a job has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Started,
    Queued(usize),
}

impl<M: Machinery> Shared<M> {
    pub(super) fn new(
        machinery: M,
        name: &'static str,
        keep_alive: Duration,
        limits: PoolLimits,
    ) -> Arc<Self> {
        let state = machinery.lock_of(State {
            roster: Roster::new(limits),
            bells: BTreeMap::new(),
            draining: Vec::new(),
        });
        Arc::new(Shared {
            machinery,
            name,
            keep_alive,
            state,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Looks at the roster.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Roster<Job>) -> R) -> R {
        look(&self.machinery.lock(&self.state).roster)
    }

    /// Finds a place for a job, or gives it back.
    ///
    /// A thread is started under the lock. So there is no moment in which others count on a thread that then cannot be
    /// started, and a job that was queued because of it would wait for nobody.
    pub(super) fn submit<T, F>(
        self: &Arc<Self>,
        name: &str,
        job: F,
    ) -> Result<(Taken, JobResult<T>), (Refusal, F)>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let mut state = self.machinery.lock(&self.state);
        self.reinforce(&mut state);
        let mut place = state.roster.place();
        if place == Place::New && !self.start_next(&mut state) {
            place = state.roster.place_without_thread();
        }
        if let Place::Nowhere(why) = place {
            return Err((why, job));
        }
        let name: Arc<str> = name.into();
        let (job, result) = prepare(&name, job);
        let taken = match place {
            Place::Idle(worker) => {
                state.roster.give(worker, name, job);
                let bell = state.bells.get(&worker).map(Arc::clone);
                drop(state);
                if let Some(bell) = bell {
                    self.machinery.ring(&bell);
                }
                Taken::Started
            }
            Place::New => {
                state.roster.begin(name, job);
                Taken::Started
            }
            Place::Queue | Place::Nowhere(_) => Taken::Queued(state.roster.enqueue(name, job)),
        };
        Ok((taken, result))
    }

    /// Starts the thread that the roster begins next. Whether that worked.
    fn start_next(self: &Arc<Self>, state: &mut State<M>) -> bool {
        let worker = state.roster.next_worker();
        let bell = Arc::new(self.machinery.bell());
        let (shared, its_bell) = (Arc::clone(self), Arc::clone(&bell));
        let body = move || shared.work(worker, &its_bell);
        match self.machinery.start(self.name, body) {
            Ok(()) => {
                state.bells.insert(worker, bell);
                true
            }
            Err(error) => {
                tracing::warn!(pool = self.name, %error, "a thread of the pool cannot be started");
                false
            }
        }
    }

    /// Starts threads for jobs that wait because none could be started when they came.
    fn reinforce(self: &Arc<Self>, state: &mut State<M>) {
        while state.roster.wants_thread() {
            if !self.start_next(state) {
                state.roster.queued_without_thread();
                return;
            }
            state.roster.begin_queued();
        }
    }

    /// What a thread of the pool does: one order after the other.
    fn work(self: Arc<Self>, worker: WorkerId, bell: &M::Bell) {
        let mut state = self.machinery.lock(&self.state);
        loop {
            match state.roster.order(worker) {
                Order::Run(name, job) => {
                    drop(state);
                    self.run(worker, name, job);
                    state = self.machinery.lock(&self.state);
                }
                Order::Wait { may_expire } => {
                    let at_most = may_expire.then_some(self.keep_alive);
                    let (guard, is_over) = self.machinery.wait(bell, &self.state, state, at_most);
                    state = guard;
                    if is_over && state.roster.expire(worker) {
                        break;
                    }
                }
                Order::Leave => break,
            }
        }
        state.bells.remove(&worker);
        self.tell_if_drained(state);
    }

    /// Runs a job, and all that follow it out of the queue. A result is shown when its thread is accounted for.
    fn run(self: &Arc<Self>, worker: WorkerId, mut name: Arc<str>, mut job: Job) {
        self.machinery.call_this_thread(&name);
        loop {
            let ran = job();
            let next = self.finish(worker, ran.end);
            if next.is_none() {
                self.machinery.call_this_thread(self.name);
            }
            ran.result.show();
            let Some((next_name, next_job)) = next else {
                return;
            };
            if next_name != name {
                self.machinery.call_this_thread(&next_name);
            }
            (name, job) = (next_name, next_job);
        }
    }

    /// What the thread has to do next, if there is something.
    fn finish(self: &Arc<Self>, worker: WorkerId, end: JobEnd) -> Option<(Arc<str>, Job)> {
        let mut state = self.machinery.lock(&self.state);
        let next = state.roster.finish(worker, end);
        self.reinforce(&mut state);
        next
    }

    /// Takes no more jobs; the threads leave when they have done what is there.
    pub(super) fn close(self: &Arc<Self>) {
        let mut state = self.machinery.lock(&self.state);
        self.reinforce(&mut state);
        let waiting = state.roster.close().to_vec();
        let bells: Vec<_> = waiting
            .iter()
            .filter_map(|worker| state.bells.get(worker).map(Arc::clone))
            .collect();
        self.tell_if_drained(state);
        for bell in bells {
            self.machinery.ring(&bell);
        }
    }

    /// Whether the pool is closed and its last thread has left. If not, `waker` is woken then.
    pub(super) fn poll_drained(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.machinery.lock(&self.state);
        if state.roster.is_drained() {
            return Poll::Ready(());
        }
        if !state.draining.iter().any(|known| known.will_wake(waker)) {
            state.draining.push(waker.clone());
        }
        Poll::Pending
    }

    fn tell_if_drained(&self, mut state: M::Guard<'_, State<M>>) {
        if !state.roster.is_drained() {
            return;
        }
        let wakers = std::mem::take(&mut state.draining);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
    }
}
