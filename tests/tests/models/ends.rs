//! The end of a dataflow while its model comes: at once, and what has come is not lost.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use dataflow_testkit::hub::Fault;
use dataflow_wire::status::Outcome;
use rustix::process::Signal;

use crate::world::{WEIGHTS, World, bytes, killed, model};

const SIZE: usize = 8 * 1024 * 1024;
/// What is asserted where "at once" is promised: ten times what the end of a runtime grants to files that are just being
/// written, and far less than the 30 s after which a silent transfer is given up.
const AT_ONCE: Duration = Duration::from_secs(5);
/// The Hub falls silent in the middle: whatever the machine does meanwhile, the file does not come to its end.
const HALF: u64 = SIZE as u64 / 2;
/// What of it is written at the least.
const WRITTEN_MIN: u64 = SIZE as u64 / 4;

const FLOW: &str = "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: plain, path: /bin/sh, args: [-c, 'exec sleep 1000'] }
  - { id: reader, path: /bin/sh, args: [-c, 'echo reads; exec sleep 1000'], models: [tiny] }
";

fn world(name: &str) -> World {
    let world = World::new(name, [model("acme/tiny", SIZE)]);
    world.flow(FLOW);
    let silence = Fault::Stall { after_bytes: HALF };
    world.hub.script(WEIGHTS, 1, silence);
    world
}

/// Waits until half of the file has been sent, and some of it is on the disk.
fn wait_until_half_has_come(world: &World) {
    world.wait_until_silent(WEIGHTS, 0);
    world.wait_until_written("acme/tiny", WRITTEN_MIN);
}

/// The next `up` goes on where the one before was, and gets it right.
fn the_next_up_resumes(world: &World) {
    let before = world.hub.transfers(WEIGHTS).len();
    let up = world.up();
    up.wait_for_line(&["reader", "reads"]);
    let transfers = &world.hub.transfers(WEIGHTS)[before..];
    let [transfer] = transfers else {
        panic!("one transfer is left to do: {transfers:#?}");
    };
    let start = transfer.range_start();
    assert!(start >= WRITTEN_MIN, "it goes on at byte {start} of {SIZE}");
    let commit = model("acme/tiny", SIZE).commit();
    let snapshot = world.cached("acme/tiny").join("snapshots").join(&commit);
    // Also for Python, who looks for the branch and not for a commit.
    let branch = std::fs::read_to_string(world.cached("acme/tiny").join("refs/main"));
    assert_eq!(branch.ok(), Some(commit));
    assert!(std::fs::read(snapshot.join(WEIGHTS)).expect("it is there") == bytes(7, SIZE));
    world.down().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(world.report().outcome, Outcome::Drained);
}

/// What is half there takes no more room than it has bytes: whoever has broken off a large download gets the room back.
fn no_room_is_kept(world: &World) {
    let partial = world.cached("acme/tiny").join(".dataflow/partial");
    for entry in std::fs::read_dir(partial).expect("something has come") {
        let facts = entry.and_then(|entry| entry.metadata());
        let facts = facts.expect("it is there");
        let room = facts.blocks() * 512;
        assert!(
            room <= facts.len() + facts.blksize(),
            "{} bytes take {room}",
            facts.len()
        );
    }
}

#[test]
fn down_ends_a_download_at_once_and_the_next_up_goes_on_with_it() {
    let world = world("down-downloading");
    let up = world.up();
    wait_until_half_has_come(&world);
    let down = world.down().expect_code(0);
    println!("down while a model comes: {:?}", down.took);
    assert!(down.took < AT_ONCE, "{:?}", down.took);
    up.wait();
    the_next_up_resumes(&world);
}

#[test]
fn a_second_ctrl_c_is_not_needed() {
    let world = world("interrupted-downloading");
    let up = world.up();
    wait_until_half_has_come(&world);
    up.interrupt();
    up.wait();
    no_room_is_kept(&world);
    the_next_up_resumes(&world);
}

#[test]
fn nothing_is_left_of_a_runtime_that_was_killed_and_the_next_up_goes_on_with_its_download() {
    let world = world("killed-downloading");
    let up = world.up();
    wait_until_half_has_come(&world);
    up.signal(Signal::KILL);
    let took = world.wait_until_no_process();
    println!("all is gone {took:?} after the runtime was killed in a download");
    up.wait();
    the_next_up_resumes(&world);
}

#[test]
fn an_interrupted_pull_keeps_what_has_come() {
    let world = world("interrupted-pull");
    let pull = world.pull_flow().start();
    wait_until_half_has_come(&world);
    pull.interrupt();
    let ended = pull.wait();
    assert_ne!(ended.code(), Some(0), "{ended}");
    no_room_is_kept(&world);
    the_next_up_resumes(&world);
}

#[test]
fn a_killed_pull_keeps_what_has_come() {
    let world = world("killed-pull");
    let pull = world.pull_flow().start();
    wait_until_half_has_come(&world);
    killed(pull);
    the_next_up_resumes(&world);
}
