//! Who is collected from, and what is known of each.
//!
//! What a keeper has counted counts once, whatever happens to what it says: each counter here grows by how much that of
//! the keeper has grown since it was heard last. A keeper has a number ([`Keeper`]), and begins at zero; so of another
//! keeper at the same source everything counts anew, and what the one before has counted stays. Who has ended is
//! remembered, so that a late word of it does not count once more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dataflow_ids::stats::{
    ActorRow, Delta, Downloads, EdgeKey, Keeper, NodeKey, PeerRow, PoolRow, Retired, RunNumber,
    Statistics,
};
use dataflow_ids::{NodeId, PeerId};

use super::super::book::Book;
use super::super::misplaced::{Misplaced, Span};
use super::super::rows::RunSpec;
use super::super::snapshot::Snapshot;
use super::clock::{Offset, shifted};
use super::gone::Before;
use super::members::{self, Put};
use super::order::rows_belong;
use super::services::{self, Services};
use super::whole::as_delta;
use crate::broken::{Rule, is_broken};
use crate::time::Time;

/// How many keepers that have ended are remembered.
const ENDED_MAX: usize = 4096;

/// Whose statistics are collected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The peer.
    pub peer: PeerId,
    /// The run there; `None` for all that the peer's agent knows.
    pub run: Option<String>,
}

/// What came from a source was not taken, and nothing has changed: it has to be asked for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Resync {
    /// Nothing is known of the source yet, or it has gone.
    #[error("nothing is known of the source: ask for the whole")]
    Unknown,
    /// Whoever kept the statistics has begun anew.
    #[error("the source has begun anew: ask for the whole")]
    AnotherKeeper,
    /// Changes lie between what is known and where a delta begins, or it begins earlier than what is known.
    #[error("a delta follows on revision {from}, and known is {known}: ask for the whole")]
    Missed {
        /// The revision that it follows on.
        from: u64,
        /// The revision that is known.
        known: u64,
    },
    /// A row in it is older than what is known, or belongs into another delta.
    #[error("a row of a delta does not belong to it ({0}): ask for the whole")]
    Misplaced(#[from] Misplaced),
}

/// A whole was not taken: its keeper has ended, and what it has counted is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the keeper of these statistics has ended: what it has counted is counted")]
pub struct Ended;

/// A run of a source.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) number: RunNumber,
    pub(super) retired: Arc<Retired>,
}

/// What is known of a source.
#[derive(Debug, Clone)]
pub(super) struct Known {
    keeper: Keeper,
    pub(super) revision: u64,
    offset: Offset,
    pub(super) runs: BTreeMap<RunNumber, Run>,
    pub(super) total: Arc<Retired>,
    pub(super) groups: BTreeMap<Option<NodeId>, Arc<Retired>>,
}

/// Puts the statistics of several keepers together: of runs that come and go, and of whole agents.
///
/// Each run gets a number of the collector's own. A counter never falls and nothing counts twice, whatever comes twice,
/// late, out of order, or not at all. Moments count from long before the collector began, since members are older than
/// that; and those of another machine are as exact as the network is quick.
#[derive(Debug)]
pub struct Collector {
    book: Book,
    sources: BTreeMap<Source, Arc<Known>>,
    /// With that of this process itself, which is no source.
    services: BTreeMap<Option<Source>, Arc<Services>>,
    ended: Arc<VecDeque<Keeper>>,
    /// The moment of what was published last: what somebody has seen must not become less.
    published_ns: u64,
}

impl Collector {
    /// A collector without sources. `keeper` is a number that no other keeper ever had; at most `groups_max` names have a
    /// group of their own ([`GROUPS_MAX`](crate::stats::GROUPS_MAX)).
    #[must_use]
    pub fn new(keeper: Keeper, groups_max: usize) -> Collector {
        Collector {
            book: Book::new(keeper, groups_max),
            sources: BTreeMap::new(),
            services: BTreeMap::new(),
            ended: Arc::default(),
            published_ns: 0,
        }
    }

    /// A copy of this collector, which shares all that it knows until one of both changes it.
    #[must_use]
    pub fn fork(&mut self) -> Collector {
        Collector {
            book: self.book.fork(),
            sources: self.sources.clone(),
            services: self.services.clone(),
            ended: Arc::clone(&self.ended),
            published_ns: self.published_ns,
        }
    }

