//! The families of edges, and which edges have metrics of their own: there is an end to how many a page may have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use dataflow_core::stats::Snapshot;
use dataflow_ids::stats::{
    DataflowRow, EdgeCounters, EdgeGauges, EdgeHistograms, EdgeKey, EdgeRow, Gauge, Level, NodeKey,
    RunNumber,
};

use super::carried;
use super::family::{Family, Number, Reading, plain, seconds};
use super::rows::owned;
use super::text::Labels;

/// The labels of an edge, in their order.
pub(super) const EDGE_LABELS: [&str; 5] = ["peer", "dataflow", "run", "source", "target"];
/// What every label of the edges says that have no metrics of their own. It is no name.
pub(super) const OTHERS: &str = "(others)";

/// What a page says of an edge, or of all that have no metrics of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EdgeFigures {
    pub(super) counters: EdgeCounters,
    pub(super) gauges: EdgeGauges,
    pub(super) histograms: EdgeHistograms,
    /// When the oldest message in the queue was sent.
    pub(super) oldest_ns: Option<u64>,
}

/// What is counted on edges.
pub(super) const EDGE: [Family<EdgeFigures>; 14] = [
    carried::sent("Messages that were sent"),
    carried::sent_bytes("Payload that was sent"),
    carried::blocked("How long the sender has waited for room"),
    carried::delivered("Messages that have reached the receiver"),
    carried::released("Messages that the receiver needs no more"),
    carried::lost("Messages that the receiver held when it died"),
    carried::dropped("Messages that were not delivered"),
    carried::queued("Messages that wait in the queue"),
    carried::held("Messages that the receiver holds"),
    plain(
        "blocked_senders",
        "Senders that wait for room at this moment",
        Reading::Gauge(|edge, _| Some(Number::Whole(edge.gauges.blocked.get()))),
    ),
    seconds(
        "oldest_message_age",
        "How long ago the oldest message in the queue was sent; without one, nothing is said",
        Reading::Gauge(|edge, at_ns| {
            let age_ns = at_ns.saturating_sub(edge.oldest_ns?);
            Some(Number::of_ns(u128::from(age_ns)))
        }),
    ),
    carried::latency(),
    carried::queue_wait(),
    carried::handling(),
];

impl EdgeFigures {
    /// Those of a row.
    pub(super) fn of(row: &EdgeRow) -> EdgeFigures {
        EdgeFigures {
            counters: row.counters,
            gauges: row.gauges,
            histograms: *row.histograms,
            oldest_ns: row.oldest_ns,
        }
    }

    /// Those of an edge, if it is there.
    fn look_up(snapshot: &Snapshot, key: EdgeKey) -> Option<EdgeFigures> {
        let numbers = snapshot.edge(key)?;
        let histograms = snapshot.edge_histograms(key);
        Some(EdgeFigures {
            counters: numbers.counters,
            gauges: numbers.gauges,
            histograms: histograms.copied().unwrap_or_default(),
            oldest_ns: numbers.oldest_ns,
        })
    }

    /// Those of everything, also of edges that have gone.
    fn of_level(level: &Level) -> EdgeFigures {
        EdgeFigures {
            counters: level.into,
            gauges: level.gauges,
            histograms: level.histograms,
            oldest_ns: None,
        }
    }

    /// What is counted here and not there.
    fn less(&self, other: &EdgeFigures) -> EdgeFigures {
        self.with(other, u64::saturating_sub)
    }

    /// What is counted here and there.
    fn plus(&self, other: &EdgeFigures) -> EdgeFigures {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &EdgeFigures, of: fn(u64, u64) -> u64) -> EdgeFigures {
        let EdgeFigures {
            mut counters,
            mut gauges,
            mut histograms,
            oldest_ns: _,
        } = *self;
        counters.zip(&other.counters, of);
        gauges.zip(&other.gauges, |ours, theirs| {
            *ours = Gauge::new(of(ours.get(), theirs));
        });
        histograms.zip(&other.histograms, of);
        EdgeFigures {
            counters,
            gauges,
            histograms,
            oldest_ns: None,
        }
    }
}

