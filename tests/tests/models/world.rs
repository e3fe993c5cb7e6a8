//! One test's Hub and one test's cache, beside its project.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use dataflow_testkit::hub::{FakeHub, Repository, Request, Stage};
use dataflow_tests::{Command, PATIENCE, Project, Random, Running, wait_until};

/// A project whose commands ask a fake Hub, and whose cache is its own.
#[derive(Debug)]
pub(crate) struct World {
    // Dropped first: what is left of the project must be gone while its Hub still answers.
    project: Project,
    pub(crate) hub: FakeHub,
}

impl World {
    pub(crate) fn new(name: &str, repositories: impl IntoIterator<Item = Repository>) -> World {
        let hub = FakeHub::start(repositories).expect("there is room for a Hub");
        let mut project = Project::new(name);
        project.set_variable("HF_ENDPOINT", hub.endpoint());
        World { project, hub }
    }

    /// Another project of the same user, who has one cache.
    pub(crate) fn neighbour(&self, name: &str) -> Project {
        let mut neighbour = self.project.neighbour(name);
        neighbour.set_variable("HF_ENDPOINT", self.hub.endpoint());
        neighbour.set_variable("HF_HOME", self.folder().join("huggingface"));
        neighbour
    }

    /// The folder of a repository in the cache.
    pub(crate) fn cached(&self, repo: &str) -> PathBuf {
        let folder = format!("models--{}", repo.replace('/', "--"));
        self.folder().join("huggingface/hub").join(folder)
    }

    /// `dataflow models pull`, about to be started.
    pub(crate) fn pull(&self, what: &str) -> Command {
        self.dataflow(["models", "pull", what])
    }

    /// `dataflow models pull`, of the project's own description.
    pub(crate) fn pull_flow(&self) -> Command {
        self.dataflow(["models", "pull"]).arg(self.file())
    }

    /// Waits until so much of a file has been sent in one of the transfers from number `from` on: up to which place,
    /// wherever that transfer began.
    ///
    /// # Panics
    ///
    /// When it never is.
    #[track_caller]
    pub(crate) fn wait_until_sent(&self, path: &str, from: usize, place: u64) {
        let is_sent = |requests: &[Request]| {
            let transfers = requests.iter().filter(|request| is_transfer(request, path));
            let mut places = transfers.skip(from).map(reached);
            places.any(|reached| reached >= place)
        };
        assert!(
            self.hub.wait_until(PATIENCE, is_sent),
            "never: {place} bytes of {path} are sent; there are {:#?}",
            self.hub.transfers(path)
        );
    }

    /// Waits until so much of a file of a repository that comes is on the disk.
    ///
    /// # Panics
    ///
    /// When it never is.
    #[track_caller]
    pub(crate) fn wait_until_written(&self, repo: &str, bytes_min: u64) {
        let partial = self.cached(repo).join(".dataflow/partial");
        wait_until("some of it is written", || {
            let Ok(entries) = std::fs::read_dir(&partial) else {
                return false;
            };
            let facts = entries.filter_map(|entry| entry.and_then(|entry| entry.metadata()).ok());
            facts.map(|facts| facts.len()).max() >= Some(bytes_min)
        });
    }

    /// Waits until transfer number `number` of a file is silent in the middle, as a script has it.
    ///
    /// # Panics
    ///
    /// When it never is.
    #[track_caller]
    pub(crate) fn wait_until_silent(&self, path: &str, number: usize) {
        let is_silent = |requests: &[Request]| {
            let mut transfers = requests.iter().filter(|request| is_transfer(request, path));
            transfers
                .nth(number)
                .is_some_and(|transfer| transfer.is_silent)
        };
        assert!(
            self.hub.wait_until(PATIENCE, is_silent),
            "never: transfer {number} of {path} is silent; there are {:#?}",
            self.hub.transfers(path)
        );
    }
}

/// The project's own: `flow`, `up`, `ps`, …
impl Deref for World {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.project
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Project {
        &mut self.project
    }
}

fn is_transfer(request: &Request, path: &str) -> bool {
    request.stage == Stage::Content
        && request.method == "GET"
        && request.file.as_deref() == Some(path)
}

/// Up to which place of its file a transfer has been sent.
pub(crate) fn reached(transfer: &Request) -> u64 {
    transfer.range_start() + transfer.sent_bytes
}

/// Bytes that no two places have in common.
pub(crate) fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let words = std::iter::repeat_with(|| random.next().to_le_bytes());
    words.flatten().take(count).collect()
}

/// What the tests call a model: a small file, and a large one of so many bytes.
pub(crate) fn model(name: &str, large_bytes: usize) -> Repository {
    Repository::model(name)
        .file("config.json", br#"{"size":"tiny"}"#)
        .large_file(WEIGHTS, bytes(7, large_bytes))
}

/// The large file of [`model`].
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// Waits until a command has been asked to end, and has.
pub(crate) fn killed(running: Running) {
    running.signal(rustix::process::Signal::KILL);
    assert_eq!(
        running.wait().code(),
        None,
        "nothing but the signal ends it"
    );
}
