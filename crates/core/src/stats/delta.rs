//! What has changed between two snapshots, and how somebody who has the first gets the second.

use std::collections::BTreeSet;
use std::sync::Arc;

use dataflow_ids::stats::{Delta, Statistics};

use super::groups::key_of;
use super::rows::Run;
use super::snapshot::Snapshot;

/// A delta does not follow on what is known: the whole has to be asked for again. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// Changes lie between what is known and where it begins, or it begins earlier than what is known.
    #[error("a delta follows on revision {from}, and known is {known}: ask for the whole")]
    Missed {
        /// The revision that it follows on.
        from: u64,
        /// The revision that is known.
        known: u64,
    },
    /// It is of another keeper: whoever kept them has begun anew.
    #[error("a delta is of another keeper than what is known: ask for the whole")]
    AnotherKeeper,
}

impl Snapshot {
    /// What has changed since an earlier snapshot of the same book. Pages that have not changed are not looked at.
    #[must_use]
    pub fn since(&self, earlier: &Snapshot) -> Delta {
        let mut delta = Delta {
            keeper: self.keeper,
            from: earlier.revision,
            to: self.revision,
            at_ns: self.at_ns,
            total: (earlier.total != self.total).then(|| self.total.clone()),
            dataflows: Vec::new(),
            dataflows_gone: Vec::new(),
            groups: self.groups.changed_since(&earlier.groups),
            nodes: Vec::new(),
            nodes_gone: Vec::new(),
            edges: Vec::new(),
            edges_gone: Vec::new(),
            actors: changed(&earlier.actors, &self.actors),
            peers: changed(&earlier.peers, &self.peers),
            downloads: changed(&earlier.downloads, &self.downloads),
            pool: self.pool.filter(|_| earlier.pool != self.pool),
            audit: (earlier.audit != self.audit).then_some(self.audit),
        };
        (earlier.runs).compare(
            &self.runs,
            |_, _| false,
            |_, before, after| match (before, after) {
                (Some(before), Some(after)) => run_since(&mut delta, before, after),
                (None, Some(after)) => {
                    let nothing = Run {
                        level: after.level,
                        ..Run::new(Arc::clone(&after.spec))
                    };
                    delta.dataflows.push(after.row());
                    run_since(&mut delta, &nothing, after);
                }
                (Some(before), None) => delta.dataflows_gone.push(before.spec.number),
                (None, None) => {}
            },
        );
        delta
    }
}

fn same<T: PartialEq>(before: &Arc<T>, after: &Arc<T>) -> bool {
    Arc::ptr_eq(before, after) || before == after
}

fn changed<T: PartialEq + Clone>(before: &Arc<T>, after: &Arc<T>) -> Option<T> {
    (!same(before, after)).then(|| T::clone(after))
}

fn run_since(delta: &mut Delta, before: &Run, after: &Run) {
    if before.level != after.level {
        delta.dataflows.push(after.row());
    }
    let mut changed = BTreeSet::new();
    (before.lives).compare(
        &after.lives,
        |old, new| old.sequence == new.sequence,
        |node, _, now| match now {
            Some(_) => {
                changed.insert(node);
            }
            None => delta.nodes_gone.extend(after.node_key(node)),
        },
    );
    (before.traffic).compare(
        &after.traffic,
        |old, new| old.sequence == new.sequence,
        |node, _, now| {
            if now.is_some() {
                changed.insert(node);
            }
        },
    );
    let rows = changed.into_iter().filter_map(|node| after.node_row(node));
    delta.nodes.extend(rows);
    (before.edge_numbers).compare(
        &after.edge_numbers,
        |old, new| old.sequence == new.sequence,
        |edge, _, now| match now {
            Some(_) => delta.edges.extend(after.edge_row(edge)),
            None => delta.edges_gone.extend(after.edge_key(edge)),
        },
    );
}

/// Makes of what is known what it is after a delta. One that leads nowhere new changes nothing, so one may come twice, or
/// late. What is known is then what a snapshot of that revision says, byte for byte.
///
/// # Errors
///
/// [`Gap`] when the delta does not follow on what is known.
pub fn apply(known: &mut Statistics, delta: &Delta) -> Result<(), Gap> {
    if delta.keeper != known.keeper {
        return Err(Gap::AnotherKeeper);
    }
    if delta.to < known.revision || (delta.to, delta.at_ns) <= (known.revision, known.at_ns) {
        return Ok(());
    }
    if delta.to == known.revision {
        // The same rows, at a later moment.
        known.at_ns = delta.at_ns;
        return Ok(());
    }
    // One that begins earlier does not say what has come since then and gone again.
    if delta.from != known.revision {
        return Err(Gap::Missed {
            from: delta.from,
            known: known.revision,
        });
    }
    known.revision = delta.to;
    known.at_ns = delta.at_ns;
    if let Some(total) = &delta.total {
        known.total = **total;
    }
    let runs_gone: BTreeSet<_> = delta.dataflows_gone.iter().copied().collect();
    if !runs_gone.is_empty() {
        known
            .dataflows
            .retain(|row| !runs_gone.contains(&row.number));
        known.nodes.retain(|row| !runs_gone.contains(&row.key.run));
        known.edges.retain(|row| !runs_gone.contains(&row.key.run));
    }
    if !delta.nodes_gone.is_empty() {
        let gone: BTreeSet<_> = delta.nodes_gone.iter().collect();
        known.nodes.retain(|row| !gone.contains(&row.key));
    }
    if !delta.edges_gone.is_empty() {
        let gone: BTreeSet<_> = delta.edges_gone.iter().collect();
        known.edges.retain(|row| !gone.contains(&row.key));
    }
    put(&mut known.dataflows, &delta.dataflows, |one, other| {
        one.number.cmp(&other.number)
    });
    put(&mut known.groups, &delta.groups, |one, other| {
        key_of(one).cmp(&key_of(other))
    });
    put(&mut known.nodes, &delta.nodes, |one, other| {
        one.key.cmp(&other.key)
    });
    put(&mut known.edges, &delta.edges, |one, other| {
        one.key.cmp(&other.key)
    });
    if let Some(actors) = &delta.actors {
        known.actors.clone_from(actors);
    }
    if let Some(peers) = &delta.peers {
        known.peers.clone_from(peers);
    }
    if let Some(downloads) = &delta.downloads {
        known.downloads.clone_from(downloads);
    }
    known.pool = delta.pool.or(known.pool);
    known.audit = delta.audit.unwrap_or(known.audit);
    Ok(())
}

/// Puts rows in their places in an ordered list. New ones are sorted in all at once, so that many of them in any order
/// cost no more than their sorting.
fn put<T: Clone>(known: &mut Vec<T>, changed: &[T], order: impl Fn(&T, &T) -> std::cmp::Ordering) {
    let mut is_new = false;
    let there = known.len();
    for row in changed {
        match known[..there].binary_search_by(|known| order(known, row)) {
            Ok(place) => known[place].clone_from(row),
            Err(_) => {
                is_new = true;
                known.push(row.clone());
            }
        }
    }
    if is_new {
        known.sort_by(&order);
        // Of two with one key, which no book says, the first stays.
        known.dedup_by(|one, other| order(one, other).is_eq());
    }
}
