//! What a book was told, for a copy of it on another thread that is told the same.
//!
//! Snapshots share their rows with the book that publishes them, so that each row that changes after one was published is
//! copied first. Whoever must not pay for that leaves publishing to a copy of its book, and writes down what it was told:
//! that costs the same whether anybody looks or nobody.

use dataflow_ids::stats::{ActorRow, Downloads, EdgeKey, NodeKey, PeerRow, PoolRow, RunNumber};

use super::book::Book;
use super::facts::{EdgeFacts, ProcessFacts, Transition};
use super::slots::Share;
use crate::time::Time;

/// How much is written down at most; after that, the copy is made anew. An edge's facts count for [`EDGE_WEIGHT`].
const WEIGHT_MAX: usize = 65_536;
/// How much room an edge's facts take, beside a transition.
const EDGE_WEIGHT: usize = 32;

/// One thing that a book was told.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Transition(RunNumber, Transition),
    EdgeRead(EdgeKey, Box<EdgeFacts>),
    ProcessRead(NodeKey, ProcessFacts),
    Actors(Vec<ActorRow>),
    Peers(Vec<PeerRow>),
    Downloads(Downloads),
    Pool(PoolRow),
    Audited(u64, u64),
}

/// What a book was told since its last changes were taken.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_kept: bool,
    facts: Vec<Fact>,
    weight: usize,
    /// Something has happened that is not written down.
    has_gap: bool,
}

/// A copy is told, and tells nobody.
impl Clone for Journal {
    fn clone(&self) -> Self {
        Journal::default()
    }
}

impl Journal {
    /// Writes down what `fact` gives, if anybody wants to read it.
    pub(super) fn write(&mut self, weight: usize, fact: impl FnOnce() -> Fact) {
        if !self.is_kept || self.has_gap {
            return;
        }
        self.weight += weight;
        if self.weight > WEIGHT_MAX {
            self.leave_gap();
        } else {
            self.facts.push(fact());
        }
    }

    pub(super) fn write_edge(&mut self, key: EdgeKey, facts: &EdgeFacts) {
        self.write(EDGE_WEIGHT, || Fact::EdgeRead(key, Box::new(*facts)));
    }

    /// Something happens that is not written down: the copy is to be made anew.
    pub(super) fn leave_gap(&mut self) {
        if self.is_kept {
            self.facts = Vec::new();
            self.has_gap = true;
        }
    }
}

/// What leads from what a copy knows to what the book knows.
#[derive(Debug, Clone)]
pub struct Changes {
    what: What,
    at: Option<Time>,
}

#[derive(Debug, Clone)]
enum What {
    Facts(Vec<Fact>),
    Whole(Box<Book>),
}

impl Book {
    /// A copy that [`Book::changes`] keep equal to this book, with which it shares what neither changes.
    #[must_use]
    pub fn begin_copy(&mut self) -> Book {
        self.journal = Journal {
            is_kept: true,
            ..Journal::default()
        };
        self.fork()
    }

    /// A copy that shares all rows with this book until one of both changes them.
    pub(in crate::stats) fn fork(&mut self) -> Book {
        self.now.share();
        self.clone()
    }

    /// How much there is to be told to the copy, in the room that a transition takes.
    #[must_use]
    pub fn untold(&self) -> usize {
        self.journal.weight
    }

    /// What the copy has not been told yet; with the moment of a snapshot, if there is to be one of it. Each is to be
    /// followed once, in their order. With `is_lost` something of the earlier ones was lost, and these are the whole.
    pub fn changes(&mut self, at: Option<Time>, is_lost: bool) -> Changes {
        if let Some(at) = at {
            self.moment(at);
        }
        let journal = std::mem::replace(
            &mut self.journal,
            Journal {
                is_kept: true,
                ..Journal::default()
            },
        );
        let what = if is_lost || journal.has_gap || !journal.is_kept {
            What::Whole(Box::new(self.fork()))
        } else {
            What::Facts(journal.facts)
        };
        Changes { what, at }
    }

    /// Makes this copy what the book was when the changes were taken.
    pub fn follow(&mut self, changes: Changes) {
        match changes.what {
            What::Whole(book) => *self = *book,
            What::Facts(facts) => {
                for fact in facts {
                    self.take(fact);
                }
            }
        }
        if let Some(at) = changes.at {
            self.moment(at);
        }
    }

    /// What the book has refused, its copy refuses too.
    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Transition(run, transition) => {
                let _ = self.transition(run, transition);
            }
            Fact::EdgeRead(key, facts) => {
                let _ = self.edge_read(key, &facts);
            }
            Fact::ProcessRead(key, facts) => {
                let _ = self.process_read(key, &facts);
            }
            Fact::Actors(rows) => self.actors(rows),
            Fact::Peers(rows) => self.peers(rows),
            Fact::Downloads(downloads) => self.downloads(downloads),
            Fact::Pool(row) => self.pool(row),
            Fact::Audited(recounted, mismatches) => self.audited(recounted, mismatches),
        }
    }
}

impl Changes {
    /// The moment of the snapshot that is to be made of the copy when it has followed, if there is to be one.
    #[must_use]
    pub fn published_at(&self) -> Option<Time> {
        self.at
    }

    /// Whether they are the whole, which makes a copy what it is to be whatever it was.
    #[must_use]
    pub fn are_whole(&self) -> bool {
        matches!(self.what, What::Whole(_))
    }
}
