//! Runs whose nodes wait for models.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{End, LifeCycle, NodeId, StopMode};
use dataflow_runtime::RunEvent;
use dataflow_runtime::models::{FetchEpoch, ModelError, ModelOrder};
use dataflow_runtime::process::LaunchOrder;
use dataflow_testkit::launcher::{Program, programs};
use dataflow_testkit::models::{Ending, FakeFetcher, FetchEnd, Script};
use dataflow_wire::status::{ModelState, Outcome};

use super::support::{Stage, play};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

/// `detector` needs a model, `camera` does not.
const FLOW: &str = "
name: flow
models:
  tiny.detector: { repo: acme/tiny-detector }
nodes:
  - { id: camera, path: ./camera, build: make, outputs: [image] }
  - id: detector
    path: ./detector
    build: make
    models: [tiny.detector]
    outputs: [boxes]
    restart: { policy: on-failure, max: 2, window: 60s, backoff: 100ms..200ms }
";
const CAMERA: usize = 0;
const DETECTOR: usize = 1;
const VARIABLE: &str = "DATAFLOW_MODEL_TINY_DETECTOR";

fn nothing_fails(_: &LaunchOrder) -> Program {
    programs::connects_after(Duration::ZERO)
}

fn in_an_hour(_: &ModelOrder) -> Script {
    Script::finishes_after(HOUR)
}

fn gated() -> ModelError {
    ModelError::Gated {
        repo: "acme/tiny-detector".to_owned(),
        url: "https://huggingface.co/acme/tiny-detector".to_owned(),
    }
}

#[test]
fn a_node_starts_when_its_model_is_there_and_finds_it_and_the_others_do_not_wait() {
    let environments: Rc<RefCell<BTreeMap<String, Option<OsString>>>> = Rc::default();
    let seen = Rc::clone(&environments);
    let launch = move |order: &LaunchOrder| {
        let variable = order.program.env.get(&OsString::from(VARIABLE));
        let variable = variable.cloned().flatten();
        (seen.borrow_mut()).insert(order.node.to_string(), variable);
        Ok(nothing_fails(order))
    };
    let (report, events) = play(FLOW, launch, in_an_hour, async |stage: Rc<Stage>| {
        stage.until_state(CAMERA, LifeCycle::Running).await;
        tokio::time::sleep(HOUR / 2 + SECOND).await;
        let status = stage.looks.status();
        assert_eq!(status.nodes[DETECTOR].state, LifeCycle::Downloading);
        let waits = status.nodes[DETECTOR].waits_in_words();
        assert_eq!(
            waits.as_deref(),
            Some("waiting for model tiny.detector 50 %")
        );
        let model = &status.models[0];
        assert_eq!(model.view.state, ModelState::Fetching);
        assert_eq!(model.view.bytes_total, 10_000);
        stage.until_state(DETECTOR, LifeCycle::Running).await;
        let view = &stage.looks.status().models[0].view;
        assert_eq!((view.state, view.bytes_done), (ModelState::Ready, 10_000));
        stage.controls.stop(StopMode::Graceful, None);
    });
    assert_eq!(report.outcome, Outcome::Drained);
    let snapshot = FakeFetcher::snapshot(FetchEpoch(1)).into_os_string();
    let environments = environments.borrow();
    assert_eq!(environments["detector"], Some(snapshot));
    assert_eq!(environments["camera"], None, "it does not need it");
    let states = events.iter().filter_map(|event| match event {
        RunEvent::Model(status) => Some(status.view.state),
        _ => None,
    });
    let mut states: Vec<ModelState> = states.collect();
    states.dedup();
    let way = [
        ModelState::Resolving,
        ModelState::Fetching,
        ModelState::Ready,
    ];
    assert_eq!(states, way);
}

#[test]
fn a_model_that_cannot_be_had_fails_the_up_and_names_the_node_and_the_remedy() {
    let (report, _) = play(
        FLOW,
        |order| Ok(nothing_fails(order)),
        |_| Script::ends_after(HOUR, Ending::Fails(gated())),
        async |_: Rc<Stage>| {},
    );
    assert_eq!(report.outcome, Outcome::Failed);
    for part in [
        "`detector`",
        "`tiny.detector`",
        "gated",
        "https://huggingface.co/",
    ] {
        assert!(report.because.contains(part), "{}", report.because);
    }
    assert!(matches!(report.nodes[DETECTOR].end, End::Crashed { .. }));
    assert_eq!(report.nodes[CAMERA].end, End::Drained);
}

