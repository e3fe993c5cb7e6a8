//! A page, as it is asked for: a collector over one snapshot, written by the registry of `prometheus-client`.

use std::borrow::Cow;
use std::fmt;

use dataflow_ids::stats::{DataflowRow, GroupRow, Level};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::classic;
use super::edges::{EDGE, EdgeFigures, ShownEdges};
use super::level::LEVEL;
use super::rows::{self, Facts, Process};
use super::service::{ACTOR, AUDIT, DOWNLOADS, PEER, POOL, PROCESS};
use super::text::{Bounds, Labels, LevelOfPage, Member, families};

/// What every name begins with.
pub(super) const PREFIX: &str = "dataflow";
/// How many edges have metrics of their own. All others are one more.
pub(super) const EDGES_MAX: usize = 1000;
/// Everything, and what there is one of.
const ALL: LevelOfPage = LevelOfPage {
    prefix: "",
    whose: "",
    bounds: Bounds::Twice,
};
/// A run of a dataflow.
const RUN: LevelOfPage = LevelOfPage {
    prefix: "run_",
    whose: ", of a dataflow's run",
    bounds: Bounds::Twice,
};
/// All nodes of one name.
const GROUP: LevelOfPage = LevelOfPage {
    prefix: "group_",
    whose: ", of all nodes of one name",
    bounds: Bounds::FourTimes,
};
/// An edge.
const ON_EDGE: LevelOfPage = LevelOfPage {
    prefix: "edge_",
    whose: ", on an edge",
    bounds: Bounds::FourTimes,
};

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

        let encoder = &mut encoder;
        families(encoder, &ALL, &PROCESS, &alone(&process), at_ns)?;
        families(encoder, &ALL, &LEVEL, &alone(snapshot.total()), at_ns)?;
        let runs: Vec<Member<'_, Level>> = runs.iter().map(rows::run).collect();
        families(encoder, &RUN, &LEVEL, &runs, at_ns)?;
        let groups: Vec<GroupRow> = snapshot.groups().collect();
        let groups: Vec<Member<'_, Level>> = groups.iter().map(rows::group).collect();
        families(encoder, &GROUP, &LEVEL, &groups, at_ns)?;
        let edges = edges.iter().map(|(labels, row)| Member {
            labels: labels.clone(),
            row,
        });
        families(encoder, &ON_EDGE, &EDGE, &edges.collect::<Vec<_>>(), at_ns)?;
        let actors = each(snapshot.actors(), "actor", |row| &row.actor);
        families(encoder, &ALL, &ACTOR, &actors, at_ns)?;
        let peers = each(snapshot.peers(), "peer", |row| row.peer.as_str());
        families(encoder, &ALL, &PEER, &peers, at_ns)?;
        families(
            encoder,
            &ALL,
            &DOWNLOADS,
            &alone(snapshot.downloads()),
            at_ns,
        )?;
        if let Some(pool) = snapshot.pool() {
            families(encoder, &ALL, &POOL, &alone(pool), at_ns)?;
        }
        families(encoder, &ALL, &AUDIT, &alone(snapshot.audit()), at_ns)
    }
}
