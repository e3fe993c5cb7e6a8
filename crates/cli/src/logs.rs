//! `dataflow logs`: what the nodes of a run said, and, with `-f`, what they go on saying.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write, stderr, stdout};
use std::iter::from_fn;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use dataflow_ids::NodeId;
use dataflow_runtime::client::{Client, Silence};
use dataflow_runtime::logs::{LogReader, LogRecord, LogsError, PastRun, runs};
use dataflow_runtime::registry;
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::status::{LogLosses, Report};
use notify::{RecursiveMode, Watcher};

use crate::arguments::LogsArguments;
use crate::error::{CliError, Exit};
use crate::style::Style;
use crate::{json, output, process, running, text};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when there are no such logs, or they cannot be read or watched.
pub(crate) fn run(arguments: &LogsArguments) -> Result<Exit, CliError> {
    let past = find(arguments)?;
    let nodes = nodes(&past, &arguments.nodes)?;
    let printer = Printer::new(arguments.json, &past, &nodes);
    // Watched before the first read, so that nothing falls between.
    let changes = arguments
        .follow
        .then(|| Changes::watch(&past))
        .transpose()?;
    let mut reader = match arguments.lines {
        Some(lines) => LogReader::open_at_last(&past, &nodes, lines)?,
        None => LogReader::open(&past, &nodes),
    };
    let is_read = match arguments.lines {
        Some(lines) => printer.print(last(&mut reader, lines)?.into_iter().map(Ok))?,
        None => printer.print(from_fn(|| reader.next_record().transpose()))?,
    };
    // Who reads no more has seen enough.
    if !is_read {
        return Ok(Exit::Done);
    }
    while let Some(changes) = &changes {
        let change = changes.wait();
        if !printer.print(from_fn(|| reader.next_record().transpose()))? {
            return Ok(Exit::Done);
        }
        // After the end nothing follows, and all of it has been read.
        if change == Change::Ended {
            break;
        }
    }
    say_unwritten(&past, &nodes);
    Ok(Exit::Done)
}

/// Says on standard error what is not in the log because the disk did not take it. What is in the log may say it too,
/// but only once there was room for that.
fn say_unwritten(past: &PastRun, nodes: &[NodeId]) {
    let of_report = |report: Report| -> Vec<(NodeId, LogLosses)> {
        let nodes = report.nodes.into_iter();
        nodes.map(|node| (node.node, node.log)).collect()
    };
    // Neither is needed to read what is there.
    let losses = match past.report() {
        Ok(Some(report)) => of_report(report),
        _ => losses_of_running(past).unwrap_or_default(),
    };
    for (node, mut losses) in losses {
        // What was thrown away is said where it was.
        losses.lines_thrown_away = 0;
        let is_shown = nodes.is_empty() || nodes.contains(&node);
        if let Some(text) = text::log_losses(&node, &losses).filter(|_| is_shown) {
            let _ = writeln!(stderr(), "{text}");
        }
    }
}

/// What the nodes of a run lack that still runs and answers.
fn losses_of_running(past: &PastRun) -> Option<Vec<(NodeId, LogLosses)>> {
    let project = past.file.parent().unwrap_or(&past.folder);
    let found = registry::find(project, Some(past.name.as_str())).ok()?;
    let run = found.into_iter().find(|run| run.run == past.run)?;
    // Who stands still is not waited for.
    if Silence::of(run.pid).is_stopped() {
        return None;
    }
    match Client::connect(&run).ok()?.request(&ClientRequest::Status) {
        Ok(ClientReply::Status(status)) => {
            let nodes = status.nodes.into_iter();
            Some(nodes.map(|node| (node.node, node.log)).collect())
        }
        _ => None,
    }
}

/// The last `lines` lines of what `reader` has.
fn last(reader: &mut LogReader, lines: usize) -> Result<VecDeque<LogRecord>, LogsError> {
    let mut last = VecDeque::new();
    while let Some(record) = reader.next_record()? {
        last.push_back(record);
        if last.len() > lines {
            last.pop_front();
        }
    }
    Ok(last)
}

/// The run that is meant: the newest of what `dataflow` names, or the one that `--run` names.
fn find(arguments: &LogsArguments) -> Result<PastRun, CliError> {
    let here = running::here()?;
    let file = arguments
        .dataflow
        .as_deref()
        .and_then(|which| running::file(&here, which));
    let of_file = match &file {
        Some(file) => {
            let folder = file.parent().unwrap_or(&here).to_owned();
            newest(&[folder], arguments, |run| run.file == *file)?
        }
        None => None,
    };
    // A file that is no dataflow's may have the name of one.
    let found = match of_file {
        Some(found) => Some(found),
        None => newest(&project_folders(&here)?, arguments, |run| {
            (arguments.dataflow.as_ref()).is_none_or(|name| run.name.as_str() == name)
        })?,
    };
    found.ok_or_else(|| CliError::NoLogs {
        what: match (&arguments.run, &arguments.dataflow) {
            (Some(run), _) => format!("a run `{run}`"),
            (None, Some(which)) => format!("`{which}`"),
            (None, None) => "any dataflow".to_owned(),
        },
        folder: here,
    })
}

