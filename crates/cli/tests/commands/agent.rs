//! `up` beside an agent: it looks as if the dataflow ran in the command itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{ChildStdout, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::ground::{Ground, Running, line_of, said, wait_until};

/// An agent `a` with a peer that is never there, on a port of the system's choice.
pub(crate) struct Agent {
    pub(crate) process: Running,
    pub(crate) address: SocketAddr,
    events: std::io::Lines<BufReader<ChildStdout>>,
    /// Keeps the port of the peer that is not there from everybody else.
    _nobody: Option<UdpSocket>,
}

impl Agent {
    pub(crate) fn start(ground: &Ground) -> Agent {
        Agent::start_with(ground, |_| {})
    }

    pub(crate) fn start_with(ground: &Ground, change: impl FnOnce(&mut Command)) -> Agent {
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = nobody.local_addr().unwrap();
        let peers = [("a", "127.0.0.1:9".parse().unwrap()), ("b", b)];
        let mut agent = Agent::start_as(ground, "a", &peers, change);
        agent._nobody = Some(nobody);
        agent
    }

    /// The agent of this id, in a file of these peers, on a port of the system's choice.
    pub(crate) fn start_as(
        ground: &Ground,
        id: &str,
        peers: &[(&str, SocketAddr)],
        change: impl FnOnce(&mut Command),
    ) -> Agent {
        let entries: String = (peers.iter())
            .map(|(id, address)| format!("  - {{ id: {id}, address: \"{address}\" }}\n"))
            .collect();
        let health = "health_check: { interval: 2s, timeout: 2s, unreachable_after: 2 }";
        let text = format!("{health}\npeers:\n{entries}");
        fs::write(ground.project().join("peers.yaml"), text).unwrap();
        let listen = "127.0.0.1:0";
        let mut command = ground.dataflow([
            "agent",
            "--peers",
            "peers.yaml",
            "--node",
            id,
            "--listen",
            listen,
            "--json",
        ]);
        change(&mut command);
        let mut process = Running::of(command.stdout(Stdio::piped()).spawn().unwrap());
        let stdout = process.child().stdout.take().unwrap();
        let mut agent = Agent {
            process,
            address: listen.parse().unwrap(),
            events: BufReader::new(stdout).lines(),
            _nobody: None,
        };
        let ready = agent.event("ready");
        agent.address = ready["address"].as_str().unwrap().parse().unwrap();
        agent
    }

