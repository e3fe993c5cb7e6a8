//! `dataflow top` of real runtimes: what it shows of nodes and edges is what `ps`, the report and the nodes' ledgers say.

use std::num::NonZero;

use dataflow_ids::LifeCycle;
use dataflow_tests::{Project, Terminal, node};
use dataflow_wire::status::{DataflowStatus, EdgeCounts, EdgeStatus, NodeStatus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A line of `top --json`, of which it shows one runtime.
pub(crate) struct Shown(Value);

impl Shown {
    /// `None` when no runtime is shown, or one that has not answered yet.
    pub(crate) fn of(line: &str) -> Option<Shown> {
        let value: Value = serde_json::from_str(line).expect("each line is one object");
        let runtime = value["runtimes"].as_array()?.first()?.clone();
        runtime["nodes"].is_array().then_some(Shown(runtime))
    }

    fn node(&self, id: &str) -> &Value {
        let mut nodes = self.0["nodes"].as_array().into_iter().flatten();
        let found = nodes.find(|node| node["node"] == id);
        found.unwrap_or_else(|| panic!("no node {id} in {:#}", self.0))
    }

    /// Whether its edges are these, with everything that was counted on them.
    fn has_edges(&self, edges: &[EdgeStatus]) -> bool {
        let shown = self.0["edges"].as_array().expect("edges are a list");
        shown.len() == edges.len()
            && (shown.iter().zip(edges)).all(|(shown, edge)| {
                shown["source"] == edge.source.as_str()
                    && shown["output"] == edge.output.as_str()
                    && shown["target"] == edge.target.as_str()
                    && shown["input"] == edge.input.as_str()
                    && counted_in(shown) == counted(&edge.counts)
            })
    }
}

/// What `top` says was counted on an edge.
fn counted_in(edge: &Value) -> Value {
    json!({
        "sent": edge["sent"],
        "delivered": edge["delivered"],
        "dropped": edge["dropped"],
        "lost": edge["lost"],
        "queued": edge["queued"],
        "held": edge["held"],
        "bytes": edge["sent_bytes"],
    })
}

/// What `ps` or the report say was counted on an edge.
fn counted(counts: &EdgeCounts) -> Value {
    json!({
        "sent": counts.sent,
        "delivered": counts.delivered,
        "dropped": {
            "full": counts.dropped_full,
            "receiver_closed": counts.dropped_receiver_closed,
            "memory": counts.dropped_memory,
        },
        "lost": counts.lost,
        "queued": counts.queued,
        "held": counts.held,
        "bytes": counts.bytes,
    })
}

fn kill(node: &NodeStatus) {
    let pid = node.pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).expect("the process lives");
    kill_process(pid, Signal::KILL).expect("the process lives");
}

/// Waits until all nodes run, and this one was started again so often.
fn all_run(project: &Project, id: &str, restarts: u32) -> DataflowStatus {
    project.wait_until("all run", |status| {
        let mut nodes = status.nodes.iter();
        nodes.all(|node| node.state == LifeCycle::Running) && node(status, id).restarts == restarts
    })
}

#[test]
fn top_says_what_ps_the_report_and_the_ledgers_say_of_a_dataflow_with_a_node_that_is_killed() {
    let project = Project::new("top-exact");
    project.flow(
        "
nodes:
  - id: camera
    path: LEDGER_NODE
    args: [source, bytes=24..9000, pause_us=300..2000]
    outputs: [o0]
  - id: relay
    path: LEDGER_NODE
    args: [relay, bytes=24..3000]
    restart: { policy: on-failure, backoff: 1ms..5ms }
    inputs: { i0: { source: camera/o0, queue_policy: block, queue_size: 3 } }
    outputs: [o0]
  - id: logger
    path: LEDGER_NODE
    args: [sink]
    inputs:
      i0: { source: camera/o0, queue_size: 2 }
      i1: { source: relay/o0, queue_policy: block, queue_size: 4 }
",
    );
    let up = project.up();
    let status = all_run(&project, "relay", 0);
    let top = project
        .dataflow(["top", "top-exact", "--json", "--interval", "100ms"])
        .start();
    let wait_until = |what: &str, is_so: &dyn Fn(&Shown) -> bool| {
        top.wait_for_line_in_which(what, |line| {
            Shown::of(line).is_some_and(|shown| is_so(&shown))
        });
    };
    wait_until("it shows the processes that there are", &|shown| {
        let mut nodes = status.nodes.iter();
        nodes.all(|node| shown.node(node.node.as_str())["pid"] == json!(node.pid))
    });
    kill(node(&status, "relay"));
    let status = all_run(&project, "relay", 1);
    wait_until("the node that was killed has come back", &|shown| {
        let relay = shown.node("relay");
        let process = json!(node(&status, "relay").pid);
        (&relay["state"], &relay["pid"]) == (&json!("running"), &process)
            && (&relay["epoch"], &relay["restarts"]) == (&json!(2), &json!(1))
    });

    // At rest nothing changes between two looks.
    project.dataflow(["stop", "camera"]).run().expect_code(0);
    let at_rest = project.wait_until("nothing is queued, and nothing held", |status| {
        let mut edges = status.edges.iter();
        edges.all(|edge| edge.counts.queued + edge.counts.held == 0)
    });
    wait_until("it shows what `ps` shows", &|shown| {
        // Asked each time: the relay may have had a short message in hand that it had not sent on.
        let at_rest = &project.ps()[0];
        let mut nodes = at_rest.nodes.iter();
        shown.has_edges(&at_rest.edges)
            && nodes.all(|of| {
                let shown = shown.node(of.node.as_str());
                shown["state"] == of.state.as_str()
                    && shown["restarts"] == of.restarts
                    && shown["sent"] == of.sent
                    && shown["received"] == of.delivered
            })
    });
    let mut once = project.dataflow(["top", "--once"]).run().expect_code(0);
    for of in &at_rest.nodes {
        let parts = [of.node.as_str(), of.state.as_str()];
        once = once.expect_line(&parts);
    }

    project.down().expect_code(0);
    up.wait().expect_code(0);
    let output = top.wait().expect_code(0).output();
    let mut shown = output.lines().rev().filter_map(Shown::of);
    let last = shown.next().expect("it has shown something");
    let (report, accounts) = project.accounts();
    assert!(accounts.consumed > 10 && accounts.deaths == 1);
    assert!(
        last.has_edges(&report.edges),
        "the last that was shown: {:#}\nthe report: {:#?}",
        last.0["edges"],
        report.edges
    );
    let total = &last.0["total"];
    let dropped = total["dropped"].as_object().expect("by reason");
    let dropped = dropped.values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(total["sent"], accounts.sent);
    assert_eq!(total["lost"], accounts.lost);
    assert_eq!(total["restarts"], 1);
    assert_eq!(dropped, accounts.dropped);
}

