//! How a table fits on a screen: who leaves when there is no room, and how wide the others are.

use crate::text::Side;
use crate::top::line::{Line, Look, cut, width};

use super::sheet::Sheet;

/// Between two columns.
const GAP: &str = "  ";
/// A column that can be made narrower is not made narrower than this for those that tell less: they leave from this rank on.
const WIDTH_GOOD: (usize, u8) = (40, 4);

/// A table as lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::top) struct Fitted {
    /// The headings.
    pub(in crate::top) heading: Line,
    /// The rows that are seen.
    pub(in crate::top) rows: Vec<Line>,
    /// The columns that had room, by name.
    pub(in crate::top) columns: Vec<&'static str>,
    /// How many had none.
    pub(in crate::top) left_out: usize,
}

/// Fits a table into `width_max` columns; `sort` names the column that it is ordered by.
pub(in crate::top) fn fit(
    sheet: &Sheet,
    sort: Option<&str>,
    is_reversed: bool,
    width_max: usize,
) -> Fitted {
    let titles: Vec<String> = sheet
        .headings
        .iter()
        .map(|heading| {
            let is_sorted = sort == Some(heading.name);
            let points_down = (heading.side == Side::Right) != is_reversed;
            let mark = match (is_sorted, points_down) {
                (false, _) => "",
                (true, true) => "▼",
                (true, false) => "▲",
            };
            format!("{}{mark}", heading.title)
        })
        .collect();
    let natural: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(place, title)| {
            let cells = sheet.rows.iter().map(|row| width(&row[place].text));
            cells.chain([width(title)]).max().unwrap_or(0)
        })
        .collect();
    let stays = stays(sheet, sort, &natural, width_max);
    let widths = widths(sheet, &stays, &natural, width_max);
    let line = |cell: &dyn Fn(usize) -> (String, Look)| {
        let mut line = Line::default();
        for (nth, (place, width_there)) in stays.iter().zip(&widths).enumerate() {
            let (text, look) = cell(*place);
            let text = cut(&text, *width_there);
            let free = " ".repeat(width_there.saturating_sub(width(&text)));
            if nth > 0 {
                line = line.and(GAP, Look::Plain);
            }
            line = match sheet.headings[*place].side {
                Side::Left => line.and(text, look).and(free, Look::Plain),
                Side::Right => line.and(free, Look::Plain).and(text, look),
            };
        }
        line.pieces.retain(|piece| !piece.text.is_empty());
        line.cut(width_max)
    };
    let heading = line(&|place| {
        let is_sorted = sort == Some(sheet.headings[place].name);
        let look = if is_sorted {
            Look::Chosen
        } else {
            Look::Heading
        };
        (titles[place].clone(), look)
    });
    let rows = sheet
        .rows
        .iter()
        .map(|row| line(&|place| (row[place].text.clone(), row[place].look)));
    Fitted {
        heading,
        rows: rows.collect(),
        left_out: sheet.headings.len() - stays.len(),
        columns: stays
            .iter()
            .map(|place| sheet.headings[*place].name)
            .collect(),
    }
}

/// How wide a column is when it is as narrow as it may be, and, if it can be, not narrower than `good`.
fn narrow(sheet: &Sheet, natural: &[usize], place: usize, good: usize) -> usize {
    match sheet.headings[place].width_min {
        Some(width_min) => natural[place].min(width_min.max(good)),
        None => natural[place],
    }
}

/// The columns for which there is room.
fn stays(sheet: &Sheet, sort: Option<&str>, natural: &[usize], width_max: usize) -> Vec<usize> {
    // The one that the table is ordered by stays as long as the names do.
    let leaves = |place: usize| match sheet.headings[place].leaves {
        0 => 0,
        _ if sort == Some(sheet.headings[place].name) => 1,
        leaves => leaves,
    };
    let mut stays: Vec<usize> = (0..natural.len()).collect();
    for (good, leaves_from) in [WIDTH_GOOD, (0, 1)] {
        loop {
            let narrow = |place: &usize| narrow(sheet, natural, *place, good) + GAP.len();
            let needed: usize = stays.iter().map(narrow).sum();
            let is_too_wide = needed > width_max.saturating_add(GAP.len());
            let places = stays.iter().copied();
            let first = places.max_by_key(|place| (leaves(*place), *place));
            match first.filter(|place| is_too_wide && leaves(*place) >= leaves_from) {
                Some(first) => stays.retain(|place| *place != first),
                None => break,
            }
        }
    }
    stays
}

/// How wide those are that stay: the room that is left goes to those that can take it, in their order, and numbers first:
/// of a name one knows the rest.
fn widths(sheet: &Sheet, stays: &[usize], natural: &[usize], width_max: usize) -> Vec<usize> {
    let gaps = GAP.len() * stays.len().saturating_sub(1);
    let mut widths: Vec<usize> = stays
        .iter()
        .map(|place| narrow(sheet, natural, *place, 0))
        .collect();
    let mut free = width_max.saturating_sub(widths.iter().sum::<usize>() + gaps);
    for side in [Side::Right, Side::Left] {
        for (width, place) in widths.iter_mut().zip(stays) {
            if sheet.headings[*place].side == side {
                let more = free.min(natural[*place].saturating_sub(*width));
                *width += more;
                free -= more;
            }
        }
    }
    // When not even names have room, the first of them shrinks until the others have.
    let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width_max);
    for (width, place) in widths.iter_mut().zip(stays) {
        if sheet.headings[*place].width_min.is_some() {
            let fewer = over.min(width.saturating_sub(4));
            *width -= fewer;
            over -= fewer;
        }
    }
    widths
}
