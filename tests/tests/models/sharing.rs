//! Many want one model: it comes once.

use dataflow_ids::LifeCycle;
use dataflow_testkit::hub::Stage;
use dataflow_tests::{node, wait_until};

use crate::world::{WEIGHTS, World, bytes, model};

const SIZE: usize = 8 * 1024 * 1024;

#[test]
fn eight_processes_that_want_the_same_model_at_once_cause_one_transfer() {
    let world = World::new("eight", [model("acme/tiny", SIZE)]);
    // Long enough that all of them want it while it comes.
    world.hub.throttle(Some(SIZE as u64 / 2));
    let flows: Vec<_> = (0..4)
        .map(|number| world.neighbour(&format!("eight-{number}")))
        .collect();
    let mut running = Vec::new();
    for flow in &flows {
        flow.flow(
            "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: reader, path: /bin/sh, args: [-c, 'sha256sum < $DATAFLOW_MODEL_TINY/model.safetensors'], models: [tiny] }
",
        );
        running.push(flow.up());
        running.push(world.pull("acme/tiny").start());
    }
    for one in running {
        one.wait().expect_code(0);
    }
    for path in [WEIGHTS, "config.json"] {
        assert_eq!(world.hub.transfers(path).len(), 1, "{path}");
    }
    assert_eq!(world.hub.sent_bytes(WEIGHTS), SIZE as u64);
    for flow in &flows {
        flow.report();
    }
}

#[test]
fn two_dataflows_share_one_download_and_the_end_of_one_does_not_end_it_for_the_other() {
    let world = World::new("first-of-two", [model("acme/tiny", SIZE)]);
    let other = world.neighbour("second-of-two");
    let flow = "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: reader, path: /bin/sh, args: [-c, 'echo has $(wc -c < $DATAFLOW_MODEL_TINY/model.safetensors)'], models: [tiny] }
";
    world.flow(flow);
    other.flow(flow);
    world.hub.throttle(Some(SIZE as u64 / 4));
    let first = world.up();
    world.wait_until_sent(WEIGHTS, 0, SIZE as u64 / 4);
    // It stays as far as it is until the first one has gone.
    world.hub.throttle(Some(1));
    world.wait_until_written("acme/tiny", 1);
    let second = other.up();
    other.wait_until("the other one waits for it", |status| {
        node(status, "reader").state == LifeCycle::Downloading
    });
    world.down().expect_code(0);
    first.wait();
    world.hub.throttle(None);
    second
        .wait()
        .expect_code(0)
        .expect_line(&["reader", &format!("has {SIZE}")]);
    let transfers = world.hub.transfers(WEIGHTS);
    let [_, resumed] = &transfers[..] else {
        panic!("the second goes on where the first was: {transfers:#?}");
    };
    assert!(resumed.range_start() > 0);
    assert_eq!(
        std::fs::read(world.cached("acme/tiny").join("refs/main"))
            .map(|name| name.len())
            .ok(),
        Some(40)
    );
    world.report();
    other.report();
}

#[test]
fn a_node_that_is_started_again_fetches_nothing() {
    let world = World::new("restarted", [model("acme/tiny", 100_000)]);
    world.flow(
        "
models: { tiny: { repo: acme/tiny } }
nodes:
  - id: reader
    path: /bin/sh
    args: [-c, 'test -s $DATAFLOW_MODEL_TINY/model.safetensors && echo read it >> GATES/read; test $(wc -l < GATES/read) -ge 3']
    models: [tiny]
    restart: { policy: on-failure, backoff: 20ms..40ms }
",
    );
    let up = world.up();
    let read = world.folder().join("read");
    wait_until("it has been started three times", || {
        std::fs::read_to_string(&read).is_ok_and(|text| text.lines().count() >= 3)
    });
    up.wait().expect_code(0);
    assert_eq!(world.hub.transfers(WEIGHTS).len(), 1);
    let mut asked = world.hub.requests();
    asked.retain(|request| matches!(request.stage, Stage::Information | Stage::Tree));
    assert_eq!(asked.len(), 1, "it was listed once: {asked:#?}");
    world.report();
}

#[test]
fn what_is_in_the_cache_is_what_the_hub_has() {
    let world = World::new("pulled", [model("acme/tiny", 100_000)]);
    world.pull("acme/tiny").run().expect_code(0);
    let cached = world.cached("acme/tiny");
    let commit = std::fs::read_to_string(cached.join("refs/main")).expect("a reference");
    let snapshot = cached.join("snapshots").join(commit);
    let read = |path: &str| std::fs::read(snapshot.join(path)).expect("a file");
    assert!(read(WEIGHTS) == bytes(7, 100_000));
    assert_eq!(read("config.json"), br#"{"size":"tiny"}"#);
    // A second time nothing is fetched.
    world.pull("acme/tiny").run().expect_code(0);
    assert_eq!(world.hub.transfers(WEIGHTS).len(), 1);
    assert!(world.hub.violations().is_empty());
}
