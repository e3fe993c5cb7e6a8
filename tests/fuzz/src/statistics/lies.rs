//! What a keeper says that is not so: numbers beyond all measure, rows that come twice, of others, or out of order.

use dataflow_ids::stats::{
    Counter, DataflowRow, EdgeKey, EdgeRow, GroupRow, Keeper, Level, NodeKey, NodeRow, RunNumber,
};
use dataflow_ids::{EdgeId, LifeCycle, NodeIndex};
use dataflow_wire::client::ClientReply;
use dataflow_wire::frame::{decode, encode};

use super::keeper::number;
use crate::bytes::Bytes;

/// What a whole and a change both have.
struct Rows<'r> {
    keeper: &'r mut Keeper,
    revision: &'r mut u64,
    at_ns: &'r mut u64,
    dataflows: &'r mut Vec<DataflowRow>,
    groups: &'r mut Vec<GroupRow>,
    nodes: &'r mut Vec<NodeRow>,
    edges: &'r mut Vec<EdgeRow>,
}

fn rows(reply: &mut ClientReply) -> Option<Rows<'_>> {
    match reply {
        ClientReply::Statistics(whole) => Some(Rows {
            keeper: &mut whole.keeper,
            revision: &mut whole.revision,
            at_ns: &mut whole.at_ns,
            dataflows: &mut whole.dataflows,
            groups: &mut whole.groups,
            nodes: &mut whole.nodes,
            edges: &mut whole.edges,
        }),
        ClientReply::StatisticsDelta(delta) => Some(Rows {
            keeper: &mut delta.keeper,
            revision: &mut delta.to,
            at_ns: &mut delta.at_ns,
            dataflows: &mut delta.dataflows,
            groups: &mut delta.groups,
            nodes: &mut delta.nodes,
            edges: &mut delta.edges,
        }),
        _ => None,
    }
}

/// Makes one thing of what is said untrue.
pub(super) fn tell(reply: &mut ClientReply, bytes: &mut Bytes<'_>) {
    let what = bytes.below(12);
    match (what, &mut *reply) {
        (10, ClientReply::StatisticsDelta(delta)) => {
            let run = RunNumber(bytes.below(4) as u64);
            let node = NodeIndex(bytes.below(6) as u32);
            let edge = EdgeId(bytes.below(6) as u32);
            delta.dataflows_gone.push(run);
            delta.nodes_gone.push(NodeKey { run, node });
            delta.edges_gone.push(EdgeKey { run, edge });
        }
        (10 | 11, _) => flip(reply, bytes),
        _ => {
            if let Some(rows) = rows(reply) {
                in_rows(what, rows, bytes);
            }
        }
    }
}

fn in_rows(what: usize, rows: Rows<'_>, bytes: &mut Bytes<'_>) {
    let place = bytes.below(4);
    match what {
        0 => *rows.keeper = Keeper(number(bytes)),
        1 => *rows.revision = number(bytes),
        2 => *rows.at_ns = number(bytes),
        3 => {
            if let Some(row) = rows.nodes.get_mut(place) {
                of_node(row, bytes);
            }
        }
        4 => twice(rows.nodes, place, bytes),
        5 => {
            if let Some(row) = rows.edges.get_mut(place) {
                of_edge(row, bytes);
            }
        }
        6 => twice(rows.edges, place, bytes),
        7 => {
            if let Some(row) = rows.dataflows.get_mut(place) {
                match bytes.below(3) {
                    0 => row.number = RunNumber(number(bytes)),
                    1 => row.added_ns = number(bytes),
                    _ => of_level(&mut row.level, bytes),
                }
            }
        }
        8 => twice(rows.dataflows, place, bytes),
        _ => match rows.groups.get_mut(place) {
            Some(row) if bytes.below(4) > 0 => of_level(&mut row.level, bytes),
            Some(row) => row.name = None,
            None => {}
        },
    }
}

/// A row comes twice, or not at all, or all come backwards.
fn twice<T: Clone>(rows: &mut Vec<T>, place: usize, bytes: &mut Bytes<'_>) {
    match bytes.below(3) {
        0 => rows.reverse(),
        1 if place < rows.len() => drop(rows.remove(place)),
        _ => rows.extend(rows.get(place).cloned()),
    }
}

fn of_node(row: &mut NodeRow, bytes: &mut Bytes<'_>) {
    let numbers = &mut row.numbers;
    match bytes.below(9) {
        0 => row.key.run = RunNumber(bytes.below(4) as u64),
        1 => row.key.node = NodeIndex(number(bytes) as u32),
        2 => numbers.added_revision = number(bytes),
        3 => numbers.added_ns = number(bytes),
        4 => numbers.since_ns = number(bytes),
        5 => numbers.state = state(bytes),
        6 => numbers.time_in_state_ns[state(bytes)] = number(bytes),
        7 => {
            numbers.transitions = Counter::new(number(bytes));
            numbers.out.sent = Counter::new(number(bytes));
        }
        _ => row.name = "somebody-else".parse().expect("this is a name"),
    }
}

fn of_edge(row: &mut EdgeRow, bytes: &mut Bytes<'_>) {
    match bytes.below(6) {
        0 => row.key.edge = EdgeId(number(bytes) as u32),
        1 => row.added_revision = number(bytes),
        2 => row.source = NodeIndex(bytes.below(6) as u32),
        3 => row.target = NodeIndex(bytes.below(6) as u32),
        4 => row.counters.delivered = Counter::new(number(bytes)),
        _ => row.histograms.handling.buckets[bytes.below(48)] = number(bytes),
    }
}

fn of_level(level: &mut Level, bytes: &mut Bytes<'_>) {
    let retired = &mut level.retired;
    match bytes.below(5) {
        0 => retired.nodes = Counter::new(number(bytes)),
        1 => retired.transitions = Counter::new(number(bytes)),
        2 => retired.time_in_state_ns[state(bytes)] = u128::from(number(bytes)) << bytes.below(120),
        3 => retired.out.sent = Counter::new(number(bytes)),
        _ => level.transitions = Counter::new(number(bytes)),
    }
}

fn state(bytes: &mut Bytes<'_>) -> LifeCycle {
    LifeCycle::ALL[bytes.below(LifeCycle::ALL.len())]
}

/// One byte of what is sent is another one, if that can be read.
fn flip(reply: &mut ClientReply, bytes: &mut Bytes<'_>) {
    let Ok(mut body) = encode(reply) else {
        return;
    };
    let place = bytes.below(body.len());
    body[place] = bytes.byte();
    if let Ok(other) = decode(&body) {
        *reply = other;
    }
}
