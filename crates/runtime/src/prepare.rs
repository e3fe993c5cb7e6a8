//! Before a run begins: everything that can be checked is checked, and nothing has been started.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::UNIX_EPOCH;

use dataflow_core::stats::Source as Collected;
use dataflow_descriptor::{Dataflow, Node};
use dataflow_ids::DataflowName;
use dataflow_shm::child::DescriptorLimit;
use dataflow_wire::status::Report;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::controls::{Control, Controls};
use crate::env::{WallClock, system_time};
use crate::error::{RunError, UpError};
use crate::household::{Household, Reserved};
use crate::logs::{self, LOG_BYTES_MAX, LogWriter, RunFolder};
use crate::models::{HubSettings, ModelService, Models, NoModels};
use crate::options::RunOptions;
use crate::process::ProcessLauncher;
use crate::registry::{Claim, Registry, RegistryError};
use crate::root::{RootTask, Start};
use crate::statistics::{MetricsListener, show_metrics};
use crate::{limits, machine, programs};
use dataflow_wire::event::RunEvent;

/// A run that has been prepared: its name is claimed, its socket is there, nothing has been started.
#[derive(Debug)]
pub struct Run {
    dataflow: Dataflow,
    options: RunOptions,
    claim: Claim,
    folder: RunFolder,
    descriptor_limit: DescriptorLimit,
    reserved: Reserved,
    /// `None` when no node needs any.
    models: Option<Arc<ModelService>>,
    /// `None` when nobody is to read metrics.
    metrics: Option<MetricsListener>,
    host: Host,
    controls: Controls,
    control: UnboundedReceiver<Control>,
}

/// Checks what a run needs, and claims its name.
///
/// # Errors
///
/// [`UpError`], which names the thing and the remedy. Nothing is left behind.
pub fn prepare(dataflow: Dataflow, options: RunOptions) -> Result<Run, UpError> {
    let registry = Registry::of_this_process();
    prepare_in(&registry, dataflow, options, &Host::default())
}

/// In whose process a run is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    /// What it shares with other runs there.
    pub(crate) household: Household,
    /// Whether the process lives on when the run has ended.
    pub(crate) is_agent: bool,
}

/// As [`prepare`], with a registry somewhere else, and for a process that may have other runs.
pub(crate) fn prepare_in(
    registry: &Registry,
    dataflow: Dataflow,
    options: RunOptions,
    host: &Host,
) -> Result<Run, UpError> {
    check_peers(&dataflow, &options)?;
    let given = options.environment.as_deref();
    programs::check(&dataflow, given, &options.interruption)?;
    let descriptor_limit = host.household.descriptor_limit()?;
    limits::check_nodes(&dataflow, descriptor_limit)?;
    let need = limits::runtime_need(&dataflow);
    let reserved = host.household.reserve_descriptors(need)?;

    let models = models(&dataflow, &options, &host.household)?;

    let folder = RunFolder::create(&dataflow.folder, &dataflow.name)?;
    let claimed = claim(registry, &dataflow, &folder).and_then(|claim| {
        // After the name: who starts the same a second time is told of the first, and not of a port.
        let metrics = options.metrics.map(MetricsListener::bind).transpose()?;
        let nodes = dataflow.nodes.iter().map(|node| node.id.clone()).collect();
        folder.begin(&dataflow.folder, &dataflow.name, &dataflow.file, nodes)?;
        Ok((claim, metrics))
    });
    let (claim, metrics) = match claimed {
        Ok(claimed) => claimed,
        Err(error) => {
            folder.abandon();
            return Err(error);
        }
    };
    let (to_root, control) = unbounded_channel();
    Ok(Run {
        dataflow,
        options,
        claim,
        folder,
        descriptor_limit,
        reserved,
        models,
        metrics,
        host: host.clone(),
        controls: Controls::new(to_root),
        control,
    })
}

/// Whether every node may run here: what is pinned to another machine is refused, and never run somewhere else.
fn check_peers(dataflow: &Dataflow, options: &RunOptions) -> Result<(), UpError> {
    let this = options.agent.as_ref().map(|agent| &agent.peer);
    let elsewhere = |node: &&Node| node.peer.is_some() && node.peer.as_ref() != this;
    let Some(node) = dataflow.nodes.iter().find(elsewhere) else {
        return Ok(());
    };
    let Some(peer) = node.peer.clone() else {
        return Ok(());
    };
    Err(UpError::OtherPeer {
        node: node.id.clone(),
        remedy: match this {
            Some(this) => format!("this machine is `{this}`: remove `peer`, or run it on `{peer}`"),
            None => format!(
                "this machine is no peer: remove `peer`, or run it beside `dataflow agent --node {peer}`"
            ),
        },
        peer,
    })
}

