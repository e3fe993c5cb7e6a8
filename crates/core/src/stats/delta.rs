//! What has changed between two snapshots, and how somebody who has the first gets the second.

use std::collections::BTreeSet;
use std::sync::Arc;

use dataflow_ids::NodeId;
use dataflow_ids::stats::{
    DataflowRow, Delta, EdgeKey, EdgeRow, GroupRow, NodeKey, NodeRow, RunNumber, Statistics,
};

use super::groups::key_of;
use super::misplaced::{Marked, Misplaced, Span, belong, epoch_stays};
use super::rows::Run;
use super::snapshot::Snapshot;
use crate::broken::{Rule, is_broken};

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
    /// A row in it is older than what is known, or belongs into another delta.
    #[error("a row of a delta does not belong to it ({0}): ask for the whole")]
    Misplaced(#[from] Misplaced),
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

/// What goes with a delta.
struct Gone<'d> {
    runs: BTreeSet<RunNumber>,
    nodes: BTreeSet<&'d NodeKey>,
    edges: BTreeSet<&'d EdgeKey>,
}

/// Makes of what is known what it is after a delta. One that leads nowhere new changes nothing, so one may come twice, or
/// late. What is known is then what a snapshot of that revision says, byte for byte.
///
/// # Errors
///
/// [`Gap`] when the delta does not follow on what is known, or a row in it does not. Nothing has changed then.
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
    if delta.from != known.revision && !is_broken(Rule::MissedDeltaIsNotSeen) {
        return Err(Gap::Missed {
            from: delta.from,
            known: known.revision,
        });
    }
    let gone = Gone {
        runs: delta.dataflows_gone.iter().copied().collect(),
        nodes: delta.nodes_gone.iter().collect(),
        edges: delta.edges_gone.iter().collect(),
    };
    rows_belong(known, delta, &gone)?;
    known.revision = delta.to;
    known.at_ns = delta.at_ns;
    if let Some(total) = &delta.total {
        known.total = **total;
    }
    if !gone.runs.is_empty() {
        known
            .dataflows
            .retain(|row| !gone.runs.contains(&row.number));
        known.nodes.retain(|row| !gone.runs.contains(&row.key.run));
        known.edges.retain(|row| !gone.runs.contains(&row.key.run));
    }
    if !gone.nodes.is_empty() {
        known.nodes.retain(|row| !gone.nodes.contains(&row.key));
    }
    if !gone.edges.is_empty() {
        known.edges.retain(|row| !gone.edges.contains(&row.key));
    }
    put(&mut known.dataflows, &delta.dataflows);
    put(&mut known.groups, &delta.groups);
    put(&mut known.nodes, &delta.nodes);
    put(&mut known.edges, &delta.edges);
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

/// Whether each row is what becomes of one that is known, or of a member that has come since.
fn rows_belong(known: &Statistics, delta: &Delta, gone: &Gone<'_>) -> Result<(), Misplaced> {
    let span = Span {
        from: delta.from,
        to: delta.to,
    };
    let has_run = |run: RunNumber| {
        let is_among = |rows: &[DataflowRow]| rows.binary_search_by_key(&run, |row| row.number);
        is_among(&delta.dataflows).is_ok()
            || (is_among(&known.dataflows).is_ok() && !gone.runs.contains(&run))
    };
    let mut before = None;
    belong(&delta.nodes, span, has_run, |row| {
        let is_gone = gone.runs.contains(&row.key.run) || gone.nodes.contains(&row.key);
        let there = same_member(&known.nodes, &mut before, row, is_gone)?;
        epoch_stays(row.numbers.epoch, there.numbers.epoch)
    })?;
    let mut before = None;
    belong(&delta.edges, span, has_run, |row| {
        let is_gone = gone.runs.contains(&row.key.run) || gone.edges.contains(&row.key);
        same_member(&known.edges, &mut before, row, is_gone).map(drop)
    })
}

