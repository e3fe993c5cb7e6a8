//! What an `up` shows of its models: bars below the nodes' lines on a terminal, a line now and then without one.

use std::time::Instant;

use dataflow_wire::status::{ModelState, ModelStatus};

use crate::models::bars::Bars;
use crate::models::lines::{self, Lines};
use crate::models::pace::Pace;
use crate::models::terminal::Terminal;

/// Shows how downloads stand.
#[derive(Debug)]
pub(super) enum Downloads {
    /// To a person at a terminal.
    Bars(Bars),
    /// To a person, or into a log.
    Lines(Lines),
    /// To a program.
    Paced(Pace),
}

impl Downloads {
    /// For people who read standard output.
    pub(super) fn for_people() -> Downloads {
        match Terminal::Output.can_draw() {
            true => Downloads::Bars(Bars::on(Terminal::Output)),
            false => Downloads::Lines(Lines::default()),
        }
    }

    /// For a program.
    pub(super) fn for_programs() -> Downloads {
        Downloads::Paced(Pace::default())
    }

    /// A model stands like this now. Gives the line that is to be said of it, if one is: of one that cannot be had,
    /// the nodes that fail by it say why.
    pub(super) fn show(&mut self, status: &ModelStatus) -> Option<String> {
        let (name, view) = (format!("model {}", status.model), &status.view);
        let now = Instant::now();
        match self {
            Downloads::Bars(bars) => {
                let was_shown = bars.has(&name);
                bars.show(&name, view);
                let is_news = match view.state {
                    // Of one that was there before, nothing was shown and nothing needs to be said.
                    ModelState::Ready => was_shown,
                    _ => false,
                };
                is_news.then(|| lines::end(&name, view))
            }
            Downloads::Lines(lines) => {
                let said = lines.next(&name, view, now);
                said.filter(|_| view.state != ModelState::Failed)
            }
            Downloads::Paced(_) => None,
        }
    }

    /// Whether a program is to be told how a model stands.
    pub(super) fn is_due(&mut self, status: &ModelStatus) -> bool {
        match self {
            Downloads::Paced(pace) => {
                pace.is_due(status.model.as_str(), &status.view, Instant::now())
            }
            _ => true,
        }
    }

    /// Writes something where it does not tear a bar.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        match self {
            Downloads::Bars(bars) if !bars.is_empty() => bars.above(write),
            _ => write(),
        }
    }

    /// Nothing will be downloaded any more.
    pub(super) fn clear(&mut self) {
        if let Downloads::Bars(bars) = self {
            bars.clear();
        }
    }
}
