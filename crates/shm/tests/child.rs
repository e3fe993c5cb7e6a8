//! Processes: what a child is given, what it is not, how it is tied to its parent, and why it could not start.
#![allow(clippy::unwrap_used)] // in tests, a panic is the report
#![allow(missing_docs, unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::RwLock;

use dataflow_shm::child::{
    self, BaseEnvironment, ChildConfig, ControlSocket, SpawnError, SpawnedChild,
    raise_descriptor_limit,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Resource, Signal};

/// Says to `plays_the_parent` that it is run as a process of its own.
const PLAY_PARENT: &str = "DATAFLOW_TEST_PLAY_PARENT";

/// A file cannot be executed while it is open for writing, also not if that is so in a child of another test that
/// was forked at the wrong moment. So no test forks while another writes.
static WRITING: RwLock<()> = RwLock::new(());

fn spawn(config: ChildConfig) -> Result<SpawnedChild, SpawnError> {
    let _nobody_writes = WRITING.read();
    child::spawn(config)
}

fn config(program: impl Into<PathBuf>, args: &[&str]) -> ChildConfig {
    ChildConfig {
        program: program.into(),
        base: BaseEnvironment::Inherited,
        args: args.iter().map(OsString::from).collect(),
        env: BTreeMap::new(),
        folder: "/".into(),
        control: None,
        descriptor_limit: None,
    }
}

fn shell(script: &str) -> ChildConfig {
    config("/bin/sh", &["-c", script])
}

/// Runs a child to its end; gives what it printed.
fn output(config: ChildConfig) -> String {
    let mut spawned = spawn(config).unwrap();
    let mut text = String::new();
    spawned.stdout.read_to_string(&mut text).unwrap();
    let mut errors = String::new();
    spawned.stderr.read_to_string(&mut errors).unwrap();
    let status = spawned.child.wait().unwrap();
    assert!(status.success(), "{status}: {errors}");
    text
}

fn wait_for(pidfd: &OwnedFd) {
    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None).unwrap();
}

fn first_line(spawned: &mut SpawnedChild) -> String {
    let mut line = String::new();
    BufReader::new(&mut spawned.stdout)
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}

#[test]
fn a_child_has_its_own_group_its_folder_and_an_empty_input() {
    let folder = tempfile::tempdir().unwrap();
    let folder_path = folder.path().canonicalize().unwrap();
    let mut config = shell("cut -d' ' -f5 /proc/self/stat; echo $$; pwd; cat; echo end");
    config.folder = folder_path.clone();
    let text = output(config);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0], lines[1],
        "the group has the number of its first process"
    );
    let own_group = rustix::process::getpgrp().as_raw_nonzero().to_string();
    assert_ne!(lines[0], own_group);
    assert_eq!(lines[2..], [folder_path.to_str().unwrap(), "end"]);
}

#[test]
fn the_environment_is_inherited_added_to_and_removed_from() {
    let mut config =
        shell("echo \"$HOME|$DATAFLOW_TEST_ADDED|${PWD+set}|${CARGO_MANIFEST_DIR-unset}\"");
    config
        .env
        .insert("DATAFLOW_TEST_ADDED".into(), Some("yes".into()));
    config.env.insert("CARGO_MANIFEST_DIR".into(), None);
    let home = std::env::var("HOME").unwrap_or_default();
    assert_eq!(output(config), format!("{home}|yes|set|unset\n"));
}

#[test]
fn the_control_socket_is_inherited_and_nothing_else_above_2() {
    // As if the runtime itself had been started with an open descriptor.
    let stray = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&stray, rustix::io::FdFlags::empty()).unwrap();
    let (here, there) = UnixStream::pair().unwrap();
    let number = there.as_raw_fd();

    // It stops itself when it has spoken: a program that runs may have more open for a moment.
    let script = "eval \"printf hello >&$CONTROL\"; echo \"control $CONTROL\"; kill -STOP $$";
    let mut config = shell(script);
    // The plain shell redirects to descriptors of one digit only, and this one may have two.
    config.program = "/bin/bash".into();
    config.control = Some(ControlSocket {
        fd: there.into(),
        variable: "CONTROL",
    });
    let mut spawned = spawn(config).unwrap();
    assert_eq!(first_line(&mut spawned), format!("control {number}"));
    assert_eq!(open_in(&spawned), BTreeSet::from([0, 1, 2, number]));
    kill(spawned);
    // The child's end is closed here too: after its words the socket ends.
    let mut said = String::new();
    (&here).read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");

    // Without a control socket, nothing at all.
    let mut spawned = spawn(shell("echo up; kill -STOP $$")).unwrap();
    first_line(&mut spawned);
    assert_eq!(open_in(&spawned), BTreeSet::from([0, 1, 2]));
    kill(spawned);
    drop(stray);
}

fn open_in(spawned: &SpawnedChild) -> BTreeSet<RawFd> {
    let folder = format!("/proc/{}/fd", spawned.child.id());
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect()
}

fn kill(mut spawned: SpawnedChild) {
    spawned.child.kill().unwrap();
    spawned.child.wait().unwrap();
}

#[test]
fn a_child_gets_the_limit_of_descriptors_back() {
    let before = rustix::process::getrlimit(Resource::Nofile);
    let limit = raise_descriptor_limit().unwrap();
    let now = rustix::process::getrlimit(Resource::Nofile);
    assert_eq!(limit.now(), before.maximum);
    assert_eq!((now.current, now.maximum), (before.maximum, before.maximum));
    // Twice gives what the first has made; children of the first still get the first's.
    assert_eq!(raise_descriptor_limit().unwrap().before(), before.maximum);

    let number =
        |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let mut config = shell("ulimit -Sn; ulimit -Hn");
    config.descriptor_limit = Some(limit);
    let expected = format!("{}\n{}\n", number(limit.before()), number(before.maximum));
    assert_eq!(output(config), expected);
}

