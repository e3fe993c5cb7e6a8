//! What a running `up` says: lines for people, JSON for programs, or the conversation with a waiting `up -d`.
//! Only the thread of the speaker says it, since a reader may stall.

use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use dataflow_ids::{LifeCycle, NodeId, span};
use dataflow_runtime::RunEvent;
use dataflow_wire::status::{ModelStatus, Phase, Report, Waiting};
use serde_json::json;

use super::background;
use super::downloads::Downloads;
use super::speaker::Said;
use super::started::Started;
use crate::arguments::UpArguments;
use crate::style::Style;
use crate::text::counted;
use crate::{json, report, say};

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
#[derive(Debug)]
pub(super) struct Show {
    reader: Reader,
    /// The run that goes on in this process, once it has begun.
    started: Option<Started>,
    /// What is known of its models.
    downloads: Downloads,
}

impl Show {
    /// What these arguments ask for.
    pub(super) fn of(arguments: &UpArguments) -> Show {
        let (reader, downloads) = match (arguments.background, arguments.json) {
            (true, _) => (Reader::Starter, Downloads::for_programs()),
            (false, true) => (Reader::Program, Downloads::for_programs()),
            (false, false) => (
                Reader::Person(Style::of(&stdout())),
                Downloads::for_people(),
            ),
        };
        Show {
            reader,
            started: None,
            downloads,
        }
    }

    /// Says it. Waits for whoever reads.
    pub(super) fn say(&mut self, said: Said) {
        match said {
            Said::Started(started) => {
                self.started = Some(started.clone());
                self.started(&started);
            }
            Said::UpInBackground(started) => self.up_in_background(&started),
            Said::Stopping => {
                self.own("stopping: what was sent will be consumed first. A second Ctrl-C forces the end.");
            }
            Said::Forced => self.own("forced: every process of the dataflow is killed"),
            Said::Waiting(waiting) => self.waiting(&waiting),
            Said::Event(event) => self.event(&event),
            Said::Dropped(count) => self.dropped(count),
            Said::TerminalIsFree => give_the_terminal_back(),
            Said::Ended(report) => self.ended(&report),
        }
    }

