//! What is read for the statistics of a run now and then, and where they are published.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Audited, Auditor, Book, EdgeFacts};
use dataflow_ids::stats::{Counter, EdgeCounters, EdgeGauges, Gauge};
use dataflow_ids::{Epoch, NodeIndex};
use dataflow_shm::edge::EdgeReading;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Root;
use super::table::EdgeRow;
use super::usage::ProcessTable;
use crate::actors::StatsMessage;
use crate::env::{Task, TaskName, machine_now_ns};
use crate::process::{FramedSocket, Usage};
use crate::statistics::{
    AUDITED_MAX, CopyOfStatistics, LOOKED_AT_EVERY, Publisher, Source, StatisticsThread,
    UNSEEN_EVERY, attend, facts, read_processes, watch,
};

/// How many edges are read before others have their turn.
const EDGES_PER_TURN_MAX: usize = 256;

/// What the root holds for the statistics.
pub(super) struct StatisticsTable {
    /// What those need who look.
    source: Source,
    /// `None` after the last snapshot.
    publishing: RefCell<Option<Publishing>>,
    thread: Option<Arc<StatisticsThread>>,
    /// Whether everything is read again and again.
    is_folded: Cell<bool>,
    /// What of each edge the statistics were told last.
    told: RefCell<Vec<Option<Told>>>,
    /// What the auditor has found on its thread.
    audits: RefCell<UnboundedReceiver<Audited>>,
    /// Counts members again where there is no such thread.
    auditor: RefCell<Auditor>,
    pub(super) processes: ProcessTable,
    /// The moment at which the run began, on the machine's monotonic clock, if the run's clock goes with it.
    began_ns: Option<u64>,
}

/// How snapshots come to whoever looks.
enum Publishing {
    /// From here: nobody looks from outside.
    Here(Publisher),
    /// From a copy on the thread of statistics.
    There(CopyOfStatistics),
}

/// What of an edge was told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    reading: EdgeReading,
    is_closed: bool,
}

impl StatisticsTable {
    /// Whoever looks sees the `book` as it is `now` until there is another snapshot. Without a thread, nobody looks from outside, and
    /// nothing is read by itself.
    pub(super) fn new(
        book: &mut Book,
        now: Time,
        thread: Option<Arc<StatisticsThread>>,
    ) -> StatisticsTable {
        let publisher = Publisher::new(book.publish(now));
        let source = publisher.source().clone();
        let processes = ProcessTable::default();
        let (found, audits) = unbounded_channel();
        if let Some(thread) = &thread {
            let attended = source.clone();
            thread.keep("attendance of a run", move || {
                let found = found.clone();
                // A run that has ended keeps no account of it.
                attend(attended.clone(), move |audited| {
                    let _ = found.send(audited);
                })
            });
            let (looked_at, processes) = (source.clone(), processes.elsewhere.clone());
            thread.keep("processes of a run", move || {
                read_processes(looked_at.clone(), processes.clone())
            });
        }
        let began_ns = thread.is_some().then(machine_now_ns);
        let publishing = match &thread {
            Some(thread) => Publishing::There(CopyOfStatistics::begin(thread, book, publisher)),
            None => Publishing::Here(publisher),
        };
        StatisticsTable {
            source,
            publishing: RefCell::new(Some(publishing)),
            is_folded: Cell::new(thread.is_some()),
            thread,
            told: RefCell::default(),
            audits: RefCell::new(audits),
            auditor: RefCell::default(),
            processes,
            began_ns,
        }
    }
}

impl Root {
    /// What somebody needs who looks at the statistics from another thread.
    pub(crate) fn statistics_source(&self) -> &Source {
        &self.statistics.source
    }

    /// Everything is read for the statistics again and again, also when nobody looks from outside.
    pub(crate) fn fold_statistics(&self) {
        self.statistics.is_folded.set(true);
    }

    /// Reads everything for the statistics, at once and then again and again, until what is returned is dropped; `None`
    /// when that is not to be.
    pub(super) fn fold_now_and_then(self: &Rc<Self>) -> Option<Task> {
        if !self.statistics.is_folded.get() {
            return None;
        }
        let root = Rc::downgrade(self);
        let env = self.env.clone();
        let source = self.statistics_source().clone();
        Some(self.env.spawn(TaskName::Fold, async move {
            loop {
                let begun = env.now();
                source.beat.lives();
                if fold(&root).await.is_none() {
                    return;
                }
                env.sleep_until(begun.after(LOOKED_AT_EVERY)).await;
                tokio::select! {
                    biased;
                    () = source.lookers.come() => {}
                    () = env.sleep_until(begun.after(UNSEEN_EVERY)) => {}
                }
            }
        }))
    }

    /// Lets the statistics know what all edges said, in the order of the description. What finds no room is made up for by
    /// the next reading.
    pub(super) fn fold_readings(&self, readings: &[EdgeReading]) {
        let table = self.table.borrow();
        let rows = self.dataflow.edges.iter().zip(&table.edges).zip(readings);
        let facts = rows.map(|((edge, row), reading)| (edge.id, self.facts_of(row, reading)));
        let told = StatsMessage::EdgesRead(facts.collect());
        let _ = self.handles.stats.tell(told);
    }

