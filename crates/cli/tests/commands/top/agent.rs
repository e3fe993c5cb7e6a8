//! A dataflow on an agent, as `top` shows it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::agent::Agent;
use crate::ground::{Ground, Running, said};

#[test]
fn json_of_a_dataflow_ends_with_it_and_not_with_the_agent_that_runs_it() {
    let ground = Ground::with_shell("exec sleep 1000");
    let _agent = Agent::start(&ground);
    let mut up = ground.dataflow(["up", "flow.yml"]);
    let mut up = Running::start(up.stdout(Stdio::null()).stderr(Stdio::null()));
    ground.wait_for_phase("running");
    let mut command = ground.dataflow(["top", "flow", "--json", "--interval", "100ms"]);
    let mut top = Running::start(command.stdout(Stdio::piped()));
    let out = BufReader::new(top.child().stdout.take().unwrap());
    let mut shown = out.lines().map(|line| -> Vec<Value> {
        let object: Value = serde_json::from_str(&line.unwrap()).unwrap();
        object["runtimes"].as_array().unwrap().clone()
    });
    let of = |kind: &str, runtimes: &[Value]| {
        let mut runtimes = runtimes.iter();
        let is_it = |it: &&Value| it["kind"] == kind && it["nodes"].is_array();
        runtimes.find(is_it).cloned()
    };
    let both = shown.find(|all| of("dataflow", all).is_some() && of("agent", all).is_some());
    let both = both.unwrap();
    assert!(of("dataflow", &both).unwrap()["at_s"].as_f64().unwrap() < 600.0);
    // Of an agent that is not known: it puts together what others keep.
    assert_eq!(of("agent", &both).unwrap()["at_s"], Value::Null);
    let down = ground.dataflow(["down", "flow"]).output().unwrap();
    assert!(down.status.success(), "{}", said(&down));
    // It goes on to write until it knows of the end, and would stand still if nobody read.
    shown.for_each(drop);
    assert_eq!(top.wait(), Some(0));
    up.wait();
}