    /// All that was collected.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// All that was collected, for readers.
    pub fn publish(&mut self, at: Time) -> Arc<Snapshot> {
        let snapshot = self.book.publish(shifted(at));
        self.published_ns = snapshot.at_ns();
        snapshot
    }

    /// How many sources there are.
    #[must_use]
    pub fn sources_len(&self) -> usize {
        self.sources.len()
    }

    /// What an auditor of this collector's snapshots has found.
    pub fn audited(&mut self, recounted: u64, mismatches: u64) {
        self.book.audited(recounted, mismatches);
    }

    /// Takes all that a source knows. If its keeper is another one than before, what the one before has counted stays, and
    /// its members go.
    ///
    /// There is nothing else to ask for when something in it is older than what is known, which no correct keeper says: what
    /// is known stays then.
    ///
    /// # Errors
    ///
    /// [`Ended`] when it is late: the source has gone, or its keeper has ended. Nothing has changed then.
    pub fn whole(&mut self, at: Time, source: &Source, all: Statistics) -> Result<(), Ended> {
        if self.ended.contains(&all.keeper) && !is_broken(Rule::EndedKeeperCounts) {
            return Err(Ended);
        }
        let now_ns = self.book.moment(shifted(at));
        let known = self.sources.get(source);
        if known.is_some_and(|known| known.keeper != all.keeper) {
            self.end(now_ns, source);
        }
        let known = (self.sources.entry(source.clone())).or_insert_with(|| {
            Arc::new(Known {
                keeper: all.keeper,
                revision: 0,
                offset: Offset::new(all.at_ns, now_ns),
                runs: BTreeMap::new(),
                total: Arc::default(),
                groups: BTreeMap::new(),
            })
        });
        if all.revision < known.revision {
            return Ok(());
        }
        let delta = as_delta(&self.book, known, all);
        self.take(now_ns, source, delta);
        Ok(())
    }

    /// Takes what has changed at a source. One that leads nowhere new changes nothing.
    ///
    /// # Errors
    ///
    /// [`Resync`] when it does not follow on what is known, or a row in it does not. Nothing has changed then.
    pub fn delta(&mut self, at: Time, source: &Source, delta: Delta) -> Result<(), Resync> {
        let known = self.sources.get(source).ok_or(Resync::Unknown)?;
        if known.keeper != delta.keeper {
            return Err(Resync::AnotherKeeper);
        }
        if delta.to <= known.revision {
            return Ok(());
        }
        // One that begins earlier does not say what has come since then and gone again.
        if delta.from != known.revision && !is_broken(Rule::MissedDeltaIsNotSeen) {
            return Err(Resync::Missed {
                from: delta.from,
                known: known.revision,
            });
        }
        rows_belong(&self.book, known, &delta)?;
        let now_ns = self.book.moment(shifted(at));
        self.take(now_ns, source, delta);
        Ok(())
    }

    /// A source has ended for good: its members go, and what they have counted stays. One that was lost and may come back
    /// has not gone: nothing need be said of it until it does.
    pub fn gone(&mut self, at: Time, source: &Source) {
        let now_ns = self.book.moment(shifted(at));
        self.end(now_ns, source);
    }

    fn end(&mut self, now_ns: u64, source: &Source) {
        let Some(known) = self.sources.remove(source) else {
            return;
        };
        for run in known.runs.values() {
            // It is there: nobody else removes it.
            let _ = self.book.remove_dataflow_at(now_ns, run.number);
        }
        if let Some(mut services) = self.services.remove(&Some(source.clone())) {
            let book = &mut self.book;
            let services = Arc::make_mut(&mut services);
            services::actors(book, services, &[]);
            services::pool(book, services, None);
            services::downloads(book, services, &Downloads::default());
            services::show(book, self.services.values());
        }
        let ended = Arc::make_mut(&mut self.ended);
        if ended.len() == ENDED_MAX {
            ended.pop_front();
        }
        ended.push_back(known.keeper);
    }

