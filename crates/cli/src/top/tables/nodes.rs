//! The table of nodes.

use dataflow_ids::LifeCycle;

use crate::top::figures::{NodeFigures, Picture};
use crate::top::line::Look;
use crate::top::numbers;

use super::column::{Cell, Column, Row, When, number, text};
use super::tab;

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, NodeFigures>> {
    tab::rows(picture, |answer| {
        let nodes = answer.nodes.iter();
        nodes
            .map(|node| ((node.key.run.0, u64::from(node.key.node.0)), node))
            .collect()
    })
}

/// How a state looks.
pub(super) fn look(state: LifeCycle) -> Look {
    match state {
        LifeCycle::Ready | LifeCycle::Running => Look::Good,
        LifeCycle::Failed | LifeCycle::Lost => Look::Wrong,
        LifeCycle::Backoff | LifeCycle::Parked | LifeCycle::Stopping | LifeCycle::Draining => {
            Look::Doubtful
        }
        LifeCycle::Finished => Look::Faint,
        _ => Look::Plain,
    }
}

pub(super) const COLUMNS: &[Column<NodeFigures>] = &[
    text::<NodeFigures>(("NODE", "node"), "the node's name", 0, |row| {
        Cell::text(&row.of.node)
    })
    .stretching(),
    text::<NodeFigures>(("DATAFLOW", "dataflow"), "its dataflow", 3, |row| {
        Cell::text(&row.of.dataflow)
    })
    .when(When::SeveralDataflows),
    text::<NodeFigures>(("STATE", "state"), "where it stands", 0, |row| {
        Cell::text(row.of.state.as_str()).looking(look(row.of.state))
    }),
    number(("FOR", "for"), "for how long", 5, |row| {
        Cell::number(row.of.state_for_s, numbers::duration)
    }),
    number(("CPU %", "cpu"), "of one processor", 1, |row| {
        Cell::perhaps(row.of.cpu_percent, numbers::percent).zero_faint()
    }),
    number(
        ("MEMORY", "memory"),
        "resident memory of its processes",
        2,
        |row| Cell::perhaps_bytes(row.of.memory_bytes).zero_faint(),
    ),
    number(
        ("IN/s", "in"),
        "messages a second that reach it",
        1,
        |row| Cell::rate(row.of.received_per_s).zero_faint(),
    ),
    number(
        ("OUT/s", "out"),
        "messages a second that it sends",
        1,
        |row| Cell::rate(row.of.sent_per_s).zero_faint(),
    ),
    number(
        ("P50", "p50"),
        "half of its messages it handles within this time",
        3,
        |row| Cell::p50(row.of.handling),
    ),
    number(
        ("P99", "p99"),
        "99 of 100 messages it handles within this time",
        2,
        |row| Cell::p99(row.of.handling),
    ),
    number(
        ("QUEUED", "queued"),
        "messages that wait for it",
        3,
        |row| Cell::count(row.of.queued).zero_faint(),
    ),
    number(("HELD", "held"), "messages that it holds", 6, |row| {
        Cell::count(row.of.held).zero_faint()
    }),
    number(
        ("LOST", "lost"),
        "messages that it held when it died",
        7,
        |row| Cell::count(row.of.lost).if_any(Look::Wrong),
    ),
    number(
        ("RESTARTS", "restarts"),
        "how often it was started again",
        2,
        |row| Cell::count(row.of.restarts).if_any(Look::Doubtful),
    ),
    number(("PID", "pid"), "its process", 6, |row| {
        Cell::perhaps(row.of.pid.map(f64::from), |_| {
            row.of.pid.map_or_else(String::new, |pid| pid.to_string())
        })
    }),
    text::<NodeFigures>(
        ("BLOCKED BY", "blocked"),
        "for whom it waits with a message, and for whom that one does",
        1,
        |row| {
            let first = [row.of.blocked_by.join(" → ")];
            let all = first.iter().chain(&row.of.also_blocked_by);
            let all: Vec<&str> = all.map(String::as_str).collect();
            Cell::text(all.join(", ")).looking(Look::Doubtful)
        },
    )
    .stretching()
    .when(When::NotEmpty),
];
