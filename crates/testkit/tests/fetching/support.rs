//! A fake Hub, a cache of its own, and a fetcher between both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dataflow_core::models::{ModelSpec, RetryRules};
use dataflow_ids::RepoKind;
use dataflow_runtime::models::{
    FetchEpoch, FetchEvent, FetchLimits, FetchProgress, FetchSink, Fetcher, Fetching, HubFetcher,
    HubSettings, ModelError, ModelOrder, Token,
};
use dataflow_runtime::pool::{Pool, PoolSettings};
use dataflow_testkit::hub::{FakeHub, Repository};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

/// Content that is no repetition, so that a piece in the wrong place is seen.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    let mut state: u32 = 0x9e37_79b9;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(step).collect()
}

/// A model with a small file, one in a folder, and a large one.
pub(crate) fn detector(large_bytes: usize) -> Repository {
    Repository::model("acme/tiny-detector")
        .file("config.json", b"{\"a\": 1}")
        .file("tokenizer/vocab.txt", b"one\ntwo\n")
        .large_file("model.safetensors", content(large_bytes))
}

/// All of it, and nothing pinned.
pub(crate) fn order() -> ModelOrder {
    ModelOrder {
        spec: ModelSpec {
            kind: RepoKind::Model,
            repo: "acme/tiny-detector".to_owned(),
            revision: "main".to_owned(),
            files: Vec::new(),
        },
        pins: None,
        is_update: false,
    }
}

/// Limits for tests: waits are short, and few. That the machine stands still for a while is no silence of the Hub: tests
/// of silence have a limit of their own.
pub(crate) fn limits() -> FetchLimits {
    FetchLimits {
        stall: Duration::from_secs(30),
        retry: RetryRules {
            base: Duration::from_millis(5),
            cap: Duration::from_millis(20),
            attempts_max: 4,
            asked_max: Duration::from_secs(2),
        },
        ..FetchLimits::default()
    }
}

/// A fetcher, and the cache that it fetches into.
pub(crate) struct Site {
    pub(crate) cache: TempDir,
    pub(crate) settings: HubSettings,
    pub(crate) limits: FetchLimits,
}

impl Site {
    pub(crate) fn new(hub: &FakeHub) -> Site {
        Site::at(&hub.endpoint())
    }

    pub(crate) fn at(endpoint: &str) -> Site {
        let cache = tempfile::tempdir().unwrap();
        let settings = HubSettings {
            cache: cache.path().to_path_buf(),
            endpoint: endpoint.to_owned(),
            token: None,
            is_offline: false,
        };
        Site {
            cache,
            settings,
            limits: limits(),
        }
    }

    pub(crate) fn with_token(mut self, secret: &str) -> Site {
        self.settings.token = Some(Token {
            secret: secret.to_owned(),
            from: "HF_TOKEN".to_owned(),
        });
        self
    }

    pub(crate) fn fetcher(&self) -> HubFetcher {
        let settings = PoolSettings {
            name: "hashing",
            core: 1,
            max: 4,
            keep_alive: Duration::from_secs(1),
            queue_max: 64,
        };
        let pool = Pool::new(settings).unwrap();
        HubFetcher::seeded(self.settings.clone(), self.limits, pool, 42).unwrap()
    }

    /// Begins a fetch with a fetcher of its own.
    pub(crate) fn begin(&self, order: ModelOrder) -> Fetch {
        let fetcher = self.fetcher();
        let mut fetch = begin(&fetcher, order);
        fetch._fetcher = Some(fetcher);
        fetch
    }

    /// Fetches to the end.
    pub(crate) fn fetch(&self, order: ModelOrder) -> Result<PathBuf, ModelError> {
        self.begin(order).end()
    }

    /// The folder of the repository that all tests fetch.
    pub(crate) fn repo(&self) -> PathBuf {
        self.cache.path().join("models--acme--tiny-detector")
    }

    /// Names in a folder of the repository, sorted.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.repo().join(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}

/// A fetch that goes on.
pub(crate) struct Fetch {
    pub(crate) events: mpsc::UnboundedReceiver<(FetchEpoch, FetchEvent)>,
    pub(crate) progress: watch::Receiver<FetchProgress>,
    /// Dropped with the fetch, which ends it.
    _going: Box<dyn Fetching>,
    _fetcher: Option<HubFetcher>,
}

pub(crate) fn begin(fetcher: &HubFetcher, order: ModelOrder) -> Fetch {
    let (events, received) = mpsc::unbounded_channel();
    let (progress, seen) = watch::channel(FetchProgress::default());
    let sink = FetchSink {
        epoch: FetchEpoch(7),
        events,
        progress,
    };
    Fetch {
        _going: fetcher.fetch(order, sink),
        events: received,
        progress: seen,
        _fetcher: None,
    }
}

impl Fetch {
    /// The next event; `None` when none will come.
    pub(crate) fn event(&mut self) -> Option<FetchEvent> {
        let (epoch, event) = self.events.blocking_recv()?;
        assert_eq!(epoch, FetchEpoch(7));
        Some(event)
    }

    /// Waits until it is as far as wanted, and gives how far it is then.
    pub(crate) fn wait_for(&mut self, is_far: impl FnMut(&FetchProgress) -> bool) -> FetchProgress {
        blocking(self.when(is_far))
    }

    async fn when(&mut self, mut is_far: impl FnMut(&FetchProgress) -> bool) -> FetchProgress {
        match self.progress.wait_for(|progress| is_far(progress)).await {
            Ok(progress) => progress.clone(),
            Err(_) => panic!("the fetch has ended: {:?}", self.events.try_recv()),
        }
    }

    /// How it ends. Nothing is said afterwards.
    pub(crate) fn end(&mut self) -> Result<PathBuf, ModelError> {
        let end = loop {
            match self.event().expect("a fetch says how it ends") {
                FetchEvent::Resolved(_) => {}
                FetchEvent::Finished { snapshot } => break Ok(snapshot),
                FetchEvent::Failed(error) => break Err(error),
            }
        };
        assert_eq!(self.event(), None, "nothing comes after the end");
        end
    }
}

/// Waits until either is as far as wanted, and gives which one is.
pub(crate) fn wait_for_one(
    [zero, one]: &mut [Fetch; 2],
    is_far: impl Fn(&FetchProgress) -> bool,
) -> usize {
    blocking(async {
        tokio::select! {
            _ = zero.when(&is_far) => 0,
            _ = one.when(&is_far) => 1,
        }
    })
}

fn blocking<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(what)
}

/// What a file holds.
pub(crate) fn read(folder: &Path, path: &str) -> Vec<u8> {
    std::fs::read(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
