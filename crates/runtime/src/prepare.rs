//! Before a run begins: everything that can be checked is checked, and nothing has been started.

use std::io;
use std::sync::mpsc;

use dataflow_descriptor::Dataflow;
use dataflow_wire::status::Report;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::controls::{Control, Controls};
use crate::error::{RunError, UpError};
use crate::events::RunEvent;
use crate::logs::RunFolder;
use crate::options::RunOptions;
use crate::registry::{Claim, Registry, RegistryError};

/// A run that has been prepared: its name is claimed, its socket is there, nothing has been started.
#[derive(Debug)]
pub struct Run {
    dataflow: Dataflow,
    options: RunOptions,
    claim: Claim,
    folder: RunFolder,
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

pub(crate) fn prepare_in(
    registry: &Registry,
    dataflow: Dataflow,
    options: RunOptions,
) -> Result<Run, UpError> {
    let folder = RunFolder::create(&dataflow.folder, &dataflow.name)?;
    let claim = match registry.claim(
        &dataflow.name,
        folder.run(),
        &dataflow.file,
        &dataflow.folder,
    ) {
        Ok(claim) => claim,
        Err(error) => {
            folder.abandon();
            return Err(match error {
                RegistryError::RunsAlready(found) => UpError::RunsAlready {
                    name: found.name,
                    pid: found.pid,
                    file: found.file,
                },
                error => error.into(),
            });
        }
    };
    let (to_root, control) = unbounded_channel();
    Ok(Run {
        dataflow,
        options,
        claim,
        folder,
        controls: Controls::new(to_root),
        control,
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
    /// # Errors
    ///
    /// [`RunError`] when the runtime itself cannot go on. A node's failure is no such error: the report says it.
    pub fn block_on(self, events: mpsc::Sender<RunEvent>) -> Result<Report, RunError> {
        let _ = (
            self.dataflow,
            self.options,
            self.claim,
            self.control,
            events,
        );
        Err(RunError::System {
            what: "not yet",
            source: io::Error::other("not yet"),
        })
    }
}
