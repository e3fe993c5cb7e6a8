//! What a book is told of what serves the dataflows.

use std::sync::Arc;

use dataflow_ids::stats::{ActorRow, Downloads, PeerRow, PoolRow};

use super::book::Book;
use super::journal::Fact;

impl Book {
    /// Takes how all kinds of actors stand now.
    pub fn actors(&mut self, mut rows: Vec<ActorRow>) {
        (self.journal).write(rows.len(), || Fact::Actors(rows.clone()));
        rows.sort_by(|one, other| one.actor.cmp(&other.actor));
        if *self.now.actors != rows {
            self.now.actors = Arc::new(rows);
            self.changed();
        }
    }

    /// Takes how all peers stand now.
    pub fn peers(&mut self, mut rows: Vec<PeerRow>) {
        (self.journal).write(rows.len(), || Fact::Peers(rows.clone()));
        rows.sort_by(|one, other| one.peer.cmp(&other.peer));
        if *self.now.peers != rows {
            self.now.peers = Arc::new(rows);
            self.changed();
        }
    }

    /// Takes how all downloads stand now.
    pub fn downloads(&mut self, downloads: Downloads) {
        let weight = downloads.rows.len();
        (self.journal).write(weight, || Fact::Downloads(Box::new(downloads.clone())));
        if *self.now.downloads != downloads {
            self.now.downloads = Arc::new(downloads);
            self.changed();
        }
    }

    /// Takes how the pool stands now.
    pub fn pool(&mut self, row: PoolRow) {
        self.journal.write(1, || Fact::Pool(Box::new(row)));
        if self.now.pool != Some(row) {
            self.now.pool = Some(row);
            self.changed();
        }
    }

    /// Takes what an auditor has counted again, and how many sums were not those of their members.
    pub fn audited(&mut self, recounted: u64, mismatches: u64) {
        if (recounted, mismatches) == (0, 0) {
            return;
        }
        (self.journal).write(1, || Fact::Audited(recounted, mismatches));
        self.now.audit.recounted.add(recounted);
        self.now.audit.mismatches.add(mismatches);
        self.changed();
    }
}
