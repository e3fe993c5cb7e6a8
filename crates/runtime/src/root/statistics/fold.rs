//! Reads everything for the statistics of a run now and then, and tells it to their keeper.

use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Audited, EdgeFacts};
use dataflow_descriptor::Edge;
use dataflow_ids::stats::{Counter, EdgeCounters, EdgeGauges, Gauge};
use dataflow_ids::{Epoch, NodeIndex};
use dataflow_shm::edge::{EdgeCounts, EdgeMark, EdgeReading};

use super::super::Root;
use super::super::table::EdgeRow;
use super::super::usage::facts;
use crate::actors::StatsMessage;
use crate::env::{Env, Task, TaskName};
use crate::process::Usage;
use crate::statistics::{AUDITED_MAX, EVERY_WHILE_UNREAD, Source};

/// How many edges are looked at before others have their turn.
const EDGES_PER_TURN_MAX: usize = 256;
/// As many slots of edges are read before others have their turn, some hundred microseconds: an edge has up to 16,384.
const SLOTS_PER_TURN_MAX: u64 = 20_000;
/// So many times as long as all edges took to be read, none is: readers take a tenth of the control thread at most.
const REST_TIMES: u32 = 9;

/// What of an edge was told. The default: nothing.
#[derive(Debug, Default)]
pub(super) struct Told {
    mark: EdgeMark,
    is_closed: bool,
}

impl Root {
    /// Everything is read for the statistics again and again, also when nobody looks from outside.
    pub(crate) fn fold_statistics(&self) {
        self.statistics.is_folded.set(true);
    }

    /// Reads everything for the statistics, after this wait and then again and again, until what is returned is dropped;
    /// `None` when that is not to be.
    pub(crate) fn fold_now_and_then(self: &Rc<Self>, wait: Duration) -> Option<Task> {
        if !self.statistics.is_folded.get() {
            return None;
        }
        let root = Rc::downgrade(self);
        let env = self.env.clone();
        let source = self.statistics_source().clone();
        Some(self.env.spawn(TaskName::Fold, async move {
            source.beat.lives();
            if !wait.is_zero() {
                env.sleep_until(env.now().after(wait)).await;
            }
            loop {
                let begun = env.now();
                source.beat.lives();
                let Some(took) = fold(&root).await else {
                    return;
                };
                let rested = env.now().after(took.saturating_mul(REST_TIMES));
                rest(&env, &source, begun, rested).await;
            }
        }))
    }

    /// Lets the statistics know what all edges said, in the order of the description. What finds no room is made up for by
    /// the next reading.
    pub(in crate::root) fn fold_readings(&self, readings: &[EdgeReading]) {
        let table = self.table.borrow();
        let rows = self.dataflow.edges.iter().zip(&table.edges).zip(readings);
        let facts = rows.map(|((edge, row), reading)| (edge.id, self.facts_of(edge, row, reading)));
        let told = StatsMessage::EdgesRead(facts.collect());
        let _ = self.handles.stats.tell(told);
    }

    /// What the statistics are to know of an edge.
    fn facts_of(&self, edge: &Edge, row: &EdgeRow, reading: &EdgeReading) -> EdgeFacts {
        // What is new on an edge is to be thought of here: without a word, it does not compile.
        let EdgeCounts {
            sent,
            delivered,
            released,
            lost,
            dropped_full,
            dropped_receiver_closed,
            dropped_memory,
            queued,
            held,
            bytes,
            blocked_ns,
        } = reading.counts;
        EdgeFacts {
            counters: EdgeCounters {
                sent: Counter::new(sent),
                delivered: Counter::new(delivered),
                released: Counter::new(released),
                lost: Counter::new(lost),
                dropped_full: Counter::new(dropped_full),
                dropped_receiver_closed: Counter::new(dropped_receiver_closed),
                dropped_memory: Counter::new(dropped_memory),
                bytes: Counter::new(bytes),
                blocked_ns: Counter::new(blocked_ns),
            },
            gauges: EdgeGauges {
                queued: Gauge::new(queued),
                held: Gauge::new(held),
                blocked: Gauge::new(u64::from(reading.sender_blocked && !row.is_closed)),
            },
            oldest: (reading.oldest_sent_at_ns).and_then(|sent_at_ns| self.moment(sent_at_ns)),
            lacks: self.lacks(edge, row, reading),
            is_closed: row.is_closed,
            histograms: *reading.histograms,
        }
    }

