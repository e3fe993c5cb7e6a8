//! The screen as lines of text: a heading, the tables' names, one table, and what the keys are. What there is no room for
//! leaves, the least important first.

use super::figures::{Picture, RuntimeKind};
use super::help;
use super::line::{Line, Look, cut, width};
use super::numbers;
use super::summary;
use super::tables::{Tab, fit};
use super::view::{Mode, View};
use crate::text::{count, counted};

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
        lines.push(summary::totals(scene.picture));
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
        let why = runtime.error.as_ref()?;
        let what = match about.kind {
            RuntimeKind::Dataflow => about.name.clone(),
            RuntimeKind::Agent => format!("the agent {}", about.name),
        };
        let text = format!("{what} (pid {}) does not answer: {why}", about.pid);
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

/// The names of the tables, with how many rows each has; in a narrow terminal without, or only where one is.
fn tabs(chosen: Tab, picture: &Picture, width_max: usize) -> Line {
    let all = |has_counts: bool| {
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
            all = all.and(format!(" {number} {} {rows}", tab.title()), look);
        }
        all
    };
    let mut fitting = [true, false].map(all).into_iter();
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

/// The table or what stands in its place, and which part of it is seen.
fn body(view: &mut View, scene: &Scene<'_>, room: Size) -> (Vec<Line>, String) {
    match view.mode {
        Mode::Help => page(view, help::page(view.tab, room.width), room),
        Mode::Details => details(view, scene, room),
        Mode::Table | Mode::Filtering => table(view, scene, room),
    }
}

/// A part of a page that can be longer than the screen.
fn page(view: &mut View, lines: Vec<Line>, room: Size) -> (Vec<Line>, String) {
    view.page = room.height.max(1);
    view.top = view.top.min(lines.len().saturating_sub(room.height));
    let end = (view.top + room.height).min(lines.len());
    let place = part(view.top..end, lines.len());
    (lines[view.top..end].to_vec(), place)
}

/// `3–20 of 45`, unless everything is seen.
fn part(seen: std::ops::Range<usize>, all: usize) -> String {
    match seen.len() < all {
        true if seen.is_empty() => format!("0 of {all}"),
        true => format!("{}–{} of {all}", seen.start + 1, seen.end),
        false => String::new(),
    }
}

fn table(view: &mut View, scene: &Scene<'_>, room: Size) -> (Vec<Line>, String) {
    let (tab, wishes) = (view.tab, view.wishes(view.tab));
    let rows_max = room.height.saturating_sub(1);
    let mut selected = None;
    let sheet = tab.sheet(scene.picture, &wishes, &mut |ids| {
        selected = view.settle(ids, rows_max);
        view.top..ids.len().min(view.top + rows_max)
    });
    let fitted = fit(
        &sheet,
        wishes.sort.as_deref(),
        wishes.is_reversed,
        room.width,
    );
    view.columns.clone_from(&fitted.columns);
    let mut lines = vec![fitted.heading];
    for (place, mut line) in sheet.seen.clone().zip(fitted.rows) {
        line.is_selected = selected == Some(place);
        lines.push(line);
    }
    if sheet.ids.is_empty() {
        let why = match (sheet.total, scene.picture.runtimes.is_empty()) {
            (0, true) => scene.nobody.to_owned(),
            (0, false) => tab.empty().to_owned(),
            (total, _) => format!(
                "none of {} has `{}` in it",
                counted(total as u64, "row"),
                view.filter
            ),
        };
        lines.push(Line::of(why, Look::Faint));
    }
    let mut place = vec![part(sheet.seen.clone(), sheet.ids.len())];
    if !wishes.filter.is_empty() && view.mode == Mode::Table {
        place.push(format!("filter: {}", wishes.filter));
    }
    if fitted.left_out > 0 {
        let columns = counted(fitted.left_out as u64, "column");
        place.push(format!("{columns} more: Enter"));
    }
    place.retain(|text| !text.is_empty());
    (lines, place.join(", "))
}

