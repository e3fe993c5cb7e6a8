//! The table of the runtimes' pools of short jobs.

use crate::top::figures::{Picture, PoolFigures};
use crate::top::line::Look;

use super::column::{Cell, Column, Row, number, text};
use super::tab;

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, PoolFigures>> {
    tab::rows(picture, |answer| {
        answer.pool.iter().map(|pool| ((0, 0), pool)).collect()
    })
}

pub(super) const COLUMNS: &[Column<PoolFigures>] = &[
    text::<PoolFigures>(
        ("RUNTIME", "runtime"),
        "the runtime that has it",
        0,
        |row| Cell::text(&row.runtime.about.name),
    )
    .stretching(),
    number(("RUNNING", "running"), "jobs that a thread has", 0, |row| {
        Cell::count(row.of.running).zero_faint()
    }),
    number(("IDLE", "idle"), "threads that wait for a job", 2, |row| {
        Cell::count(row.of.idle).zero_faint()
    }),
    number(
        ("QUEUED", "queued"),
        "jobs that wait for a thread",
        0,
        |row| Cell::count(row.of.queued).if_any(Look::Doubtful),
    ),
    number(("JOBS/s", "rate"), "jobs a second that return", 1, |row| {
        Cell::rate(row.of.completed_per_s).zero_faint()
    }),
    number(("DONE", "done"), "jobs that have returned", 3, |row| {
        Cell::count(row.of.completed)
    }),
    number(
        ("PANICKED", "panicked"),
        "jobs that have panicked",
        2,
        |row| Cell::count(row.of.panicked).if_any(Look::Wrong),
    ),
    number(
        ("REFUSED", "refused"),
        "jobs that were given back",
        2,
        |row| Cell::count(row.of.refused).if_any(Look::Doubtful),
    ),
    number(
        ("THREADS", "threads"),
        "threads that were started",
        4,
        |row| Cell::count(row.of.threads_started),
    ),
    number(
        ("NOT STARTED", "notstarted"),
        "threads that could not be started",
        5,
        |row| Cell::count(row.of.threads_not_started).if_any(Look::Wrong),
    ),
];
