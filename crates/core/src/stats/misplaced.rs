//! Which rows belong into a delta, whoever receives it.
//!
//! A delta leads from one revision of a keeper to a later one, and has the members that have changed between them as they are
//! at the later one, in the order of their keys. A row's sequence is the keeper's revision at its last change, so it lies
//! between both; and a member that came in before the first is known to whoever knows that revision.
//!
//! A row that is older than what is known is not passed over: then what is known would have the delta's revision, and not be
//! what the keeper has said of that revision, and nobody would ever notice. The delta is refused whole instead, and the whole
//! is asked for. What comes twice or late in a correct conversation does not come here: a whole delta that leads nowhere new
//! changes nothing, whatever is in it.

use dataflow_ids::Epoch;
use dataflow_ids::stats::{EdgeKey, EdgeRow, NodeKey, NodeRow, RunNumber};

use crate::broken::{Rule, is_broken};

/// A row does not belong into the delta that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// It has changed before the delta begins, or after it ends.
    #[error("it changed last at revision {sequence}, and the delta leads from {from} to {to}")]
    Sequence {
        /// The row's.
        sequence: u64,
        /// The revision that the delta follows on.
        from: u64,
        /// The revision that it leads to.
        to: u64,
    },
    /// It came in after its last change, or is the row of another member than the one that is known.
    #[error("its member came in at revision {added_revision}, which cannot be")]
    Added {
        /// When it came in, as the row says.
        added_revision: u64,
    },
    /// It comes twice, or after a row that it comes before.
    #[error("it comes twice, or out of order")]
    Order,
    /// Its run, or its member that came in before the delta begins, is not there: it has gone, or never came.
    #[error("it is of a member that has gone")]
    Gone,
    /// It is not newer than what is known of the same member.
    #[error("it changed last at revision {sequence}, and {known} is known")]
    Late {
        /// The row's.
        sequence: u64,
        /// What is known.
        known: u64,
    },
    /// It is of an earlier incarnation than what is known of the same node.
    #[error("it is of incarnation {epoch}, and {known} has begun")]
    Epoch {
        /// The row's.
        epoch: Epoch,
        /// What is known.
        known: Epoch,
    },
}

/// The revisions that a delta follows on and leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Span {
    /// Whether a member that came in at this revision was not there at the beginning.
    pub(super) fn is_new(self, added_revision: u64) -> bool {
        added_revision > self.from
    }
}

/// A row that says when it has changed.
pub(super) trait Marked {
    type Key: Ord + Copy;

    fn key(&self) -> Self::Key;
    fn run(&self) -> RunNumber;
    fn sequence(&self) -> u64;
    fn added_revision(&self) -> u64;
}

impl Marked for NodeRow {
    type Key = NodeKey;

    fn key(&self) -> NodeKey {
        self.key
    }

    fn run(&self) -> RunNumber {
        self.key.run
    }

    fn sequence(&self) -> u64 {
        self.numbers.sequence
    }

    fn added_revision(&self) -> u64 {
        self.numbers.added_revision
    }
}

impl Marked for EdgeRow {
    type Key = EdgeKey;

    fn key(&self) -> EdgeKey {
        self.key
    }

    fn run(&self) -> RunNumber {
        self.key.run
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn added_revision(&self) -> u64 {
        self.added_revision
    }
}

/// Looks at the rows of one kind. `has_run` says whether a run is there after the delta; `stays` is asked of each member that
/// was there at its beginning and says what is wrong, if anything is, beside what is known of that member.
pub(super) fn belong<R: Marked>(
    rows: &[R],
    span: Span,
    mut has_run: impl FnMut(RunNumber) -> bool,
    mut stays: impl FnMut(&R) -> Result<(), Misplaced>,
) -> Result<(), Misplaced> {
    if is_broken(Rule::AnyRowBelongs) {
        return Ok(());
    }
    let Span { from, to } = span;
    let mut before: Option<&R> = None;
    for row in rows {
        let (sequence, added_revision) = (row.sequence(), row.added_revision());
        if sequence <= from || sequence > to {
            return Err(Misplaced::Sequence { sequence, from, to });
        }
        if added_revision > sequence {
            return Err(Misplaced::Added { added_revision });
        }
        if before.is_some_and(|before| before.key() >= row.key()) {
            return Err(Misplaced::Order);
        }
        let is_known_run = before.is_some_and(|before| before.run() == row.run());
        if !is_known_run && !has_run(row.run()) {
            return Err(Misplaced::Gone);
        }
        if !span.is_new(added_revision) {
            stays(row)?;
        }
        before = Some(row);
    }
    Ok(())
}

/// Whether a row of a node is of the incarnation that is known, or a later one.
pub(super) fn epoch_stays(epoch: Epoch, known: Epoch) -> Result<(), Misplaced> {
    let goes_back = epoch < known;
    (!goes_back)
        .then_some(())
        .ok_or(Misplaced::Epoch { epoch, known })
}
