//! What serves the dataflows, put together from several keepers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dataflow_ids::stats::{
    ActorRow, AuditRow, Counter, DownloadRow, Downloads, Gauge, PeerRow, PoolRow,
};

use super::super::book::Book;
use super::super::readings::{GAUGE_MAX, growth};

/// More kinds of actors than there are.
const ACTOR_KINDS_MAX: usize = 64;
/// More peers than a file of peers may name.
const PEERS_MAX: usize = 4096;

/// What one keeper has said of its services.
#[derive(Debug, Clone, Default)]
pub(super) struct Services {
    pub(super) actors: Vec<ActorRow>,
    pub(super) peers: Vec<PeerRow>,
    pub(super) downloads: Downloads,
    pub(super) pool: Option<PoolRow>,
    pub(super) audit: AuditRow,
}

/// Counts by how much another counter has grown.
fn follow(sum: &mut Counter, known: &mut Counter, now: Counter) {
    let more = growth(known.get(), now.get());
    known.add(more);
    sum.add(more);
}

/// Makes a sum of gauges one in which another one stands where it stands now.
fn replace(sum: &mut Gauge, known: &mut Gauge, now: Gauge) {
    let others = sum.get().saturating_sub(known.get());
    *known = Gauge::new(now.get().min(GAUGE_MAX).min(u64::MAX - others));
    *sum = Gauge::new(others + known.get());
}

/// The row of a kind of actor in an ordered list; it comes in if it is new. `None` when there are too many.
fn row_of<'a>(rows: &'a mut Vec<ActorRow>, actor: &str) -> Option<&'a mut ActorRow> {
    let place = match rows.binary_search_by(|row| row.actor.as_str().cmp(actor)) {
        Ok(place) => place,
        Err(_) if rows.len() >= ACTOR_KINDS_MAX => return None,
        Err(place) => {
            rows.insert(place, ActorRow::none(actor));
            place
        }
    };
    rows.get_mut(place)
}

/// Takes what a keeper says of its actors now.
pub(super) fn actors(book: &mut Book, known: &mut Services, now: &[ActorRow]) {
    let mut sums = book.now.actors.to_vec();
    let mut gone: BTreeSet<&str> = known.actors.iter().map(|row| row.actor.as_str()).collect();
    for row in now {
        gone.remove(row.actor.as_str());
    }
    let gone: Vec<ActorRow> = gone.into_iter().map(ActorRow::none).collect();
    for row in now.iter().chain(&gone) {
        let Some(sum) = row_of(&mut sums, &row.actor) else {
            continue;
        };
        let Some(known) = row_of(&mut known.actors, &row.actor) else {
            continue;
        };
        replace(&mut sum.actors, &mut known.actors, row.actors);
        replace(&mut sum.waiting, &mut known.waiting, row.waiting);
        follow(&mut sum.sent, &mut known.sent, row.sent);
        follow(&mut sum.handled, &mut known.handled, row.handled);
        follow(&mut sum.returned, &mut known.returned, row.returned);
        follow(
            &mut sum.dead_lettered,
            &mut known.dead_lettered,
            row.dead_lettered,
        );
        follow(&mut sum.rebuilt, &mut known.rebuilt, row.rebuilt);
    }
    book.actors(sums);
}

/// Takes what a keeper says of the pool now.
pub(super) fn pool(book: &mut Book, known: &mut Services, now: Option<PoolRow>) {
    let now = match (now, known.pool) {
        (Some(now), _) => now,
        (None, None) => return,
        // It has gone with its keeper.
        (None, Some(_)) => PoolRow::default(),
    };
    let mut sum = book.now.pool.unwrap_or_default();
    let known = known.pool.get_or_insert_default();
    replace(&mut sum.running, &mut known.running, now.running);
    replace(&mut sum.idle, &mut known.idle, now.idle);
    replace(&mut sum.queued, &mut known.queued, now.queued);
    follow(
        &mut sum.threads_started,
        &mut known.threads_started,
        now.threads_started,
    );
    follow(
        &mut sum.threads_not_started,
        &mut known.threads_not_started,
        now.threads_not_started,
    );
    follow(&mut sum.completed, &mut known.completed, now.completed);
    follow(&mut sum.panicked, &mut known.panicked, now.panicked);
    follow(&mut sum.refused, &mut known.refused, now.refused);
    book.pool(sum);
}

/// Takes what a keeper says of its auditor now.
pub(super) fn audit(book: &mut Book, known: &mut Services, now: &AuditRow) {
    let mut sum = book.now.audit;
    let known = &mut known.audit;
    follow(&mut sum.recounted, &mut known.recounted, now.recounted);
    follow(&mut sum.mismatches, &mut known.mismatches, now.mismatches);
    follow(
        &mut sum.refused_transitions,
        &mut known.refused_transitions,
        now.refused_transitions,
    );
    if book.now.audit != sum {
        book.now.audit = sum;
        book.changed();
    }
}

/// Takes the counters of what a keeper says of its downloads now. Its rows are shown by [`show`].
pub(super) fn downloads(book: &mut Book, known: &mut Services, now: &Downloads) {
    let mut sum = (*book.now.downloads).clone();
    let known = &mut known.downloads;
    replace(&mut sum.active, &mut known.active, now.active);
    follow(&mut sum.ready, &mut known.ready, now.ready);
    follow(&mut sum.failed, &mut known.failed, now.failed);
    follow(&mut sum.bytes, &mut known.bytes, now.bytes);
    known.rows = now
        .rows
        .iter()
        .take(DownloadRow::SHOWN_MAX)
        .cloned()
        .collect();
    book.downloads(sum);
}

/// Shows what all keepers say of downloads and of peers, one by one. Of one peer, the first that names it is believed.
pub(super) fn show<'a>(book: &mut Book, all: impl Iterator<Item = &'a Arc<Services>> + Clone) {
    let mut downloads = Downloads {
        rows: Vec::new(),
        ..(*book.now.downloads).clone()
    };
    let rows = all.clone().flat_map(|services| &services.downloads.rows);
    downloads
        .rows
        .extend(rows.take(DownloadRow::SHOWN_MAX).cloned());
    book.downloads(downloads);
    let mut peers = BTreeMap::new();
    for row in all.flat_map(|services| &services.peers) {
        if peers.len() < PEERS_MAX {
            peers.entry(&row.peer).or_insert(row);
        }
    }
    let is_known = peers.values().copied().eq(book.now.peers.iter());
    if !is_known {
        book.now.peers = Arc::new(peers.into_values().cloned().collect());
        book.changed();
    }
}