    fn nodes(&self) -> &[NodeId] {
        self.started
            .as_ref()
            .map_or(&[], |started| &started.nodes[..])
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

    /// Whether the nodes' lines are said here, and not only written to their files.
    pub(super) fn has_lines(&self) -> bool {
        self.reader != Reader::Starter
    }

    fn started(&self, started: &Started) {
        match self.reader {
            Reader::Person(_) => {
                self.own(&format!(
                    "starting {}: {} (run {}{})",
                    started.name,
                    counted(started.nodes.len() as u64, "node"),
                    started.run,
                    started.place()
                ));
                started.metrics().for_each(|text| self.own(&text));
            }
            Reader::Program => {
                let mut event = json::plain(started);
                event["event"] = "started".into();
                line(&event.to_string());
            }
            Reader::Starter => background::tell(&background::News::Started(started.clone())),
        }
    }

    fn up_in_background(&self, started: &Started) {
        match self.reader {
            Reader::Person(_) => {
                let name = &started.name;
                line(&format!(
                    "{name} is up: {} ready (run {}, pid {}{})",
                    counted(started.nodes.len() as u64, "node"),
                    started.run,
                    started.pid,
                    started.place()
                ));
                line(&format!(
                    "  dataflow ps {name}       how it stands\n  dataflow logs -f {name}  what its nodes say\n  \
                     dataflow down {name}     stop it"
                ));
                started
                    .metrics()
                    .for_each(|text| line(&format!("  {text}")));
            }
            Reader::Program => {
                let mut event = json::plain(started);
                event["event"] = "up".into();
                line(&event.to_string());
            }
            Reader::Starter => {}
        }
    }

    fn waiting(&self, waiting: &[Waiting]) {
        for waiting in waiting {
            self.own(&waiting.to_string());
        }
    }

    fn event(&mut self, event: &RunEvent) {
        if let RunEvent::Model(status) = event {
            self.model(status);
            return;
        }
        match (self.reader, &self.started) {
            (Reader::Person(style), _) => self.event_for_people(event, style),
            (Reader::Program, _) => event_for_programs(event),
            (Reader::Starter, Some(started)) => match event {
                RunEvent::Phase(Phase::Running) => background::is_up(started),
                RunEvent::Waiting(waiting) => {
                    background::tell(&background::News::Waiting(waiting.clone()));
                }
                _ => {}
            },
            (Reader::Starter, None) => {}
        }
    }

    /// How a model stands.
    fn model(&mut self, status: &ModelStatus) {
        match self.reader {
            Reader::Person(_) => {
                if let Some(said) = self.downloads.show(status) {
                    self.own(&said);
                }
            }
            Reader::Program if self.downloads.is_due(status) => {
                event_for_programs(&RunEvent::Model(Box::new(status.clone())));
            }
            Reader::Program => {}
            Reader::Starter => background::tell(&background::News::Model(Box::new(status.clone()))),
        }
    }

    /// The reader was too slow for so many events.
    fn dropped(&self, count: u64) {
        match (self.reader, &self.started) {
            (Reader::Person(_), Some(started)) => self.own(&format!(
                "{} dropped here, since they were not read in time; `dataflow logs {}` has every line",
                counted(count, "line"),
                started.name
            )),
            (Reader::Program, _) => line(&json!({"event": "dropped", "count": count}).to_string()),
            _ => {}
        }
    }

    fn event_for_people(&self, event: &RunEvent, style: Style) {
        match event {
            RunEvent::Log {
                node, line: text, ..
            } => self.line(&format!("{} | {text}", self.name(node, style))),
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
                    LifeCycle::Downloading => {
                        let waits = because.as_deref().unwrap_or("waiting for its models");
                        style.faint(waits)
                    }
                    LifeCycle::Backoff => style.wrong(&why("ended, and will start again")),
                    LifeCycle::Parked => style.faint("is parked until it is restarted"),
                    LifeCycle::Failed => style.wrong(&why("failed")),
                    LifeCycle::Starting if epoch.0 > 1 => {
                        style.faint(&format!("starts again, for the {} time", nth(epoch.0)))
                    }
                    _ => return,
                };
                self.line(&format!("{} | {said}", self.name(node, style)));
            }
            RunEvent::Phase(Phase::Running) => {
                if let Some(started) = &self.started {
                    let took = span::plain(started.at.elapsed());
                    self.own(&format!("up: every node is ready, after {took}"));
                }
            }
            RunEvent::Waiting(waiting) => self.waiting(waiting),
            RunEvent::Model(_) | RunEvent::Phase(_) | RunEvent::Ended(_) => {}
        }
    }

    /// How it ended. In the background a waiting `up -d` says it.
    fn ended(&mut self, report: &Report) {
        self.downloads.clear();
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
            Reader::Starter => {
                background::tell(&background::News::Ended(Box::new(report.clone())));
                return;
            }
        }
        for (what, help) in report::failures(report) {
            say(&what, Some(&help));
        }
    }

    /// A line of our own, under the column of the nodes' texts.
    fn own(&self, text: &str) {
        let Reader::Person(style) = self.reader else {
            return;
        };
        let margin = match self.width() {
            0 => String::new(),
            width => format!("{:width$} = ", ""),
        };
        self.line(&format!("{}{}", style.faint(&margin), style.strong(text)));
    }

    /// A line for people, above the bars.
    fn line(&self, text: &str) {
        self.downloads.above(|| line(text));
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
        RunEvent::Model(status) => {
            let mut event = json::plain(&**status);
            event["event"] = "model".into();
            event
        }
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

/// Undoes what a node that drew on the terminal and was killed may have left: a scroll region, and lines below it.
fn give_the_terminal_back() {
    let mut out = stdout();
    let _ = out
        .write_all(b"\x1b7\x1b[r\x1b8\x1b[J")
        .and_then(|()| out.flush());
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