#[test]
fn a_stop_during_a_download_ends_at_once_and_cancels_it() {
    let hangs = |_: &ModelOrder| Script::ends_after(HOUR, Ending::Hangs);
    let stalls = |_: &ModelOrder| Script::ends_after(HOUR, Ending::Stalls);
    for script in [hangs, stalls] {
        let launch = |order: &LaunchOrder| Ok(nothing_fails(order));
        let (report, _) = play(FLOW, launch, script, async |stage: Rc<Stage>| {
            stage.until_state(CAMERA, LifeCycle::Running).await;
            tokio::time::sleep(HOUR).await;
            stage.controls.stop(StopMode::Graceful, None);
            stage
                .until(|looks| looks.status().nodes[DETECTOR].end.is_some())
                .await;
            let state = || stage.looks.status().models[0].view.state;
            assert_eq!(state(), ModelState::Cancelled);
            stage
                .until(|_| stage.fetcher.fetches()[0].end == Some(FetchEnd::Cancelled))
                .await;
        });
        assert_eq!(report.outcome, Outcome::Drained);
        assert!(report.stop_took.expect("it was stopped") < Duration::from_secs(1));
        let because = &report.nodes[DETECTOR].end;
        assert_eq!(*because, End::Drained, "it was never started");
    }
}

#[test]
fn a_restart_downloads_nothing_again() {
    let paths: Rc<RefCell<Vec<Option<OsString>>>> = Rc::default();
    let seen = Rc::clone(&paths);
    let launch = move |order: &LaunchOrder| {
        if order.node.as_str() == "camera" {
            return Ok(nothing_fails(order));
        }
        let variable = order.program.env.get(&OsString::from(VARIABLE));
        seen.borrow_mut().push(variable.cloned().flatten());
        Ok(nothing_fails(order))
    };
    let (report, _) = play(FLOW, launch, in_an_hour, async |stage: Rc<Stage>| {
        stage.until_state(DETECTOR, LifeCycle::Running).await;
        let detector: NodeId = "detector".parse().unwrap();
        stage.controls.restart(detector, None);
        stage
            .until(|looks| looks.status().nodes[DETECTOR].restarts == 1)
            .await;
        stage.until_state(DETECTOR, LifeCycle::Running).await;
        stage.controls.stop(StopMode::Graceful, None);
        assert_eq!(stage.fetcher.fetches().len(), 1);
    });
    assert_eq!(report.outcome, Outcome::Drained);
    let paths = paths.borrow();
    assert_eq!(paths.len(), 2);
    assert!(paths[0].is_some() && paths[0] == paths[1], "{paths:?}");
}

#[test]
fn a_node_that_waits_for_two_models_starts_with_the_second() {
    let yaml = "
name: flow
models:
  fast: { repo: acme/fast }
  slow: { repo: acme/slow }
nodes:
  - { id: reader, path: ./reader, build: make, models: [fast, slow] }
";
    let script = |order: &ModelOrder| match order.spec.repo.as_str() {
        "acme/fast" => Script::finishes_after(Duration::from_secs(1)),
        _ => Script::finishes_after(HOUR),
    };
    let launch = |_: &LaunchOrder| Ok(programs::exits(Exit::Code(0)));
    let (report, events) = play(yaml, launch, script, async |stage: Rc<Stage>| {
        tokio::time::sleep(HOUR / 2 + SECOND).await;
        let status = stage.looks.status();
        assert_eq!(status.nodes[0].state, LifeCycle::Downloading);
        let waits = status.nodes[0].waits_in_words();
        assert_eq!(waits.as_deref(), Some("waiting for model slow 50 %"));
    });
    assert_eq!(report.outcome, Outcome::Drained, "{events:?}");
    assert!(report.up_for >= HOUR);
}