/// An edge that has metrics of its own.
#[derive(Debug, Clone)]
struct Shown {
    labels: Labels,
    last: EdgeFigures,
}

/// Which edges have metrics of their own: the first ones, as many as may have, for as long as they are there. All others
/// are one more member of each family, whose counters never fall: what has been shown of an edge that has gone does not
/// come to them, or it would be seen as counted twice. So all members together grow as the total does.
#[derive(Debug)]
pub(super) struct ShownEdges {
    edges_max: usize,
    shown: BTreeMap<EdgeKey, Shown>,
    /// The newest run that was seen. An edge that comes later to it, or to one before it, is not shown, so that no edge
    /// ever leaves the others.
    newest: Option<RunNumber>,
    /// What was shown of edges that have gone.
    gone: EdgeFigures,
}

impl ShownEdges {
    /// None yet.
    pub(super) fn new(edges_max: usize) -> ShownEdges {
        ShownEdges {
            edges_max,
            shown: BTreeMap::new(),
            newest: None,
            gone: EdgeFigures::default(),
        }
    }

    /// The members at one moment. Those that have metrics of their own are looked up; all edges are only gone through
    /// when a run has come in.
    pub(super) fn update(
        &mut self,
        snapshot: &Snapshot,
        runs: &[DataflowRow],
    ) -> Vec<(Labels, EdgeFigures)> {
        for (key, mut shown) in std::mem::take(&mut self.shown) {
            match EdgeFigures::look_up(snapshot, key) {
                Some(now) => {
                    shown.last = now;
                    self.shown.insert(key, shown);
                }
                None => {
                    // What there was of it is no more.
                    shown.last.gauges = EdgeGauges::default();
                    self.gone = self.gone.plus(&shown.last);
                }
            }
        }
        let newest = runs.iter().map(|run| run.number).max();
        if newest > self.newest {
            let known = self.newest;
            let is_new = |row: &EdgeRow| known.is_none_or(|known| row.key.run > known);
            let room = self.edges_max.saturating_sub(self.shown.len());
            for row in snapshot.edges().filter(is_new).take(room) {
                let labels = edge_labels(snapshot, runs, &row);
                let last = EdgeFigures::of(&row);
                self.shown.insert(row.key, Shown { labels, last });
            }
            self.newest = newest;
        }
        let mut others = EdgeFigures::of_level(snapshot.total());
        let mut members = Vec::with_capacity(self.shown.len() + 1);
        for Shown { labels, last } in self.shown.values() {
            others = others.less(last);
            members.push((labels.clone(), last.clone()));
        }
        let labels = EDGE_LABELS.map(|label| (label, Cow::Borrowed(OTHERS)));
        members.push((labels.to_vec(), others.less(&self.gone)));
        members
    }
}

/// The labels of an edge: who runs it, and both of its ends. Its number is told where a name is not known, so that no
/// two have the same labels.
fn edge_labels(snapshot: &Snapshot, runs: &[DataflowRow], edge: &EdgeRow) -> Labels {
    let EdgeKey { run, edge: number } = edge.key;
    let row = runs.iter().find(|row| row.number == run);
    let unknown = || Cow::Owned(format!("(edge {number} of run {})", run.0));
    let end = |node, port: &str| {
        let name = snapshot.node_name(NodeKey { run, node });
        name.map_or_else(unknown, |name| Cow::Owned(format!("{name}/{port}")))
    };
    let values = [
        row.map_or_else(unknown, |row| owned(&row.peer)),
        row.map_or_else(unknown, |row| owned(&row.name)),
        row.map_or_else(unknown, |row| owned(&row.run)),
        end(edge.source, edge.output.as_str()),
        end(edge.target, edge.input.as_str()),
    ];
    EDGE_LABELS.into_iter().zip(values).collect()
}
