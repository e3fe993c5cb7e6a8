//! What a running `up` says: lines for people, JSON for programs, or the conversation with a waiting `up -d`.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dataflow_descriptor::Dataflow;
use dataflow_ids::{LifeCycle, NodeId};
use dataflow_runtime::RunEvent;
use dataflow_wire::status::{Phase, Report};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::background;
use crate::arguments::UpArguments;
use crate::style::Style;
use crate::text::{self, counted};
use crate::{json, report};

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// People, perhaps with colours.
    Person(Style),
    /// A program that asked for `--json`.
    Program,
    /// The `up -d` that started this process.
    Starter,
}

/// What an `up` says, and to whom.
#[derive(Debug, Clone)]
pub(super) struct Show {
    reader: Reader,
    /// The nodes' names, in the order of the description, once they are known.
    nodes: Arc<OnceLock<Vec<NodeId>>>,
}

/// A run that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Started {
    /// The dataflow's name.
    pub(super) name: String,
    /// The run's name.
    pub(super) run: String,
    /// The YAML.
    pub(super) file: PathBuf,
    /// The runtime's process.
    pub(super) pid: u32,
    /// Its nodes.
    pub(super) nodes: Vec<NodeId>,
    /// When, on this process's clock.
    #[serde(skip, default = "Instant::now")]
    at: Instant,
}

impl Started {
    /// A run of `dataflow`, named `run`, that begins now.
    pub(super) fn now(dataflow: &Dataflow, run: &str) -> Started {
        Started {
            name: dataflow.name.to_string(),
            run: run.to_owned(),
            file: dataflow.file.clone(),
            pid: std::process::id(),
            nodes: dataflow.nodes.iter().map(|node| node.id.clone()).collect(),
            at: Instant::now(),
        }
    }

    /// The folder of the run's logs.
    pub(super) fn folder(&self) -> PathBuf {
        let project = self.file.parent().unwrap_or(&self.file);
        project.join(".dataflow").join("runs").join(&self.run)
    }
}

impl Show {
    /// What these arguments ask for.
    pub(super) fn of(arguments: &UpArguments) -> Show {
        Show {
            reader: match (arguments.background, arguments.json) {
                (true, _) => Reader::Starter,
                (false, true) => Reader::Program,
                (false, false) => Reader::Person(Style::of(&stdout())),
            },
            nodes: Arc::default(),
        }
    }

    /// From now on lines are aligned by the names of the nodes of `dataflow`.
    pub(super) fn align(&self, dataflow: &Dataflow) {
        self.nodes
            .get_or_init(|| dataflow.nodes.iter().map(|node| node.id.clone()).collect());
    }

    fn nodes(&self) -> &[NodeId] {
        self.nodes.get().map_or(&[], Vec::as_slice)
    }

    /// The length of the longest name.
    fn width(&self) -> usize {
        let lengths = self.nodes().iter().map(|node| node.as_str().len());
        lengths.max().unwrap_or(0)
    }

    /// The terminal that nodes may draw on: ours, when people read there.
    pub(super) fn terminal(&self) -> Option<PathBuf> {
        let out = stdout();
        if !matches!(self.reader, Reader::Person(_)) || !out.is_terminal() {
            return None;
        }
        let name = rustix::termios::ttyname(&out, Vec::new()).ok()?;
        Some(PathBuf::from(name.into_string().ok()?))
    }

    /// Undoes what a node that drew on the terminal and was killed may have left: a scroll region, and lines
    /// below it.
    pub(super) fn give_the_terminal_back(&self) {
        if self.terminal().is_some() {
            let mut out = stdout();
            let _ = out
                .write_all(b"\x1b7\x1b[r\x1b8\x1b[J")
                .and_then(|()| out.flush());
        }
    }

    /// Whether the end is said here, and not by a waiting `up -d`.
    pub(super) fn is_for_people_or_programs(&self) -> bool {
        self.reader != Reader::Starter
    }

    /// A run begins.
    pub(super) fn started(&self, started: &Started) {
        match self.reader {
            Reader::Person(_) => self.own(&format!(
                "starting {}: {} (run {})",
                started.name,
                counted(started.nodes.len() as u64, "node"),
                started.run
            )),
            Reader::Program => {
                let mut event = json::plain(started);
                event["event"] = "started".into();
                line(&event.to_string());
            }
            Reader::Starter => background::tell(&background::News::Started(started.clone())),
        }
    }

