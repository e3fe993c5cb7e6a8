//! A repository of many files: what is said of it stays short, and counts them all.

use dataflow_testkit::hub::Repository;
use dataflow_wire::status::{MODEL_FILES_SHOWN_MAX, ModelState};

use crate::world::World;

const FILES: usize = 100;

#[test]
fn ps_counts_all_files_and_lists_some() {
    let repository = (0..FILES).fold(Repository::model("acme/many"), |repository, number| {
        repository.file(&format!("{number:03}.txt"), format!("{number}").as_bytes())
    });
    let world = World::new("many-files", [repository]);
    world.flow(
        "
models: { many: { repo: acme/many } }
nodes:
  - { id: reader, path: /bin/sh, args: [-c, 'exec sleep 1000'], models: [many] }
",
    );
    let pull = world.pull_flow().run().expect_code(0);
    assert!(pull.output().contains("100 files"), "{pull}");
    let up = world.up();
    let status = world.wait_until("the model is there", |status| {
        status.models[0].view.state == ModelState::Ready
    });
    let view = &status.models[0].view;
    assert_eq!(
        (view.files_total, view.files_done),
        (FILES as u64, FILES as u64)
    );
    assert_eq!(view.files.len(), MODEL_FILES_SHOWN_MAX);
    up.interrupt();
    up.wait().expect_code(0);
    world.report();
}