    /// What the statistics are to know of an edge.
    fn facts_of(&self, row: &EdgeRow, reading: &EdgeReading) -> EdgeFacts {
        let counts = &reading.counts;
        EdgeFacts {
            counters: EdgeCounters {
                sent: Counter::new(counts.sent),
                delivered: Counter::new(counts.delivered),
                released: Counter::new(counts.released),
                lost: Counter::new(counts.lost),
                dropped_full: Counter::new(counts.dropped_full),
                dropped_receiver_closed: Counter::new(counts.dropped_receiver_closed),
                dropped_memory: Counter::new(counts.dropped_memory),
                bytes: Counter::new(counts.bytes),
                blocked_ns: Counter::new(counts.blocked_ns),
            },
            gauges: EdgeGauges {
                queued: Gauge::new(counts.queued),
                held: Gauge::new(counts.held),
                blocked: Gauge::new(u64::from(reading.sender_blocked && !row.is_closed)),
            },
            oldest: (reading.oldest_sent_at_ns).and_then(|sent_at_ns| self.moment(sent_at_ns)),
            is_closed: row.is_closed,
            histograms: *reading.histograms,
        }
    }

    /// A moment of the machine's monotonic clock, as the run counts; `None` on virtual time, which does not go with it.
    /// What a sender says can be anything: it is not before the run, and not in the future.
    fn moment(&self, monotonic_ns: u64) -> Option<Time> {
        let began_ns = self.statistics.began_ns?;
        let since = Duration::from_nanos(monotonic_ns.saturating_sub(began_ns));
        Some(Time(since).min(self.env.now()))
    }

    /// Reads some edges for the statistics, and tells those that stand otherwise than was told last. A reading that finds
    /// no room is made up for by the next.
    fn fold_edges(&self, places: Range<usize>) {
        let table = self.table.borrow();
        let mut told = self.statistics.told.borrow_mut();
        told.resize_with(table.edges.len(), || None);
        let (mut facts, mut changed) = (Vec::new(), Vec::new());
        for place in places {
            let (Some(edge), Some(row)) = (self.dataflow.edges.get(place), table.edges.get(place))
            else {
                continue;
            };
            let now = Told {
                reading: row.keeper.read(),
                is_closed: row.is_closed,
            };
            if told[place].as_ref() != Some(&now) {
                facts.push((edge.id, self.facts_of(row, &now.reading)));
                changed.push((place, now));
            }
        }
        if facts.is_empty() {
            return;
        }
        if (self.handles.stats)
            .tell(StatsMessage::EdgesRead(facts))
            .is_ok()
        {
            for (place, now) in changed {
                told[place] = Some(now);
            }
        }
    }

    /// A node has this process now, or none any more, and the last one has used so much. The statistics hear it whatever
    /// else comes: it is said twice for an incarnation.
    pub(super) fn process_is(
        &self,
        node: NodeIndex,
        epoch: Epoch,
        pid: Option<u32>,
        used: Option<Usage>,
    ) {
        let facts = facts(epoch, pid, used.unwrap_or_default());
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
    pub(super) fn fold_services(&self) {
        let services = Box::new(self.services());
        let _ = (self.handles.stats).tell(StatsMessage::ServicesRead(services));
    }

    /// Whoever looks sees what the statistics have become. One that finds no room is made up for by the next.
    fn ask_to_publish(&self) {
        let _ = self.handles.stats.tell(StatsMessage::Publish);
    }

    /// Whoever looks sees soon what their keeper knows now.
    pub(crate) fn publish_statistics(&self, book: &mut Book) {
        let now = self.env.now();
        match &*self.statistics.publishing.borrow() {
            Some(Publishing::Here(publisher)) => publisher.publish(book.publish(now)),
            Some(Publishing::There(copy)) => copy.publish(book, now),
            None => {}
        }
    }

    /// Their keeper was told something.
    pub(crate) fn statistics_changed(&self, book: &mut Book) {
        if let Some(Publishing::There(copy)) = &*self.statistics.publishing.borrow() {
            copy.relieve(book);
        }
    }

    /// Lets the conversation with a command that watches go on on the thread of statistics. With an error, which says
    /// why, it is still here.
    pub(super) fn watch_statistics(
        &self,
        socket: &FramedSocket,
        every: Duration,
    ) -> Result<(), String> {
        let Some(thread) = &self.statistics.thread else {
            return Err("the statistics of a dataflow that is embedded are not watched".to_owned());
        };
        watch(thread, self.statistics_source(), socket, every).map_err(|error| error.to_string())
    }

    /// Everything was read for the last time, and told: shows it to whoever looks, and waits until they have seen it.
    pub(super) async fn end_statistics(&self) {
        let source = &self.statistics.source;
        let mut snapshots = source.snapshots.clone();
        snapshots.mark_unchanged();
        self.fold_services();
        self.ask_to_publish();
        // An actor that is down is not built again any more.
        let _ = tokio::time::timeout(LOOKED_AT_EVERY, snapshots.changed()).await;
        self.statistics.publishing.borrow_mut().take();
        source.lookers.leave().await;
    }
}

/// Reads everything once; `None` when the run has gone.
async fn fold(root: &Weak<Root>) -> Option<()> {
    let edges = root.upgrade()?.dataflow.edges.len();
    for begin in (0..edges).step_by(EDGES_PER_TURN_MAX) {
        let places = begin..edges.min(begin + EDGES_PER_TURN_MAX);
        root.upgrade()?.fold_edges(places);
        tokio::task::yield_now().await;
    }
    let root = root.upgrade()?;
    root.fold_services();
    root.fold_audits();
    root.ask_to_publish();
    Some(())
}
