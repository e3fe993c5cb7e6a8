//! What the root holds for the statistics of its run.

mod fold;
mod publish;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use dataflow_core::stats::{Audited, Auditor, Book};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch as shared;

use self::fold::Told;
use self::publish::Publishing;
use super::Root;
use super::usage::ProcessTable;
use crate::env::{Env, machine_now_ns};
use crate::statistics::{
    CopyOfStatistics, Publisher, Source, StatisticsThread, attend, read_processes,
};

/// What the root holds for the statistics.
pub(super) struct StatisticsTable {
    /// What readers need.
    source: Source,
    /// `None` after the last snapshot.
    publishing: RefCell<Option<Publishing>>,
    thread: Option<Arc<StatisticsThread>>,
    /// Whether everything is read again and again.
    is_folded: Cell<bool>,
    /// What of each edge the statistics were told last.
    told: RefCell<Vec<Told>>,
    /// How often it was asked to publish.
    asked: Cell<u64>,
    /// The last of these after which it was.
    published: shared::Sender<u64>,
    /// What the auditor has found on its thread.
    audits: RefCell<UnboundedReceiver<Audited>>,
    /// Counts members again where there is no such thread.
    auditor: RefCell<Auditor>,
    pub(super) processes: ProcessTable,
    /// The moment at which the run began, on the machine's monotonic clock, if the run's clock goes with it.
    began_ns: Option<u64>,
}

impl StatisticsTable {
    /// Readers see the `book` as it is now until there is another snapshot. Without a thread, nobody looks from
    /// outside, and nothing is read by itself.
    pub(super) fn new(
        book: &mut Book,
        env: &Env,
        thread: Option<Arc<StatisticsThread>>,
    ) -> StatisticsTable {
        let publisher = Publisher::new(book.publish(env.now()));
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
        // The run's clock goes already.
        let since = |now: u64| now.saturating_sub(nanoseconds(env.now().0));
        let began_ns = thread.is_some().then(|| since(machine_now_ns()));
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
            asked: Cell::new(0),
            published: shared::Sender::new(0),
            audits: RefCell::new(audits),
            auditor: RefCell::default(),
            processes,
            began_ns,
        }
    }
}

impl Root {
    /// What a reader of the statistics on another thread needs.
    pub(crate) fn statistics_source(&self) -> &Source {
        &self.statistics.source
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
