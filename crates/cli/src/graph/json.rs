//! The graph for programs.

use dataflow_descriptor::{Dataflow, Edge, Input, InputSource, Model, Node, Program};
use serde_json::{Value, json};

/// Draws it.
pub(super) fn draw(dataflow: &Dataflow) -> String {
    let graph = json!({
        "name": dataflow.name,
        "file": dataflow.file.to_string_lossy(),
        "models": dataflow.models.iter().map(model).collect::<Value>(),
        "nodes": dataflow.nodes.iter().map(|it| node(dataflow, it)).collect::<Value>(),
        "edges": dataflow.edges.iter().map(edge).collect::<Value>(),
    });
    format!("{graph:#}\n")
}

fn model(model: &Model) -> Value {
    json!({
        "name": model.name,
        "repo": model.repo,
        "kind": model.kind,
        "revision": model.revision,
        "files": model.files,
        "variable": model.environment_variable(),
    })
}

fn node(dataflow: &Dataflow, node: &Node) -> Value {
    let models = dataflow.models.iter();
    let models = models.filter(|model| node.models.contains(&model.index));
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
        "models": models.map(|model| &model.name).collect::<Vec<_>>(),
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
