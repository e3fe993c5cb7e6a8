//! `dataflow logs`: what the nodes of a run said, and, with `-f`, what they go on saying.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use dataflow_ids::NodeId;
use dataflow_runtime::client::{Client, ClientError};
use dataflow_runtime::logs::{LogReader, LogRecord, PastRun, runs};
use dataflow_runtime::registry::FoundRun;
use dataflow_wire::client::ClientRequest;
use notify::{RecursiveMode, Watcher};

use crate::arguments::LogsArguments;
use crate::error::{CliError, Exit};
use crate::style::Style;
use crate::{json, running};

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
    let mut reader = LogReader::open(&past, &nodes);
    let mut first = Vec::new();
    while let Some(record) = reader.next_record()? {
        first.push(record);
    }
    let skipped = arguments
        .lines
        .map_or(0, |lines| first.len().saturating_sub(lines));
    if !printer.print(first.drain(..).skip(skipped)) {
        return Ok(Exit::Done);
    }
    let Some(changes) = changes else {
        return Ok(Exit::Done);
    };
    loop {
        let change = changes.wait();
        let mut more = VecDeque::new();
        while let Some(record) = reader.next_record()? {
            more.push_back(record);
        }
        // Who reads no more has seen enough. After the end nothing follows, and all of it has been read.
        if !printer.print(more.into_iter()) || change == Change::Ended {
            return Ok(Exit::Done);
        }
    }
}

/// The run that is meant: the newest of what `dataflow` names, or the one that `--run` names.
fn find(arguments: &LogsArguments) -> Result<PastRun, CliError> {
    let here = running::here()?;
    let file = arguments
        .dataflow
        .as_deref()
        .and_then(|which| running::file(&here, which));
    let folders = match &file {
        Some(file) => vec![file.parent().unwrap_or(&here).to_owned()],
        None => project_folders(&here)?,
    };
    let mut found = Vec::new();
    for folder in folders {
        found.extend(runs(&folder, None)?);
    }
    let wanted = |run: &PastRun| {
        let right_dataflow = match (&file, &arguments.dataflow) {
            (Some(file), _) => run.file == *file,
            (None, Some(name)) => run.name.as_str() == name,
            (None, None) => true,
        };
        right_dataflow && arguments.run.as_ref().is_none_or(|name| run.run == *name)
    };
    found
        .into_iter()
        .filter(wanted)
        .max_by_key(|run| run.started_at)
        .ok_or_else(|| CliError::NoLogs {
            what: match (&arguments.run, &arguments.dataflow) {
                (Some(run), _) => format!("a run `{run}`"),
                (None, Some(which)) => format!("`{which}`"),
                (None, None) => "any dataflow".to_owned(),
            },
            folder: here,
        })
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
    changes: mpsc::Receiver<Change>,
    /// Watches for as long as it lives.
    _watcher: notify::RecommendedWatcher,
}

impl Changes {
    fn watch(past: &PastRun) -> Result<Changes, CliError> {
        let (to_us, changes) = mpsc::channel();
        let written = to_us.clone();
        let cannot_watch = |source| CliError::Watch {
            folder: past.folder.clone(),
            source,
        };
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Our own reading is an event too, and no news.
                if !event.is_ok_and(|event| event.kind.is_access()) {
                    let _ = written.send(Change::Written);
                }
            })
            .map_err(cannot_watch)?;
        watcher
            .watch(&past.folder, RecursiveMode::NonRecursive)
            .map_err(cannot_watch)?;
        // Its end is told by its socket: a runtime that is killed writes no report.
        let running = running::all(past.file.to_str())?
            .into_iter()
            .find(|run| run.run == past.run);
        match running.map(|run| follow(&run)) {
            Some(Ok(mut client)) => {
                std::thread::Builder::new()
                    .name("dataflow-follow".to_owned())
                    .spawn(move || {
                        client.replies().for_each(drop);
                        let _ = to_us.send(Change::Ended);
                    })
                    .map_err(CliError::system("start the thread that waits for the end"))?;
            }
            // It has ended already, or does while we ask.
            Some(Err(_)) | None => {
                let _ = to_us.send(Change::Ended);
            }
        }
        Ok(Changes {
            changes,
            _watcher: watcher,
        })
    }

    /// Waits for the next change; several at once are one.
    fn wait(&self) -> Change {
        let mut change = self.changes.recv().unwrap_or(Change::Ended);
        while let Ok(next) = self.changes.try_recv() {
            if next == Change::Ended {
                change = next;
            }
        }
        change
    }
}

fn follow(run: &FoundRun) -> Result<Client, ClientError> {
    let mut client = Client::connect(run)?;
    client.send(&ClientRequest::Follow)?;
    Ok(client)
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
    fn print(&self, mut records: impl Iterator<Item = LogRecord>) -> bool {
        let mut out = io::BufWriter::new(stdout().lock());
        records
            .try_for_each(|record| writeln!(out, "{}", self.line(&record)))
            .and_then(|()| out.flush())
            .is_ok()
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
