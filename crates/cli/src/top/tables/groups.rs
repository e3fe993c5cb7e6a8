//! The table of groups: all nodes of one name, in all dataflows of a runtime.

use crate::top::figures::{GroupFigures, Picture};
use crate::top::line::Look;

use super::column::{Cell, Column, Row, When, number, text};
use super::{levels, tab};

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, GroupFigures>> {
    tab::rows(picture, |answer| tab::placed(&answer.groups))
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
    text::<GroupFigures>(
        ("RUNTIME", "runtime"),
        "the runtime that has them",
        4,
        |row| Cell::text(&row.runtime.about.name),
    )
    .when(When::SeveralRuntimes),
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
