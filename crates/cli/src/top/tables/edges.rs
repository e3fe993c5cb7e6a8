//! The table of edges.

use dataflow_ids::QueuePolicy;

use crate::top::figures::{EdgeFigures, Picture};
use crate::top::line::Look;
use crate::top::numbers;

use super::column::{Cell, Column, Row, When, number, text};
use super::tab;

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, EdgeFigures>> {
    tab::rows(picture, |answer| {
        let edges = answer.edges.iter();
        edges
            .map(|edge| ((edge.key.run.0, u64::from(edge.key.edge.0)), edge))
            .collect()
    })
}

/// `3/10`, in a colour when it is full.
fn queue(edge: &EdgeFigures) -> Cell {
    let is_full = edge.queued >= u64::from(edge.queue_size);
    Cell::number(edge.queued as f64, |_| {
        format!("{}/{}", edge.queued, edge.queue_size)
    })
    .looking(match (edge.queued, is_full) {
        (0, _) => Look::Faint,
        (_, true) => Look::Doubtful,
        (_, false) => Look::Plain,
    })
}

fn policy(edge: &EdgeFigures) -> Cell {
    let closed = if edge.is_closed { ", closed" } else { "" };
    Cell::text(match edge.policy {
        QueuePolicy::Latest => format!("{}{closed}", edge.policy),
        policy => format!("{policy} {}{closed}", edge.queue_size),
    })
}

pub(super) const COLUMNS: &[Column<EdgeFigures>] = &[
    text::<EdgeFigures>(("EDGE", "edge"), "output → input", 0, |row| {
        let edge = row.of;
        Cell::text(format!(
            "{}/{} → {}/{}",
            edge.source, edge.output, edge.target, edge.input
        ))
    })
    .stretching(),
    text::<EdgeFigures>(("DATAFLOW", "dataflow"), "its dataflow", 4, |row| {
        Cell::text(&row.of.dataflow)
    })
    .when(When::SeveralDataflows),
    number(
        ("MSG/s", "rate"),
        "messages a second that are sent",
        0,
        |row| Cell::rate(row.of.sent_per_s).zero_faint(),
    ),
    number(
        ("BYTES/s", "bytes"),
        "bytes a second that are sent",
        4,
        |row| Cell::perhaps(row.of.sent_bytes_per_s, numbers::bytes_rate).zero_faint(),
    ),
    number(
        ("QUEUE", "queued"),
        "messages in the queue, of how many",
        1,
        |row| queue(row.of),
    ),
    number(
        ("OLDEST", "oldest"),
        "how long the oldest of them has been there",
        3,
        |row| Cell::perhaps(row.of.oldest_s, numbers::span),
    ),
    number(
        ("HELD", "held"),
        "messages that the receiver holds",
        6,
        |row| Cell::count(row.of.held).zero_faint(),
    ),
    number(
        ("P50", "p50"),
        "half of the messages arrive within this time",
        2,
        |row| Cell::p50(row.of.latency),
    ),
    number(
        ("P99", "p99"),
        "99 of 100 messages arrive within this time",
        2,
        |row| Cell::p99(row.of.latency),
    ),
    number(
        ("DROP/s", "drops"),
        "messages a second that are dropped",
        2,
        |row| Cell::rate(row.of.dropped_per_s).if_any(Look::Doubtful),
    ),
    number(
        ("FULL", "full"),
        "dropped because the queue was full",
        5,
        |row| Cell::count(row.of.dropped.full).if_any(Look::Doubtful),
    ),
    number(
        ("CLOSED", "closed"),
        "dropped because the receiver has ended",
        7,
        |row| Cell::count(row.of.dropped.receiver_closed).if_any(Look::Doubtful),
    ),
    number(
        ("NO ROOM", "noroom"),
        "dropped to make room in the sender's memory",
        7,
        |row| Cell::count(row.of.dropped.memory).if_any(Look::Doubtful),
    ),
    number(
        ("LOST", "lost"),
        "held by a receiver when it died",
        6,
        |row| Cell::count(row.of.lost).if_any(Look::Wrong),
    ),
    number(
        ("BLOCKED %", "waited"),
        "of the time that the sender waited",
        4,
        |row| Cell::perhaps(row.of.blocked_percent, numbers::percent).if_any(Look::Doubtful),
    ),
    text::<EdgeFigures>(("POLICY", "policy"), "what a full queue does", 6, |row| {
        policy(row.of)
    }),
    text::<EdgeFigures>(("WAITS", "waits"), "who waits on it now", 1, |row| {
        let who = match row.of.is_blocked {
            true => format!("{} for {}", row.of.source, row.of.target),
            false => String::new(),
        };
        Cell::text(who).looking(Look::Doubtful)
    })
    .stretching()
    .when(When::NotEmpty),
];
