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

/// `33 full, 2 closed`, ordered by how many there are of all reasons together; nothing when nothing was dropped.
fn drops(edge: &EdgeFigures) -> Cell {
    let reasons = DropReason::ALL.map(|reason| (edge.dropped.because(reason), word(reason)));
    let total = reasons
        .iter()
        .fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
    let said = reasons.iter().filter(|(count, _)| *count > 0);
    let said: Vec<String> = said
        .map(|(count, word)| format!("{} {word}", crate::text::count(*count)))
        .collect();
    Cell::number(total as f64, |_| said.join(", ")).looking(Look::Doubtful)
}

/// A reason, in the one word that stands above its own column, too.
fn word(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Full => "full",
        DropReason::ReceiverClosed => "closed",
        DropReason::Memory => "memory",
    }
}

/// A few drops of each reason are said whole, however narrow the screen is: `33 full, 2 closed, 1 memory`.
const DROPPED_WIDTH_MIN: usize = 28;

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
        "how long ago the oldest of them was sent",
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
        3,
        |row| Cell::p50(row.of.latency),
    ),
    number(
        ("P99", "p99"),
        "99 of 100 messages arrive within this time",
        3,
        |row| Cell::p99(row.of.latency),
    ),
    number(
        ("DROP/s", "drops"),
        "messages a second that are dropped",
        3,
        |row| Cell::rate(row.of.dropped_per_s).if_any(Look::Doubtful),
    ),
    number(
        ("DROPPED", "dropped"),
        "how many were dropped, and why",
        2,
        |row| drops(row.of),
    )
    .no_narrower_than(DROPPED_WIDTH_MIN)
    .when(When::NotEmpty),
    number(
        ("FULL", DropReason::Full.as_str()),
        "dropped because the queue was full",
        8,
        |row| dropped(row.of, DropReason::Full),
    ),
    number(
        ("CLOSED", DropReason::ReceiverClosed.as_str()),
        "dropped because the receiver had ended",
        8,
        |row| dropped(row.of, DropReason::ReceiverClosed),
    ),
    number(
        ("MEMORY", DropReason::Memory.as_str()),
        "dropped because the sender's memory was full",
        8,
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
    text::<EdgeFigures>(
        ("WAITS", "waits"),
        "for whom its sender waits now, and why",
        1,
        |row| {
            let edge = row.of;
            // Who that is stands in front.
            let who = match edge.lacks {
                Some(lacks) => format!("{}: {}", edge.target, lacks.because()),
                None => String::new(),
            };
            Cell::text(who).looking(Look::Doubtful)
        },
    )
    .stretching()
    .when(When::NotEmpty),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::stats::{Counter, Statistics};

    use super::*;
    use crate::top::board::{Board, Said};
    use crate::top::example;
    use crate::top::tables::{Tab, Wishes, fit};

    /// The edges of these statistics, ordered by `sort`, in so many columns.
    fn shown(statistics: Statistics, sort: Option<&str>, width: usize) -> Vec<String> {
        let at = Duration::from_secs(1);
        let mut board = Board::new(at);
        let number = board.came(at, example::about());
        board.said(at, number, Said::Statistics(Box::new(statistics)));
        let wishes = Wishes::of(Tab::Edges, sort, "");
        let sheet = Tab::Edges.sheet(&board.picture(at), &wishes, &mut |ids| 0..ids.len());
        let fitted = fit(&sheet, sort, false, width);
        let lines = [fitted.heading].into_iter().chain(fitted.rows);
        lines.map(|line| line.text()).collect()
    }

    /// A camera, a detector and a planner; of the first edge so many were dropped because of each.
    fn dropping(full: u64, closed: u64, memory: u64) -> Statistics {
        let mut statistics = example::statistics_at(Duration::from_secs(1));
        for edge in &mut statistics.edges {
            edge.counters.dropped_full = Counter::new(0);
            edge.counters.dropped_receiver_closed = Counter::new(0);
            edge.counters.dropped_memory = Counter::new(0);
        }
        let counters = &mut statistics.edges[0].counters;
        counters.dropped_full = Counter::new(full);
        counters.dropped_receiver_closed = Counter::new(closed);
        counters.dropped_memory = Counter::new(memory);
        statistics
    }

    #[test]
    fn every_reason_of_drops_is_said_from_80_columns_on_and_who_waits_beside_it() {
        for width in 80..=240 {
            let lines = shown(dropping(33, 2, 1), None, width);
            let all = ["33 full, 2 closed, 1 memory", "DROPPED"];
            assert!(lines[1].contains(all[0]), "{width}: {lines:#?}");
            assert!(lines[0].contains(all[1]), "{width}: {lines:#?}");
            assert!(lines[2].contains("planner: queue"), "{width}: {lines:#?}");
        }
    }

    #[test]
    fn what_was_not_dropped_is_not_said_and_takes_no_room() {
        let lines = shown(dropping(0, 0, 0), None, 80);
        assert!(!lines[0].contains("DROPPED"), "{lines:#?}");
        let lines = shown(dropping(0, 0, 5), None, 80);
        assert!(lines[1].contains(" 5 memory"), "{lines:#?}");
        assert!(!lines[1].contains("full") && !lines[1].contains("closed"));
    }

    #[test]
    fn however_many_were_dropped_nobody_else_has_to_leave_for_it() {
        let many = 1_000_000_000;
        let lines = shown(dropping(many, many, many), None, 80);
        for title in ["EDGE", "MSG/s", "QUEUE", "DROPPED", "WAITS"] {
            assert!(lines[0].contains(title), "{lines:#?}");
        }
        assert!(lines[1].contains(" 1,000,000,000 full, "), "{lines:#?}");
    }

    #[test]
    fn edges_can_be_ordered_by_how_much_they_have_dropped() {
        let mut statistics = dropping(1, 1, 1);
        statistics.edges[1].counters.dropped_full = Counter::new(10);
        let lines = shown(statistics, Some("dropped"), 80);
        assert!(lines[0].contains("DROPPED▼"), "{lines:#?}");
        assert!(lines[1].contains("10 full"), "{lines:#?}");
        assert!(lines[2].contains("1 full, 1 closed, 1 memory"));
    }

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
            let title = column.map(|column| column.heading.title.to_lowercase());
            assert_eq!(title.as_deref(), Some(word(reason)));
        }
    }
}
