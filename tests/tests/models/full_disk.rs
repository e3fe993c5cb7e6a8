//! A disk that is too small for the model: it is said before the first byte is asked for.

use std::process::{Command, Stdio};

use dataflow_tests::dataflow_binary;

use crate::world::{WEIGHTS, World, model};

/// Where a process may have a file system to itself.
fn may_mount() -> bool {
    let mount = "mount -t tmpfs -o size=1m none /mnt";
    let status = Command::new("unshare")
        .args(["--mount", "--map-root-user", "/bin/sh", "-c", mount])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_its_first_byte() {
    if !may_mount() {
        eprintln!(
            "SKIPPED: this user may not mount a small file system (`unshare --mount --map-root-user`)"
        );
        return;
    }
    const SIZE: usize = 16 * 1024 * 1024;
    let world = World::new("no-space", [model("acme/big", SIZE)]);
    let disk = world.folder().join("huggingface");
    std::fs::create_dir(&disk).expect("a folder can be made");
    let script = "mount -t tmpfs -o size=4m none \"$1\" && exec \"$2\" models pull acme/big";
    let ended = world
        .program("unshare")
        .args(["--mount", "--map-root-user", "/bin/sh", "-c", script, "sh"])
        .arg(&disk)
        .arg(dataflow_binary())
        .run()
        .expect_code(1);
    let said = ended.error();
    for part in ["no space", &disk.to_string_lossy(), "HF_HOME"] {
        assert!(said.contains(part), "`{part}` is not said: {ended}");
    }
    println!("{said}");
    assert!(
        world.hub.transfers(WEIGHTS).is_empty(),
        "nothing of it was asked for"
    );
}
