//! The table of dataflows.

use crate::top::figures::{DataflowFigures, Picture};
use crate::top::numbers;

use super::column::{Cell, Column, Row, number, text};
use super::{levels, tab};

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, DataflowFigures>> {
    tab::rows(picture, |answer| {
        let dataflows = answer.dataflows.iter();
        dataflows
            .map(|dataflow| ((dataflow.number, 0), dataflow))
            .collect()
    })
}

pub(super) const COLUMNS: &[Column<DataflowFigures>] = &[
    text::<DataflowFigures>(("DATAFLOW", "dataflow"), "its name", 0, |row| {
        Cell::text(&row.of.dataflow)
    })
    .stretching(),
    text::<DataflowFigures>(
        ("NODES", "states"),
        "how many nodes are in which state",
        0,
        |row| levels::states_cell(&row.of.level),
    )
    .stretching(),
    number(("UP", "up"), "for how long it has been up", 3, |row| {
        Cell::number(row.of.up_for_s, numbers::duration)
    }),
    number(
        ("MSG/s", "rate"),
        "messages a second that its nodes send",
        1,
        |row| Cell::rate(row.of.level.sent_per_s).zero_faint(),
    ),
    number(
        ("BYTES/s", "bytes"),
        "bytes a second that its nodes send",
        4,
        |row| Cell::perhaps(row.of.level.sent_bytes_per_s, numbers::bytes_rate).zero_faint(),
    ),
    number(
        ("DROP/s", "drops"),
        "messages a second that are dropped",
        2,
        |row| levels::dropped(&row.of.level),
    ),
    number(
        ("QUEUED", "queued"),
        "messages that wait in a queue",
        4,
        |row| levels::queued(&row.of.level),
    ),
    number(
        ("P50", "p50"),
        "half of the messages arrive within this time",
        3,
        |row| Cell::p50(row.of.level.latency),
    ),
    number(
        ("P99", "p99"),
        "99 of 100 messages arrive within this time",
        3,
        |row| Cell::p99(row.of.level.latency),
    ),
    number(("CPU %", "cpu"), "of one processor", 1, |row| {
        levels::cpu(&row.of.level)
    }),
    number(
        ("MEMORY", "memory"),
        "resident memory of its processes",
        2,
        |row| levels::memory(&row.of.level),
    ),
    number(
        ("LOST", "lost"),
        "messages held by nodes that died",
        6,
        |row| levels::lost(&row.of.level),
    ),
    number(
        ("RESTARTS", "restarts"),
        "how often one of its nodes was started again",
        5,
        |row| levels::restarts(&row.of.level),
    ),
    text::<DataflowFigures>(("PEER", "peer"), "the peer that runs it", 7, |row| {
        Cell::text(&row.of.peer)
    }),
    text::<DataflowFigures>(
        ("RUN", "run"),
        "the run's name, as for `dataflow logs --run`",
        8,
        |row| Cell::text(&row.of.run),
    ),
];
