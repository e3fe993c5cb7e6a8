//! Without a network: what is in the cache works, and what is not is named.

use crate::world::{WEIGHTS, World, model};

const FLOW: &str = "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: reader, path: /bin/sh, args: [-c, 'echo runs with $DATAFLOW_MODEL_TINY'], models: [tiny] }
";

#[test]
fn what_is_in_the_cache_works_and_nobody_is_asked() {
    let mut world = World::new("offline", [model("acme/tiny", 1000)]);
    world.flow(FLOW);
    world.pull_flow().run().expect_code(0);
    let asked = world.hub.requests().len();
    world.set_variable("HF_HUB_OFFLINE", "1");
    for _ in 0..2 {
        world.up().wait().expect_code(0).expect_line(&["runs with"]);
        world.pull_flow().run().expect_code(0);
        world.pull("acme/tiny").run().expect_code(0);
        // And the same without the lock: the cache knows the branch too.
        let _ = std::fs::remove_file(world.folder().join("dataflow.lock"));
    }
    assert_eq!(world.hub.requests().len(), asked);
    world.report();
}

#[test]
fn what_is_missing_is_named() {
    let mut world = World::new("offline-missing", [model("acme/tiny", 1000)]);
    world.flow(FLOW);
    world.set_variable("HF_HUB_OFFLINE", "1");
    let refused = |part: &str| {
        for command in [world.pull_flow(), world.dataflow(["up"]).arg(world.file())] {
            let ended = command.run().expect_code(1);
            let said = ended.error();
            assert!(said.contains("offline") && said.contains(part), "{ended}");
            assert!(
                said.contains("HF_HUB_OFFLINE"),
                "it says what to do: {ended}"
            );
        }
    };
    refused("acme/tiny");
    assert!(world.hub.requests().is_empty());

    // Half of it was fetched while there was a network.
    world
        .pull("acme/tiny")
        .args(["--file", "*.json"])
        .env("HF_HUB_OFFLINE", "0")
        .run()
        .expect_code(0);
    let asked = world.hub.requests().len();
    refused(WEIGHTS);
    assert_eq!(world.hub.requests().len(), asked);
    world.report();
}

#[test]
fn a_pinned_model_in_the_cache_needs_no_hub_at_all() {
    let mut world = World::new("hub-gone", [model("acme/tiny", 1000)]);
    world.flow(FLOW);
    world.pull_flow().run().expect_code(0);
    // Nobody listens there.
    world.set_variable("HF_ENDPOINT", "http://127.0.0.1:1");
    world.up().wait().expect_code(0).expect_line(&["runs with"]);
    world.report();
}
