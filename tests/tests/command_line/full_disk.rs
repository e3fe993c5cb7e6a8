//! A disk that is full: the dataflow goes on, and everybody is told what is not written.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dataflow_tests::{Project, dataflow_binary, node, node_report, wait_until};
use serde_json::Value;

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

/// A file in the folder of the project, as a process sees it that has mounted something there.
fn seen_by(pid: u32, path: &std::path::Path) -> PathBuf {
    let path = path.strip_prefix("/").expect("an absolute path");
    PathBuf::from(format!("/proc/{pid}/root")).join(path)
}

/// Writes until nothing goes any more.
fn fill(path: &PathBuf) {
    let mut filler = File::options()
        .append(true)
        .create(true)
        .open(path)
        .expect("the small disk can be reached");
    for size in [64 * 1024, 1] {
        let bytes = vec![0; size];
        loop {
            match filler.write(&bytes) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_full_disk_stops_nothing_and_what_is_not_written_is_told() {
    if !may_mount() {
        eprintln!(
            "SKIPPED: this user may not mount a small file system (`unshare --mount --map-root-user`)"
        );
        return;
    }
    let project = Project::new("full-disk");
    let (mut more, mut end) = (project.gate("more"), project.gate("end"));
    let mut begin = project.gate("begin");
    project.flow(
        "
nodes:
  - id: talker
    path: /bin/sh
    args: [-c, 'cat GATES/begin; seq 1 20000; cat GATES/more; echo there is room again; cat GATES/end; echo the end']
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, quiet]
    inputs: { in: { source: sender/out, queue_policy: block } }
",
    );
    let disk = project.folder().join(".dataflow");
    std::fs::create_dir(&disk).expect("a folder can be made");
    let script = "mount -t tmpfs -o size=1m none \"$1\" && exec \"$2\" up \"$3\"";
    let up = project
        .program("unshare")
        .args(["--mount", "--map-root-user", "/bin/sh", "-c", script, "sh"])
        .arg(&disk)
        .arg(dataflow_binary())
        .arg(project.file())
        .start();
    begin.wait_until_reached();
    let filler = seen_by(up.pid(), &disk).join("filler");
    fill(&filler);
    begin.open();
    more.wait_until_reached();
    let status = project.wait_until("all that it has said is counted", |status| {
        node(status, "talker").log.lines_unwritten >= 19_000
    });
    let losses = &node(&status, "talker").log;
    assert!(losses.bytes_unwritten > 2 * losses.lines_unwritten);
    assert_eq!(
        losses.why.as_deref(),
        Some("No space left on device (os error 28)")
    );
    project.dataflow(["ps"]).run().expect_code(0).expect_line(&[
        "log of talker:",
        "lines",
        "could not be written: No space left on device",
    ]);
    up.wait_for_line(&["log lines cannot be written", "the dataflow goes on"]);
    let before = status.edges[0].counts.delivered;
    project.wait_until("messages go on", |status| {
        status.edges[0].counts.delivered > before + 200
    });

    // The log lacks them, and cannot say so yet.
    let pid = up.pid().to_string();
    let unwritten = project
        .program("nsenter")
        .args([
            "--user",
            "--mount",
            "--preserve-credentials",
            "--target",
            &pid,
        ])
        .args(["/bin/sh", "-c", "cd \"$1\" && exec \"$2\" logs", "sh"])
        .arg(project.folder())
        .arg(dataflow_binary())
        .run()
        .expect_code(0);
    assert!(
        unwritten
            .error()
            .contains("could not be written: No space left"),
        "{unwritten}"
    );

    // Room again: the log goes on by itself, and says what it lacks.
    std::fs::remove_file(&filler).expect("the filler is there");
    more.open();
    let run = std::fs::read_dir(seen_by(up.pid(), &disk).join("runs"))
        .expect("the folder of runs can be read")
        .map(|run| run.expect("a run").path())
        .next()
        .expect("there is a run");
    let lines = || {
        let text = std::fs::read_to_string(run.join("talker.log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let records: Vec<Value> = text[..whole]
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let of = |record: &Value| record["line"].as_str().unwrap_or_default().to_owned();
        records.iter().map(of).collect::<Vec<String>>()
    };
    wait_until("it is written again", || {
        lines().iter().any(|line| line == "there is room again")
    });
    let written = lines();
    let lost = node(&project.ps()[0], "talker").log.lines_unwritten;
    let said: u64 = written
        .iter()
        .filter_map(|line| line.split_once(" line")?.0.parse::<u64>().ok())
        .sum();
    assert_eq!(said, lost, "the log says what it lacks: {written:?}");
    let numbers: Vec<u64> = written
        .iter()
        .filter_map(|line| line.parse().ok())
        .collect();
    assert!(numbers.is_sorted());
    assert_eq!(numbers.len() as u64 + lost, 20_000);

    // And full again at the end: it is stopped as ever, and the report is only said.
    fill(&filler);
    end.open();
    let down = project.dataflow(["down"]).run().expect_code(1);
    assert!(
        down.output().contains("drained: everything that was sent"),
        "{down}"
    );
    assert!(down.error().contains("is not on the disk"), "{down}");
    let ended = up.wait().expect_code(1);
    assert!(
        ended
            .error()
            .contains("the report of this run could not be written"),
        "{ended}"
    );
    let ended = ended.expect_line(&["drained"]);
    ended.expect_line(&["log of talker:", "could not be written"]);
}

#[test]
fn a_node_that_prints_100_mb_delays_nobody_and_keeps_to_its_limit() {
    const LINES: u64 = 100_000;
    const MB: u64 = 1024 * 1024;
    let project = Project::new("loud");
    let mut gate = project.gate("gate");
    project.flow(&format!(
        "
nodes:
  - id: loud
    path: /bin/sh
    args:
      - -c
      - 'line=$(head -c 990 /dev/zero | tr \"\\\\0\" x); cat GATES/gate; seq -f \"%.0f $line\" 1 {LINES}; touch GATES/said; exec sleep 1000'
  - id: sender
    path: RUST_NODE
    args: [send, every_ms=1, bytes=5000]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, quiet]
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
"
    ));
    project
        .dataflow(["up", "-d", "--log-mb", "16"])
        .arg(project.file())
        .run()
        .expect_code(0);
    let pid = project.ps()[0].pid;
    gate.open();
    let said = project.folder().join("said");
    let mut delivered = Vec::new();
    while !said.exists() {
        // It answers, though it is asked while it reads as fast as it can, and messages go on meanwhile.
        delivered.push(project.ps()[0].edges[0].counts.delivered);
    }
    let (first, last) = (delivered[0], delivered[delivered.len() - 1]);
    let rounds = delivered.len() as u64;
    assert!(last - first >= rounds - 1, "{delivered:?}");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .expect("the kernel counts memory");
    assert!(peak * 1024 < 96 * MB, "{peak} kB at its peak");
    project
        .down()
        .expect_code(0)
        .expect_line(&["log of loud: the oldest", "made room for later ones"]);

    let lost = node_report(&project.report(), "loud").log.clone();
    assert_eq!(lost.lines_unwritten, 0);
    let run = &project.run_folders()[0];
    let size = |name: &str| {
        let metadata = std::fs::metadata(run.join(name)).expect("a log");
        metadata.len()
    };
    let kept = size("loud.log") + size("loud.log.1");
    assert!(kept <= 16 * MB, "{kept} bytes");
    assert!(kept > 8 * MB, "much of it is kept: {kept} bytes");
    let logs = project
        .dataflow(["logs", "loud", "loud"])
        .run()
        .expect_code(0);
    let output = logs.output();
    let mut lines = output
        .lines()
        .map(|line| line.trim_start_matches("loud | "));
    let first = lines.next().expect("a line");
    assert!(
        first.starts_with(&format!("{} lines (", lost.lines_thrown_away)),
        "{first}"
    );
    let numbers = lines.map(|line| {
        let number = line.split(' ').next().unwrap_or_default();
        number.parse::<u64>().unwrap_or_else(|_| panic!("{line}"))
    });
    assert!(numbers.eq(lost.lines_thrown_away + 1..=LINES));
}
