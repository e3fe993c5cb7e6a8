//! `--limit-rate`: models come no faster than a person has said, whoever fetches them.

use std::time::Duration;

use dataflow_tests::Finished;

use crate::world::{World, model};

/// As many bytes a second as `512K` means.
const RATE: usize = 512 * 1024;
/// What is fetched takes two seconds at that rate.
const PROMISED: Duration = Duration::from_secs(2);
/// What may pass at once after a pause, and what begins before the first byte has come.
const ASSERTED: Duration = Duration::from_millis(1850);

const FLOW: &str = "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: reader, path: /bin/sh, args: [-c, 'exec sleep 1000'], models: [tiny] }
";

fn world(name: &str) -> World {
    let world = World::new(name, [model("acme/tiny", 2 * RATE)]);
    world.flow(FLOW);
    world
}

/// Prints what something took, and asserts that it was not faster than it may be, and not as slow as if the cap were
/// another.
#[track_caller]
fn judge(what: &str, ended: Finished) {
    let took = ended.expect_code(0).took;
    println!("{what}: {took:?} (at the cap: {PROMISED:?})");
    assert!(took >= ASSERTED, "{what} took {took:?}");
    assert!(took < PROMISED * 10, "{what} took {took:?}");
}

#[test]
fn a_pull_is_no_faster_than_it_may_be() {
    let world = world("limit-rate-pull");
    let pull = world.pull_flow().args(["--limit-rate", "512K"]).run();
    judge("models pull --limit-rate 512K", pull);
}

#[test]
fn the_environment_caps_it_too() {
    let world = world("limit-rate-environment");
    let pull = world.pull_flow().env("DATAFLOW_LIMIT_RATE", "512K").run();
    judge("DATAFLOW_LIMIT_RATE=512K models pull", pull);
}

#[test]
fn what_a_dataflow_fetches_in_the_background_is_no_faster_either() {
    let world = world("limit-rate-up");
    let up = world.dataflow(["up", "-d", "--limit-rate", "512K"]);
    judge("up -d --limit-rate 512K", up.arg(world.file()).run());
    world.down().expect_code(0);
    world.report();
}

#[test]
fn a_cap_that_is_none_is_refused_before_anything_is_asked() {
    let world = world("limit-rate-wrong");
    for wrong in ["0", "fast", "1.5M"] {
        let pull = world.pull_flow().args(["--limit-rate", wrong]).run();
        let said = pull.expect_code(2).error();
        assert!(said.contains("--limit-rate"), "{said}");
    }
    assert_eq!(world.hub.requests().len(), 0);
}
