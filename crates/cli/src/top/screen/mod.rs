//! The screen as lines of text: a heading, the tables' names, one table, and what the keys are. What there is no room for
//! leaves, the least important first.

mod body;
#[cfg(test)]
mod tests;

use super::figures::{Picture, RuntimeKind};
use super::line::{Line, Look, width};
use super::numbers;
use super::summary;
use super::tables::Tab;
use super::view::{Mode, View};
use crate::text::count;

use self::body::body;

/// Rows of a table that are seen before anything but the headings has a line.
const ROWS_MIN: usize = 3;
/// Lines for what is wrong.
const NOTES_MAX: usize = 3;

/// What is to be shown.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    /// What is known.
    pub(super) picture: &'a Picture,
    /// Who has ended, and what could not be found out: one a line.
    pub(super) notes: &'a [String],
    /// What is said when there is no runtime.
    pub(super) nobody: &'a str,
    /// How often it changes, in words.
    pub(super) every: &'a str,
}

/// How much room there is, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The lines of the screen: never more than it has, and none longer than it is wide.
pub(super) fn screen(view: &mut View, scene: &Scene<'_>, size: Size) -> Vec<Line> {
    let notes = notes(scene);
    let parts = Parts::for_height(size.height, notes.len(), view.mode);
    let mut lines = Vec::new();
    if parts.title {
        lines.push(title(view, scene, size.width));
    }
    if parts.totals {
        lines.push(summary::totals(scene.picture, size.width));
    }
    lines.extend(notes.into_iter().take(parts.notes));
    if parts.tabs {
        lines.push(tabs(view.tab, scene.picture, size.width));
    }
    let room = size
        .height
        .saturating_sub(lines.len() + usize::from(parts.keys));
    let (body, place) = body(
        view,
        scene,
        Size {
            height: room,
            ..size
        },
    );
    lines.extend(body);
    if parts.keys {
        lines.resize(size.height.saturating_sub(1), Line::default());
        lines.push(keys(view, &place, size.width));
    }
    lines.truncate(size.height);
    lines.into_iter().map(|line| line.cut(size.width)).collect()
}

/// Which parts of the screen have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Parts {
    title: bool,
    totals: bool,
    tabs: bool,
    keys: bool,
    notes: usize,
}

impl Parts {
    fn for_height(height: usize, notes: usize, mode: Mode) -> Parts {
        // The headings, and some rows.
        let mut free = height.saturating_sub(1 + ROWS_MIN.min(height.saturating_sub(1)));
        if mode == Mode::Filtering {
            // Who types sees what.
            free = free.max(1);
        }
        let mut take = |lines: usize| {
            let has_room = free >= lines;
            free -= if has_room { lines } else { 0 };
            has_room
        };
        let mut parts = Parts {
            keys: mode == Mode::Filtering && take(1),
            ..Parts::default()
        };
        parts.tabs = take(1);
        parts.title = take(1);
        for _ in 0..notes.min(NOTES_MAX) {
            parts.notes += usize::from(take(1));
        }
        parts.keys = parts.keys || take(1);
        parts.totals = take(1);
        parts
    }
}

/// What does not answer, and what else there is to say.
fn notes(scene: &Scene<'_>) -> Vec<Line> {
    let silent = scene.picture.runtimes.iter().filter_map(|runtime| {
        let about = &runtime.about;
        let trouble = runtime.error.as_ref()?;
        let what = match about.kind {
            RuntimeKind::Dataflow => about.name.clone(),
            RuntimeKind::Agent => format!("the agent {}", about.name),
        };
        let text = format!("{what} (pid {}) {trouble}", about.pid);
        Some(Line::of(text, Look::Wrong))
    });
    let said = scene.notes.iter();
    silent
        .chain(said.map(|note| Line::of(note, Look::Doubtful)))
        .collect()
}

fn title(view: &View, scene: &Scene<'_>, width: usize) -> Line {
    let left = Line::of("dataflow top", Look::Strong)
        .and("  ", Look::Plain)
        .and(summary::who(scene.picture), Look::Plain);
    let right = match view.is_paused {
        true => Line::of("paused", Look::Chosen),
        false => Line::of(format!("every {}", scene.every), Look::Faint),
    };
    // That it stands still is more important than whose it is.
    let room = width.saturating_sub(right.width() + 1);
    left.cut(room).with_right(right, width)
}

/// The names of the tables, with how many rows each has; in a narrow terminal without, closer together, or only where one is.
fn tabs(chosen: Tab, picture: &Picture, width_max: usize) -> Line {
    let all = |(has_counts, end): (bool, &str)| {
        let mut all = Line::default();
        for (number, tab) in (1..).zip(Tab::ALL) {
            let (rows, is_chosen) = (tab.rows(picture), tab == chosen);
            let look = match (is_chosen, rows) {
                (true, _) => Look::Chosen,
                (false, 0) => Look::Faint,
                (false, _) => Look::Plain,
            };
            let rows = match (has_counts, rows) {
                (false, _) | (_, 0) => String::new(),
                (true, rows) => format!("{} ", count(rows as u64)),
            };
            all = all.and(format!(" {number} {}{end}{rows}", tab.title()), look);
        }
        all
    };
    let mut fitting = [(true, " "), (false, " "), (false, "")]
        .map(all)
        .into_iter();
    if let Some(all) = fitting.find(|all| all.width() <= width_max) {
        return all;
    }
    let place = Tab::ALL.iter().position(|tab| *tab == chosen).unwrap_or(0);
    Line::of("◂ ", Look::Faint)
        .and(format!(" {} {} ", place + 1, chosen.title()), Look::Chosen)
        .and(
            format!(" {} of {} tables ▸", place + 1, Tab::ALL.len()),
            Look::Faint,
        )
}

/// What the keys are while a table is seen, the most important first.
const TABLE_KEYS: [&str; 7] = [
    "? help",
    "q quit",
    "/ filter",
    "< > sort",
    "r reverse",
    "space pause",
    "Enter details",
];

/// The last line: what the keys are, or the filter that is typed.
fn keys(view: &View, place: &str, width_max: usize) -> Line {
    let right = Line::of(place, Look::Plain);
    let room = match right.width() {
        0 => width_max,
        taken => width_max.saturating_sub(taken + 2),
    };
    let left = match view.mode {
        Mode::Filtering => Line::of("filter: ", Look::Strong)
            .and(&view.filter, Look::Plain)
            .and("▏", Look::Plain)
            .and("  Enter keeps it, Esc takes it away", Look::Faint),
        Mode::Help => Line::of(fitting(&["Esc back", "↑ ↓ scroll"], room), Look::Faint),
        Mode::Details => {
            let keys = ["Esc back", "↑ ↓ other rows", "space pause"];
            Line::of(fitting(&keys, room), Look::Faint)
        }
        Mode::Table => Line::of(fitting(&TABLE_KEYS, room), Look::Faint),
    };
    left.cut(room).with_right(right, width_max)
}

/// As many of these as there is room for, from the first on.
fn fitting(texts: &[&str], room: usize) -> String {
    let mut line = String::new();
    for text in texts {
        let between = if line.is_empty() { "" } else { "  " };
        if width(&line) + between.len() + width(text) > room {
            break;
        }
        line = line + between + text;
    }
    line
}

/// How often something changes, in words.
pub(super) fn every(every: std::time::Duration) -> String {
    numbers::span(every.as_secs_f64()).replace(".0 ", " ")
}
