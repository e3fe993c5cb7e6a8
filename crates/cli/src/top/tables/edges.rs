//! The table of edges.

use dataflow_ids::{DropReason, QueuePolicy};

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

fn dropped(edge: &EdgeFigures, reason: DropReason) -> Cell {
    Cell::count(edge.dropped.because(reason)).if_any(Look::Doubtful)
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
        ("FULL", DropReason::Full.as_str()),
        "dropped because the queue was full",
        5,
        |row| dropped(row.of, DropReason::Full),
    ),
    number(
        ("CLOSED", DropReason::ReceiverClosed.as_str()),
        "dropped because the receiver had ended",
        7,
        |row| dropped(row.of, DropReason::ReceiverClosed),
    ),
    number(
        ("MEMORY", DropReason::Memory.as_str()),
        "dropped because the sender's memory was full",
        7,
        |row| dropped(row.of, DropReason::Memory),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_of_drops_has_a_column_with_its_words() {
        for reason in DropReason::ALL {
            let column = COLUMNS
                .iter()
                .find(|column| column.heading.name == reason.as_str());
            let about = column.map(|column| column.heading.about);
            assert_eq!(
                about,
                Some(&*format!("dropped because {}", reason.because()))
            );
        }
    }
}
