//! The graph for programs.

use dataflow_descriptor::{Dataflow, Edge, Input, InputSource, Node, Program};
use serde_json::{Value, json};

/// Draws it.
pub(super) fn draw(dataflow: &Dataflow) -> String {
    let graph = json!({
        "name": dataflow.name,
        "file": dataflow.file.to_string_lossy(),
        "nodes": dataflow.nodes.iter().map(node).collect::<Value>(),
        "edges": dataflow.edges.iter().map(edge).collect::<Value>(),
    });
    format!("{graph:#}\n")
}

fn node(node: &Node) -> Value {
    json!({
        "id": node.id,
        "path": node.path.to_string_lossy(),
        "program": match node.program {
            Program::Python => "python",
            Program::Executable => "executable",
        },
        "args": node.args,
        "inputs": node.inputs.iter().map(input).collect::<Value>(),
        "outputs": node.outputs,
        "restart": node.restart.on,
    })
}

fn input(input: &Input) -> Value {
    match input.source {
        InputSource::Edge(edge) => json!({ "id": input.id, "edge": edge }),
        InputSource::Timer(period) => {
            json!({ "id": input.id, "timer_s": period.as_secs_f64() })
        }
    }
}

fn edge(edge: &Edge) -> Value {
    json!({
        "id": edge.id,
        "source": { "node": edge.source.node, "output": edge.source.output },
        "target": { "node": edge.target.node, "input": edge.target.input },
        "queue_policy": edge.policy,
        "queue_size": edge.queue_size,
        "max_held": edge.held_max,
        "spin_s": edge.spin.as_secs_f64(),
    })
}
