//! The table of the runtimes' actors.

use crate::top::figures::{ActorFigures, Picture};
use crate::top::line::Look;

use super::column::{Cell, Column, Row, When, number, text};
use super::tab;

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, ActorFigures>> {
    tab::rows(picture, |answer| tab::placed(&answer.actors))
}

pub(super) const COLUMNS: &[Column<ActorFigures>] = &[
    text::<ActorFigures>(("ACTOR", "actor"), "what kind", 0, |row| {
        Cell::text(&row.of.actor)
    })
    .stretching(),
    text::<ActorFigures>(
        ("RUNTIME", "runtime"),
        "the runtime that has them",
        2,
        |row| Cell::text(&row.runtime.about.name),
    )
    .when(When::SeveralRuntimes),
    number(("COUNT", "count"), "how many there are", 3, |row| {
        Cell::count(row.of.actors)
    }),
    number(
        ("MSG/s", "rate"),
        "messages a second that they handle",
        0,
        |row| Cell::rate(row.of.handled_per_s).zero_faint(),
    ),
    number(
        ("WAITING", "waiting"),
        "messages that wait for one, or are in hand",
        1,
        |row| Cell::count(row.of.waiting).zero_faint(),
    ),
    number(
        ("SENT", "sent"),
        "attempts to send one of them a message",
        3,
        |row| Cell::count(row.of.sent),
    ),
    number(
        ("HANDLED", "handled"),
        "messages that were handled",
        2,
        |row| Cell::count(row.of.handled),
    ),
    number(
        ("RETURNED", "returned"),
        "messages given back to their sender",
        4,
        |row| Cell::count(row.of.returned).if_any(Look::Doubtful),
    ),
    number(
        ("DEAD", "dead"),
        "messages that nobody will handle",
        4,
        |row| Cell::count(row.of.dead_lettered).if_any(Look::Doubtful),
    ),
    number(
        ("REBUILT", "rebuilt"),
        "how often one was built again after a panic",
        2,
        |row| Cell::count(row.of.rebuilt).if_any(Look::Wrong),
    ),
];
