//! Nodes whose own program does what nobody expects: workers, floods of output, closed descriptors.

use dataflow_ids::{Epoch, LifeCycle};
use dataflow_tests::{Project, edge, node, node_report};
use dataflow_wire::status::Outcome;

use crate::kill;

/// A node whose workers look at the messages; killed in the middle when `is_killed`.
fn workers(name: &str, method: &str, is_killed: bool) {
    let project = Project::new(name);
    project.flow(&format!(
        "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=20000, every_ms=1]
    outputs: [out]
  - id: boss
    path: NODES/workers.py
    args: [method={method}]
    restart: {{ policy: on-failure, backoff: 1ms..5ms }}
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
"
    ));
    let up = project.up();
    let record = project.record("boss");
    record.wait_for_count("input", 20);
    if is_killed {
        let status = &project.ps()[0];
        kill(node(status, "boss").pid);
        record.wait_for_count("workers", 2);
        let workers = record.facts("workers");
        project.wait_until("the next incarnation runs", |status| {
            node(status, "boss").epoch == Epoch(2)
        });
        let first: Vec<_> = workers[0].split(' ').collect();
        for process in project.processes() {
            assert!(
                !first.contains(&process.pid.to_string().as_str()),
                "{process:?}"
            );
        }
        let seen = record.arrived("in").len();
        record.wait_for_count("input", seen + 20);
    }
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let arrived = record.arrived("in");
    assert!(arrived.is_sorted_by(|before, after| before < after));
    let counts = edge(&report.edges, "sender/out", "boss/in").counts;
    // The one in its hands when it was killed was not written down, or was, just before.
    let unseen = counts.sent - arrived.len() as u64;
    assert!(
        unseen <= counts.lost && counts.lost <= u64::from(is_killed),
        "{counts:?}"
    );
}

#[test]
fn forked_workers_of_a_node_cost_no_message() {
    workers("fork-workers", "fork", false);
}

#[test]
fn spawned_workers_of_a_node_cost_no_message() {
    workers("spawn-workers", "spawn", false);
}

#[test]
fn workers_go_with_the_node_that_has_forked_them() {
    workers("fork-workers-killed", "fork", true);
}

#[test]
fn workers_go_with_the_node_that_has_spawned_them() {
    workers("spawn-workers-killed", "spawn", true);
}

/// The largest memory that a process had, in kB.
fn memory_peak_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    peak.and_then(|peak| peak.trim().parse().ok())
        .expect("the kernel says how much")
}

#[test]
fn a_node_that_prints_100_mb_disturbs_nobody_and_costs_the_runtime_no_memory() {
    let project = Project::new("prints");
    project.flow(
        "
nodes:
  - id: loud
    path: /bin/sh
    args: [-c, 'yes \"a line of sixty-four characters, as a program in trouble prints it\" | head -c 100000000; echo done printing; exec sleep 1000']
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, pause_us=1000]
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink]
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    project.up_detached();
    let runtime = project.ps()[0].pid;
    let follow = project
        .dataflow(["logs", "-f", "-n", "1", "prints", "loud"])
        .start();
    follow.wait_for_line(&["done printing"]);
    project.wait_for_messages("receiver", 50);
    let peak = memory_peak_kb(runtime);
    assert!(peak < 64 * 1024, "{peak} kB");
    project.down().expect_code(0);
    follow.wait();
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!((accounts.lost, accounts.dropped), (0, 0));
}

/// A node that closes descriptors of ours, and a neighbour on the same output.
fn closes(name: &str, which: &str) -> Project {
    let project = Project::new(name);
    project.flow(&format!(
        "
on_failure: continue
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, bytes=20000, every_ms=1]
    outputs: [out]
  - id: closing
    path: NODES/close_descriptors.py
    args: [which={which}, at=5]
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
  - id: other
    path: RUST_NODE
    args: [receive]
    inputs: {{ in: {{ source: sender/out, queue_policy: block }} }}
"
    ));
    project
}

#[test]
fn a_node_that_closes_our_memory_s_descriptors_goes_on() {
    let project = closes("closes-memory", "memory");
    let up = project.up();
    project.record("closing").wait_for_count("input", 100);
    project.record("other").wait_for_count("input", 100);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert_eq!(project.report().outcome, Outcome::Drained);
}

#[test]
fn a_node_that_closes_its_conversation_with_the_runtime_fails_alone() {
    let project = closes("closes-all", "all");
    let up = project.up();
    project.record("closing").wait_for("closed all");
    project.wait_until("it has failed", |status| {
        node(status, "closing").state == LifeCycle::Failed
    });
    let seen = project.record("other").arrived("in").len();
    project.record("other").wait_for_count("input", seen + 50);
    project.down().expect_code(1);
    up.wait().expect_code(1);
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Failed);
    let said = node_report(&report, "closing").last_lines.join("\n");
    assert!(said.contains("closed descriptors of its node"), "{said}");
}
