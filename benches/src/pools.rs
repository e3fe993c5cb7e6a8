//! The pools that are measured side by side, behind one face.

use std::time::Duration;

use dataflow_runtime::pool::{Pool, PoolSettings};

/// A job.
pub type Job = Box<dyn FnOnce() + Send>;

/// A pool that runs jobs.
pub trait Runs {
    /// Hands it a job, whose result nobody waits for.
    fn run(&self, job: Job);
}

/// How a pool is made: with so many threads that stay, so many at most, and room for so many jobs that wait.
pub type Make = fn(core: usize, max: usize, queue_max: usize) -> Box<dyn Runs>;

/// Ours first.
pub const CONTENDERS: [(&str, Make); 4] = [
    ("dataflow", dataflow),
    ("rusty_pool 1.0", rusty_pool),
    ("rayon", rayon),
    ("tokio spawn_blocking", tokio),
];

/// How long a thread waits for a job where that can be said.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

impl Runs for Pool {
    fn run(&self, job: Job) {
        if let Err(busy) = self.submit("bench", job) {
            panic!("{busy}");
        }
    }
}

fn dataflow(core: usize, max: usize, queue_max: usize) -> Box<dyn Runs> {
    let pool = Pool::new(PoolSettings {
        name: "bench-pool",
        core,
        max,
        keep_alive: KEEP_ALIVE,
        queue_max,
    });
    Box::new(pool.expect("the settings make sense"))
}

impl Runs for rusty_pool::ThreadPool {
    fn run(&self, job: Job) {
        // With a handle for the result, as the others make one.
        drop(self.evaluate(job));
    }
}

fn rusty_pool(core: usize, max: usize, _queue_max: usize) -> Box<dyn Runs> {
    Box::new(rusty_pool::ThreadPool::new(core, max, KEEP_ALIVE))
}

struct Rayon(rayon::ThreadPool);

impl Runs for Rayon {
    fn run(&self, job: Job) {
        self.0.spawn(job);
    }
}

/// It has one number of threads, and starts them with itself: those that the others keep.
fn rayon(core: usize, _max: usize, _queue_max: usize) -> Box<dyn Runs> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(core).build();
    Box::new(Rayon(pool.expect("its threads start")))
}

struct Tokio(tokio::runtime::Runtime);

impl Runs for Tokio {
    fn run(&self, job: Job) {
        drop(self.0.spawn_blocking(job));
    }
}

/// It keeps no thread for ever.
fn tokio(_core: usize, max: usize, _queue_max: usize) -> Box<dyn Runs> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(max)
        .thread_keep_alive(KEEP_ALIVE)
        .build();
    Box::new(Tokio(runtime.expect("a runtime without drivers starts")))
}
