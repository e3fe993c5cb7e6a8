//! The columns that a dataflow and a group have in common.

use crate::text::counted;
use crate::top::figures::LevelFigures;
use crate::top::line::Look;
use crate::top::numbers;

use super::column::Cell;

/// How many nodes are in each state: `2 running, 1 failed`.
pub(in crate::top) fn states(level: &LevelFigures) -> String {
    let states = level.states.iter();
    let states: Vec<String> = states
        .map(|(state, count)| format!("{} {state}", crate::text::count(*count)))
        .collect();
    match states.is_empty() {
        true => counted(0, "node"),
        false => states.join(", "),
    }
}

/// The same in a colour: of the worst.
pub(super) fn states_cell(level: &LevelFigures) -> Cell {
    let looks = level.states.keys().map(|state| super::nodes::look(*state));
    let worst = looks.max_by_key(|look| match look {
        Look::Wrong => 3,
        Look::Doubtful => 2,
        Look::Good => 1,
        _ => 0,
    });
    Cell::text(states(level)).looking(worst.unwrap_or_default())
}

pub(super) fn nodes(level: &LevelFigures) -> Cell {
    Cell::count(level.nodes)
}

pub(super) fn cpu(level: &LevelFigures) -> Cell {
    Cell::perhaps(level.cpu_percent, numbers::percent).zero_faint()
}

pub(super) fn memory(level: &LevelFigures) -> Cell {
    Cell::perhaps_bytes(level.memory_bytes).zero_faint()
}

pub(super) fn dropped(level: &LevelFigures) -> Cell {
    Cell::rate(level.dropped_per_s).if_any(Look::Doubtful)
}

pub(super) fn queued(level: &LevelFigures) -> Cell {
    Cell::count(level.queued).zero_faint()
}

pub(super) fn lost(level: &LevelFigures) -> Cell {
    Cell::count(level.lost).if_any(Look::Wrong)
}

pub(super) fn restarts(level: &LevelFigures) -> Cell {
    Cell::count(level.restarts).if_any(Look::Doubtful)
}