#[test]
fn the_pidfd_tells_the_end_before_the_child_is_waited_for() {
    let mut spawned = spawn(config("/bin/sleep", &["1000"])).unwrap();
    let pid = Pid::from_raw(spawned.child.id() as i32).unwrap();
    rustix::process::kill_process_group(pid, Signal::TERM).unwrap();
    wait_for(&spawned.pidfd);
    let status = spawned.child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(Signal::TERM.as_raw())
    );
}

/// Not a test by itself: the process that the next test kills.
#[test]
fn plays_the_parent() {
    if std::env::var_os(PLAY_PARENT).is_none() {
        return;
    }
    let spawned = spawn(config("/bin/sleep", &["1000"])).unwrap();
    println!("child {}", spawned.child.id());
    // Until it is killed: its input never ends before that.
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_child_dies_with_its_parent() {
    let nobody_writes = WRITING.read();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "plays_the_parent", "--nocapture"])
        .env(PLAY_PARENT, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(nobody_writes);
    let child = BufReader::new(parent.stdout.as_mut().unwrap())
        .lines()
        // The harness may print before it on the same line.
        .find_map(|line| line.unwrap().rsplit_once("child ")?.1.parse().ok())
        .unwrap();
    let child = Pid::from_raw(child).unwrap();
    let pidfd = rustix::process::pidfd_open(child, PidfdFlags::empty()).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_for(&pidfd);
}

#[test]
fn a_child_dies_with_the_thread_that_started_it() {
    let spawned = std::thread::spawn(|| spawn(config("/bin/sleep", &["1000"])).unwrap())
        .join()
        .unwrap();
    wait_for(&spawned.pidfd);
    let SpawnedChild { mut child, .. } = spawned;
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_child_hears_a_stop_even_if_this_process_ignores_it() {
    // SAFETY: sets the disposition of a signal that no other test of this binary sends to this process.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    let text = output(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
    let masks: Vec<_> = text
        .lines()
        .map(|line| u64::from_str_radix(line.rsplit_once('\t').unwrap().1, 16).unwrap())
        .collect();
    assert_eq!(masks[0], 0, "nothing is blocked");
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::QUIT,
        Signal::CHILD,
        Signal::PIPE,
    ] {
        assert_eq!(
            masks[1] & 1 << (signal.as_raw() - 1),
            0,
            "{signal:?} is ignored"
        );
    }
}

#[test]
fn a_started_child_says_its_first_line() {
    let mut spawned = spawn(shell("echo up; exec sleep 1000")).unwrap();
    assert_eq!(first_line(&mut spawned), "up");
    kill(spawned);
}

fn write_file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    let _nobody_forks = WRITING.write();
    let path = folder.join(name);
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    drop(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// The error's text names the path and the remedy.
fn refused(config: ChildConfig, words: &[&str]) -> SpawnError {
    let error = spawn(config).unwrap_err();
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    error
}

#[test]
fn what_cannot_be_started_is_refused_with_its_path_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    let missing = at("missing");
    let name = missing.to_str().unwrap();
    assert!(matches!(
        refused(config(&missing, &[]), &[name, "build it"]),
        SpawnError::ProgramMissing { .. }
    ));
    assert!(matches!(
        refused(
            config("dataflow-no-such-program", &[]),
            &["dataflow-no-such-program", "PATH"]
        ),
        SpawnError::ProgramNotInPath { .. }
    ));

    let plain = write_file(folder.path(), "plain.sh", "#!/bin/sh\n", 0o644);
    assert!(matches!(
        refused(config(&plain, &[]), &["chmod +x", plain.to_str().unwrap()]),
        SpawnError::NotExecutable { .. }
    ));
    assert!(matches!(
        refused(config(folder.path(), &[]), &["is a folder"]),
        SpawnError::ProgramIsFolder { .. }
    ));

    let orphan = write_file(folder.path(), "orphan", "#!/no/such/python -u\n", 0o755);
    assert!(matches!(
        refused(config(&orphan, &[]), &["/no/such/python,", "first line"]),
        SpawnError::InterpreterMissing { .. }
    ));
    let text = write_file(folder.path(), "text", "print('hello')\n", 0o755);
    assert!(matches!(
        refused(
            config(&text, &[]),
            &[text.to_str().unwrap(), "#!/usr/bin/env python3"]
        ),
        SpawnError::NotAProgram { .. }
    ));

    let mut nowhere = shell("true");
    nowhere.folder = at("nowhere");
    assert!(matches!(
        refused(nowhere, &["nowhere", "create it"]),
        SpawnError::FolderMissing { .. }
    ));
    let mut file_as_folder = shell("true");
    file_as_folder.folder = plain;
    assert!(matches!(
        refused(file_as_folder, &["plain.sh", "folder"]),
        SpawnError::FolderMissing { .. }
    ));
}

#[test]
fn a_relative_program_is_looked_up_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    write_file(
        folder.path(),
        "hello",
        "#!/bin/sh\necho hello from $0\n",
        0o755,
    );
    let mut relative = config("./hello", &[]);
    relative.folder = folder.path().into();
    assert_eq!(output(relative), "hello from ./hello\n");
}
