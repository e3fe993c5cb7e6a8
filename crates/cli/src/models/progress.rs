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
enum Audience {
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
    audience: Audience,
    views: BTreeMap<String, ModelView>,
}

impl Progress {
    /// For whoever looks. What people see goes to standard error, so that standard output has the result alone.
    pub(super) fn of(is_json: bool) -> Progress {
        let audience = match is_json {
            true => Audience::Program(Pace::default()),
            false if Terminal::Error.can_draw() => Audience::Terminal(Bars::on(Terminal::Error)),
            false => Audience::Lines(Lines::default()),
        };
        Progress {
            audience,
            views: BTreeMap::new(),
        }
    }

    /// For whoever reads what comes in the end: people see how far it is, programs do not.
    pub(super) fn of_people(is_json: bool) -> Progress {
        match is_json {
            false => Progress::of(false),
            true => Progress {
                audience: Audience::Nobody,
                views: BTreeMap::new(),
            },
        }
    }

    /// A model stands like this now.
    pub(super) fn show(&mut self, name: &str, view: ModelView) {
        let now = Instant::now();
        match &mut self.audience {
            Audience::Terminal(bars) => bars.show(name, &view),
            Audience::Lines(lines) => {
                // What becomes of it in the end stands in the result.
                let is_end = matches!(view.state, ModelState::Ready | ModelState::Failed);
                if let Some(line) = lines.next(name, &view, now).filter(|_| !is_end) {
                    output::note(&line);
                }
            }
            Audience::Nobody => {}
            Audience::Program(pace) => {
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
        if let Audience::Terminal(bars) = &mut self.audience {
            bars.clear();
        }
        self.views
    }
}
