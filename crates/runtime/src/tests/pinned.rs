//! `peer:` of a node: it runs on that machine, or not at all.

use dataflow_descriptor::PeerCapabilities;
use dataflow_ids::PeerId;
use dataflow_wire::status::Outcome;

use super::support::Project;
use crate::{AgentMachine, ErrorClass, RunOptions, machine};

const ONE: &str = "name: one\nnodes:\n  - id: a\n    path: ./a.sh\n";

fn as_agent(peer: &str, declared: &PeerCapabilities) -> RunOptions {
    RunOptions {
        agent: Some(AgentMachine {
            peer: PeerId::new(peer).unwrap(),
            capabilities: machine::offered(declared),
        }),
        ..RunOptions::default()
    }
}

#[test]
fn a_node_that_is_pinned_to_another_peer_is_refused_before_anything_begins() {
    let project = Project::new();
    project.script("a.sh", "exec sleep 1000");
    let pinned = format!("{ONE}    peer: gpu-a\n");
    for options in [
        RunOptions::default(),
        as_agent("gpu-b", &PeerCapabilities::default()),
    ] {
        let error = project.prepare_with(&pinned, options).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Input);
        let said = error.to_string();
        assert!(
            said.contains("`gpu-a`") && said.contains("not in this build"),
            "{said}"
        );
        assert_eq!(project.found().len(), 0);
    }
}

#[test]
fn a_node_that_is_pinned_to_this_machine_runs_with_the_labels_that_its_owner_declares() {
    let project = Project::new();
    project.script("a.sh", "echo up");
    let pinned = format!("{ONE}    peer: gpu-a\n    requires: {{ labels: {{ room: lab }} }}\n");
    let declared = PeerCapabilities {
        labels: [("room".to_owned(), "lab".to_owned())].into(),
        ..PeerCapabilities::default()
    };
    let report = project
        .start_with(&pinned, as_agent("gpu-a", &declared))
        .report();
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
}
