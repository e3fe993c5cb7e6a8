//! A fake Hub in a process of its own, and one fetch from it in another one: so each has its own processor time and
//! its own memory.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dataflow_core::models::ModelSpec;
use dataflow_ids::RepoKind;
use dataflow_runtime::models::{
    FetchEpoch, FetchEvent, FetchLimits, FetchProgress, FetchSink, Fetcher, HubFetcher,
    HubSettings, ModelOrder,
};
use dataflow_runtime::pool::{Pool, PoolSettings};
use dataflow_testkit::hub::{FakeHub, Repository};
use tokio::sync::{mpsc, watch};

use dataflow_benches::clock::now_ns;

/// The model that the Hub has: whatever lies in its folder.
pub(crate) const REPOSITORY: &str = "acme/large";

/// A Hub that serves a folder until it is dropped.
pub(crate) struct HubProcess {
    child: Child,
    /// What `HF_ENDPOINT` must be.
    pub(crate) endpoint: String,
}

impl HubProcess {
    /// Starts this program once more, as the Hub: see [`serve`].
    ///
    /// # Errors
    ///
    /// When it does not start, or cannot read the folder.
    pub(crate) fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("role=serve")
            .arg(format!("folder={}", folder.display()))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("its output is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let endpoint = line.trim().to_owned();
        Ok(HubProcess { child, endpoint })
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the files of a folder as [`REPOSITORY`] until the process is killed. Prints where.
///
/// # Errors
///
/// When the folder cannot be read, or there is no loopback.
pub(crate) fn serve(folder: &Path) -> Result<(), Box<dyn Error>> {
    let repository = Repository::model(REPOSITORY).folder(folder, 1)?;
    let hub = FakeHub::start([repository])?;
    println!("{}", hub.endpoint());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}

/// Fetches [`REPOSITORY`] into a cache, and prints the seconds that it took and the most memory that was resident, in
/// bytes.
///
/// # Errors
///
/// When it cannot be fetched.
pub(crate) fn fetch(endpoint: String, cache: &Path) -> Result<(), Box<dyn Error>> {
    let settings = HubSettings {
        cache: cache.to_path_buf(),
        endpoint,
        token: None,
        is_offline: false,
    };
    let pool = Pool::new(PoolSettings {
        name: "models",
        core: 1,
        max: 4,
        keep_alive: Duration::from_secs(5),
        queue_max: 64,
    })?;
    let fetcher = HubFetcher::new(settings, FetchLimits::default(), pool)?;
    let (events, mut said) = mpsc::unbounded_channel();
    let (progress, _) = watch::channel(FetchProgress::default());
    let order = ModelOrder {
        spec: ModelSpec {
            kind: RepoKind::Model,
            repo: REPOSITORY.to_owned(),
            revision: "main".to_owned(),
            files: Vec::new(),
        },
        pins: None,
        is_update: false,
    };
    let began_ns = now_ns();
    let epoch = FetchEpoch(1);
    let _fetching = fetcher.fetch(
        order,
        FetchSink {
            epoch,
            events,
            progress,
        },
    );
    loop {
        match said.blocking_recv() {
            Some((_, FetchEvent::Resolved(_))) => {}
            Some((_, FetchEvent::Finished { .. })) => break,
            Some((_, FetchEvent::Failed(error))) => return Err(error.into()),
            None => return Err("the fetcher has gone".into()),
        }
    }
    let seconds = (now_ns() - began_ns) as f64 / 1e9;
    println!("{seconds} {}", peak_bytes()?);
    Ok(())
}

/// The most memory of this process that was resident at once.
fn peak_bytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(line.ok_or("no VmHWM")?.parse::<u64>()? * 1_024)
}