/// What fetches models, if a node needs any. Nobody is asked for one yet.
fn models(
    dataflow: &Dataflow,
    options: &RunOptions,
    household: &Household,
) -> Result<Option<Arc<ModelService>>, UpError> {
    if dataflow.nodes.iter().all(|node| node.models.is_empty()) {
        return Ok(None);
    }
    let settings = match &options.environment {
        Some(given) => HubSettings::from_variables_in(&given.variables, &given.folder)?,
        None => HubSettings::from_environment()?,
    };
    let service = household.models(settings, options.fetch_bytes_per_second_max)?;
    Ok(Some(service))
}

fn claim(registry: &Registry, dataflow: &Dataflow, folder: &RunFolder) -> Result<Claim, UpError> {
    let Dataflow {
        name,
        file,
        folder: project,
        ..
    } = dataflow;
    registry
        .claim(name, folder.run(), file, project)
        .map_err(|error| match error {
            RegistryError::RunsAlready(found) => UpError::RunsAlready {
                name: found.name,
                pid: found.pid,
                file: found.file,
            },
            error => error.into(),
        })
}

impl Run {
    /// Controls for another thread.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// The run's name: its folder under `.dataflow/runs/`, and part of the names of its memfds.
    pub fn name(&self) -> &str {
        self.folder.run()
    }

    /// Where programs read metrics over HTTP, if they are to.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(MetricsListener::address)
    }

    /// The dataflow's name.
    pub(crate) fn dataflow_name(&self) -> &DataflowName {
        &self.dataflow.name
    }

    /// Runs the dataflow on the calling thread until it has ended, and tells `events` what happens.
    ///
    /// The thread must not be one of a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`RunError`] when the runtime itself cannot go on. A node's failure is no such error: the report says it.
    pub fn block_on(self, events: mpsc::Sender<RunEvent>) -> Result<Report, RunError> {
        let Run {
            dataflow,
            options,
            mut claim,
            folder,
            descriptor_limit,
            reserved,
            models: service,
            metrics,
            host,
            control,
            ..
        } = self;
        let models: Rc<dyn Models> = match &service {
            Some(service) => Rc::new(Arc::clone(service)),
            None => Rc::new(NoModels),
        };
        let refused = |what| move |source| RunError::System { what, source };
        let log_bytes_max = options.log_bytes_max.unwrap_or(LOG_BYTES_MAX);
        let (logs, writer) = LogWriter::start(folder.path(), log_bytes_max, events.clone())
            .map_err(refused("cannot start the thread that writes logs"))?;
        let listener = claim.take_listener();
        let statistics = (host.household.statistics())
            .map_err(refused("cannot start the thread of statistics"))?;
        let capabilities = match &options.agent {
            Some(agent) => agent.capabilities.clone(),
            None => machine::capabilities(),
        };
        let peer = options.this_machine();
        let seed = options.seed.unwrap_or_else(seed_of_the_clock);
        tracing::debug!(run = folder.run(), seed, "run begins");
        let result = actix_rt::System::new().block_on(async {
            let launcher = ProcessLauncher::new(Some(descriptor_limit))
                .map_err(refused("cannot start the thread that starts processes"))?;
            let task = RootTask::new(Start {
                dataflow,
                run: folder.run().to_owned(),
                options,
                seed,
                wall_clock: WallClock::System,
                pid: std::process::id(),
                is_hosted: host.is_agent,
                launcher: Rc::new(launcher),
                models,
                capabilities,
                output_memory_bytes: machine::output_memory_bytes(),
                listener,
                statistics: Some(statistics),
                logs,
                events: events.clone(),
                control,
            })?;
            if let Some(collected) = host.household.collected() {
                let source = task.root().statistics_source().clone();
                let run = Some(folder.run().to_owned());
                collected.begins(Collected { peer, run }, source);
            }
            let shown = metrics
                .map(|listener| show_metrics(listener, task.root().statistics_source().clone()));
            let _shown = shown
                .transpose()
                .map_err(refused("cannot start the thread that answers over HTTP"))?;
            task.run().await
        });
        // Whoever has announced the end may end the process. Other runs may still fetch.
        let ends = service.and_then(|service| host.household.let_go(service));
        if let Some(service) = ends
            && !service.end()
        {
            tracing::warn!("downloads have not let go of their files yet");
        }
        // What was said is on the disk before the end is announced.
        let losses = writer.finish();
        let mut report = result?;
        for node in &mut report.nodes {
            node.log = losses.of(&node.node);
        }
        let written = logs::write_report(folder.path(), &report);
        // The name is free before the end is announced, so that the next `up` may follow at once.
        drop(claim);
        drop(reserved);
        let _ = events.send(RunEvent::Ended(Box::new(report.clone())));
        match written {
            Ok(()) => Ok(report),
            Err(source) => {
                let report = Box::new(report);
                Err(RunError::ReportNotWritten { source, report })
            }
        }
    }
}

fn seed_of_the_clock() -> u64 {
    let since = system_time().duration_since(UNIX_EPOCH);
    // Any part of it will do.
    since.map_or(0, |since| since.as_nanos() as u64)
}
