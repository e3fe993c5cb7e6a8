//! `dataflow.lock`: what was resolved once stays, until somebody says otherwise.

use crate::world::{World, model};

const FLOW: &str = "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: reader, path: /bin/sh, args: [-c, 'echo runs with $DATAFLOW_MODEL_TINY'], models: [tiny] }
";

#[test]
fn a_pinned_commit_stays_until_it_is_updated() {
    let old = model("acme/tiny", 1000);
    let new = old
        .clone()
        .next_commit()
        .file("config.json", b"{\"size\":\"less tiny\"}");
    let [old_commit, new_commit] = [&old, &new].map(|repository| repository.commit());
    let world = World::new("pinned", [old]);
    world.flow(FLOW);
    let lock = || {
        let text = std::fs::read_to_string(world.folder().join("dataflow.lock"));
        text.expect("there is a lock")
    };
    let runs_with = |commit: &str| {
        let ended = world.up().wait().expect_code(0);
        ended.expect_line(&["reader", "runs with", commit]);
    };
    runs_with(&old_commit);
    let pinned = lock();
    assert!(
        pinned.contains(&old_commit) && pinned.contains("acme/tiny"),
        "{pinned}"
    );

    // The Hub goes on, and the dataflow does not.
    world.hub.put(new);
    runs_with(&old_commit);
    world.pull_flow().run().expect_code(0);
    runs_with(&old_commit);
    assert_eq!(lock(), pinned);

    world.pull_flow().arg("--update").run().expect_code(0);
    assert!(
        lock().contains(&new_commit) && !lock().contains(&old_commit),
        "{}",
        lock()
    );
    runs_with(&new_commit);
    world.report();
}

#[test]
fn a_pinned_model_that_was_removed_from_the_cache_comes_back_as_it_was() {
    let old = model("acme/tiny", 1000);
    let new = old.clone().next_commit().file("config.json", b"{}");
    let commit = old.commit();
    let world = World::new("pinned-again", [old]);
    world.flow(FLOW);
    world.pull_flow().run().expect_code(0);
    world.hub.put(new);
    world
        .dataflow(["models", "rm", "acme/tiny"])
        .run()
        .expect_code(0);
    assert!(!world.cached("acme/tiny").join("blobs").exists());
    world
        .up()
        .wait()
        .expect_code(0)
        .expect_line(&["runs with", &commit]);
    world.report();
}

#[test]
fn a_lock_that_is_none_is_refused_by_name_and_left_as_it_is() {
    let world = World::new("hostile-lock", [model("acme/tiny", 1000)]);
    world.flow(FLOW);
    let lock = world.folder().join("dataflow.lock");
    for text in ["{", "[]", "{\"version\": 1, \"models\": 7}", "\0\0"] {
        std::fs::write(&lock, text).expect("it can be written");
        for command in [world.pull_flow(), world.dataflow(["up"]).arg(world.file())] {
            let ended = command.run();
            assert_ne!(ended.code(), Some(0), "{ended}");
            assert!(ended.error().contains("dataflow.lock"), "{ended}");
        }
        assert_eq!(std::fs::read_to_string(&lock).ok().as_deref(), Some(text));
    }
    assert!(world.hub.transfers("config.json").is_empty());
}
