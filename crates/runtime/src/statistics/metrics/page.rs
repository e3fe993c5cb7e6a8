//! A page, as it is asked for: a collector over one snapshot, written by the registry of `prometheus-client`.

use std::borrow::Cow;
use std::fmt;

use dataflow_ids::stats::{DataflowRow, GroupRow, Level};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::edges::{EDGE, EdgeFigures, ShownEdges};
use super::level::LEVEL;
use super::rows::{self, Facts, Process};
use super::service::{ACTOR, AUDIT, DOWNLOADS, PEER, POOL, PROCESS};
use super::text::{Labels, Member, families};
use super::{classic, family::Family};

/// What every name begins with.
pub(super) const PREFIX: &str = "dataflow";
/// How many edges have metrics of their own. All others are one more.
pub(super) const EDGES_MAX: usize = 1000;
/// What comes before the names of a run's metrics, of a group's, and of an edge's; before those of everything, nothing.
pub(super) const LEVELS: [(&str, &str); 4] = [
    ("", ""),
    ("run_", ", of a dataflow's run"),
    ("group_", ", of all nodes of one name"),
    ("edge_", ", on an edge"),
];

/// In which format a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format of Prometheus, 0.0.4.
    Classic,
}

impl Format {
    /// How HTTP calls it.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Writes pages, one after another.
#[derive(Debug)]
pub(crate) struct Exporter {
    edges: ShownEdges,
}

impl Default for Exporter {
    fn default() -> Exporter {
        Exporter::with_edges_max(EDGES_MAX)
    }
}

impl Exporter {
    /// One that gives so many edges metrics of their own.
    pub(super) fn with_edges_max(edges_max: usize) -> Exporter {
        Exporter {
            edges: ShownEdges::new(edges_max),
        }
    }

    /// A page. Gives nothing if it cannot be written, which only a fault of ours could cause.
    pub(crate) fn page(&mut self, facts: Facts, format: Format) -> Option<String> {
        let runs: Vec<DataflowRow> = facts.snapshot.dataflows().collect();
        let edges = self.edges.update(&facts.snapshot, &runs);
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Page { facts, runs, edges }));
        let mut page = String::new();
        if let Err(error) = encode(&mut page, &registry) {
            tracing::error!(%error, "metrics cannot be written");
            return None;
        }
        Some(match format {
            Format::OpenMetrics => page,
            Format::Classic => classic::from_openmetrics(&page),
        })
    }
}

/// One page before it is written.
struct Page {
    facts: Facts,
    runs: Vec<DataflowRow>,
    edges: Vec<(Labels, EdgeFigures)>,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

/// A row without labels.
fn alone<T>(row: &T) -> [Member<'_, T>; 1] {
    [Member {
        labels: Vec::new(),
        row,
    }]
}

/// Rows that one label tells apart.
fn each<'a, T>(rows: &'a [T], label: &'static str, value: fn(&T) -> &str) -> Vec<Member<'a, T>> {
    let rows = rows.iter();
    rows.map(|row| Member {
        labels: vec![(label, Cow::Owned(value(row).to_owned()))],
        row,
    })
    .collect()
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Page { facts, runs, edges } = self;
        let Facts {
            snapshot,
            snapshot_age,
            uptime,
            beat_age,
        } = facts;
        let at_ns = snapshot.at_ns();
        let process = Process {
            uptime: *uptime,
            beat_age: *beat_age,
            snapshot_age: *snapshot_age,
            dataflows: runs.len() as u64,
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        build.encode(encoder.encode_descriptor(
            "build",
            "Which version of dataflow this is.",
            None,
            build.metric_type(),
        )?)?;

        fn level<T>(
            encoder: &mut DescriptorEncoder<'_>,
            number: usize,
            of: &[Family<T>],
            members: &[Member<'_, T>],
            at_ns: u64,
        ) -> fmt::Result {
            let (level, whose) = LEVELS[number];
            families(encoder, level, whose, of, members, at_ns)
        }
        let encoder = &mut encoder;
        level(encoder, 0, &PROCESS, &alone(&process), at_ns)?;
        level(encoder, 0, &LEVEL, &alone(snapshot.total()), at_ns)?;
        let runs: Vec<Member<'_, Level>> = runs.iter().map(rows::run).collect();
        level(encoder, 1, &LEVEL, &runs, at_ns)?;
        let groups: Vec<GroupRow> = snapshot.groups().collect();
        let groups: Vec<Member<'_, Level>> = groups.iter().map(rows::group).collect();
        level(encoder, 2, &LEVEL, &groups, at_ns)?;
        let edges = edges.iter().map(|(labels, row)| Member {
            labels: labels.clone(),
            row,
        });
        level(encoder, 3, &EDGE, &edges.collect::<Vec<_>>(), at_ns)?;
        let actors = each(snapshot.actors(), "actor", |row| &row.actor);
        level(encoder, 0, &ACTOR, &actors, at_ns)?;
        let peers = each(snapshot.peers(), "peer", |row| row.peer.as_str());
        level(encoder, 0, &PEER, &peers, at_ns)?;
        level(encoder, 0, &DOWNLOADS, &alone(snapshot.downloads()), at_ns)?;
        if let Some(pool) = snapshot.pool() {
            level(encoder, 0, &POOL, &alone(pool), at_ns)?;
        }
        level(encoder, 0, &AUDIT, &alone(snapshot.audit()), at_ns)
    }
}
