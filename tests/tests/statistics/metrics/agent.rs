//! `/metrics` of an agent: its peers, and what has run on it, also when that has ended.

use std::net::SocketAddr;

use dataflow_tests::{Project, Running, wait_until};
use rustix::process::Signal;
use serde_json::Value;

use super::readers::get;
use super::{COUNT, FLOW, OPENMETRICS};

/// Nobody is where the other one should be.
const PEERS: &str = "peers:
  - { id: here, address: \"127.0.0.1:50051\" }
  - { id: elsewhere, address: \"127.0.0.1:9\" }
";

/// An agent whose metrics are at this address, and that has no other place for itself than one that is free.
fn agent(project: &Project, metrics: &str) -> Running {
    let peers = project.folder().join("peers.yaml");
    std::fs::write(&peers, PEERS).expect("the folder can be written");
    project
        .dataflow(["agent", "--json", "--node", "here", "--listen"])
        .args(["127.0.0.1:0", "--metrics", metrics, "--peers"])
        .arg(peers)
        .env("DATAFLOW_IDENTITY", project.folder().join("key.pem"))
        .start()
}

/// A page, and the value of a sample on it.
struct Page(String);

impl Page {
    fn of(address: SocketAddr) -> Page {
        Page(get(address, "/metrics", OPENMETRICS).1)
    }

    fn value(&self, sample: &str) -> Option<f64> {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        value.parse().ok()
    }
}

#[test]
fn an_agent_shows_its_peers_and_what_has_run_on_it_also_when_that_has_ended() {
    let project = Project::new("metrics-agent");
    project.flow(FLOW);
    let agent = agent(&project, "127.0.0.1:0");
    let line = agent.wait_for_line(&["\"event\":\"ready\""]);
    let ready: Value = serde_json::from_str(&line.text).expect("JSON");
    let address = ready["metrics"].as_str().expect("where they are");
    let address: SocketAddr = address.parse().expect("an address");
    let state_of_the_peer = |page: &Page| -> Vec<&str> {
        let states = ["healthy", "degraded", "unreachable", "rejected"].into_iter();
        let stands = |state: &&str| {
            let labels = format!("{{peer=\"elsewhere\",state=\"{state}\"}}");
            page.value(&format!("dataflow_peer_state{labels}")) == Some(1.0)
        };
        states.filter(stands).collect()
    };
    wait_until("the peer is known not to be there", || {
        let page = Page::of(address);
        let told = page.value("dataflow_peer_transitions_total{peer=\"elsewhere\"}");
        state_of_the_peer(&page) == ["unreachable"] && told >= Some(1.0)
    });
    let at_work = Page::of(address);
    let peers = |page: &Page, what: &str| page.value(&format!("dataflow_{what}{{actor=\"peer\"}}"));
    assert_eq!(peers(&at_work, "actors"), Some(1.0));
    assert!(peers(&at_work, "actor_messages_handled_total") > Some(0.0));

    // Its address is another one's now: nothing is begun, and who has it is said.
    let other = Project::new("metrics-agent-taken");
    let refused = self::agent(&other, &address.to_string()).wait();
    // Not for a fault of what was typed: who starts with the machine may try again.
    let refused = refused.expect_code(1);
    let said = refused.error();
    assert!(said.contains("is taken by dataflow (pid"), "{said}");

    let up = project
        .dataflow(["up", "--metrics", "127.0.0.1:0"])
        .arg(project.file())
        .start();
    // What is asked for here is the agent's, which says so.
    up.wait_for_line(&[
        "the agent `here` runs it",
        "its metrics are with those of the agent",
    ]);
    let released = "dataflow_messages_released_total";
    let running = "dataflow_nodes{state=\"running\"}";
    // What a header says is heard apart from what a node says of itself.
    wait_until("all messages are counted, and both nodes run", || {
        let page = Page::of(address);
        (page.value(released), page.value(running)) == (Some(COUNT as f64), Some(2.0))
    });
    let page = Page::of(address);
    assert_eq!(page.value("dataflow_dataflows"), Some(1.0));
    let handled = "dataflow_actor_messages_handled_total{actor=\"node\"}";
    let before = page.value(handled);
    assert!(before > Some(0.0));
    project.down().expect_code(0);
    up.wait().expect_code(0);
    wait_until("nothing runs any more", || {
        Page::of(address).value("dataflow_dataflows") == Some(0.0)
    });
    let after = Page::of(address);
    assert_eq!(
        (after.value(released), after.value(running)),
        (Some(COUNT as f64), Some(0.0))
    );
    assert!(after.value(handled) >= before);
    assert_eq!(after.value("dataflow_audit_mismatches_total"), Some(0.0));
    let (head, _) = get(address, "/healthz", "*/*");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    agent.signal(Signal::TERM);
    agent.wait().expect_code(0);
}