/// What is seen, a line each, without spaces at their ends.
fn seen(terminal: &Terminal, bytes: &[u8]) -> Vec<String> {
    let (rows, columns) = terminal.size();
    let size = |number| NonZero::new(number).expect("a terminal has rows and columns");
    let mut parser = vt100::Parser::new(size(rows), size(columns), 0);
    parser.process(bytes);
    let rows = parser.screen().rows(0, columns);
    rows.map(|row| row.trim_end().to_owned()).collect()
}

/// Waits until somebody at the terminal sees a line that begins with the first word and has the others in it, in their
/// order.
fn wait_for_words(terminal: &Terminal, words: &[&str]) {
    terminal.wait_until(&format!("a line with {words:?} is seen"), |bytes| {
        let lines = seen(terminal, bytes);
        lines.iter().any(|line| {
            let mut of_line = line.split_whitespace();
            of_line.next() == words.first().copied()
                && words[1..]
                    .iter()
                    .all(|word| of_line.any(|other| other == *word))
        })
    });
}

#[test]
fn at_a_terminal_one_sees_who_blocks_whom_and_a_node_that_is_killed_come_back_and_the_end() {
    let project = Project::new("top-seen");
    let mut gate = project.gate("gate");
    project.flow(
        "
nodes:
  - id: planner
    path: LEDGER_NODE
    args: [source]
    restart: { policy: on-failure, backoff: 1ms..5ms }
    outputs: [o0]
  - id: logger
    path: LEDGER_NODE
    args: [sink, die=1, point=3, after=1, gate=GATES/gate]
    inputs: { i0: { source: planner/o0, queue_policy: block, queue_size: 3 } }
",
    );
    let up = project.up();
    gate.wait_until_reached();
    let status = all_run(&project, "planner", 0);
    let mut terminal = project.at_terminal(["top", "--interval", "100ms"]);
    // State, messages that wait, how often it was restarted, and by whom it is blocked.
    wait_for_words(&terminal, &["planner", "running", "0", "logger"]);
    wait_for_words(&terminal, &["logger", "running", "3"]);
    terminal.press("4");
    wait_for_words(
        &terminal,
        &[
            "planner/o0",
            "→",
            "logger/i0",
            "3/3",
            "logger:",
            "queue",
            "full",
        ],
    );
    terminal.press("2");

    kill(node(&status, "planner"));
    // Its first message finds no room, so it does not run before the gate is open.
    let status = project.wait_until("the planner has come back", |status| {
        let planner = node(status, "planner");
        planner.restarts == 1 && planner.state == LifeCycle::Ready
    });
    let process = node(&status, "planner").pid.expect("it lives").to_string();
    wait_for_words(&terminal, &["planner", "ready", "1", "logger"]);
    // All about one row.
    terminal.press("j\r");
    wait_for_words(&terminal, &["PID", &process]);
    terminal.press("\x1b");

    gate.open();
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let run = project.report().run;
    wait_for_words(
        &terminal,
        &["top-seen", "has", "ended", "(run", &format!("{run})")],
    );
    terminal.press("q");
    let (code, _) = terminal.wait();
    assert_eq!(code, Some(0));
}
