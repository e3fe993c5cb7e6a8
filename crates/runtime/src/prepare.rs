//! Before a run begins: everything that can be checked is checked, and nothing has been started.

use std::io;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::UNIX_EPOCH;

use dataflow_descriptor::Dataflow;
use dataflow_shm::child::{DescriptorLimit, raise_descriptor_limit};
use dataflow_wire::status::Report;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::controls::{Control, Controls};
use crate::env::{WallClock, system_time};
use crate::error::{RunError, UpError};
use crate::events::RunEvent;
use crate::logs::{self, LOG_BYTES_MAX, LogWriter, RunFolder};
use crate::models::{FetchLimits, HubSettings, ModelService, Models, NoModels};
use crate::options::RunOptions;
use crate::process::ProcessLauncher;
use crate::registry::{Claim, Registry, RegistryError};
use crate::root::{RootTask, Start};
use crate::{limits, machine, programs};

/// A run that has been prepared: its name is claimed, its socket is there, nothing has been started.
#[derive(Debug)]
pub struct Run {
    dataflow: Dataflow,
    options: RunOptions,
    claim: Claim,
    folder: RunFolder,
    descriptor_limit: DescriptorLimit,
    /// `None` when no node needs any.
    models: Option<ModelService>,
    controls: Controls,
    control: UnboundedReceiver<Control>,
}

/// Checks what a run needs, and claims its name.
///
/// # Errors
///
/// [`UpError`], which names the thing and the remedy. Nothing is left behind.
pub fn prepare(dataflow: Dataflow, options: RunOptions) -> Result<Run, UpError> {
    prepare_in(&Registry::of_this_process(), dataflow, options)
}

/// As [`prepare`], with a registry somewhere else.
pub(crate) fn prepare_in(
    registry: &Registry,
    dataflow: Dataflow,
    options: RunOptions,
) -> Result<Run, UpError> {
    programs::check(&dataflow, &options.interruption)?;
    let descriptor_limit = raise_descriptor_limit().map_err(|error| UpError::System {
        what: "cannot raise the limit of open descriptors",
        source: io::Error::from(error.errno),
    })?;
    limits::check_descriptors(&dataflow, descriptor_limit)?;

    let models = models(&dataflow, &options)?;

    let folder = RunFolder::create(&dataflow.folder, &dataflow.name)?;
    let claimed = claim(registry, &dataflow, &folder).and_then(|claim| {
        let nodes = dataflow.nodes.iter().map(|node| node.id.clone()).collect();
        folder.begin(&dataflow.folder, &dataflow.name, &dataflow.file, nodes)?;
        Ok(claim)
    });
    let claim = match claimed {
        Ok(claim) => claim,
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
        models,
        controls: Controls::new(to_root),
        control,
    })
}

/// What fetches models, if a node needs any. Nobody is asked for one yet.
fn models(dataflow: &Dataflow, options: &RunOptions) -> Result<Option<ModelService>, UpError> {
    if dataflow.nodes.iter().all(|node| node.models.is_empty()) {
        return Ok(None);
    }
    let settings = HubSettings::from_environment()?;
    let limits = FetchLimits {
        bytes_per_second: options.fetch_bytes_per_second_max,
        ..FetchLimits::default()
    };
    let service = ModelService::for_hub(settings, limits)?;
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
            models,
            control,
            ..
        } = self;
        let service = models.map(Rc::new);
        let models: Rc<dyn Models> = match &service {
            Some(service) => Rc::clone(service) as Rc<dyn Models>,
            None => Rc::new(NoModels),
        };
        let refused = |what| move |source| RunError::System { what, source };
        let log_bytes_max = options.log_bytes_max.unwrap_or(LOG_BYTES_MAX);
        let (logs, writer) = LogWriter::start(folder.path(), log_bytes_max, events.clone())
            .map_err(refused("cannot start the thread that writes logs"))?;
        let listener = claim.take_listener();
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
                launcher: Rc::new(launcher),
                models,
                capabilities: machine::capabilities(),
                output_memory_bytes: machine::output_memory_bytes(),
                listener,
                logs,
                events: events.clone(),
                control,
            })?;
            task.run().await
        });
        // Whoever has announced the end may end the process.
        if let Some(service) = service
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
