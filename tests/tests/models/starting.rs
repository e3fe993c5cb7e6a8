//! Who starts when: nodes without models at once, the others when their models are there.

use dataflow_ids::LifeCycle;
use dataflow_tests::node;
use dataflow_wire::status::ModelState;

use crate::world::{World, model};

const SIZE: usize = 4 * 1024 * 1024;

const FLOW: &str = "
models:
  tiny: { repo: acme/tiny, files: ['*.json', '*.safetensors'] }
nodes:
  - id: plain
    path: /bin/sh
    args: [-c, 'echo is here; exec sleep 1000']
  - id: reader
    path: /bin/sh
    args: [-c, 'echo finds $(cat $DATAFLOW_MODEL_TINY/config.json) in $DATAFLOW_MODEL_TINY; exec sleep 1000']
    models: [tiny]
";

#[test]
fn nodes_without_models_start_at_once_and_the_others_find_their_model_when_they_start() {
    let repository = model("acme/tiny", SIZE);
    let commit = repository.commit();
    let world = World::new("starting", [repository]);
    world.flow(FLOW);
    world.hub.throttle(Some(SIZE as u64 / 8));
    let up = world.up();
    up.wait_for_line(&["plain", "is here"]);
    let status = world.wait_until("the model comes", |status| {
        let view = &status.models[0].view;
        view.state == ModelState::Fetching && view.bytes_done > 0
    });
    assert_eq!(node(&status, "reader").state, LifeCycle::Downloading);
    assert_eq!(node(&status, "reader").pid, None);
    assert!(node(&status, "plain").pid.is_some());
    let view = &status.models[0].view;
    assert_eq!(view.bytes_total, (SIZE + r#"{"size":"tiny"}"#.len()) as u64);
    assert!(view.bytes_done < view.bytes_total);
    assert_eq!(view.commit.as_deref(), Some(commit.as_str()));
    assert_eq!(view.files.len(), 2);
    world
        .dataflow(["ps"])
        .run()
        .expect_code(0)
        .expect_line(&["tiny"]);
    world.hub.throttle(None);
    let line = up.wait_for_line(&["reader", "finds", r#"{"size":"tiny"}"#]);
    let snapshot = world.cached("acme/tiny").join("snapshots").join(commit);
    assert!(
        line.text.ends_with(&format!("in {}", snapshot.display())),
        "{}",
        line.text
    );
    up.interrupt();
    up.wait().expect_code(0);
    world.report();
}

/// Runs `up` of [`FLOW`], which must fail and say all this.
fn fails_with(world: &World, parts: &[&str]) {
    world.flow(FLOW);
    let ended = world.up().wait().expect_code(1);
    let said = format!("{}\n{}", ended.output(), ended.error());
    for part in parts.iter().chain(&["reader", "acme/tiny"]) {
        assert!(said.contains(part), "`{part}` is not said: {ended}");
    }
    assert!(!said.contains("finds"), "it was started: {ended}");
}

#[test]
fn a_gated_model_fails_the_up_and_names_the_node_and_the_url() {
    let world = World::new("gated", [model("acme/tiny", 100).gated()]);
    let url = format!("{}/acme/tiny", world.hub.endpoint());
    fails_with(&world, &["gated", &url, "HF_TOKEN"]);
    let pull = world.pull("acme/tiny").run().expect_code(1);
    assert!(pull.error().contains(&url), "{pull}");
}

#[test]
fn a_model_that_is_not_there_fails_the_up_and_names_the_node() {
    let world = World::new("nowhere", [model("acme/other", 100)]);
    fails_with(&world, &["not there", "check the name"]);
}

#[test]
fn a_token_opens_what_is_gated_and_never_reaches_the_cdn() {
    let mut world = World::new("token", [model("acme/tiny", 100).gated_for("hf_secret")]);
    world.set_variable("HF_TOKEN", "hf_secret");
    let pull = world.pull("acme/tiny").run().expect_code(0);
    assert!(
        !pull.output().contains("hf_secret") && !pull.error().contains("hf_secret"),
        "{pull}"
    );
    assert_eq!(world.hub.violations(), Vec::<String>::new());
}