/// All columns of the selected row, one a line.
fn details(view: &mut View, scene: &Scene<'_>, room: Size) -> (Vec<Line>, String) {
    let wishes = view.wishes(view.tab);
    let mut at = None;
    let sheet = view.tab.sheet(scene.picture, &wishes, &mut |ids| {
        let page = view.page;
        at = view.settle(ids, page);
        at.map_or(0..0, |at| at..at + 1)
    });
    let Some(row) = sheet.rows.first() else {
        let gone = Line::of("it has gone", Look::Faint);
        return (vec![gone], String::new());
    };
    let titles = sheet.headings.iter().map(|heading| width(heading.title));
    let widest = titles.max().unwrap_or(0);
    let values = row.iter().map(|cell| width(&cell.text)).max().unwrap_or(0);
    let value_max = room.width.saturating_sub(widest + 2);
    let value_width = values.min(value_max).min(40);
    let lines = sheet.headings.iter().zip(row).map(|(heading, cell)| {
        Line::of(format!("{:<widest$}  ", heading.title), Look::Heading)
            .and(
                format!("{:<value_width$}", cut(&cell.text, value_max)),
                cell.look,
            )
            .and(format!("  {}", heading.about), Look::Faint)
    });
    let place = at.map_or(String::new(), |at| {
        format!("{} of {}", at + 1, sheet.ids.len())
    });
    let lines: Vec<Line> = lines.take(room.height).collect();
    (lines, place)
}

/// The last line: what the keys are, or the filter that is typed.
fn keys(view: &View, place: &str, width_max: usize) -> Line {
    let left = match view.mode {
        Mode::Filtering => Line::of("filter: ", Look::Strong)
            .and(&view.filter, Look::Plain)
            .and("▏", Look::Plain)
            .and("  Enter keeps it, Esc takes it away", Look::Faint),
        Mode::Help => Line::of("Esc back  ↑ ↓ scroll", Look::Faint),
        Mode::Details => Line::of("Esc back  ↑ ↓ other rows  space pause", Look::Faint),
        Mode::Table => Line::of(
            "? help  q quit  / filter  < > sort  r reverse  space pause  Enter details",
            Look::Faint,
        ),
    };
    let right = Line::of(place, Look::Plain);
    let room = match right.width() {
        0 => width_max,
        taken => width_max.saturating_sub(taken + 2),
    };
    left.cut(room).with_right(right, width_max)
}

