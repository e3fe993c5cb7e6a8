//! One test's world: a folder with a dataflow in it, and a runtime folder that nobody else sees.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dataflow_wire::status::{DataflowStatus, Report};
use tempfile::TempDir;

use crate::accounts::{Accounts, check_accounts};
use crate::baseline::{self, MARK, Process};
use crate::bundle;
use crate::command::{Command, Finished, Running};
use crate::gate::Gate;
use crate::ledger::{Fact, ledger_path, read_ledger};
use crate::places::{
    PATIENCE, assert_python_works, dataflow_binary, ledger_node, nodes_folder, python_environment,
    repository, test_node,
};
use crate::record::Record;
use crate::report::{self, Damage, assert_balanced};
use crate::talk::Talk;
use crate::terminal::Terminal;

/// A project folder with everything that a test needs around it. Its drop asserts that nothing is left.
#[derive(Debug)]
pub struct Project {
    name: String,
    mark: String,
    folder: TempDir,
    runtime_folder: PathBuf,
    /// What its commands find in their environment besides.
    variables: BTreeMap<String, PathBuf>,
    /// The runs that were seen, for the names of their memory.
    runs: RefCell<BTreeSet<String>>,
}

impl Project {
    /// A new project. `name` becomes the name of its dataflow and is unique among the tests.
    pub fn new(name: &str) -> Project {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::Builder::new()
            .prefix(&format!("dataflow-test-{name}-"))
            .tempdir()
            .expect("a temporary folder can be made");
        let runtime_folder = folder.path().join("run");
        std::fs::create_dir_all(&runtime_folder).expect("a folder can be made");
        std::fs::create_dir_all(folder.path().join("records")).expect("a folder can be made");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{count}-{name}", std::process::id());
        bundle::project_begins(&mark, folder.path());
        Project {
            name: name.to_owned(),
            mark,
            runtime_folder,
            // No test touches the models or the key of whoever runs it.
            variables: [
                ("HF_HOME".to_owned(), folder.path().join("huggingface")),
                ("XDG_CONFIG_HOME".to_owned(), folder.path().join("config")),
            ]
            .into(),
            folder,
            runs: RefCell::default(),
        }
    }

    /// Another project of the same user: its own folder, but the same runtime folder, as on a real machine.
    pub fn neighbour(&self, name: &str) -> Project {
        let mut neighbour = Project::new(name);
        neighbour.runtime_folder.clone_from(&self.runtime_folder);
        neighbour
    }

    /// From now on its commands find this variable in their environment.
    pub fn set_variable(&mut self, name: &str, value: impl Into<PathBuf>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The YAML's file.
    pub fn file(&self) -> PathBuf {
        self.folder().join(format!("{}.yml", self.name))
    }

    /// Writes the dataflow. In the text, `RUST_NODE` stands for the Rust test node, `LEDGER_NODE` for the
    /// one that keeps a ledger, `NODES` for the folder of the Python ones, and `GATES` for the folder of the gates.
    pub fn flow(&self, text: &str) -> &Project {
        if text.contains("NODES/") {
            assert_python_works();
        }
        let text = text
            .replace("LEDGER_NODE", &ledger_node().to_string_lossy())
            .replace("RUST_NODE", &test_node().to_string_lossy())
            .replace("NODES", &nodes_folder().to_string_lossy())
            .replace("GATES", &self.folder().to_string_lossy());
        std::fs::write(self.file(), text).expect("the project's folder can be written");
        self
    }

    /// Copies the examples into the folder `dataflows` of the project, so that what their runs leave stays out of the
    /// repository.
    pub fn copy_examples(&self) {
        // They name their binaries as `../target/debug/…`.
        let copy = self.folder().join("dataflows");
        std::fs::create_dir(&copy).expect("a folder can be made");
        let binary = dataflow_binary();
        let target = binary.ancestors().nth(2).expect("it is in `target/debug`");
        std::os::unix::fs::symlink(target, self.folder().join("target"))
            .expect("a link can be made");
        for entry in std::fs::read_dir(repository().join("dataflows"))
            .expect("the examples are there")
            .flatten()
        {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                std::fs::copy(entry.path(), copy.join(entry.file_name()))
                    .expect("a file can be copied");
            }
        }
    }

    /// A new gate; its pipe is `GATES/<name>` in the dataflow's text.
    pub fn gate(&self, name: &str) -> Gate {
        Gate::new(self.folder().join(name))
    }

