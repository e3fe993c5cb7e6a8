//! The folders of past and present runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataflow_ids::{DataflowName, NodeId};
use dataflow_wire::status::Report;
use serde::{Deserialize, Serialize};

use crate::env::system_time;

/// How many runs of each dataflow keep their logs and reports.
pub const RUNS_KEPT: usize = 10;

/// Why logs cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The system refused.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what a run writes.
    #[error("{path} is not readable ({source}): it may be of another version; remove its folder", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

pub(super) fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogsError {
    let path = path.to_path_buf();
    move |source| LogsError::System { what, path, source }
}

/// What `run.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RunFile {
    name: DataflowName,
    file: PathBuf,
    started_at_ms: u64,
    pid: u32,
    nodes: Vec<NodeId>,
}

/// A run whose folder is there, whether it still runs or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// The dataflow's name.
    pub name: DataflowName,
    /// The run's name.
    pub run: String,
    /// The YAML it was started from.
    pub file: PathBuf,
    /// When it was started; after every earlier run of this dataflow, also where the clock was set back between both.
    pub started_at: SystemTime,
    /// The process that ran it.
    pub pid: u32,
    /// Its nodes, in the order of the description.
    pub nodes: Vec<NodeId>,
    /// Where its logs are.
    pub folder: PathBuf,
}

impl PastRun {
    /// How it ended; `None` while it runs, and when it was killed before it could say so.
    ///
    /// # Errors
    ///
    /// [`LogsError`] when the report is there and cannot be read.
    pub fn report(&self) -> Result<Option<Report>, LogsError> {
        let path = self.folder.join("report.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("read", &path)(error)),
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| LogsError::Malformed { path, source })
    }
}

/// The runs whose YAML is in `folder`, the newest first; with `name`, only those of that dataflow. A run whose
/// folder cannot be understood is left out.
///
/// # Errors
///
/// [`LogsError`] when the folder of the runs is there and cannot be read.
pub fn runs(folder: &Path, name: Option<&DataflowName>) -> Result<Vec<PastRun>, LogsError> {
    let place = runs_folder(folder);
    let entries = match fs::read_dir(&place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(refused("read", &place)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(refused("read", &place))?.path();
        if let Some(run) = read_run(&path)
            && name.is_none_or(|name| run.name == *name)
        {
            found.push(run);
        }
    }
    found.sort_by(|a, b| (b.started_at, &b.run).cmp(&(a.started_at, &a.run)));
    Ok(found)
}

fn runs_folder(folder: &Path) -> PathBuf {
    folder.join(".dataflow").join("runs")
}

fn read_run(folder: &Path) -> Option<PastRun> {
    let text = fs::read(folder.join("run.json")).ok()?;
    let file: RunFile = serde_json::from_slice(&text).ok()?;
    Some(PastRun {
        name: file.name,
        run: folder.file_name()?.to_str()?.to_owned(),
        file: file.file,
        started_at: UNIX_EPOCH + Duration::from_millis(file.started_at_ms),
        pid: file.pid,
        nodes: file.nodes,
        folder: folder.to_path_buf(),
    })
}

/// The folder of a run that begins.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    run: String,
    /// Its moment, in milliseconds since 1970: above those of all runs of its name that were there.
    at_ms: u64,
}

