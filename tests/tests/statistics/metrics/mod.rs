//! `/metrics` of a real dataflow, read by those who read metrics in the world.

mod agent;
mod readers;
mod stopped;

use std::cell::Cell;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use dataflow_tests::{PATIENCE, Project, Running, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use self::readers::{get, has_library, listens_on, parsed, prometheus, read_by, sample};

/// How many messages are sent.
const COUNT: u64 = 500;
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

const FLOW: &str = "
nodes:
  - id: sender
    path: RUST_NODE
    args: [send, count=500, then=wait]
    outputs: [out]
  - id: receiver
    path: RUST_NODE
    args: [receive, quiet]
    inputs: { in: { source: sender/out, queue_policy: block } }
";

/// A dataflow that runs, and where its metrics are.
struct Shown {
    project: Project,
    up: Running,
    address: SocketAddr,
}

/// Starts the dataflow, and waits until every message was counted.
fn start(name: &str) -> Shown {
    let project = Project::new(name);
    project.flow(FLOW);
    let up = project
        .dataflow(["up", "--json", "--metrics", "127.0.0.1:0"])
        .arg(project.file())
        .start();
    let line = up.wait_for_line(&["\"event\":\"started\""]);
    let started: Value = serde_json::from_str(&line.text).expect("JSON");
    let address = started["metrics"].as_str().expect("where they are");
    let shown = Shown {
        address: address.parse().expect("an address"),
        up,
        project,
    };
    let line = format!("dataflow_messages_released_total {COUNT}");
    // What a header says is heard apart from what a node says of itself.
    let running = "dataflow_nodes{state=\"running\"} 2";
    wait_until("all is counted, the processes read, and both run", || {
        let (_, page) = get(shown.address, "/metrics", OPENMETRICS);
        let is_read = |line: &str| {
            let memory = line.strip_prefix("dataflow_node_memory_bytes ");
            memory.is_some_and(|memory| memory != "0")
        };
        let says = |wanted: &str| page.lines().any(|said| said == wanted);
        says(&line) && says(running) && page.lines().any(is_read)
    });
    shown
}

impl Shown {
    fn end(self) {
        self.project.down().expect_code(0);
        self.up.wait().expect_code(0);
    }
}

#[test]
fn the_library_for_python_understands_every_line_and_the_numbers_are_right() {
    if !has_library("metrics read by Python") {
        return;
    }
    let shown = start("metrics-python");
    let (head, page) = get(shown.address, "/metrics", OPENMETRICS);
    assert!(head.contains("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let (head, classic) = get(shown.address, "/metrics", "text/plain;version=0.0.4");
    assert!(head.contains("text/plain; version=0.0.4; charset=utf-8"));

    let name = shown.project.ps()[0].name.to_string();
    let edge = [
        ("dataflow", name.as_str()),
        ("source", "sender/out"),
        ("target", "receiver/in"),
    ];
    let count = COUNT as f64;
    for (page, format) in [(&page, "openmetrics"), (&classic, "text")] {
        let families = parsed(page, format);
        let of = |name: &str, labels: &[(&str, &str)]| sample(&families, name, labels);
        assert_eq!(of("dataflow_edge_messages_sent_total", &edge), count);
        assert_eq!(of("dataflow_edge_messages_delivered_total", &edge), count);
        assert_eq!(of("dataflow_messages_sent_total", &[]), count);
        let sender = [("group", "sender")];
        assert_eq!(of("dataflow_group_messages_sent_total", &sender), count);
        assert_eq!(of("dataflow_group_messages_delivered_total", &sender), 0.0);
        let full = [edge[0], edge[1], edge[2], ("reason", "full")];
        assert_eq!(of("dataflow_edge_messages_dropped_total", &full), 0.0);
        assert_eq!(of("dataflow_nodes", &[("state", "running")]), 2.0);
        assert_eq!(of("dataflow_audit_mismatches_total", &[]), 0.0);
        assert!(of("dataflow_node_memory_bytes", &[]) > 1e6);
        assert!(of("dataflow_uptime_seconds", &[]) < 3600.0);
        // Each is in one bucket, and the sample stands for all.
        let timed = of("dataflow_edge_message_latency_seconds_count", &edge);
        let bucket = [edge[0], edge[1], edge[2], ("le", "+Inf")];
        let below = of("dataflow_edge_message_latency_seconds_bucket", &bucket);
        assert_eq!(timed, below);
        assert!(timed > 0.0);
    }

    let (head, health) = get(shown.address, "/healthz", "*/*");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    let health: Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!(health["status"], "ok");
    shown.end();
}

#[test]
fn promtool_has_nothing_to_say_against_the_names() {
    let Some(promtool) = prometheus("promtool", "promtool check metrics") else {
        return;
    };
    let shown = start("metrics-promtool");
    let (_, page) = get(shown.address, "/metrics", "text/plain;version=0.0.4");
    let (is_well, said) = read_by(Command::new(promtool).args(["check", "metrics"]), &page);
    assert!(is_well && said.is_empty(), "{said}");
    shown.end();
}

#[test]
fn a_real_prometheus_scrapes_it_and_answers_queries() {
    let Some(program) = prometheus("prometheus", "a real Prometheus") else {
        return;
    };
    let shown = start("metrics-prometheus");
    let folder = shown.project.folder();
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: dataflow\n    \
         static_configs: [{{ targets: [\"{}\"] }}]\n",
        shown.address
    );
    std::fs::write(&config, text).expect("the folder can be written");
    let server = shown
        .project
        .program(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        .arg("--web.listen-address=127.0.0.1:0")
        .arg("--log.level=warn")
        .start();
    let found = Cell::new(None);
    wait_until("Prometheus listens", || {
        found.set(listens_on(server.pid()));
        found.get().is_some()
    });
    let address = found.get().expect("it was waited for");
    let ask = |query: &str| -> Option<String> {
        let (_, body) = get(address, &format!("/api/v1/query?query={query}"), "*/*");
        let answer: Value = serde_json::from_str(&body).ok()?;
        let value = &answer["data"]["result"][0]["value"][1];
        value.as_str().map(str::to_owned)
    };
    let deadline = Instant::now() + PATIENCE;
    let wants = [
        ("up", "1"),
        ("dataflow_messages_sent_total", "500"),
        ("sum(dataflow_edge_messages_sent_total)", "500"),
        // What a plus in the query would be.
        (
            "dataflow_edge_message_latency_seconds_bucket%7Ble%3D%22%2BInf%22,source=~%22sender.*%22%7D%20%3E%20bool%200",
            "1",
        ),
        ("count(dataflow_nodes)", "13"),
    ];
    for (query, expected) in wants {
        let mut said = ask(query);
        while said.as_deref() != Some(expected) {
            let (_, targets) = get(address, "/api/v1/targets", "*/*");
            assert!(Instant::now() < deadline, "{query} is {said:?}\n{targets}");
            std::thread::sleep(Duration::from_millis(50));
            said = ask(query);
        }
    }
    server.signal(Signal::TERM);
    server.wait().expect_code(0);
    shown.end();
}

#[test]
fn up_in_the_background_says_where_its_metrics_are() {
    let project = Project::new("metrics-detached");
    project.flow(FLOW);
    let up = project
        .dataflow(["up", "-d", "--metrics", "127.0.0.1:0"])
        .arg(project.file())
        .run()
        .expect_code(0)
        .expect_line(&["http://127.0.0.1:", "/metrics"]);
    let output = up.output();
    let (_, rest) = output.split_once("http://").expect("a place");
    let (address, _) = rest.split_once('/').expect("a path");
    let address = address.parse().expect("an address");
    let (head, _) = get(address, "/metrics", "*/*");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");

    // The port is taken: nothing is started, and who has it is said.
    let other = Project::new("metrics-taken");
    other.flow(FLOW);
    let refused = other
        .dataflow(["up", "--metrics", &address.to_string()])
        .arg(other.file())
        .run()
        .expect_code(2);
    let said = refused.error();
    assert!(said.contains("is taken by dataflow (pid"), "{said}");
    assert!(other.run_folders().is_empty());
    project.down().expect_code(0);
}
