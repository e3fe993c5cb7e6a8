//! A whole that comes in, as what it changes of what is known.

use std::collections::BTreeSet;

use dataflow_ids::stats::{Delta, EdgeKey, NodeKey, RunNumber, Statistics};

use super::super::book::Book;
use super::sources::Known;

/// Puts rows in the order of their keys, of each the first. They have it, if their keeper is correct.
fn put_in_order<R, K: Ord>(rows: &mut Vec<R>, key: impl Fn(&R) -> K) {
    if !rows.is_sorted_by(|one, next| key(one) < key(next)) {
        rows.sort_by_key(&key);
        rows.dedup_by_key(|row| key(row));
    }
}

/// What a whole changes of what is known. Each member has one row in it.
pub(super) fn as_delta(book: &Book, known: &Known, mut all: Statistics) -> Delta {
    put_in_order(&mut all.nodes, |row| row.key);
    put_in_order(&mut all.edges, |row| row.key);
    let runs: BTreeSet<RunNumber> = all.dataflows.iter().map(|row| row.number).collect();
    let nodes: BTreeSet<NodeKey> = all.nodes.iter().map(|row| row.key).collect();
    let edges: BTreeSet<EdgeKey> = all.edges.iter().map(|row| row.key).collect();
    let mut delta = Delta {
        keeper: all.keeper,
        from: known.revision,
        to: all.revision,
        at_ns: all.at_ns,
        total: Some(Box::new(all.total)),
        dataflows: all.dataflows,
        dataflows_gone: Vec::new(),
        groups: all.groups,
        nodes: all.nodes,
        nodes_gone: Vec::new(),
        edges: all.edges,
        edges_gone: Vec::new(),
        actors: Some(all.actors),
        peers: Some(all.peers),
        downloads: Some(all.downloads),
        pool: all.pool,
        audit: Some(all.audit),
    };
    for (theirs, run) in &known.runs {
        let Some(there) = book.now.runs.get(run.number.0) else {
            continue;
        };
        if !runs.contains(theirs) {
            delta.dataflows_gone.push(*theirs);
            continue;
        }
        let run = *theirs;
        for key in there
            .lives
            .iter()
            .filter_map(|(node, _)| there.node_key(node))
        {
            let key = NodeKey { run, ..key };
            if !nodes.contains(&key) {
                delta.nodes_gone.push(key);
            }
        }
        for key in there
            .edges
            .iter()
            .filter_map(|(edge, _)| there.edge_key(edge))
        {
            let key = EdgeKey { run, ..key };
            if !edges.contains(&key) {
                delta.edges_gone.push(key);
            }
        }
    }
    delta
}