/// The newest run in `folders` that `--run` does not exclude.
fn newest(
    folders: &[PathBuf],
    arguments: &LogsArguments,
    is_wanted: impl Fn(&PastRun) -> bool,
) -> Result<Option<PastRun>, LogsError> {
    let mut found = Vec::new();
    for folder in folders {
        found.extend(runs(folder, None)?);
    }
    Ok(found
        .into_iter()
        .filter(|run| arguments.run.as_ref().is_none_or(|name| run.run == *name) && is_wanted(run))
        .max_by_key(|run| run.started_at))
}

/// This folder, those directly in it, and those of what runs below it.
fn project_folders(here: &Path) -> Result<Vec<PathBuf>, CliError> {
    let mut folders = vec![here.to_owned()];
    let entries = std::fs::read_dir(here).map_err(CliError::system("read this folder"))?;
    folders.extend(
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join(".dataflow").is_dir()),
    );
    folders.extend(running::all(None)?.into_iter().map(|run| run.folder));
    folders.sort();
    folders.dedup();
    Ok(folders)
}

/// The nodes that were named, checked.
fn nodes(past: &PastRun, named: &[String]) -> Result<Vec<NodeId>, CliError> {
    let known = |name: &String| {
        let node = past.nodes.iter().find(|node| node.as_str() == name);
        node.cloned().ok_or_else(|| CliError::UnknownNode {
            dataflow: past.name.to_string(),
            node: name.clone(),
            known: past.nodes.iter().map(ToString::to_string).collect(),
        })
    };
    named.iter().map(known).collect()
}

/// What may have happened while following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Something was written.
    Written,
    /// The run has ended, and everything has been written.
    Ended,
}

/// Tells when there is more to read, and when there will be no more.
struct Changes {
    /// Any number of changes are one, so one may wait.
    wake: mpsc::Receiver<()>,
    has_ended: Arc<AtomicBool>,
    /// Watches for as long as it lives.
    _watcher: notify::RecommendedWatcher,
}

impl Changes {
    fn watch(past: &PastRun) -> Result<Changes, CliError> {
        let (to_us, wake) = mpsc::sync_channel(1);
        let has_ended = Arc::new(AtomicBool::new(false));
        let written = to_us.clone();
        let ended = {
            let has_ended = Arc::clone(&has_ended);
            move || {
                has_ended.store(true, Ordering::Release);
                let _ = to_us.try_send(());
            }
        };
        let cannot_watch = |source| CliError::Watch {
            folder: past.folder.clone(),
            source,
        };
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Our own reading is an event too, and no news.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    let _ = written.try_send(());
                }
            })
            .map_err(cannot_watch)?;
        watcher
            .watch(&past.folder, RecursiveMode::NonRecursive)
            .map_err(cannot_watch)?;
        // Its end is that of its process, or, on an agent, of its name: the last lines are written after commands have been told of the end,
        // and a runtime that is killed tells nobody.
        let project = past.file.parent().unwrap_or(&past.folder);
        let running = registry::find(project, Some(past.name.as_str()))?
            .into_iter()
            .find(|run| run.run == past.run);
        match running {
            Some(run) => {
                let agent = registry::agent()?;
                let is_agent = agent.is_some_and(|agent| agent.pid == run.pid);
                std::thread::Builder::new()
                    .name("dataflow-follow".to_owned())
                    .spawn(move || {
                        // A runtime that stands still has said nothing that could be read.
                        process::wait_for_end(&run, is_agent, Box::new(|_| {}));
                        ended();
                    })
                    .map_err(CliError::system("start the thread that waits for the end"))?;
            }
            // It gives up its name once everything is written.
            None => ended(),
        }
        Ok(Changes {
            wake,
            has_ended,
            _watcher: watcher,
        })
    }

    /// Waits for the next change; several at once are one.
    fn wait(&self) -> Change {
        let is_over = self.wake.recv().is_err() || self.has_ended.load(Ordering::Acquire);
        if is_over {
            Change::Ended
        } else {
            Change::Written
        }
    }
}

/// Writes records: `node | line`, or JSON.
struct Printer {
    style: Option<Style>,
    places: BTreeMap<NodeId, usize>,
    width: usize,
}

impl Printer {
    fn new(json: bool, past: &PastRun, nodes: &[NodeId]) -> Printer {
        let shown = if nodes.is_empty() { &past.nodes } else { nodes };
        let places = past.nodes.iter().cloned().zip(0..).collect();
        Printer {
            style: (!json).then(|| Style::of(&stdout())),
            places,
            width: shown
                .iter()
                .map(|node| node.as_str().len())
                .max()
                .unwrap_or(0),
        }
    }

    /// `false` when nobody reads any more.
    fn print(
        &self,
        records: impl Iterator<Item = Result<LogRecord, LogsError>>,
    ) -> Result<bool, CliError> {
        let mut out = io::BufWriter::new(stdout().lock());
        for record in records {
            let written = writeln!(out, "{}", self.line(&record?));
            if !output::or_read_no_more(written)? {
                return Ok(false);
            }
        }
        output::or_read_no_more(out.flush())
    }

    fn line(&self, record: &LogRecord) -> String {
        let Some(style) = self.style else {
            return json::plain(record).to_string();
        };
        let place = self.places.get(&record.node).copied().unwrap_or(0);
        let name = format!("{:<width$}", record.node, width = self.width);
        format!("{} | {}", style.name(&name, place), record.line)
    }
}
