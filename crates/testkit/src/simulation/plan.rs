//! A random dataflow: its graph, its queues, its policies; and what is special about a seed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_descriptor::{
    Dataflow, Edge, Input, InputPlace, InputSource, Node, OutputPlace, Program, Requirement,
};
use dataflow_ids::{
    DataflowName, EdgeId, InputId, NodeId, NodeIndex, OnFailure, OutputId, QueuePolicy, RestartOn,
    RestartPolicy,
};

use dataflow_runtime::actor::Fault;

use super::draw::Draw;

/// How much goes wrong by itself in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Nothing: processes do their work and end when they should.
    Calm,
    /// Processes crash, stand still, hold, and acknowledgements get lost.
    Rough,
    /// One process does not end, or does not let go.
    Stuck,
}

/// One run: its dataflow, and how much goes wrong in it.
#[derive(Debug, Clone)]
pub(super) struct RunPlan {
    pub(super) dataflow: Dataflow,
    pub(super) weather: Weather,
    /// In a stuck run: who does not end, or does not let go.
    pub(super) stuck: Option<NodeIndex>,
    /// What strikes at its actors, at most one at each.
    pub(super) faults: Vec<PlannedFault>,
}

/// A fault of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlannedFault {
    /// Which of the run's actors.
    pub(super) actor: usize,
    /// Over which of its messages, counted from 1.
    pub(super) nth: u64,
    pub(super) kind: FaultKind,
}

/// What a fault of an actor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It panics, or ends.
    Of(Fault),
    /// It is told twice.
    Duplicate,
}

fn name<T>(made: Result<T, dataflow_ids::NameError>) -> T {
    made.expect("letters and digits make a name")
}

/// The runs of a seed.
pub(super) fn plan(seed: u64) -> Vec<RunPlan> {
    let mut draw = Draw::new(seed, 1);
    let count = draw.one_of(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 3]);
    let mut plans: Vec<RunPlan> = (0..count).map(|run| plan_run(run, &mut draw)).collect();
    super::models::plan(seed, &mut plans);
    plans
}

fn plan_run(run: usize, draw: &mut Draw) -> RunPlan {
    let weather = draw.one_of(&[
        Weather::Calm,
        Weather::Rough,
        Weather::Rough,
        Weather::Rough,
        Weather::Rough,
        Weather::Stuck,
    ]);
    let dataflow = dataflow(run, draw);
    let stuck = (weather == Weather::Stuck)
        .then(|| NodeIndex(draw.below(dataflow.nodes.len() as u64) as u32));
    let faults = if weather == Weather::Rough && draw.percent(40) {
        faults(dataflow.nodes.len(), draw)
    } else {
        Vec::new()
    };
    RunPlan {
        dataflow,
        weather,
        stuck,
        faults,
    }
}

/// Faults of some actors. The run has one for each node, and three more.
fn faults(nodes: usize, draw: &mut Draw) -> Vec<PlannedFault> {
    let mut faults = Vec::new();
    for actor in 0..nodes + 3 {
        if draw.percent(40) {
            faults.push(PlannedFault {
                actor,
                nth: draw.between(1, 40),
                kind: fault_kind(draw),
            });
        }
    }
    faults
}

/// What a fault does.
pub(super) fn fault_kind(draw: &mut Draw) -> FaultKind {
    draw.one_of(&[
        FaultKind::Of(Fault::PanicBefore),
        FaultKind::Of(Fault::PanicAfter),
        FaultKind::Of(Fault::Kill),
        FaultKind::Duplicate,
    ])
}