/// What is known of a row's member, which came in before the delta begins. `before` is where the one was that was looked for
/// before.
fn same_member<'k, T: Row + Marked>(
    known: &'k [T],
    before: &mut Option<usize>,
    row: &T,
    is_gone: bool,
) -> Result<&'k T, Misplaced> {
    let place = find(known, *before, row).filter(|_| !is_gone);
    let place = place.ok_or(Misplaced::Gone)?;
    *before = Some(place);
    let there = &known[place];
    let (sequence, added_revision) = (row.sequence(), row.added_revision());
    if added_revision != there.added_revision() {
        return Err(Misplaced::Added { added_revision });
    }
    if sequence <= there.sequence() {
        let known = there.sequence();
        return Err(Misplaced::Late { sequence, known });
    }
    Ok(there)
}

/// A row of a list that is in the order of the rows' keys.
trait Row: Clone {
    type Key<'r>: Ord
    where
        Self: 'r;

    fn key(&self) -> Self::Key<'_>;

    /// How far behind this row another one lies when none is missing between them, if that can be said.
    fn distance_to(&self, _later: &Self) -> Option<u32> {
        None
    }

    /// Becomes another row of the same key.
    fn become_that(&mut self, other: &Self) {
        self.clone_from(other);
    }
}

impl Row for DataflowRow {
    type Key<'r> = RunNumber;

    fn key(&self) -> RunNumber {
        self.number
    }
}

impl Row for GroupRow {
    type Key<'r> = (bool, Option<&'r NodeId>);

    fn key(&self) -> Self::Key<'_> {
        key_of(self)
    }
}

impl Row for NodeRow {
    type Key<'r> = NodeKey;

    fn key(&self) -> NodeKey {
        self.key
    }

    fn distance_to(&self, later: &NodeRow) -> Option<u32> {
        let is_same_run = self.key.run == later.key.run;
        later
            .key
            .node
            .0
            .checked_sub(self.key.node.0)
            .filter(|_| is_same_run)
    }

    fn become_that(&mut self, other: &NodeRow) {
        let NodeRow {
            key,
            name,
            pid,
            numbers,
        } = other;
        // Few rows change their names, and each name is memory of its own.
        if self.name != *name {
            self.name.clone_from(name);
        }
        (self.key, self.pid, self.numbers) = (*key, *pid, *numbers);
    }
}

impl Row for EdgeRow {
    type Key<'r> = EdgeKey;

    fn key(&self) -> EdgeKey {
        self.key
    }

    fn distance_to(&self, later: &EdgeRow) -> Option<u32> {
        let is_same_run = self.key.run == later.key.run;
        later
            .key
            .edge
            .0
            .checked_sub(self.key.edge.0)
            .filter(|_| is_same_run)
    }
}

/// Where a row with this row's key is, if there is one: `before` is where the one was that was looked for before.
fn find<T: Row>(known: &[T], before: Option<usize>, row: &T) -> Option<usize> {
    // A search goes to many rows that are in no cache, and without gaps it is where it is expected.
    let expected = before.and_then(|before| {
        let distance = known.get(before)?.distance_to(row)?;
        before.checked_add(distance as usize)
    });
    let is_it = |place: &usize| {
        known
            .get(*place)
            .is_some_and(|there| there.key() == row.key())
    };
    expected.filter(is_it).or_else(|| {
        known
            .binary_search_by(|there| there.key().cmp(&row.key()))
            .ok()
    })
}

/// Puts rows in their places in an ordered list. New ones are sorted in all at once, so that many of them in any order
/// cost no more than their sorting.
fn put<T: Row>(known: &mut Vec<T>, changed: &[T]) {
    let mut is_new = false;
    let there = known.len();
    let mut before = None;
    for row in changed {
        match find(&known[..there], before, row) {
            Some(place) => {
                known[place].become_that(row);
                before = Some(place);
            }
            None => {
                is_new = true;
                known.push(row.clone());
            }
        }
    }
    if is_new {
        known.sort_by(|one, other| one.key().cmp(&other.key()));
        // Of two with one key, which no book says, the first stays.
        known.dedup_by(|one, other| one.key() == other.key());
    }
}
