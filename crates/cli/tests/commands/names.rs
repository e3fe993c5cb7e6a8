//! Names that mislead, and paths that are no text.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use crate::ground::{Ground, Running, said};

#[test]
fn a_file_with_the_name_of_a_dataflow_does_not_hide_it() {
    let ground = Ground::with_shell("echo hello; sleep 1000");
    fs::write(ground.project().join("flow"), "something else").unwrap();
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    ground.wait_for_phase("running");
    for arguments in [["ps", "flow"], ["logs", "flow"], ["down", "flow"]] {
        let output = ground.dataflow(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(up.wait(), Some(0));
}

#[test]
fn a_path_that_is_no_text_is_refused_and_matches_nothing() {
    let ground = Ground::with_shell("sleep 1000");
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    ground.wait_for_phase("running");
    let folder = ground.project().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).unwrap();
    fs::copy(ground.project().join("flow.yml"), folder.join("flow.yml")).unwrap();
    for arguments in [["up", "flow.yml"], ["ps", "flow.yml"], ["down", "flow.yml"]] {
        let output = ground
            .dataflow(arguments)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            said(&output).contains("is not UTF-8 text"),
            "{}",
            said(&output)
        );
    }
    assert_eq!(ground.ps().len(), 1);
    up.signal(rustix::process::Signal::TERM);
    assert_eq!(up.wait(), Some(0));
}
