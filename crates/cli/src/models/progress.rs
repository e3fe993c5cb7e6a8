//! How downloads stand while they go on: bars on a terminal, lines without one, objects for programs.

use std::collections::BTreeMap;
use std::time::Instant;

use dataflow_wire::status::{ModelState, ModelView};

use super::bars::Bars;
use super::lines::Lines;
use super::pace::{Pace, event};
use super::terminal::Terminal;
use crate::output;

/// Who looks at a download.
#[derive(Debug)]
enum Looker {
    /// A person at a terminal.
    Terminal(Bars),
    /// A person, or a log.
    Lines(Lines),
    /// A program that asked for `--json`.
    Program(Pace),
    /// A program that wants to know the end only.
    Nobody,
}

/// Shows how downloads stand.
#[derive(Debug)]
pub(super) struct Progress {
    looker: Looker,
    views: BTreeMap<String, ModelView>,
}

impl Progress {
    /// For whoever looks. What people see goes to standard error, so that standard output has the result alone.
    pub(super) fn of(is_json: bool) -> Progress {
        let looker = match is_json {
            true => Looker::Program(Pace::default()),
            false if Terminal::Error.can_draw() => Looker::Terminal(Bars::on(Terminal::Error)),
            false => Looker::Lines(Lines::default()),
        };
        Progress {
            looker,
            views: BTreeMap::new(),
        }
    }

    /// For whoever reads what comes in the end: people see how far it is, programs do not.
    pub(super) fn of_people(is_json: bool) -> Progress {
        match is_json {
            false => Progress::of(false),
            true => Progress {
                looker: Looker::Nobody,
                views: BTreeMap::new(),
            },
        }
    }

    /// A model stands like this now.
    pub(super) fn show(&mut self, name: &str, view: ModelView) {
        let now = Instant::now();
        match &mut self.looker {
            Looker::Terminal(bars) => bars.show(name, &view),
            Looker::Lines(lines) => {
                // What becomes of it in the end stands in the result.
                let is_end = matches!(view.state, ModelState::Ready | ModelState::Failed);
                if let Some(line) = lines.next(name, &view, now).filter(|_| !is_end) {
                    output::note(&line);
                }
            }
            Looker::Nobody => {}
            Looker::Program(pace) => {
                if pace.is_due(name, &view, now) {
                    // Who reads no more is told at the end, when everything is there.
                    let _ = output::write(&format!("{}\n", event(name, &view)));
                }
            }
        }
        self.views.insert(name.to_owned(), view);
    }

    /// Nothing more will be shown. Gives what was shown last of each.
    pub(super) fn finish(mut self) -> BTreeMap<String, ModelView> {
        if let Looker::Terminal(bars) = &mut self.looker {
            bars.clear();
        }
        self.views
    }
}
