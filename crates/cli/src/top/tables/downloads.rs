//! The table of downloads.

use dataflow_ids::span;

use crate::models::view;
use crate::top::figures::{DownloadFigures, Picture};
use crate::top::numbers;

use super::column::{Cell, Column, Row, When, number, text as text_column};
use super::tab;

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, DownloadFigures>> {
    tab::rows(picture, |answer| tab::placed(&answer.downloads.models))
}

/// The bytes of all files, once they are known.
fn total(download: &DownloadFigures) -> Option<u64> {
    Some(download.bytes_total).filter(|total| *total > 0)
}

/// The time that is left at this rate, in seconds.
fn left_s(download: &DownloadFigures) -> Option<f64> {
    let left = total(download)?.checked_sub(download.bytes_done)?;
    let rate = download.bytes_per_s.filter(|rate| *rate > 0)?;
    (left > 0).then(|| left as f64 / rate as f64)
}

pub(super) const COLUMNS: &[Column<DownloadFigures>] = &[
    text_column::<DownloadFigures>(
        ("MODEL", "model"),
        "the repository and its revision",
        0,
        |row| Cell::text(&row.of.model),
    )
    .stretching(),
    text_column::<DownloadFigures>(
        ("RUNTIME", "runtime"),
        "the runtime that fetches it",
        5,
        |row| Cell::text(&row.runtime.about.name),
    )
    .when(When::SeveralRuntimes),
    text_column::<DownloadFigures>(("STATE", "state"), "where it stands", 0, |row| {
        Cell::text(&row.of.state)
    }),
    number(("THERE", "there"), "how much of it is there", 1, |row| {
        let percent = total(row.of).map(|total| view::percent(row.of.bytes_done, total));
        Cell::perhaps(percent.map(|percent| percent as f64), |percent| {
            format!("{percent} %")
        })
    }),
    number(("DONE", "done"), "bytes that are there", 4, |row| {
        Cell::bytes(row.of.bytes_done)
    }),
    number(("SIZE", "size"), "bytes of all its files", 3, |row| {
        Cell::perhaps(total(row.of).map(|total| total as f64), |_| {
            numbers::bytes(row.of.bytes_total)
        })
    }),
    number(
        ("BYTES/s", "rate"),
        "bytes a second that come in",
        2,
        |row| {
            Cell::perhaps(
                row.of.bytes_per_s.map(|rate| rate as f64),
                numbers::bytes_rate,
            )
        },
    ),
    number(
        ("LEFT", "left"),
        "the time that is left at this rate",
        2,
        |row| {
            Cell::perhaps(left_s(row.of), |left_s| {
                let left = std::time::Duration::try_from_secs_f64(left_s);
                left.map_or_else(|_| numbers::NONE.to_owned(), span::rough)
            })
        },
    ),
];
