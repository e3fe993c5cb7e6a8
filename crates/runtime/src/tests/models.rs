//! A run that waits for a model: whatever leads to it may panic at every step.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use dataflow_core::models::Listing;
use dataflow_core::placement::Capabilities;
use dataflow_wire::status::{Outcome, Report};

use super::support::Project;
use crate::embed::{Surroundings, embed};
use crate::models::{
    FetchEvent, FetchSink, Fetcher, Fetching, LocalModels, ModelOrder, Models, NoModels,
};
use crate::process::ProcessLauncher;
use crate::supervision::faults;
use crate::{RunError, RunOptions};

pub(super) const FLOW: &str = "name: flow
models:
  tiny: { repo: acme/tiny }
nodes:
  - { id: reader, path: ./reader.sh, models: [tiny] }
";
const SNAPSHOT: &str = "/models/tiny";

/// Has everything there at once.
struct AtOnce;

#[derive(Debug)]
struct IsOver(
    #[expect(dead_code, reason = "the sink is open as long as the fetch is held")] FetchSink,
);

impl Fetching for IsOver {}

impl Fetcher for AtOnce {
    fn fetch(&self, _: ModelOrder, sink: FetchSink) -> Box<dyn Fetching> {
        let listing = Listing {
            commit: "c".repeat(40),
            files: Vec::new(),
        };
        let snapshot = PathBuf::from(SNAPSHOT);
        for event in [
            FetchEvent::Resolved(listing),
            FetchEvent::Finished { snapshot },
        ] {
            sink.events.send((sink.epoch, event)).unwrap();
        }
        Box::new(IsOver(sink))
    }
}

/// One run on this thread, whose one node fails unless it finds its model.
fn run(models: impl FnOnce() -> Rc<dyn Models>, faults: impl FnOnce()) -> Result<Report, RunError> {
    let project = Project::new();
    project.script(
        "reader.sh",
        &format!("test \"$DATAFLOW_MODEL_TINY\" = {SNAPSHOT}"),
    );
    let dataflow = project.dataflow(FLOW);
    actix_rt::System::new().block_on(async {
        let surroundings = Surroundings {
            launcher: Rc::new(ProcessLauncher::new(None).unwrap()),
            models: models(),
            seed: 7,
            run: "flow".to_owned(),
            pid: 4711,
            capabilities: Capabilities::default(),
            output_memory_bytes: 1024 * 1024,
            options: RunOptions::default(),
            begins_at: UNIX_EPOCH,
        };
        let (to_test, _events) = std::sync::mpsc::channel();
        faults();
        embed(dataflow, surroundings, to_test).unwrap().run().await
    })
}

pub(super) fn at_once() -> Rc<dyn Models> {
    Rc::new(LocalModels::new(Rc::new(AtOnce)))
}

#[test]
fn the_actor_of_models_may_panic_at_every_step_and_the_node_finds_its_model() {
    let steps_of = |at: &[u64]| {
        let result = run(at_once, || faults::arm("models", at));
        (result.unwrap(), faults::steps())
    };
    let (report, steps) = steps_of(&[]);
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
    assert!(steps > 6, "it has done something");
    for at in 1..=steps {
        let (report, _) = steps_of(&[at]);
        assert_eq!(report.outcome, Outcome::Drained, "{at}: {report:?}");
        // Twice over one thing: it goes on, or the node fails and says why.
        let (report, _) = steps_of(&[at, at + 3]);
        let says_why = report.because.contains("model `tiny` cannot be had");
        let goes_on = report.outcome == Outcome::Drained;
        assert!(goes_on || says_why, "{at}: {report:?}");
    }
}

#[test]
fn the_look_at_a_model_that_panics_is_taken_up_again_and_one_that_panics_twice_ends_the_run() {
    let report = run(at_once, || faults::arm_task("model", 1)).unwrap();
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
    let result = run(at_once, || faults::arm_task("model", u32::MAX));
    faults::arm_task("model", 0);
    match result {
        Err(RunError::Task { what, .. }) => assert!(what.contains("injected"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_without_a_source_of_models_fails_the_node_that_needs_one() {
    let report = run(|| Rc::new(NoModels), || {}).unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.because.contains("`reader`"), "{}", report.because);
    let lines = &report.nodes[0].last_lines;
    assert!(lines[0].contains("model `tiny` cannot be had"), "{lines:?}");
}