    fn take(&mut self, now_ns: u64, source: &Source, delta: Delta) {
        let Some(known) = self.sources.get_mut(source).map(Arc::make_mut) else {
            return;
        };
        known.revision = delta.to;
        known.offset.learn(delta.at_ns, now_ns);
        let book = &mut self.book;
        // What goes, went when the source said so, and not when the network has brought it; but not before a moment at
        // which somebody has seen it here.
        let published_ns = self.published_ns;
        let went_ns = (known.offset.ours(delta.at_ns).max(published_ns)).min(now_ns);
        let span = Span {
            from: delta.from,
            to: delta.to,
        };
        let put = |run: &Run, offset: Offset| Put {
            run: run.number,
            span,
            offset,
            published_ns,
            now_ns,
        };
        let before = Before::of(book, known, &delta);
        for run in &delta.dataflows_gone {
            if let Some(run) = known.runs.remove(run) {
                let _ = book.remove_dataflow_at(went_ns, run.number);
            }
        }
        for key in &delta.edges_gone {
            if let Some(run) = known.runs.get(&key.run) {
                let (run, edge) = (run.number, key.edge);
                let _ = book.remove_edge(EdgeKey { run, edge });
            }
        }
        for key in &delta.nodes_gone {
            if let Some(run) = known.runs.get(&key.run) {
                let (run, node) = (run.number, key.node);
                let _ = book.remove_node_at(went_ns, NodeKey { run, node });
            }
        }
        for row in &delta.dataflows {
            known.runs.entry(row.number).or_insert_with(|| Run {
                number: book.put_run(|number| RunSpec {
                    number,
                    peer: row.peer.clone(),
                    run: row.run.clone(),
                    name: row.name.clone(),
                    added_ns: known.offset.ours(row.added_ns).min(now_ns),
                    is_own: false,
                }),
                retired: Arc::default(),
            });
        }
        for row in &delta.groups {
            known.groups.entry(row.name.clone()).or_default();
        }
        for row in &delta.nodes {
            if let Some(run) = known.runs.get(&row.key.run) {
                let has_group = known.groups.contains_key(&Some(row.name.clone()));
                members::take_node(book, put(run, known.offset), row, |book| {
                    match has_group {
                        true => book.join_group(&row.name),
                        // Its keeper had none for it.
                        false => (book.nameless_group(), Arc::new(row.name.clone())),
                    }
                });
            }
        }
        for row in &delta.edges {
            if let Some(run) = known.runs.get(&row.key.run) {
                members::take_edge(book, put(run, known.offset), row);
            }
        }
        before.retire_more(book, known, &delta);
        self.take_services(source, delta);
    }

    fn take_services(&mut self, source: &Source, delta: Delta) {
        let has_rows = delta.downloads.is_some() || delta.peers.is_some();
        let has_any =
            has_rows || delta.actors.is_some() || delta.pool.is_some() || delta.audit.is_some();
        if !has_any {
            return;
        }
        let known = Arc::make_mut(self.services.entry(Some(source.clone())).or_default());
        let book = &mut self.book;
        if let Some(actors) = &delta.actors {
            services::actors(book, known, actors);
        }
        if let Some(pool) = delta.pool {
            services::pool(book, known, Some(pool));
        }
        if let Some(audit) = &delta.audit {
            services::audit(book, known, audit);
        }
        if let Some(downloads) = &delta.downloads {
            services::downloads(book, known, downloads);
        }
        if let Some(mut peers) = delta.peers {
            if let Some(whose) = self.sources.get(source) {
                for row in &mut peers {
                    row.since_ns = whose.offset.ours(row.since_ns);
                }
            }
            known.peers = peers;
        }
        if has_rows {
            services::show(book, self.services.values());
        }
    }

    /// Takes how the actors of this process itself stand now, by kind.
    pub fn actors(&mut self, rows: &[ActorRow]) {
        let known = Arc::make_mut(self.services.entry(None).or_default());
        services::actors(&mut self.book, known, rows);
    }

    /// Takes how the peers stand now, as this process itself sees them: it is believed before others. Their moments are those of
    /// the collector's snapshots.
    pub fn peers(&mut self, rows: Vec<PeerRow>) {
        Arc::make_mut(self.services.entry(None).or_default()).peers = rows;
        services::show(&mut self.book, self.services.values());
    }

    /// Takes how the downloads of this process itself stand now.
    pub fn downloads(&mut self, downloads: &Downloads) {
        let known = Arc::make_mut(self.services.entry(None).or_default());
        services::downloads(&mut self.book, known, downloads);
        services::show(&mut self.book, self.services.values());
    }

    /// Takes how the pool of this process itself stands now.
    pub fn pool(&mut self, row: PoolRow) {
        let known = Arc::make_mut(self.services.entry(None).or_default());
        services::pool(&mut self.book, known, Some(row));
    }
}
