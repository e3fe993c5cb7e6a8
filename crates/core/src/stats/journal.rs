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

/// One thing that a book was told. Most are transitions, and none takes more room than they do.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Transition(RunNumber, Transition),
    CaughtUp(RunNumber, Box<Transition>),
    EdgeRead(EdgeKey, Box<EdgeFacts>),
    ProcessRead(NodeKey, Box<ProcessFacts>),
    Actors(Vec<ActorRow>),
    Peers(Vec<PeerRow>),
    Downloads(Box<Downloads>),
    Pool(Box<PoolRow>),
    Audited(u64, u64),
}

const _: () = assert!(size_of::<Fact>() <= size_of::<(RunNumber, Transition)>());

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
    /// The book's revision after them.
    revision: u64,
}

/// A copy was told all that its book was, and is not what the book is: something was lost on the way, or was not written
/// down, which is a fault in ours. It has to be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the copy has revision {copy} where the book has {book}: it has to be told the whole")]
pub struct Strayed {
    /// The copy's revision.
    pub copy: u64,
    /// The book's.
    pub book: u64,
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

    /// The copy is lost, or something that it was to be told: the next changes are the whole.
    pub fn copy_is_lost(&mut self) {
        self.journal.leave_gap();
    }

    /// What the copy has not been told yet; with the moment of a snapshot, if there is to be one of it. Each is to be
    /// followed once, in their order.
    pub fn changes(&mut self, at: Option<Time>) -> Changes {
        if let Some(at) = at {
            self.moment(at);
        }
        let next = Journal {
            is_kept: true,
            // The next are likely to be about as many.
            facts: Vec::with_capacity(self.journal.facts.len()),
            ..Journal::default()
        };
        let journal = std::mem::replace(&mut self.journal, next);
        let what = if journal.has_gap || !journal.is_kept {
            What::Whole(Box::new(self.fork()))
        } else {
            What::Facts(journal.facts)
        };
        Changes {
            what,
            at,
            revision: self.revision(),
        }
    }

    /// Makes this copy what the book was when the changes were taken.
    ///
    /// # Errors
    ///
    /// [`Strayed`] when it is something else then: it is good for nothing until it has followed the whole.
    pub fn follow(&mut self, changes: Changes) -> Result<(), Strayed> {
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
        let (copy, book) = (self.revision(), changes.revision);
        (copy == book).then_some(()).ok_or(Strayed { copy, book })
    }

    /// What the book has refused, its copy refuses too.
    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Transition(run, transition) => {
                let _ = self.transition(run, transition);
            }
            Fact::CaughtUp(run, stands) => {
                let _ = self.catch_up(run, *stands);
            }
            Fact::EdgeRead(key, facts) => {
                let _ = self.edge_read(key, &facts);
            }
            Fact::ProcessRead(key, facts) => {
                let _ = self.process_read(key, &facts);
            }
            Fact::Actors(rows) => self.actors(rows),
            Fact::Peers(rows) => self.peers(rows),
            Fact::Downloads(downloads) => self.downloads(*downloads),
            Fact::Pool(row) => self.pool(*row),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::stats::Keeper;
    use dataflow_ids::{DataflowName, Epoch, LifeCycle, NodeId, NodeIndex};

    use super::super::GROUPS_MAX;
    use super::*;

    #[test]
    fn a_copy_that_was_not_told_everything_says_so_and_the_whole_mends_it() {
        let peer = "here".parse().expect("a name");
        let flow = DataflowName::new("flow").expect("a name");
        let name = NodeId::new("worker").expect("a name");
        let at = |ms| Time(Duration::from_millis(ms));
        let mut book = Book::new(Keeper(1), GROUPS_MAX);
        let run = book.add_dataflow(at(0), peer, "a run".to_owned(), flow);
        for node in (0..3).map(NodeIndex) {
            let key = NodeKey { run, node };
            book.add_node(at(0), key, &name).expect("its run is there");
        }
        let mut copy = book.begin_copy();
        for node in (0..3).map(NodeIndex) {
            let placed = Transition {
                node,
                to: LifeCycle::Placed,
                epoch: Epoch::NONE,
                sequence: 1,
                at: at(1),
            };
            book.transition(run, placed).expect("it is allowed");
        }
        let mut changes = book.changes(Some(at(2)));
        let What::Facts(facts) = &mut changes.what else {
            panic!("nothing was lost: {changes:?}");
        };
        assert_eq!(facts.len(), 3);
        facts.remove(1);
        let strayed = Strayed {
            copy: book.revision() - 1,
            book: book.revision(),
        };
        assert_eq!(copy.follow(changes), Err(strayed));
        // What comes next does not make up for it.
        assert_eq!(copy.follow(book.changes(None)), Err(strayed));
        book.copy_is_lost();
        assert_eq!(copy.follow(book.changes(None)), Ok(()));
        let [copied, kept] = [&mut copy, &mut book].map(|book| book.publish(at(3)).statistics());
        assert_eq!(copied, kept);
    }
}
