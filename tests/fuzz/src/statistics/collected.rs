//! A collector that hears keepers of all kinds, and what must be true of it whatever they say.

use std::sync::Arc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Collector, Snapshot, Source, apply};
use dataflow_ids::stats::{EdgeCounters, Keeper, Level, Statistics};
use dataflow_wire::client::ClientReply;

/// How many names have a group of their own.
const GROUPS_MAX: usize = 3;
/// The collector's own number. Keepers have small ones.
const OURS: Keeper = Keeper(u64::MAX / 3);

/// The collector, and what was seen of it last.
#[derive(Debug)]
pub(super) struct Collected {
    collector: Collector,
    now: Duration,
    last: Arc<Snapshot>,
    /// What somebody knows who was told every change.
    known: Statistics,
}

impl Collected {
    pub(super) fn new() -> Collected {
        let mut collector = Collector::new(OURS, GROUPS_MAX);
        let last = collector.publish(Time::START);
        Collected {
            collector,
            now: Duration::ZERO,
            known: last.statistics(),
            last,
        }
    }

    pub(super) fn time_passes(&mut self, span_ns: u64) {
        self.now += Duration::from_nanos(span_ns);
    }

    pub(super) fn now(&self) -> Time {
        Time(self.now)
    }

    /// Sums over everything.
    pub(super) fn total(&self) -> &Level {
        self.collector.book().total()
    }

    /// The source at this place says this. Gives whether it was taken.
    pub(super) fn take(&mut self, place: usize, reply: ClientReply) -> bool {
        let (at, source) = (self.now(), source(place));
        match reply {
            ClientReply::Statistics(whole) => self.collector.whole(at, &source, *whole).is_ok(),
            ClientReply::StatisticsDelta(delta) => {
                self.collector.delta(at, &source, *delta).is_ok()
            }
            _ => false,
        }
    }

    /// The source at this place has ended.
    pub(super) fn gone(&mut self, place: usize) {
        self.collector.gone(self.now(), &source(place));
    }

    /// Publishes, and looks at what is published.
    ///
    /// # Panics
    ///
    /// When something is not as it must be.
    pub(super) fn look(&mut self) {
        let now = self.collector.publish(self.now());
        assert_eq!(now.audit_all(), Ok(()), "sums are those of their members");
        for (before, after) in counters(self.last.total()).zip(counters(now.total())) {
            assert!(before <= after, "a counter fell from {before} to {after}");
        }
        let whole = now.statistics();
        assert!(whole.groups.len() <= GROUPS_MAX + 1);
        assert!(
            whole
                .dataflows
                .is_sorted_by(|one, next| one.number < next.number)
        );
        assert!(whole.nodes.is_sorted_by(|one, next| one.key < next.key));
        assert!(whole.edges.is_sorted_by(|one, next| one.key < next.key));
        assert!(
            whole
                .actors
                .is_sorted_by(|one, next| one.actor < next.actor)
        );
        let told = apply(&mut self.known, &now.since(&self.last));
        assert_eq!(told, Ok(()));
        assert_eq!(self.known, whole, "changes lead to the same as the whole");
        self.last = now;
    }
}

fn source(place: usize) -> Source {
    Source {
        peer: "there".parse().expect("this is a name"),
        run: Some(format!("run-{place}")),
    }
}

/// What only grows.
fn counters(of: &Level) -> impl Iterator<Item = u64> {
    let retired = &of.retired;
    [of.transitions, of.restarts, of.cpu_ns]
        .into_iter()
        .chain([retired.nodes, retired.transitions, retired.restarts])
        .chain(
            [of.out, of.into, retired.out, retired.into]
                .into_iter()
                .flat_map(EdgeCounters::each),
        )
        .map(|counter| counter.get())
        .chain(of.histograms.latency.buckets)
        .chain(retired.histograms.handling.buckets)
}
