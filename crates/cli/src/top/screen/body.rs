//! The middle of the screen: a table, all about one of its rows, or the help.

use super::super::help;
use super::super::line::{Line, Look, cut, width};
use super::super::tables::fit;
use super::super::view::{Mode, View};
use super::{Scene, Size};
use crate::text::{Side, counted, padded};

/// The table or what stands in its place, and which part of it is seen.
pub(super) fn body(view: &mut View, scene: &Scene<'_>, room: Size) -> (Vec<Line>, String) {
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
                padded(&cut(&cell.text, value_max), Side::Left, value_width),
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