/// How often something changes, in words.
pub(super) fn every(every: std::time::Duration) -> String {
    numbers::span(every.as_secs_f64()).replace(".0 ", " ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::example;
    use super::super::view::{After, Key};
    use super::*;

    /// The screen as text, of a terminal of this size.
    fn shown(view: &mut View, picture: &Picture, (width, height): (usize, usize)) -> String {
        let scene = Scene {
            picture,
            notes: &[],
            nobody: "no dataflow runs in /project or below",
            every: "1 s",
        };
        let lines = screen(view, &scene, Size { width, height });
        assert!(lines.len() <= height, "{} lines of {height}", lines.len());
        for line in &lines {
            assert!(line.width() <= width, "{line:?} in {width}");
        }
        let selected = |line: &Line| if line.is_selected { "»" } else { "" };
        let lines = lines
            .iter()
            .map(|line| selected(line).to_owned() + &line.text());
        lines.collect::<Vec<String>>().join("\n")
    }

    fn view() -> View {
        View::new(None, "")
    }

    /// The screens in `tests/screens`, each after these keys in a terminal of this size; `UPDATE_EXPECT=1` renews them.
    #[test]
    fn each_table_is_drawn_as_its_file_says() {
        let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens");
        let picture = example::picture(&[1, 10, 11]);
        let keys = |text: &str| text.chars().map(Key::Character).collect::<Vec<Key>>();
        let and = |text: &str, key: Key| [keys(text), vec![key]].concat();
        for (name, keys, size) in [
            ("nodes", keys(""), (140, 10)),
            ("nodes-80", keys(""), (80, 24)),
            ("nodes-narrow", keys(""), (60, 10)),
            ("nodes-phone", keys(""), (32, 7)),
            ("nodes-short", keys(""), (80, 3)),
            ("nodes-by-cpu", keys(">>>>"), (100, 10)),
            ("nodes-reversed", keys(">r"), (100, 10)),
            ("nodes-filtered", and("/DET", Key::Enter), (100, 10)),
            ("nodes-filtering", keys("/zebra"), (100, 10)),
            ("nodes-selected", and("", Key::Down), (100, 10)),
            ("nodes-details", and("jj", Key::Enter), (100, 24)),
            ("nodes-paused", keys(" "), (100, 10)),
            ("help", keys("?"), (90, 44)),
            ("help-narrow", keys("?"), (40, 30)),
            ("dataflows", keys("1"), (140, 10)),
            ("groups", keys("3"), (140, 10)),
            ("edges", keys("4"), (160, 10)),
            ("edges-narrow", keys("4"), (60, 10)),
            ("peers", keys("5"), (100, 10)),
            ("downloads", keys("6"), (100, 10)),
            ("actors", keys("7"), (100, 10)),
            ("pool", keys("8"), (100, 10)),
        ] {
            let mut view = view();
            // A person sees a screen before they press a key.
            shown(&mut view, &picture, size);
            for key in keys {
                assert_ne!(view.press(key), After::Leave);
                shown(&mut view, &picture, size);
            }
            let text = shown(&mut view, &picture, size) + "\n";
            let file = folder.join(name).with_extension("txt");
            if update {
                fs::write(&file, &text).unwrap();
            }
            let expected = fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(text, expected, "{name}; UPDATE_EXPECT=1 renews the screens");
        }
    }

    #[test]
    fn any_size_has_a_screen_that_fits() {
        let picture = example::picture(&[1, 2]);
        for keys in ["", "/x", "?", "4", "j\n"] {
            for width in [0, 1, 2, 5, 17, 33, 80, 300] {
                for height in [0, 1, 2, 3, 4, 5, 6, 7, 9, 30] {
                    let mut view = view();
                    shown(&mut view, &picture, (width, height));
                    for key in keys.chars() {
                        view.press(match key {
                            '\n' => Key::Enter,
                            key => Key::Character(key),
                        });
                        shown(&mut view, &picture, (width, height));
                    }
                }
            }
        }
    }

    #[test]
    fn without_a_runtime_it_says_so() {
        let picture = Picture::default();
        let text = shown(&mut view(), &picture, (80, 10));
        assert!(text.contains("nothing runs"), "{text}");
        assert!(
            text.contains("no dataflow runs in /project or below"),
            "{text}"
        );
    }

    #[test]
    fn the_selected_row_stays_selected_wherever_it_goes_and_in_sight() {
        let picture = example::many(200);
        let mut view = view();
        let selected = |view: &mut View| -> String {
            let text = shown(view, &picture, (80, 12));
            let mut lines = text.lines();
            let line = lines.find_map(|line| line.strip_prefix('»'));
            line.unwrap_or_default()
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(selected(&mut view), "");
        view.press(Key::End);
        assert_eq!(selected(&mut view), "node-199");
        view.press(Key::Up);
        assert_eq!(selected(&mut view), "node-198");
        // In the other order it is the second.
        view.press(Key::Character('r'));
        assert_eq!(selected(&mut view), "node-198");
        view.press(Key::PageDown);
        let text = selected(&mut view);
        assert!(("node-185".."node-198").contains(&text.as_str()), "{text}");
        view.press(Key::Home);
        assert_eq!(selected(&mut view), "node-199");
        view.press(Key::Escape);
        assert_eq!(selected(&mut view), "");
    }

    #[test]
    fn names_that_a_terminal_would_obey_are_harmless() {
        let mut board = super::super::board::Board::new(std::time::Duration::from_secs(1));
        let at = std::time::Duration::from_secs(1);
        let number = board.came(at, example::about());
        let mut statistics = example::statistics_at(at);
        statistics.peers[0].because = "\x1b[2J\u{202e}gone".to_owned();
        statistics.downloads.rows[0].model = "a\x07b".to_owned();
        statistics.actors[0].actor = "x\ny".to_owned();
        statistics.dataflows[0].run = "run\x1b]0;title\x07".to_owned();
        board.said(
            at,
            number,
            super::super::board::Said::Statistics(Box::new(statistics)),
        );
        for tab in ["1", "5", "6", "7"] {
            let mut view = view();
            view.press(Key::Character(tab.chars().next().unwrap()));
            let text = shown(&mut view, &board.picture(), (300, 12));
            let harmful = |character: char| character.is_control() && character != '\n';
            assert!(
                !text.contains(harmful) && !text.contains('\u{202e}'),
                "{text:?}"
            );
            // A line's end in a name makes no other line.
            assert_eq!(text.lines().count(), 12, "{text}");
        }
    }
}