    /// What `node` writes down about itself.
    pub fn record(&self, node: &str) -> Record {
        Record::new(self.folder().join("records").join(node))
    }

    fn at_home(&self, command: Command) -> Command {
        let command = [
            "HF_ENDPOINT",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HUGGINGFACE_HUB_CACHE",
            "HUGGING_FACE_HUB_TOKEN",
        ]
        .into_iter()
        .fold(command, Command::env_remove);
        self.variables
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
            .folder(self.folder())
            .env(MARK, &self.mark)
            .env("XDG_RUNTIME_DIR", &self.runtime_folder)
            .env("VIRTUAL_ENV", python_environment())
            .env("DATAFLOW_TEST_RECORDS", self.folder().join("records"))
            .env("NO_COLOR", "1")
            .env_remove("DATAFLOW_FORCE_AFTER")
            .env_remove("DATAFLOW_IDENTITY")
            .env_remove("DATAFLOW_LIMIT_RATE")
            .env_remove("DATAFLOW_CONTROL_FD")
            .env_remove("DATAFLOW_EXAMPLE_SECONDS")
            .env_remove("DATAFLOW_PEER")
            .env_remove("DATAFLOW_PEERS")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUST_LOG")
    }

    /// The binary under test, in this project.
    pub fn dataflow<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.at_home(Command::new(dataflow_binary()))
            .args(arguments)
    }

    /// Another program, in this project.
    pub fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.at_home(Command::new(program))
    }

    /// Where the records and the ledgers of its nodes are.
    pub fn records(&self) -> PathBuf {
        self.folder().join("records")
    }

    /// The ledger of a ledger node, so far.
    pub fn ledger(&self, node: &str) -> Vec<Fact> {
        read_ledger(&ledger_path(&self.records(), node))
    }

    /// Waits until a ledger node has seen `count` messages.
    ///
    /// # Panics
    ///
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_messages(&self, node: &str, count: usize) {
        crate::wait_until(&format!("{node} has seen {count} messages"), || {
            let ledger = self.ledger(node);
            let seen = ledger
                .iter()
                .filter(|fact| matches!(fact, Fact::Consumed(_)));
            seen.count() >= count
        });
    }

    /// Removes what its nodes have written down: a new run begins.
    pub fn forget_records(&self) {
        for entry in std::fs::read_dir(self.records()).into_iter().flatten() {
            let path = entry.expect("a folder can be read").path();
            std::fs::remove_file(path).expect("a record can be removed");
        }
    }

    /// Connects to its dataflow, which `up` has started. `None` when that has ended before it could be reached.
    ///
    /// # Panics
    ///
    /// When there is none to reach for as long as `up` runs.
    pub fn talk(&self, up: &mut Running) -> Option<Talk> {
        Talk::connect(&self.runtime_folder, &self.name, || !up.has_ended())
    }

    /// The report of the last run of ledger nodes, with every message accounted for.
    ///
    /// # Panics
    ///
    /// As [`Project::report`], or when a message has arrived twice, damaged, in another order, or nowhere.
    pub fn accounts(&self) -> (Report, Accounts) {
        let report = self.report();
        let accounts = check_accounts(&report, &self.records());
        (report, accounts)
    }

    /// Starts the dataflow, attached.
    pub fn up(&self) -> Running {
        self.dataflow(["up"]).arg(self.file()).start()
    }

    /// Starts the dataflow, attached, at a terminal.
    pub fn up_at_terminal(&self, file: &Path) -> Terminal {
        self.at_terminal([Path::new("up"), file])
    }

    /// Starts the binary under test, attached, at a terminal.
    pub fn at_terminal<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Terminal {
        Terminal::start(
            self.at_home(Command::new("setsid"))
                .args(["--ctty", "--wait"])
                .arg(dataflow_binary())
                .args(arguments)
                .env("TERM", "xterm-256color")
                .env_remove("NO_COLOR"),
        )
    }

    /// Starts the dataflow in the background, and waits until it is up.
    pub fn up_detached(&self) -> Finished {
        self.dataflow(["up", "-d"])
            .arg(self.file())
            .run()
            .expect_code(0)
    }

    /// Runs `down` to its end.
    pub fn down(&self) -> Finished {
        self.dataflow(["down"]).run()
    }

    /// What `ps` shows: every dataflow of this project that runs. It gives up on one after two seconds, and a machine may
    /// stand still for as long: then it is asked again, once. A control loop that stands still is silent both times.
    ///
    /// # Panics
    ///
    /// When it fails otherwise, or twice.
    pub fn ps(&self) -> Vec<DataflowStatus> {
        let ask = || self.dataflow(["ps", "--json"]).run();
        let mut shown = ask();
        if shown.code() != Some(0) && shown.output().contains("\"it said nothing for ") {
            println!("asked again: {shown}");
            shown = ask();
        }
        let shown = shown.expect_code(0);
        let statuses: Vec<DataflowStatus> = report::read(&shown.output());
        let mut runs = self.runs.borrow_mut();
        runs.extend(statuses.iter().map(|status| status.run.clone()));
        statuses
    }

    /// Waits until `ps` shows one dataflow for which `is_so` holds, and gives it.
    ///
    /// # Panics
    ///
    /// When it never does; `what` says what was waited for.
    pub fn wait_until(
        &self,
        what: &str,
        is_so: impl Fn(&DataflowStatus) -> bool,
    ) -> DataflowStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let statuses = self.ps();
            if let Some(status) = statuses.iter().find(|status| is_so(status)) {
                return status.clone();
            }
            assert!(
                Instant::now() < deadline,
                "never: {what}; `ps` shows {statuses:#?}"
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The folders of the runs, oldest first.
    pub fn run_folders(&self) -> Vec<PathBuf> {
        self.run_folders_in(&self.folder().join(".dataflow/runs"))
    }

    fn run_folders_in(&self, runs: &Path) -> Vec<PathBuf> {
        let mut folders: Vec<_> = std::fs::read_dir(runs)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| {
                let made = entry.metadata().and_then(|of| of.modified()).ok();
                (made, entry.path())
            })
            .collect();
        folders.sort();
        let mut runs = self.runs.borrow_mut();
        for (_, folder) in &folders {
            let name = folder.file_name().expect("a folder has a name");
            runs.insert(name.to_string_lossy().into_owned());
        }
        folders.into_iter().map(|(_, folder)| folder).collect()
    }

    /// The report of the last run, after its sums have been checked (I-2).
    ///
    /// # Panics
    ///
    /// When there is none, or a message in it is not accounted for.
    pub fn report(&self) -> Report {
        self.report_in(&self.folder().join(".dataflow/runs"))
    }

    /// As [`Project::report`], when somebody in the test writes what he likes into an edge: the sums of that edge
    /// need not hold, if the report says that it is damaged.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn report_of_damage(&self) -> Report {
        self.read_report(&self.folder().join(".dataflow/runs"), Damage::MayBe)
    }

    /// As [`Project::report`], of a dataflow in another folder.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn report_in(&self, runs: &Path) -> Report {
        self.read_report(runs, Damage::MustNotBe)
    }

    fn read_report(&self, runs: &Path, damage: Damage) -> Report {
        let folders = self.run_folders_in(runs);
        let folder = folders.last().expect("a run has left its folder");
        let file = folder.join("report.json");
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("no report {}: {error}", file.display()));
        let report = report::read(&text);
        assert_balanced(&report, damage);
        report
    }

    /// The processes of this project that run.
    pub fn processes(&self) -> Vec<Process> {
        baseline::processes(&self.mark)
    }

    /// Waits until no process of this project runs; gives how long that took.
    ///
    /// # Panics
    ///
    /// When one stays for 20 s.
    pub fn wait_until_no_process(&self) -> Duration {
        let started = Instant::now();
        loop {
            let left = self.processes();
            if left.is_empty() {
                return started.elapsed();
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "still there: {left:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asserts that nothing is left: no process, no memory, no socket.
    ///
    /// # Panics
    ///
    /// When something is, with its name.
    pub fn assert_back_to_baseline(&self) {
        self.run_folders();
        let runs: Vec<_> = self.runs.borrow().iter().cloned().collect();
        baseline::assert_nothing_left(&self.mark, &runs, &self.runtime_folder);
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        bundle::project_ends(&self.mark);
        if std::thread::panicking() {
            for folder in self.run_folders() {
                for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                    let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                    let from = text.len().saturating_sub(4000);
                    let tail = text.get(from..).unwrap_or(&text);
                    eprintln!("{}:\n{tail}", entry.path().display());
                }
            }
            baseline::kill_all(&self.mark);
        } else {
            self.assert_back_to_baseline();
        }
    }
}
