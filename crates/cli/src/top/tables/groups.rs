//! The table of groups: all nodes of one name, in all dataflows of all runtimes.

use crate::top::figures::{GroupFigures, Picture};
use crate::top::line::Look;

use super::column::{Cell, Column, Row, number, text};
use super::sheet::RowId;
use super::{levels, tab};

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, GroupFigures>> {
    // They are of no runtime alone; any that answers stands for all.
    let mut runtimes = picture.runtimes.iter();
    let Some(runtime) = runtimes.find(|runtime| runtime.error.is_none()) else {
        return Vec::new();
    };
    let rows = tab::placed(&picture.groups).into_iter();
    rows.map(|(numbers, of)| Row {
        id: RowId {
            runtime: 0,
            numbers,
        },
        runtime,
        of,
    })
    .collect()
}

pub(super) const COLUMNS: &[Column<GroupFigures>] = &[
    text::<GroupFigures>(
        ("GROUP", "group"),
        "the name that its nodes have",
        0,
        |row| match &row.of.group {
            Some(group) => Cell::text(group),
            None => Cell::text("(all others)").looking(Look::Faint),
        },
    )
    .stretching(),
    number(("COUNT", "count"), "how many nodes there are", 4, |row| {
        levels::nodes(&row.of.level)
    }),
    text::<GroupFigures>(
        ("NODES", "states"),
        "how many are in which state",
        0,
        |row| levels::states_cell(&row.of.level),
    )
    .stretching(),
    number(
        ("IN/s", "in"),
        "messages a second that reach them",
        1,
        |row| Cell::rate(row.of.level.received_per_s).zero_faint(),
    ),
    number(
        ("OUT/s", "out"),
        "messages a second that they send",
        1,
        |row| Cell::rate(row.of.level.sent_per_s).zero_faint(),
    ),
    number(
        ("P50", "p50"),
        "half of their messages they handle within this time",
        2,
        |row| Cell::p50(row.of.level.handling),
    ),
    number(
        ("P99", "p99"),
        "99 of 100 messages they handle within this time",
        2,
        |row| Cell::p99(row.of.level.handling),
    ),
    number(
        ("DROP/s", "drops"),
        "messages a second to them that are dropped",
        3,
        |row| levels::dropped(&row.of.level),
    ),
    number(
        ("QUEUED", "queued"),
        "messages that wait for them",
        3,
        |row| levels::queued(&row.of.level),
    ),
    number(("CPU %", "cpu"), "of one processor", 1, |row| {
        levels::cpu(&row.of.level)
    }),
    number(
        ("MEMORY", "memory"),
        "resident memory of their processes",
        2,
        |row| levels::memory(&row.of.level),
    ),
    number(
        ("LOST", "lost"),
        "messages that they held when they died",
        6,
        |row| levels::lost(&row.of.level),
    ),
    number(
        ("RESTARTS", "restarts"),
        "how often one was started again",
        4,
        |row| levels::restarts(&row.of.level),
    ),
];