    /// A run in the background is up.
    pub(super) fn up_in_background(&self, started: &Started) {
        match self.reader {
            Reader::Person(_) => {
                let name = &started.name;
                line(&format!(
                    "{name} is up: {} ready (run {}, pid {})",
                    counted(started.nodes.len() as u64, "node"),
                    started.run,
                    started.pid
                ));
                line(&format!(
                    "  dataflow ps {name}       how it stands\n  dataflow logs -f {name}  what its nodes say\n  \
                     dataflow down {name}     stop it"
                ));
            }
            Reader::Program => {
                let mut event = json::plain(started);
                event["event"] = "up".into();
                line(&event.to_string());
            }
            Reader::Starter => {}
        }
    }

    /// A signal has come, the `count`-th.
    pub(super) fn signal(&self, count: u32) {
        if let Reader::Person(_) = self.reader {
            self.own(if count == 1 {
                "stopping: what was sent will be consumed first. A second Ctrl-C forces the end."
            } else {
                "forced: every process of the dataflow is killed"
            });
        }
    }

    /// Something has happened.
    pub(super) fn event(&self, event: &RunEvent, started: &Started) {
        match self.reader {
            Reader::Person(style) => self.event_for_people(event, started, style),
            Reader::Program => event_for_programs(event),
            Reader::Starter => match event {
                RunEvent::Phase(Phase::Running) => background::is_up(started),
                RunEvent::Waiting(waiting) => {
                    background::tell(&background::News::Waiting(waiting.clone()));
                }
                _ => {}
            },
        }
    }

    fn event_for_people(&self, event: &RunEvent, started: &Started, style: Style) {
        match event {
            RunEvent::Log {
                node, line: text, ..
            } => line(&format!("{} | {text}", self.name(node, style))),
            RunEvent::State {
                node,
                to,
                epoch,
                because,
                ..
            } => {
                let why = |text: &str| match because {
                    Some(because) => format!("{text}: {because}"),
                    None => text.to_owned(),
                };
                let said = match to {
                    LifeCycle::Backoff => style.wrong(&why("ended, and will start again")),
                    LifeCycle::Failed => style.wrong(&why("failed")),
                    LifeCycle::Starting if epoch.0 > 1 => {
                        style.faint(&format!("starts again, for the {} time", nth(epoch.0)))
                    }
                    _ => return,
                };
                line(&format!("{} | {said}", self.name(node, style)));
            }
            RunEvent::Phase(Phase::Running) => self.own(&format!(
                "up: every node is ready, after {}",
                text::duration(started.at.elapsed())
            )),
            RunEvent::Waiting(waiting) => {
                for waiting in waiting {
                    self.own(&waiting.to_string());
                }
            }
            RunEvent::Phase(_) | RunEvent::Ended(_) => {}
        }
    }

    /// The run has ended.
    pub(super) fn ended(&self, report: &Report) {
        match self.reader {
            Reader::Person(_) => {
                for text in report::lines(report) {
                    self.own(&text);
                }
            }
            Reader::Program => {
                let event = json!({"event": "ended", "report": json::plain(report)});
                line(&event.to_string());
            }
            Reader::Starter => background::tell(&background::News::Ended(Box::new(report.clone()))),
        }
    }

    /// A line of our own, under the column of the nodes' texts.
    pub(super) fn own(&self, text: &str) {
        let Reader::Person(style) = self.reader else {
            return;
        };
        let margin = match self.width() {
            0 => String::new(),
            width => format!("{:width$} = ", ""),
        };
        line(&format!("{}{}", style.faint(&margin), style.strong(text)));
    }

    fn name(&self, node: &NodeId, style: Style) -> String {
        let place = self.nodes().iter().position(|other| other == node);
        style.name(
            &format!("{node:<width$}", width = self.width()),
            place.unwrap_or(0),
        )
    }
}

fn event_for_programs(event: &RunEvent) {
    let value = match event {
        RunEvent::Log {
            node,
            stream,
            at,
            line,
        } => json!({
            "event": "log", "node": node, "stream": stream, "at_ms": milliseconds(*at), "line": line,
        }),
        RunEvent::State {
            node,
            from,
            to,
            epoch,
            because,
        } => json!({
            "event": "state", "node": node, "from": from, "to": to, "epoch": epoch, "because": because,
        }),
        RunEvent::Phase(phase) => json!({"event": "phase", "phase": phase}),
        RunEvent::Waiting(waiting) => json!({"event": "waiting", "waiting": json::plain(waiting)}),
        // Written once the run has returned, with everything before it.
        RunEvent::Ended(_) => return,
    };
    line(&value.to_string());
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn nth(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// Writes a line in one go. A reader that has gone is no reason to end a dataflow.
fn line(text: &str) {
    let mut out = stdout().lock();
    let _ = out
        .write_all(format!("{text}\n").as_bytes())
        .and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered() {
        let texts: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 102, 113].map(nth).to_vec();
        assert_eq!(
            texts.join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 102nd 113th"
        );
    }
}
