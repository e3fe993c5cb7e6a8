//! The table of peers.

use dataflow_ids::PeerState;

use crate::top::figures::{PeerFigures, Picture};
use crate::top::line::Look;
use crate::top::numbers;

use super::column::{Cell, Column, Row, number, text};
use super::tab;

pub(super) fn rows(picture: &Picture) -> Vec<Row<'_, PeerFigures>> {
    tab::rows(picture, |answer| tab::placed(&answer.peers))
}

fn look(state: PeerState) -> Look {
    match state {
        PeerState::Healthy => Look::Good,
        PeerState::Degraded => Look::Doubtful,
        PeerState::Unreachable | PeerState::Rejected => Look::Wrong,
    }
}

pub(super) const COLUMNS: &[Column<PeerFigures>] = &[
    text::<PeerFigures>(("PEER", "peer"), "the peer's name", 0, |row| {
        Cell::text(&row.of.peer)
    })
    .stretching(),
    text::<PeerFigures>(("STATE", "state"), "how it stands", 0, |row| {
        Cell::text(row.of.state.as_str()).looking(look(row.of.state))
    }),
    number(("FOR", "for"), "for how long", 2, |row| {
        Cell::number(row.of.state_for_s, numbers::duration)
    }),
    number(("RTT", "rtt"), "how long its last answer took", 1, |row| {
        Cell::perhaps(row.of.round_trip_s, numbers::span)
    }),
    number(
        ("CHANGES", "changes"),
        "how often its state has changed",
        4,
        |row| Cell::count(row.of.transitions),
    ),
    text::<PeerFigures>(("BECAUSE", "because"), "why it stands so", 1, |row| {
        Cell::text(&row.of.because)
    })
    .stretching(),
];
