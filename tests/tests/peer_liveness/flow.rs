//! A dataflow that sends without a pause, in the same process as the agents.

use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{Dataflow, Environment, check_text};
use dataflow_ids::{LifeCycle, StopMode};
use dataflow_runtime::embed::{Surroundings, embed};
use dataflow_runtime::models::NoModels;
use dataflow_runtime::process::ProcessLauncher;
use dataflow_runtime::{Controls, RunOptions};
use dataflow_tests::pulse_node;

/// One message of the dataflow has so many bytes and some more.
fn dataflow(folder: &Path) -> Dataflow {
    let node = pulse_node();
    let yaml = format!(
        "name: full-rate
nodes:
  - id: send
    path: {node}
    args: [send, every_ms=0]
    outputs: [out]
  - id: take
    path: {node}
    args: [take]
    inputs: {{ in: {{ source: send/out, queue_policy: block }} }}
",
        node = node.display()
    );
    let checked = check_text(&yaml, "flow.yml", folder, &Environment::default());
    let diagnostics = checked.diagnostics;
    checked
        .dataflow
        .unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// A dataflow at full rate, on a thread of its own as an agent has them.
pub(crate) struct Flow {
    controls: Controls,
    thread: JoinHandle<u64>,
}

impl Flow {
    /// Begins it, and waits until its messages flow.
    pub(crate) fn begin(folder: &Path) -> Flow {
        let dataflow = dataflow(folder);
        let (to_test, steady) = channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async {
                let launcher = ProcessLauncher::new(None).expect("its thread starts");
                let surroundings = Surroundings {
                    launcher: Rc::new(launcher),
                    models: Rc::new(NoModels),
                    seed: 7,
                    run: format!("peer-liveness-{}", std::process::id()),
                    pid: std::process::id(),
                    capabilities: Capabilities::default(),
                    output_memory_bytes: 1 << 24,
                    options: RunOptions::default(),
                    begins_at: SystemTime::now(),
                };
                let (events, _not_read) = channel();
                let run = embed(dataflow, surroundings, events).expect("the memory of its edges");
                let (controls, looks) = (run.controls(), run.inspector());
                let ends = actix_rt::spawn(run.run());
                let runs = |state| state == LifeCycle::Running;
                while !looks.status().nodes.iter().all(|node| runs(node.state)) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                to_test.send(controls).expect("it is waited for");
                let report = ends
                    .await
                    .expect("it does not panic")
                    .expect("it goes on to its end");
                report.edges.iter().map(|edge| edge.counts.delivered).sum()
            })
        });
        Flow {
            controls: steady.recv().expect("it sends them"),
            thread,
        }
    }

    /// Stops it. Gives how many messages were delivered.
    pub(crate) fn end(self) -> u64 {
        self.controls.stop(StopMode::Graceful, None);
        self.thread.join().expect("it does not panic")
    }
}