    /// A moment of the machine's monotonic clock, as the run counts; `None` on virtual time, which does not go with it.
    /// What a sender says can be anything: it is not before the run, and not in the future.
    pub(in crate::root) fn moment(&self, monotonic_ns: u64) -> Option<Time> {
        let began_ns = self.statistics.began_ns?;
        let since = Duration::from_nanos(monotonic_ns.saturating_sub(began_ns));
        Some(Time(since).min(self.env.now()))
    }

    /// Reads some edges for the statistics, from this one on, and tells those on which something has happened since they
    /// were told. Gives where to go on. What finds no room is read again by the next.
    fn fold_edges(&self, from: usize) -> Option<usize> {
        let table = self.table.borrow();
        let mut told = self.statistics.told.borrow_mut();
        told.resize_with(table.edges.len(), Told::default);
        let (mut facts, mut changed) = (Vec::new(), Vec::new());
        let mut slots = 0;
        let rows = self.dataflow.edges.iter().zip(&table.edges).enumerate();
        let mut goes_on_at = None;
        for (place, (edge, row)) in rows.skip(from) {
            if place - from == EDGES_PER_TURN_MAX || slots >= SLOTS_PER_TURN_MAX {
                goes_on_at = Some(place);
                break;
            }
            let told = &mut told[place];
            if told.is_closed != row.is_closed {
                *told = Told {
                    mark: EdgeMark::default(),
                    is_closed: row.is_closed,
                };
            }
            if let Some(reading) = row.keeper.read_if_changed(&mut told.mark) {
                slots += u64::from(edge.queue_size);
                facts.push((edge.id, self.facts_of(edge, row, &reading)));
                changed.push(place);
            }
        }
        let is_told = facts.is_empty()
            || (self.handles.stats)
                .tell(StatsMessage::EdgesRead(facts))
                .is_ok();
        if !is_told {
            for place in changed {
                told[place] = Told::default();
            }
        }
        goes_on_at
    }

    /// A node has this process now, or none any more, and the last one has used so much. The statistics hear it whatever
    /// else comes: it is said twice for an incarnation.
    pub(in crate::root) fn process_is(
        &self,
        node: NodeIndex,
        epoch: Epoch,
        pid: Option<u32>,
        used: Option<Usage>,
    ) {
        let read_at = used.as_ref().map(|_| self.env.now());
        let facts = facts(epoch, pid, used.unwrap_or_default(), read_at);
        let told = StatsMessage::ProcessesRead(vec![(node, facts)]);
        self.handles.stats.fact(told);
    }

    /// Tells the statistics what the auditor has found.
    fn fold_audits(&self) {
        let mut found = Audited::default();
        let mut add = |audited: Audited| {
            found.recounted += audited.recounted;
            found.mismatches += audited.mismatches;
        };
        while let Ok(audited) = self.statistics.audits.borrow_mut().try_recv() {
            add(audited);
        }
        if self.statistics.thread.is_none() {
            let newest = Arc::clone(&self.statistics_source().snapshots.borrow());
            let mut auditor = self.statistics.auditor.borrow_mut();
            add(auditor.step(&newest, AUDITED_MAX));
        }
        if found != Audited::default() {
            // One comes with a fold, and must not be lost.
            let all = self.found_in_all(found);
            self.handles.stats.fact(StatsMessage::Audited(all));
        }
    }

    /// Reads how what serves the dataflow stands. A reading that finds no room is made up for by the next.
    pub(in crate::root) fn fold_services(&self) {
        let services = Box::new(self.services());
        let _ = (self.handles.stats).tell(StatsMessage::ServicesRead(services));
    }
}

/// Waits until everything is to be read again, after it was begun to be read at one moment and may be from another one on.
async fn rest(env: &Env, source: &Source, begun: Time, rested: Time) {
    loop {
        let every = source.readers.every();
        let (now, due) = (env.now(), begun.after(every).max(rested));
        if now >= due {
            return;
        }
        // A control loop that rests lives.
        source.beat.lives();
        tokio::select! {
            biased;
            () = env.sleep_until(due.min(now.after(EVERY_WHILE_UNREAD))) => {}
            () = source.readers.every_is_not(every) => {}
        }
    }
}

/// Reads everything once. Gives how long others had no turn for it; `None` when the run has gone.
pub(super) async fn fold(root: &Weak<Root>) -> Option<Duration> {
    let mut took = Duration::ZERO;
    let mut next = Some(0);
    while let Some(from) = next {
        let root = root.upgrade()?;
        let begun = root.env.now();
        next = root.fold_edges(from);
        took += root.env.now().since(begun);
        drop(root);
        tokio::task::yield_now().await;
    }
    let root = root.upgrade()?;
    root.fold_services();
    root.fold_audits();
    root.ask_to_publish();
    Some(took)
}