    /// Waits for the next event of that name.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let text = self.events.next().expect("the agent ends").unwrap();
            let event: Value = serde_json::from_str(&text).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Waits until its peer stands like this.
    fn peer_becomes(&mut self, state: &str) -> Value {
        loop {
            let event = self.event("peer");
            if event["to"] == state {
                return event;
            }
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid().as_raw_nonzero().get()
    }

    /// Whether it still answers.
    fn answers(ground: &Ground) -> bool {
        let output = ground.dataflow(["peers", "--json"]).output().unwrap();
        output.status.success()
    }
}

/// The report of the newest run.
fn report(ground: &Ground) -> Value {
    let runs = ground.project().join(".dataflow/runs");
    let mut folders: Vec<_> = fs::read_dir(runs)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    folders.sort();
    let text = fs::read(folders.last().unwrap().join("report.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn a_dataflow_on_an_agent_has_the_environment_of_its_caller_and_nothing_of_the_agents() {
    let ground = Ground::with_shell("echo who=$WHO secret=$SECRET; pwd");
    let mut agent = Agent::start_with(&ground, |command| {
        command.env("WHO", "agent").env("SECRET", "agents");
    });
    let output = ground
        .dataflow(["up", "--json", "flow.yml"])
        .env("WHO", "caller")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let lines: Vec<&str> = events
        .iter()
        .filter_map(|event| event["line"].as_str())
        .collect();
    assert_eq!(
        lines,
        ["who=caller secret=", ground.project().to_str().unwrap()]
    );
    assert_eq!(events[0]["event"], "started");
    assert_eq!(events[0]["agent"], "a");
    assert_eq!(events[0]["pid"], agent.pid());
    assert_eq!(events.last().unwrap()["report"]["outcome"], "drained");
    assert_eq!(agent.event("run-begun")["dataflow"], "flow");
    assert_eq!(agent.event("run-ended")["how"], "drained");
    // And without the agent, in a process of its own.
    let output = ground
        .dataflow(["up", "--json", "--no-agent", "flow.yml"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let started: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(started["agent"], Value::Null);
    assert_ne!(started["pid"], agent.pid());
}

#[test]
fn ctrl_c_stops_a_dataflow_on_an_agent_and_a_second_one_forces_it_and_not_the_agent() {
    let ground = Ground::with_shell("trap '' TERM INT; echo deaf; sleep 1000 & wait; sleep 1000");
    let agent = Agent::start(&ground);
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    ground.wait_for_phase("running");
    wait_until("it is deaf", || {
        let logs = ground.dataflow(["logs"]).output().unwrap();
        said(&logs).contains("deaf")
    });
    up.signal(Signal::INT);
    ground.wait_for_phase("stopping");
    up.signal(Signal::INT);
    assert_eq!(up.wait(), Some(3));
    assert!(ground.ps().is_empty());
    assert!(Agent::answers(&ground));
    drop(agent);
}

#[test]
fn an_up_that_is_killed_takes_its_dataflow_with_it_which_ends_as_after_a_stop() {
    let ground = Ground::with_shell("trap 'echo told; exit 0' TERM; while :; do sleep 0.01; done");
    let mut agent = Agent::start(&ground);
    let mut up = Running::start(ground.dataflow(["up", "flow.yml"]).stdout(Stdio::null()));
    ground.wait_for_phase("running");
    up.signal(Signal::KILL);
    up.wait();
    agent.event("run-ended");
    assert!(ground.ps().is_empty());
    let report = report(&ground);
    assert_eq!(report["outcome"], "drained");
    assert_eq!(report["because"], "stopped by the end of its `up`");
}

#[test]
fn an_up_in_the_background_of_an_agent_goes_on_and_down_returns_when_nothing_of_it_is_left() {
    let ground =
        Ground::with_shell("echo one; trap 'echo last; exit 0' TERM; while :; do sleep 0.01; done");
    let mut agent = Agent::start(&ground);
    let output = ground.dataflow(["up", "-d", "flow.yml"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("on the agent a"),
        "{}",
        said(&output)
    );
    assert_eq!(ground.ps()[0]["pid"], agent.pid());
    // A second one is refused as it would be without an agent.
    let second = ground.dataflow(["up", "flow.yml"]).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(
        said(&second).contains("`flow` runs already"),
        "{}",
        said(&second)
    );
    let mut logs = Running::start(ground.dataflow(["logs", "-f"]).stdout(Stdio::piped()));
    let down = ground.dataflow(["down"]).output().unwrap();
    assert_eq!(down.status.code(), Some(0), "{}", said(&down));
    assert!(ground.ps().is_empty());
    assert_eq!(report(&ground)["outcome"], "drained");
    // Who follows is told all of it, and that it has ended, though the agent's process lives.
    let mut text = String::new();
    let stdout = logs.child().stdout.as_mut().unwrap();
    std::io::Read::read_to_string(stdout, &mut text).unwrap();
    assert_eq!(logs.wait(), Some(0));
    assert!(text.ends_with("last\n"), "{text}");
    agent.event("run-ended");
    assert!(Agent::answers(&ground));
}

#[test]
fn what_an_agent_cannot_run_is_refused_as_it_is_without_one() {
    let ground = Ground::new();
    let agent = Agent::start(&ground);
    ground.write("name: flow\nnodes:\n  - { id: missing, path: ./made, build: ./make-it }\n");
    for arguments in [vec!["up", "flow.yml"], vec!["up", "-d", "flow.yml"]] {
        let output = ground.dataflow([]).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(
            said(&output).contains("`dataflow up --build`"),
            "{}",
            said(&output)
        );
    }
    assert!(!ground.project().join(".dataflow").exists());
    let large = "x".repeat(100_000);
    let mut command = ground.dataflow(["up", "flow.yml"]);
    command.envs((0..11).map(|number| (format!("LARGE_{number}"), &large)));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("--no-agent"), "{}", said(&output));
    assert!(Agent::answers(&ground));
    drop(agent);
}

#[test]
fn an_agent_that_is_told_to_stop_first_stops_what_runs_on_it_and_takes_nothing_new() {
    let script = "trap 'echo told > told; read rest < go; exit 0' TERM; echo > begun; while :; do sleep 0.01; done";
    let ground = Ground::with_shell(script);
    let (begun, told, go) = (ground.fifo("begun"), ground.fifo("told"), ground.fifo("go"));
    let mut agent = Agent::start(&ground);
    let output = ground.dataflow(["up", "-d", "flow.yml"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    line_of(&begun);
    agent.process.signal(Signal::TERM);
    line_of(&told);
    // It waits for its dataflow, without a limit, and answers meanwhile.
    assert!(Agent::answers(&ground));
    let other = "name: other\nnodes: [{ id: a, path: /bin/true }]\n";
    fs::write(ground.project().join("other.yml"), other).unwrap();
    let refused = ground.dataflow(["up", "other.yml"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("is stopping"), "{}", said(&refused));
    assert!(said(&refused).contains("--no-agent"), "{}", said(&refused));
    fs::write(&go, "\n").unwrap();
    agent.event("ended");
    assert_eq!(agent.process.wait(), Some(0));
    let report = report(&ground);
    assert_eq!(report["outcome"], "drained");
    assert_eq!(report["because"], "stopped by the end of the agent");
}

#[test]
fn an_agent_that_is_killed_takes_its_dataflows_with_it_and_who_waits_is_told() {
    let ground = Ground::with_shell("echo $$ > pid; exec sleep 1000");
    let pid = ground.fifo("pid");
    let mut agent = Agent::start(&ground);
    let mut up = Running::start(
        ground
            .dataflow(["up", "flow.yml"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    );
    let pid = line_of(&pid);
    agent.process.signal(Signal::KILL);
    let errors = up.errors();
    assert_eq!(up.wait(), Some(1));
    assert!(errors.contains("the agent `a`"), "{errors}");
    assert!(errors.contains("dataflow logs flow"), "{errors}");
    let process = format!("/proc/{}", pid.trim());
    wait_until("its node has ended", || !fs::exists(&process).unwrap());
    agent.process.wait();
    // The next one is not kept from anything by what is left.
    Agent::start(&ground);
}

#[test]
fn two_agents_find_each_other_and_the_one_that_is_left_says_why_and_what_to_do() {
    let (one, two) = (Ground::new(), Ground::new());
    let mut a = Agent::start(&one);
    let peers = [("a", a.address), ("b", "127.0.0.1:9".parse().unwrap())];
    let mut b = Agent::start_as(&two, "b", &peers, |_| {});
    // Before the other began, it may have been given up.
    for (agent, other) in [(&mut a, "b"), (&mut b, "a")] {
        let event = agent.peer_becomes("healthy");
        assert_eq!(event["peer"], other);
    }
    wait_until("each shows the other", || {
        let shown = said(&one.dataflow(["peers"]).output().unwrap());
        shown.contains("●  b     healthy") && shown.contains("all well")
    });
    wait_until("the other one draws it", || {
        let drawn = two.dataflow(["graph", "--peers"]).output().unwrap();
        said(&drawn).contains("  |---> a  ")
    });
    b.process.signal(Signal::KILL);
    a.peer_becomes("unreachable");
    let output = one.dataflow(["peers", "--json"]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let peer = &status["peers"][0];
    assert_eq!(
        (peer["mark"].as_str(), peer["state"].as_str()),
        (Some("✗"), Some("unreachable"))
    );
    let shown = said(&one.dataflow(["peers"]).output().unwrap());
    assert!(
        shown.contains("✗  b unreachable (") && shown.contains("help: b: "),
        "{shown}"
    );
}

#[test]
fn an_up_that_stands_still_holds_up_neither_its_dataflow_nor_the_agent() {
    let script = "read rest < go; for i in $(seq 100000); do echo a line of some length $i; done";
    let ground = Ground::with_shell(script);
    let go = ground.fifo("go");
    let mut agent = Agent::start(&ground);
    let mut up = Running::start(
        ground
            .dataflow(["up", "--json", "flow.yml"])
            .stdout(Stdio::piped()),
    );
    agent.event("run-begun");
    up.signal(Signal::STOP);
    fs::write(&go, "\n").unwrap();
    assert_eq!(agent.event("run-ended")["how"], "drained");
    assert!(Agent::answers(&ground));
    up.signal(Signal::CONT);
    let stdout = up.child().stdout.take().unwrap();
    let events: Vec<Value> = (BufReader::new(stdout).lines())
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(up.wait(), Some(0));
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    // What it was not told is counted, and how it ended is told.
    let dropped = events.iter().filter(|event| event["event"] == "dropped");
    let dropped: u64 = dropped.filter_map(|event| event["count"].as_u64()).sum();
    assert!(dropped > 0 && (of("log") as u64) < 100_000, "{dropped}");
    assert_eq!(of("ended"), 1);
}

#[test]
fn who_waits_for_a_dataflow_is_told_how_it_ended_though_the_agent_ends_with_it() {
    let script =
        "trap 'for i in $(seq 100000); do echo a line of some length $i; done; exit 0' TERM
        echo > begun; while :; do sleep 0.01; done";
    let ground = Ground::with_shell(script);
    let begun = ground.fifo("begun");
    let mut agent = Agent::start(&ground);
    let mut up = Running::start(
        ground
            .dataflow(["up", "--json", "flow.yml"])
            .stdout(Stdio::piped()),
    );
    line_of(&begun);
    // It reads nothing until its dataflow has ended, and the agent has nothing else to do than to end.
    up.signal(Signal::STOP);
    agent.process.signal(Signal::TERM);
    agent.event("run-ended");
    up.signal(Signal::CONT);
    let stdout = up.child().stdout.take().unwrap();
    let last = BufReader::new(stdout).lines().last().unwrap().unwrap();
    assert_eq!(up.wait(), Some(0), "{last}");
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["event"], "ended");
    assert_eq!(agent.process.wait(), Some(0));
}

/// Reads lines until one has this text.
fn read_until(from: &mut impl BufRead, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(from.read_line(&mut line).unwrap(), 0, "never said: {text}");
    }
}

#[test]
fn an_agent_that_is_stopped_keeps_nobody_who_asks_for_the_end() {
    let ground = Ground::with_shell("exec sleep 1000");
    let mut agent = Agent::start(&ground);
    let start = || {
        let mut command = ground.dataflow(["up", "flow.yml"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(&mut command)
    };
    // It has not been asked yet.
    agent.process.signal(Signal::STOP);
    let mut up = start();
    let mut errors = BufReader::new(up.child().stderr.take().unwrap());
    read_until(&mut errors, "it does not answer");
    up.signal(Signal::INT);
    read_until(&mut errors, "nothing was started");
    assert_eq!(up.wait(), Some(1));
    agent.process.signal(Signal::CONT);
    assert!(Agent::answers(&ground));
    assert!(ground.ps().is_empty());

    // It runs the dataflow.
    let mut up = start();
    agent.event("run-begun");
    let mut said = BufReader::new(up.child().stdout.take().unwrap());
    let mut errors = BufReader::new(up.child().stderr.take().unwrap());
    read_until(&mut said, "flow");
    agent.process.signal(Signal::STOP);
    for expected in ["stopping:", "forced:"] {
        up.signal(Signal::INT);
        read_until(&mut said, expected);
    }
    up.signal(Signal::INT);
    read_until(&mut errors, "was left");
    assert_eq!(up.wait(), Some(3));
    agent.process.signal(Signal::CONT);
    agent.event("run-ended");
    assert!(ground.ps().is_empty());
}