fn dataflow(run: usize, draw: &mut Draw) -> Dataflow {
    let count = draw.between(1, 6) as usize;
    let mut nodes: Vec<Node> = (0..count).map(|index| node(index, draw)).collect();
    let mut edges = Vec::new();
    // Inputs of a node stand together, as in a file.
    let has_cycles = draw.percent(40);
    for target in 0..count {
        let mut sources: Vec<usize> = Vec::new();
        if target > 0 {
            for _ in 0..draw.one_of(&[0, 1, 1, 1, 2, 2, 3]) {
                sources.push(draw.place(target));
            }
        }
        if has_cycles && draw.percent(30) {
            // From itself, or from somebody further down.
            sources.push(target + draw.place(count - target));
        }
        for source in sources {
            connect(&mut nodes, &mut edges, source, target, draw);
        }
        let is_driven = nodes[target].inputs.is_empty();
        if draw.percent(if is_driven { 30 } else { 10 }) {
            let period = draw.millis(5, 200);
            nodes[target].inputs.push(Input {
                id: name(InputId::new("tick")),
                source: InputSource::Timer(period),
            });
        }
    }
    Dataflow {
        name: name(DataflowName::new(format!("flow{run}"))),
        file: PathBuf::from("/simulated/dataflow.yml"),
        folder: PathBuf::from("/simulated"),
        env: BTreeMap::new(),
        on_failure: draw.one_of(&[OnFailure::Stop, OnFailure::Continue, OnFailure::Continue]),
        models: Vec::new(),
        nodes,
        edges,
    }
}

fn node(index: usize, draw: &mut Draw) -> Node {
    let id = name(NodeId::new(format!("n{index}")));
    // A node that sends has memory for a few messages, or for many.
    let output_memory_bytes = draw.one_of(&[None, None, Some(8192), Some(16384), Some(40960)]);
    Node {
        path: PathBuf::from("/simulated").join(id.as_str()),
        id,
        index: NodeIndex(index as u32),
        program: Program::Executable,
        python: None,
        args: Vec::new(),
        env: BTreeMap::new(),
        build: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
        restart: restart(draw),
        output_memory_bytes,
        requires: Requirement::default(),
        peer: None,
        models: Vec::new(),
    }
}

fn restart(draw: &mut Draw) -> RestartPolicy {
    let on = draw.one_of(&[
        RestartOn::Never,
        RestartOn::OnFailure,
        RestartOn::OnFailure,
        RestartOn::OnFailure,
        RestartOn::OnFailure,
        RestartOn::Always,
    ]);
    let backoff_min = draw.millis(5, 800);
    RestartPolicy {
        on,
        restarts_max: draw.between(1, 4) as u32,
        window: Duration::from_secs(draw.between(1, 60)),
        backoff_min,
        backoff_max: backoff_min * 8,
    }
}

fn connect(
    nodes: &mut [Node],
    edges: &mut Vec<Edge>,
    source: usize,
    target: usize,
    draw: &mut Draw,
) {
    let output = name(OutputId::new(draw.one_of(&["a", "a", "b"])));
    if !nodes[source].outputs.contains(&output) {
        nodes[source].outputs.push(output.clone());
    }
    let input = name(InputId::new(format!("in{}", nodes[target].inputs.len())));
    // A cycle of edges that block is refused by the checker: those that lead back never do.
    let policies = [
        QueuePolicy::Block,
        QueuePolicy::Block,
        QueuePolicy::DropOldest,
        QueuePolicy::DropOldest,
        QueuePolicy::Latest,
    ];
    let policy = if source >= target {
        draw.one_of(&policies[2..])
    } else {
        draw.one_of(&policies)
    };
    let queue_size = match policy {
        QueuePolicy::Latest => 1,
        _ => draw.one_of(&[1, 1, 2, 3, 4, 10]),
    };
    let id = EdgeId(edges.len() as u32);
    edges.push(Edge {
        id,
        source: OutputPlace {
            node: nodes[source].id.clone(),
            index: nodes[source].index,
            output,
        },
        target: InputPlace {
            node: nodes[target].id.clone(),
            index: nodes[target].index,
            input: input.clone(),
        },
        policy,
        queue_size,
        held_max: draw.one_of(&[1, 1, 2, 4, 64]),
        spin: Duration::ZERO,
    });
    nodes[target].inputs.push(Input {
        id: input,
        source: InputSource::Edge(id),
    });
}
