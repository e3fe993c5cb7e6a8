//! Whether the rows of a delta follow on what a collector knows of its source.
//!
//! Its own rows have numbers of its own, so it does not know those of a source's rows: but each of them lies before the revision
//! that it knows of the source, and each that belongs into a delta lies after that.

use std::collections::BTreeSet;

use dataflow_ids::stats::{Delta, EdgeKey, NodeKey, RunNumber};

use super::super::book::Book;
use super::super::misplaced::{Misplaced, Span, belong, epoch_stays};
use super::sources::Known;

/// Whether each row is what becomes of one that is known, or of a member that has come since.
pub(super) fn rows_belong(book: &Book, known: &Known, delta: &Delta) -> Result<(), Misplaced> {
    let span = Span {
        from: delta.from,
        to: delta.to,
    };
    let runs_gone: BTreeSet<RunNumber> = delta.dataflows_gone.iter().copied().collect();
    let nodes_gone: BTreeSet<&NodeKey> = delta.nodes_gone.iter().collect();
    let edges_gone: BTreeSet<&EdgeKey> = delta.edges_gone.iter().collect();
    let ours = |run: RunNumber| {
        let there = known.runs.get(&run).map(|run| run.number);
        there.filter(|_| !runs_gone.contains(&run))
    };
    let come: BTreeSet<RunNumber> = delta.dataflows.iter().map(|row| row.number).collect();
    let has_run = |run: RunNumber| come.contains(&run) || ours(run).is_some();
    belong(&delta.nodes, span, has_run, |row| {
        let run = ours(row.key.run).filter(|_| !nodes_gone.contains(&row.key));
        let run = run.and_then(|run| book.now.runs.get(run.0));
        let life = run.and_then(|run| run.lives.get(row.key.node.0.into()));
        let life = life.ok_or(Misplaced::Gone)?;
        epoch_stays(row.numbers.epoch, life.epoch)
    })?;
    belong(&delta.edges, span, has_run, |row| {
        let run = ours(row.key.run).filter(|_| !edges_gone.contains(&row.key));
        let edge = row.key.edge;
        let there = run.and_then(|run| book.now.edge(EdgeKey { run, edge }));
        there.map(drop).ok_or(Misplaced::Gone)
    })
}
