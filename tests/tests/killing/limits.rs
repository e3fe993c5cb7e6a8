//! Limits of the system below what is needed: the node that meets one says which, and nobody else notices.

use std::path::PathBuf;

use dataflow_ids::{End, Epoch, LifeCycle};
use dataflow_tests::{Project, dataflow_binary, edge, node, node_report, wait_until};
use dataflow_wire::status::Outcome;

use crate::kill;

#[test]
fn restarts_go_on_within_64_descriptors() {
    let project = Project::new("restarts-64");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=30000, pause_us=500]
    restart: { policy: on-failure, max: 100, backoff: 1ms..2ms }
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, hold=3]
    restart: { policy: on-failure, max: 100, backoff: 1ms..2ms }
    inputs: { i0: { source: sender/o0, queue_policy: block } }
",
    );
    let limited = format!(
        "ulimit -n 64; exec {} up {}",
        dataflow_binary().display(),
        project.file().display()
    );
    let up = project.program("sh").args(["-c", &limited]).start();
    for death in 1..=15 {
        let seen = project.ledger("receiver").len();
        project.wait_for_messages("receiver", seen + 5);
        let status = project.wait_until("both run", |status| {
            let mut nodes = status.nodes.iter();
            nodes.all(|node| node.epoch == Epoch(death) && node.state == LifeCycle::Running)
        });
        for node in &status.nodes {
            kill(node.pid);
        }
    }
    let seen = project.ledger("receiver").len();
    project.wait_for_messages("receiver", seen + 5);
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let (report, accounts) = project.accounts();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!((accounts.deaths, accounts.dropped), (30, 0));
}

/// A sender of large messages, its receiver, and a neighbour, of which one may not have enough memory.
fn with_little_memory(name: &str, sender: &str, receiver: &str) -> Project {
    let project = Project::new(name);
    let limited = |program: &str| format!("ulimit -v 30000; exec LEDGER_NODE {program}");
    let program = |which: &str, program: &str| match which {
        "limited" => format!("path: /bin/sh\n    args: [-c, '{}']", limited(program)),
        _ => format!(
            "path: LEDGER_NODE\n    args: [{}]",
            program.replace(' ', ", ")
        ),
    };
    project.flow(&format!(
        "
on_failure: continue
nodes:
  - id: sender
    {}
    outputs: [o0]
  - id: receiver
    {}
    inputs: {{ i0: {{ source: sender/o0, queue_policy: block }} }}
  - id: other
    path: LEDGER_NODE
    args: [source, pause_us=500]
    outputs: [o0]
  - id: neighbour
    path: LEDGER_NODE
    # It keeps some, so that the next ones lie in other memory, however soon the receiver is done with them.
    args: [sink, hold=2]
    inputs:
      i0: {{ source: other/o0, queue_policy: block }}
      i1: {{ source: sender/o0, queue_policy: block }}
",
        program(sender, "source bytes=10000000 count=6"),
        program(receiver, "sink")
    ));
    project
}

#[test]
fn a_sender_without_memory_fails_by_name_and_the_others_go_on() {
    let project = with_little_memory("little-to-send", "limited", "free");
    let up = project.up();
    project.wait_until("the sender has failed", |status| {
        node(status, "sender").state == LifeCycle::Failed
    });
    let seen = project.ledger("neighbour").len();
    project.wait_for_messages("neighbour", seen + 50);
    project.down().expect_code(1);
    up.wait().expect_code(1);
    let (report, _) = project.accounts();
    let sender = node_report(&report, "sender");
    let said = sender.last_lines.join("\n");
    assert!(said.contains("memory"), "{sender:#?}");
    assert_eq!(node_report(&report, "receiver").end, End::Drained);
    assert_eq!(node_report(&report, "neighbour").end, End::Drained);
}

#[test]
fn a_receiver_that_cannot_map_its_sender_s_memory_fails_by_name_and_the_others_go_on() {
    let project = with_little_memory("little-to-map", "free", "limited");
    let up = project.up();
    project.wait_until("the sender has ended", |status| {
        node(status, "sender").state.is_final()
    });
    let seen = project.ledger("neighbour").len();
    project.wait_for_messages("neighbour", seen + 50);
    project.down().expect_code(0);
    up.wait()
        .expect_code(0)
        .expect_line(&["receiver", "cannot be mapped"]);
    // The edge was closed at once, at the message that could not be read; what follows it is listed.
    let report = project.report_of_damage();
    assert_eq!(report.outcome, Outcome::Drained);
    let closed = edge(&report.edges, "sender/o0", "receiver/i0");
    let why = closed.damage.as_deref().unwrap_or_default();
    assert!(why.contains("cannot be mapped"), "{closed:?}");
    assert!(closed.counts.dropped_receiver_closed > 0, "{closed:?}");
    let counts = edge(&report.edges, "sender/o0", "neighbour/i1").counts;
    assert_eq!((counts.sent, counts.released), (6, 6));
    assert_eq!(node_report(&report, "neighbour").end, End::Drained);
}

/// A control group with a limit of memory.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// `None` where this user may not make one.
    fn new(name: &str, bytes: u64) -> Option<MemoryGroup> {
        let name = format!("dataflow-test-{name}-{}", std::process::id());
        let places = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        places.iter().find_map(|(place, limit)| {
            let group = PathBuf::from(place).join(&name);
            std::fs::create_dir(&group).ok()?;
            let group = MemoryGroup(group);
            std::fs::write(group.0.join(limit), bytes.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        wait_until("the group is empty", || {
            std::fs::remove_dir(&self.0).is_ok()
        });
    }
}

#[test]
fn a_sender_in_a_group_with_little_memory_fails_by_name_and_nobody_is_killed() {
    const LIMIT_BYTES: u64 = 150_000_000;
    let Some(group) = MemoryGroup::new("memory", LIMIT_BYTES) else {
        println!("no control group can be made here: nothing was shown");
        return;
    };
    let project = Project::new("little-group");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=5000000, count=100]
    output_memory_mb: 2000
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink, die=1, point=4, after=1, gate=GATES/gate]
    inputs: { i0: { source: sender/o0, queue_policy: block, queue_size: 100 } }
",
    );
    let inside = format!(
        "echo $$ > {}/cgroup.procs && exec {} up {}",
        group.0.display(),
        dataflow_binary().display(),
        project.file().display()
    );
    let up = project.program("sh").args(["-c", &inside]).start();
    gate.wait_until_reached();
    let status = project.wait_until("the sender has ended", |status| {
        node(status, "sender").state == LifeCycle::Draining
    });
    let sent = status.edges[0].counts.sent;
    assert!(sent > 1 && status.edges[0].counts.bytes < LIMIT_BYTES);
    gate.open();
    up.wait().expect_code(1);
    let (report, accounts) = project.accounts();
    let sender = node_report(&report, "sender");
    let said = sender.last_lines.join("\n");
    assert!(said.contains("control group"), "{sender:#?}");
    assert!(
        matches!(&sender.end, End::Crashed { how } if how == "exit code 1"),
        "{sender:#?}"
    );
    // What it had sent arrives all the same.
    assert_eq!((accounts.consumed, accounts.lost), (sent, 0));
}
