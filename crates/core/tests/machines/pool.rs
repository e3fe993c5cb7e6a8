//! The pool's roster, over random histories of jobs, threads that can or cannot be started, expiry and closing.

use std::collections::BTreeSet;

use dataflow_core::pool::{JobEnd, Order, Place, PoolLimits, Refusal, Roster, WorkerId};
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A job comes; the system starts a thread, or it does not.
    Submit {
        starts: bool,
    },
    /// The n-th of the threads ends its job.
    Finish(usize, JobEnd),
    /// The n-th of the threads has waited for long enough.
    Expire(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::bool::weighted(0.8).prop_map(|starts| Step::Submit { starts }),
        6 => (0..8_usize, prop::bool::weighted(0.9)).prop_map(|(worker, completes)| {
            let end = if completes { JobEnd::Completed } else { JobEnd::Panicked };
            Step::Finish(worker, end)
        }),
        4 => (0..8_usize).prop_map(Step::Expire),
        1 => Just(Step::Close),
    ]
}

struct World {
    limits: PoolLimits,
    roster: Roster<u64>,
    workers: Vec<WorkerId>,
    /// Who has come for a job and not ended it.
    at_work: BTreeSet<WorkerId>,
    submitted: u64,
    taken: u64,
    ran: Vec<u64>,
    /// Whether the last thread that was wanted could not be started.
    is_scarce: bool,
    is_closed: bool,
}

impl World {
    fn new(limits: PoolLimits) -> Self {
        World {
            limits,
            roster: Roster::new(limits),
            workers: Vec::new(),
            at_work: BTreeSet::new(),
            submitted: 0,
            taken: 0,
            ran: Vec::new(),
            is_scarce: false,
            is_closed: false,
        }
    }

    /// As the runtime submits a job.
    fn submit(&mut self, starts: bool) {
        while self.roster.wants_thread() {
            self.is_scarce = !starts;
            if !starts {
                self.roster.queued_without_thread();
                break;
            }
            self.workers.push(self.roster.next_worker());
            self.roster.begin_queued();
        }
        self.submitted += 1;
        let name = "job".into();
        let job = self.taken;
        let mut place = self.roster.place();
        if place == Place::New {
            self.is_scarce = !starts;
            if starts {
                self.workers.push(self.roster.next_worker());
            } else {
                place = self.roster.place_without_thread();
                let is_alone = self.workers.is_empty();
                assert_eq!(place == Place::Nowhere(Refusal::NoThread), is_alone);
            }
        }
        match place {
            Place::Idle(worker) => self.roster.give(worker, name, job),
            Place::New => self.roster.begin(name, job),
            Place::Queue => {
                let position = self.roster.enqueue(name, job);
                assert!((1..=self.limits.queue_max).contains(&position));
            }
            Place::Nowhere(why) => {
                assert_eq!(why == Refusal::Closed, self.is_closed);
                return;
            }
        }
        self.taken += 1;
    }

    /// Every thread that has nothing in hand does what it is ordered to.
    fn look_for_orders(&mut self) {
        for worker in self.workers.clone() {
            if self.at_work.contains(&worker) {
                continue;
            }
            match self.roster.order(worker) {
                Order::Run(_, job) => {
                    self.ran.push(job);
                    self.at_work.insert(worker);
                }
                Order::Wait { may_expire } => {
                    assert!(!self.is_closed);
                    assert_eq!(may_expire, self.workers.len() > self.limits.core);
                }
                Order::Leave => {
                    assert!(self.is_closed);
                    self.workers.retain(|other| *other != worker);
                }
            }
        }
    }

    fn finish(&mut self, worker: WorkerId, end: JobEnd) {
        if let Some((_, job)) = self.roster.finish(worker, end) {
            self.ran.push(job);
            self.at_work.insert(worker);
        }
    }

    fn step(&mut self, step: Step) {
        let nth = |number: usize| self.workers.get(number).copied();
        match step {
            Step::Submit { starts } => self.submit(starts),
            Step::Finish(number, end) => {
                if let Some(worker) = nth(number).filter(|worker| self.at_work.remove(worker)) {
                    self.finish(worker, end);
                }
            }
            Step::Expire(number) => {
                if let Some(worker) = nth(number)
                    && self.roster.expire(worker)
                {
                    assert!(!self.at_work.contains(&worker), "it has a job");
                    assert!(self.workers.len() > self.limits.core, "it should stay");
                    self.workers.retain(|other| *other != worker);
                }
            }
            Step::Close => {
                self.is_closed = true;
                self.roster.close();
            }
        }
        self.check();
    }

    fn check(&self) {
        let statistics = self.roster.statistics();
        assert_eq!(statistics.threads(), self.workers.len());
        assert!(statistics.threads() <= self.limits.max);
        if statistics.queued > 0 {
            assert_eq!(statistics.idle, 0, "a job waits beside an idle thread");
            assert!(statistics.running > 0, "nobody will come for what waits");
            assert!(
                statistics.threads() == self.limits.max || self.is_scarce,
                "a job waits although there may be more threads"
            );
        }
        let accounted = statistics.completed
            + statistics.panicked
            + statistics.refused
            + statistics.running as u64
            + statistics.queued as u64;
        assert_eq!(accounted, self.submitted, "{statistics:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_job_waits_only_while_all_threads_that_there_may_be_are_busy_and_each_is_run_once(
        max in 1..5_usize,
        core in 0..5_usize,
        queue_max in 0..5_usize,
        steps in prop::collection::vec((step(), any::<bool>()), 0..80),
    ) {
        let limits = PoolLimits { core: core.min(max), max, queue_max };
        let mut world = World::new(limits);
        for (step, looks) in steps {
            world.step(step);
            // Threads come for their orders at any time.
            if looks {
                world.look_for_orders();
            }
        }
        // To the end: who runs ends, who waits is run, and all leave.
        world.step(Step::Close);
        while !world.roster.is_drained() {
            world.look_for_orders();
            for worker in std::mem::take(&mut world.at_work) {
                world.finish(worker, JobEnd::Completed);
                world.check();
            }
        }
        let mut ran = world.ran.clone();
        ran.sort_unstable();
        prop_assert_eq!(ran, (0..world.taken).collect::<Vec<_>>());
        prop_assert!(world.workers.is_empty());
    }
}
