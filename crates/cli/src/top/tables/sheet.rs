//! The rows of a table: those that the filter leaves, in their order, with the cells of those that are seen.

use std::ops::Range;

use crate::top::figures::Picture;
use crate::top::line::Look;

use super::column::{Cell, Column, Heading, Key, Row, When};
use super::tab::Tab;

/// Which row, whatever order they are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::top) struct RowId {
    /// The number of its runtime.
    pub(super) runtime: u64,
    /// Two numbers that no other row of that runtime has.
    pub(super) numbers: (u64, u64),
}

/// What is wished of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::top) struct Wishes {
    /// By which column it is ordered, by the name of that; else as the runtime has it.
    pub(in crate::top) sort: Option<String>,
    /// The other way round.
    pub(in crate::top) is_reversed: bool,
    /// Only rows that have this text in one of theirs, in capitals or not.
    pub(in crate::top) filter: String,
}

impl Wishes {
    /// What is wished of a table when it is to be ordered by `sort`, if it has that column.
    pub(in crate::top) fn of(tab: Tab, sort: Option<&str>, filter: &str) -> Wishes {
        let has = |name: &&str| (tab.headings().iter()).any(|heading| heading.name == *name);
        Wishes {
            sort: sort.filter(has).map(str::to_owned),
            is_reversed: false,
            filter: filter.to_owned(),
        }
    }
}

/// What a table shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::top) struct Sheet {
    /// The columns.
    pub(in crate::top) headings: Vec<Heading>,
    /// All rows that the filter leaves, in order.
    pub(in crate::top) ids: Vec<RowId>,
    /// Which of them are seen.
    pub(in crate::top) seen: Range<usize>,
    /// The cells of those.
    pub(in crate::top) rows: Vec<Vec<Cell>>,
    /// How many rows there are without the filter.
    pub(in crate::top) total: usize,
}

/// Makes a table. `seen` says which of its rows are seen, once it is known which there are.
pub(super) fn sheet<F>(
    rows: Vec<Row<'_, F>>,
    columns: &[Column<F>],
    picture: &Picture,
    wishes: &Wishes,
    seen: &mut dyn FnMut(&[RowId]) -> Range<usize>,
) -> Sheet {
    let total = rows.len();
    let columns: Vec<&Column<F>> = columns
        .iter()
        .filter(|column| column.heading.when.is_so(picture))
        .collect();
    let mut rows = filtered(rows, &columns, &wishes.filter);
    let by = columns
        .iter()
        .find(|column| Some(column.heading.name) == wishes.sort.as_deref());
    match by {
        Some(column) => {
            let mut keyed: Vec<(Key, Row<'_, F>)> = rows
                .into_iter()
                .map(|row| ((column.cell)(&row).key, row))
                .collect();
            keyed.sort_by(|(one, _), (other, _)| one.order(other, wishes.is_reversed));
            rows = keyed.into_iter().map(|(_, row)| row).collect();
        }
        None if wishes.is_reversed => rows.reverse(),
        None => {}
    }
    let ids: Vec<RowId> = rows.iter().map(|row| row.id).collect();
    let seen = seen(&ids);
    let cells = |row: &Row<'_, F>| {
        let is_old = row.runtime.error.is_some();
        let cells = columns.iter().map(|column| (column.cell)(row));
        cells
            .map(|cell| {
                if is_old {
                    cell.looking(Look::Faint)
                } else {
                    cell
                }
            })
            .collect()
    };
    let mut cells: Vec<Vec<Cell>> = rows
        .get(seen.clone())
        .unwrap_or_default()
        .iter()
        .map(cells)
        .collect();
    let is_there: Vec<bool> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            column.heading.when != When::NotEmpty
                || cells.iter().any(|row| !row[place].text.is_empty())
        })
        .collect();
    for row in &mut cells {
        let mut places = is_there.iter();
        row.retain(|_| places.next() == Some(&true));
    }
    let headings = columns.iter().zip(&is_there);
    Sheet {
        headings: headings
            .filter(|(_, is_there)| **is_there)
            .map(|(column, _)| column.heading)
            .collect(),
        ids,
        seen,
        rows: cells,
        total,
    }
}

/// The rows that have `filter` in one of their texts.
fn filtered<'a, F>(rows: Vec<Row<'a, F>>, columns: &[&Column<F>], filter: &str) -> Vec<Row<'a, F>> {
    let wanted = filter.to_lowercase();
    if wanted.is_empty() {
        return rows;
    }
    let has = |row: &Row<'_, F>| {
        let texts = columns
            .iter()
            .filter(|column| column.heading.side == crate::text::Side::Left);
        texts
            .map(|column| (column.cell)(row).text)
            .any(|text| text.to_lowercase().contains(&wanted))
    };
    rows.into_iter().filter(has).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::top::board::{Board, Said};
    use crate::top::example;
    use crate::top::figures::Trouble;

    #[test]
    fn rows_of_a_runtime_that_says_nothing_any_more_are_faint_and_those_of_another_are_not() {
        let at = Duration::from_secs(1);
        let mut board = Board::new(at);
        let numbers = [(); 2].map(|()| board.came(at, example::about()));
        for number in numbers {
            let statistics = example::statistics_at(at);
            board.said(at, number, Said::Statistics(Box::new(statistics)));
        }
        let silent = Trouble::Silent("it stands".to_owned());
        board.said(at, numbers[0], Said::Nothing(silent));
        let picture = board.picture(at);
        for tab in Tab::ALL {
            let sheet = tab.sheet(&picture, &Wishes::default(), &mut |ids| 0..ids.len());
            let is_faint = |cells: &Vec<Cell>| cells.iter().all(|cell| cell.look == Look::Faint);
            let faint: Vec<bool> = sheet.rows.iter().map(is_faint).collect();
            let of_silent = |id: &RowId| id.runtime == numbers[0];
            let expected: Vec<bool> = sheet.ids.iter().map(of_silent).collect();
            assert_eq!(faint, expected, "{tab:?}");
            // Groups are of all that answer.
            assert_eq!(expected.contains(&true), tab != Tab::Groups, "{tab:?}");
            assert!(expected.contains(&false), "{tab:?}");
        }
    }
}