impl RunFolder {
    /// Picks a name that no other run has, and makes its folder.
    pub(crate) fn create(folder: &Path, name: &DataflowName) -> Result<RunFolder, LogsError> {
        let place = runs_folder(folder);
        fs::create_dir_all(&place).map_err(refused("make the folder", &place))?;
        let ignore = folder.join(".dataflow").join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(refused("write", &ignore))?;
        }
        // Above all that are there: the name of one that was removed is not given again, however many begin within a
        // millisecond, and whatever happens to the clock.
        let newest = newest_number(&place, name).map_err(refused("read", &place))?;
        let mut at_ms = newest
            .map_or(0, |at_ms| at_ms + 1)
            .max(to_ms(system_time()));
        loop {
            let run = format!("{name}-{at_ms}");
            let path = place.join(&run);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(RunFolder { path, run, at_ms }),
                // Another run of this name began in the same millisecond.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => at_ms += 1,
                Err(error) => return Err(refused("make the folder", &path)(error)),
            }
        }
    }

    /// The run's name.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `run.json`, and removes what is older than the last [`RUNS_KEPT`] runs of this dataflow.
    pub(crate) fn begin(
        &self,
        folder: &Path,
        name: &DataflowName,
        file: &Path,
        nodes: Vec<NodeId>,
    ) -> Result<(), LogsError> {
        let about = RunFile {
            name: name.clone(),
            file: file.to_path_buf(),
            // By its order among the others and not by a clock that may have been set back: the newest is never the oldest.
            started_at_ms: self.at_ms,
            pid: std::process::id(),
            nodes,
        };
        write_json(&self.path.join("run.json"), &about)?;
        for old in runs(folder, Some(name))?.into_iter().skip(RUNS_KEPT) {
            // An old run that cannot be removed is no reason not to run.
            if let Err(error) = fs::remove_dir_all(&old.folder) {
                tracing::warn!(run = %old.run, %error, "old run not removed");
            }
        }
        Ok(())
    }

    /// Takes the folder back: the run never began.
    pub(crate) fn abandon(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The highest number in the names of a dataflow's runs. One that is no moment is none.
fn newest_number(place: &Path, name: &DataflowName) -> io::Result<Option<u64>> {
    let mut newest = None;
    for entry in fs::read_dir(place)? {
        let run = entry?.file_name();
        let number = run
            .to_str()
            .and_then(|run| run.strip_prefix(name.as_str())?.strip_prefix('-'))
            .and_then(|number| number.parse::<u64>().ok());
        newest = newest.max(number.filter(|number| *number < u64::MAX / 2));
    }
    Ok(newest)
}

/// Writes the report of a run into its folder.
pub(crate) fn write_report(folder: &Path, report: &Report) -> Result<(), LogsError> {
    write_json(&folder.join("report.json"), report)
}

/// Whole or not at all: a reader never sees half a file.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LogsError> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(io::Error::other)
        .map_err(refused("write", path))?;
    let draft = path.with_extension("json.new");
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, path))
        .inspect_err(|_| {
            // Half a draft on a full disk is of no use to anybody.
            let _ = fs::remove_file(&draft);
        })
        .map_err(refused("write", path))
}

pub(super) fn to_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(folder: &Path, name: &DataflowName) -> RunFolder {
        let run = RunFolder::create(folder, name).unwrap();
        let file = folder.join("dataflow.yml");
        run.begin(folder, name, &file, Vec::new()).unwrap();
        run
    }

    #[test]
    fn the_last_ten_runs_of_each_dataflow_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let (a, b) = (
            DataflowName::new("a").unwrap(),
            DataflowName::new("b").unwrap(),
        );
        begin(place.path(), &b);
        let begun: Vec<RunFolder> = (0..13).map(|_| begin(place.path(), &a)).collect();
        let kept = runs(place.path(), Some(&a)).unwrap();
        assert_eq!(kept.len(), RUNS_KEPT);
        assert_eq!(kept[0].run, begun[12].run());
        assert!(!begun[2].path().exists() && begun[3].path().exists());
        assert_eq!(runs(place.path(), Some(&b)).unwrap().len(), 1);
        assert_eq!(runs(place.path(), None).unwrap().len(), RUNS_KEPT + 1);
    }

    #[test]
    fn the_name_of_a_run_that_was_removed_is_not_given_again() {
        let place = tempfile::tempdir().unwrap();
        let name = DataflowName::new("a").unwrap();
        // As after many that have begun within a millisecond: the newest name is ahead of the clock.
        let ahead = to_ms(system_time()) + 3_600_000;
        for other in [format!("a-{ahead}"), "a-b-1".to_owned(), "a-x".to_owned()] {
            fs::create_dir_all(runs_folder(place.path()).join(other)).unwrap();
        }
        let run = RunFolder::create(place.path(), &name).unwrap();
        assert_eq!(run.run(), format!("a-{}", ahead + 1));
    }

    #[test]
    fn runs_that_begin_after_the_clock_was_set_back_are_the_newest() {
        let place = tempfile::tempdir().unwrap();
        let name = DataflowName::new("a").unwrap();
        let ahead = to_ms(system_time()) + 3_600_000;
        for at_ms in ahead..ahead + RUNS_KEPT as u64 {
            let folder = runs_folder(place.path()).join(format!("a-{at_ms}"));
            fs::create_dir_all(&folder).unwrap();
            let about = RunFile {
                name: name.clone(),
                file: place.path().join("dataflow.yml"),
                started_at_ms: at_ms,
                pid: 1,
                nodes: Vec::new(),
            };
            write_json(&folder.join("run.json"), &about).unwrap();
        }
        let begun: Vec<RunFolder> = (0..3).map(|_| begin(place.path(), &name)).collect();
        let kept = runs(place.path(), Some(&name)).unwrap();
        assert_eq!(kept.len(), RUNS_KEPT);
        let newest: Vec<&str> = kept.iter().take(3).map(|run| run.run.as_str()).collect();
        assert_eq!(newest, [begun[2].run(), begun[1].run(), begun[0].run()]);
    }

    #[test]
    fn a_run_that_is_killed_has_no_report() {
        let place = tempfile::tempdir().unwrap();
        let name = DataflowName::new("a").unwrap();
        begin(place.path(), &name);
        assert_eq!(runs(place.path(), None).unwrap()[0].report().unwrap(), None);
    }
}
