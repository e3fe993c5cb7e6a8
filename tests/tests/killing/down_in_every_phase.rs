//! `down`, `down --now` and `down --force` in each phase of a node's life: each ends, and each message is accounted
//! for.

use dataflow_ids::LifeCycle;
use dataflow_tests::{Gate, Project, Running, node};
use dataflow_wire::status::{Outcome, Phase as DataflowPhase};

use crate::{kill, last_pid};

/// Where the node called `victim` stands when the dataflow is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Started, without a hello.
    Starting,
    /// Connected, never Ready.
    Connected,
    /// Started again, without a hello, with messages in its queue.
    StartingAgain,
    /// Messages flow.
    Running,
    /// It holds a message and looks at nothing else.
    Holding,
    /// It has crashed and waits for its restart.
    Backoff,
    /// Its sender has ended, and waits for what it holds.
    Draining,
}

const PHASES: [Phase; 7] = [
    Phase::Starting,
    Phase::Connected,
    Phase::StartingAgain,
    Phase::Running,
    Phase::Holding,
    Phase::Backoff,
    Phase::Draining,
];

/// Brings a dataflow into a phase; the gate at which its victim stands, if it does.
fn bring_into(phase: Phase, project: &Project) -> (Running, Option<Gate>) {
    let fate = match phase {
        Phase::Starting => "die=1, point=0, first",
        Phase::Connected => "die=1, point=1, first",
        Phase::StartingAgain => "die=1, point=0",
        Phase::Holding => "hold=2, die=1, point=4, after=3",
        Phase::Draining => "hold=9, die=1, point=4, after=2",
        Phase::Running | Phase::Backoff => "hold=2",
    };
    let backoff = if phase == Phase::Backoff {
        "1h..1h"
    } else {
        "1ms..5ms"
    };
    let source = if phase == Phase::Draining {
        "count=5"
    } else {
        "pause_us=500"
    };
    let mut gate = project.gate("gate");
    project.flow(&format!(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [source, bytes=3000, {source}]
    outputs: [o0]
  - id: victim
    path: LEDGER_NODE
    args: [relay, gate=GATES/gate, {fate}]
    restart: {{ policy: on-failure, backoff: {backoff} }}
    inputs: {{ i0: {{ source: sender/o0, queue_policy: block }} }}
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [sink]
    inputs: {{ i0: {{ source: victim/o0, queue_policy: block }} }}
"
    ));
    let up = project.up();
    match phase {
        Phase::Starting | Phase::Connected => {
            gate.wait_until_reached();
            project.wait_until("it starts", |status| {
                status.phase == DataflowPhase::Starting
            });
        }
        Phase::StartingAgain => {
            project.wait_for_messages("receiver", 5);
            kill(last_pid(project, "victim"));
            gate.wait_until_reached();
        }
        Phase::Running => project.wait_for_messages("receiver", 5),
        Phase::Holding => gate.wait_until_reached(),
        Phase::Backoff => {
            project.wait_for_messages("receiver", 5);
            kill(last_pid(project, "victim"));
            project.wait_until("it waits for its restart", |status| {
                node(status, "victim").state == LifeCycle::Backoff
            });
        }
        Phase::Draining => {
            gate.wait_until_reached();
            project.wait_until("the sender drains", |status| {
                node(status, "sender").state == LifeCycle::Draining
            });
        }
    }
    let stands = !matches!(phase, Phase::Running | Phase::Backoff);
    (up, stands.then_some(gate))
}

fn in_every_phase(mode: &[&str]) {
    for phase in PHASES {
        let name = format!("{}-{phase:?}", mode.join("").replace("--", "-")).to_lowercase();
        println!("{name}");
        let project = Project::new(&name);
        let (up, mut gate) = bring_into(phase, &project);
        let down = project.dataflow(mode.iter().copied()).start();
        // A node that was never Ready is told by a signal; every other must come to an end by itself.
        if let Some(gate) = &mut gate
            && !mode.contains(&"--force")
            && !matches!(phase, Phase::Starting | Phase::Connected)
        {
            down.wait_for_line(&["waiting for victim"]);
            gate.open();
        }
        let expected = match (mode.contains(&"--force"), phase) {
            (true, _) => Outcome::Forced,
            // It had crashed, and a stop wins over its restart.
            (false, Phase::Backoff) => Outcome::Failed,
            (false, _) => Outcome::Drained,
        };
        let code = match expected {
            Outcome::Drained => 0,
            Outcome::Failed => 1,
            Outcome::Forced => 3,
        };
        down.wait().expect_code(code);
        up.wait().expect_code(code);
        let (report, accounts) = project.accounts();
        assert_eq!(report.outcome, expected);
        if mode == ["down"] && expected == Outcome::Drained {
            // What the killed incarnation had in its hands, and nothing else; but what is sent to a receiver that
            // will never be ready is listed.
            let never_ready = matches!(phase, Phase::Starting | Phase::Connected);
            assert!(accounts.lost <= 3, "{accounts:?}");
            assert!(accounts.dropped == 0 || never_ready, "{accounts:?}");
        }
    }
}

#[test]
fn down_ends_in_every_phase_and_loses_nothing() {
    in_every_phase(&["down"]);
}

#[test]
fn down_now_ends_in_every_phase_and_lists_what_was_left() {
    in_every_phase(&["down", "--now"]);
}

#[test]
fn down_force_ends_in_every_phase_and_lists_what_was_left() {
    in_every_phase(&["down", "--force"]);
}
