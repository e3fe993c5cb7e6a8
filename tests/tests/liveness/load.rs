//! What must not disturb anybody: downloads flat out, and hashing.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dataflow_core::models::{ContentHash, ModelSpec};
use dataflow_ids::RepoKind;
use dataflow_runtime::models::cache::Hasher;
use dataflow_runtime::models::{
    FetchEpoch, FetchEvent, FetchLimits, FetchProgress, FetchSink, Fetcher, HubFetcher,
    HubSettings, ModelOrder,
};
use dataflow_runtime::pool::{Pool, PoolSettings};
use dataflow_testkit::hub::{FakeHub, Repository, Settings};
use tokio::sync::{mpsc, watch};

/// Downloads at the same time.
const DOWNLOADS: usize = 4;
/// Of each model, in bytes. It is fetched again and again, so that little of the disk is needed.
const MODEL_BYTES: usize = 16 * 1024 * 1024;
/// What is hashed beside that, in one job.
const HASHED_BYTES: usize = 1024 * 1024;

/// A Hub with as many models as are fetched at the same time.
pub(crate) fn hub() -> FakeHub {
    let models = (0..DOWNLOADS).map(|number| {
        let content = vec![number as u8; MODEL_BYTES];
        Repository::model(&name(number)).large_file("model.safetensors", content)
    });
    FakeHub::start(models.collect::<Vec<_>>()).expect("a loopback")
}

fn name(number: usize) -> String {
    format!("acme/model-{number}")
}

/// A Hub whose model comes for as long as any test goes on.
pub(crate) fn slow_hub() -> FakeHub {
    let settings = Settings {
        bytes_per_second: Some(1_000),
        ..Settings::default()
    };
    let model = Repository::model("acme/slow").large_file("model.safetensors", vec![7; 1 << 20]);
    FakeHub::start_with(settings, [model]).expect("a loopback")
}

pub(crate) fn order(repo: &str) -> ModelOrder {
    ModelOrder {
        spec: ModelSpec {
            kind: RepoKind::Model,
            repo: repo.to_owned(),
            revision: "main".to_owned(),
            files: Vec::new(),
        },
        pins: None,
        is_update: false,
    }
}

pub(crate) fn settings(hub: &FakeHub, cache: &Path) -> HubSettings {
    HubSettings {
        cache: cache.to_path_buf(),
        endpoint: hub.endpoint(),
        token: None,
        is_offline: false,
    }
}

/// The pool of a real run.
pub(crate) fn pool() -> Pool {
    Pool::new(PoolSettings {
        name: "hashing",
        core: 1,
        max: 4,
        keep_alive: Duration::from_secs(5),
        queue_max: 64,
    })
    .expect("the settings make sense")
}

/// Downloads and hashing that go on until this is ended.
pub(crate) struct Load {
    ends: Arc<AtomicBool>,
    downloaded: Arc<AtomicU64>,
    hashed: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
    began: Instant,
    /// Serves them.
    hub: FakeHub,
}

/// What a load has done.
pub(crate) struct Done {
    seconds: f64,
    downloaded_bytes: u64,
    hashed_bytes: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        write!(
            f,
            "{:.0} s of {DOWNLOADS} downloads at once, {:.1} GB, and of hashing, {:.1} GB more",
            self.seconds,
            gigabytes(self.downloaded_bytes),
            gigabytes(self.hashed_bytes)
        )
    }
}

impl Load {
    pub(crate) fn begin(hub: FakeHub, caches: &Path) -> Load {
        let mut load = Load {
            ends: Arc::default(),
            downloaded: Arc::default(),
            hashed: Arc::default(),
            threads: Vec::new(),
            began: Instant::now(),
            hub,
        };
        load.begin_threads(caches);
        load
    }

    fn begin_threads(&mut self, caches: &Path) {
        let pool = pool();
        for number in 0..DOWNLOADS {
            let settings = settings(&self.hub, &caches.join(number.to_string()));
            let (ends, downloaded) = (Arc::clone(&self.ends), Arc::clone(&self.downloaded));
            let pool = pool.clone();
            self.threads.push(thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    download(&settings, &pool, number);
                    downloaded.fetch_add(MODEL_BYTES as u64, Ordering::Relaxed);
                    std::fs::remove_dir_all(&settings.cache).expect("it is ours");
                }
            }));
        }
        let (ends, hashed) = (Arc::clone(&self.ends), Arc::clone(&self.hashed));
        self.threads.push(thread::spawn(move || {
            let mut hasher = Hasher::new(&ContentHash::Sha256([0; 32]), 0);
            let mut buffer = vec![7; HASHED_BYTES];
            while !ends.load(Ordering::Relaxed) {
                let job = move || {
                    hasher.update(&buffer);
                    (hasher, buffer)
                };
                let submitted = pool.submit("hash", job).expect("there is room");
                (hasher, buffer) = submitted.result.wait().expect("it does not panic");
                hashed.fetch_add(HASHED_BYTES as u64, Ordering::Relaxed);
            }
        }));
    }

    /// Ends it when what goes on has ended.
    pub(crate) fn end(self) -> Done {
        let seconds = self.began.elapsed().as_secs_f64();
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("the load goes on to its end");
        }
        Done {
            seconds,
            downloaded_bytes: self.downloaded.load(Ordering::Relaxed),
            hashed_bytes: self.hashed.load(Ordering::Relaxed),
        }
    }
}

fn download(settings: &HubSettings, pool: &Pool, number: usize) {
    let fetcher = HubFetcher::new(settings.clone(), FetchLimits::default(), pool.clone())
        .expect("its threads start");
    let (events, mut said) = mpsc::unbounded_channel();
    let (progress, _) = watch::channel(FetchProgress::default());
    let sink = FetchSink {
        epoch: FetchEpoch(1),
        events,
        progress,
    };
    let _fetching = fetcher.fetch(order(&name(number)), sink);
    loop {
        match said.blocking_recv() {
            Some((_, FetchEvent::Finished { .. })) => return,
            Some((_, FetchEvent::Resolved(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}
