//! A run that has begun: what is said of it, and where it is found.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use dataflow_descriptor::Dataflow;
use dataflow_ids::{NodeId, PeerId};
use dataflow_runtime::registry::FoundAgent;
use serde::{Deserialize, Serialize};

use crate::metrics;

/// A run that has begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Started {
    /// The dataflow's name.
    pub(super) name: String,
    /// The run's name.
    pub(super) run: String,
    /// The YAML.
    pub(super) file: PathBuf,
    /// The runtime's process.
    pub(super) pid: u32,
    /// Its nodes.
    pub(super) nodes: Vec<NodeId>,
    /// The agent that runs it; without one, it has a process of its own.
    pub(super) agent: Option<PeerId>,
    /// Where programs read its metrics.
    pub(super) metrics: Option<SocketAddr>,
    /// When, on this process's clock.
    #[serde(skip, default = "Instant::now")]
    pub(super) at: Instant,
}

impl Started {
    /// A run of `dataflow`, named `run`, that begins now.
    pub(super) fn now(dataflow: &Dataflow, run: &str) -> Started {
        Started {
            name: dataflow.name.to_string(),
            run: run.to_owned(),
            file: dataflow.file.clone(),
            pid: std::process::id(),
            nodes: dataflow.nodes.iter().map(|node| node.id.clone()).collect(),
            agent: None,
            metrics: None,
            at: Instant::now(),
        }
    }

    /// The same, with its metrics read there.
    pub(super) fn with_metrics(self, metrics: Option<SocketAddr>) -> Started {
        Started { metrics, ..self }
    }

    /// As [`Started::now`], on an agent.
    pub(super) fn on_agent(dataflow: &Dataflow, run: &str, agent: &FoundAgent) -> Started {
        Started {
            pid: agent.pid,
            agent: Some(agent.this.clone()),
            ..Started::now(dataflow, run)
        }
    }

    /// `, on the agent gpu-a`, or nothing.
    pub(super) fn place(&self) -> String {
        self.agent
            .as_ref()
            .map_or(String::new(), |agent| format!(", on the agent {agent}"))
    }

    /// What is said of its metrics.
    pub(super) fn metrics(&self) -> impl Iterator<Item = String> {
        self.metrics.into_iter().flat_map(metrics::lines)
    }

    /// The folder of the run's logs.
    pub(super) fn folder(&self) -> PathBuf {
        let project = self.file.parent().unwrap_or(&self.file);
        project.join(".dataflow").join("runs").join(&self.run)
    }
}
