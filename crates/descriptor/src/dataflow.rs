//! The checked description: what the rest of the house works with once a YAML file has no errors.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dataflow_ids::{
    DataflowName, EdgeId, InputId, ModelIndex, ModelName, NodeId, NodeIndex, OnFailure, OutputId,
    PeerId, QueuePolicy, RepoKind, RestartPolicy,
};

/// A dataflow whose description has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataflow {
    /// The `name` key, or the file's stem.
    pub name: DataflowName,
    /// The YAML file, absolute.
    pub file: PathBuf,
    /// The folder of the YAML file, absolute: relative paths begin here, and nodes run in it.
    pub folder: PathBuf,
    /// Environment for all nodes; a node's own `env` wins.
    pub env: BTreeMap<String, String>,
    /// What happens when a node has failed for good.
    pub on_failure: OnFailure,
    /// In the order of the file: `models[i].index == ModelIndex(i)`.
    pub models: Vec<Model>,
    /// In the order of the file: `nodes[i].index == NodeIndex(i)`.
    pub nodes: Vec<Node>,
    /// In the order of the file, by target: `edges[i].id == EdgeId(i)`. Timers are no edges.
    pub edges: Vec<Edge>,
}

impl Dataflow {
    /// The node of that index.
    pub fn node(&self, index: NodeIndex) -> Option<&Node> {
        self.nodes.get(index.0 as usize)
    }

    /// The node of that id.
    pub fn node_by_id(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id.as_str() == id)
    }

    /// The edge of that id.
    pub fn edge(&self, id: EdgeId) -> Option<&Edge> {
        self.edges.get(id.0 as usize)
    }

    /// The edges that leave a node.
    pub fn edges_from(&self, node: NodeIndex) -> impl Iterator<Item = &Edge> {
        self.edges
            .iter()
            .filter(move |edge| edge.source.index == node)
    }

    /// The edges that end in a node.
    pub fn edges_into(&self, node: NodeIndex) -> impl Iterator<Item = &Edge> {
        self.edges
            .iter()
            .filter(move |edge| edge.target.index == node)
    }
}

/// One vertex of the graph: a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The `id` key.
    pub id: NodeId,
    /// The node's place in the file.
    pub index: NodeIndex,
    /// The program or script, absolute. It may still be missing when `build` is set.
    pub path: PathBuf,
    /// How `path` is run.
    pub program: Program,
    /// The interpreter of a [`Program::Python`] node, absolute: the node's `python` key, else `.venv` beside the
    /// YAML, else `$VIRTUAL_ENV`, else the first `python3` of `$PATH`. Always `Some` for Python nodes, `None`
    /// for others.
    pub python: Option<PathBuf>,
    /// Arguments after the program or script.
    pub args: Vec<String>,
    /// The node's own environment; it wins over the dataflow's.
    pub env: BTreeMap<String, String>,
    /// The shell command that makes the program, run in the dataflow's folder.
    pub build: Option<String>,
    /// In the order of the file.
    pub inputs: Vec<Input>,
    /// In the order of the file, without duplicates.
    pub outputs: Vec<OutputId>,
    /// When and how often the node is started again.
    pub restart: RestartPolicy,
    /// The memory that all outputs of the node share; `None` leaves the choice to the runtime.
    pub output_memory_bytes: Option<u64>,
    /// What the machine must offer.
    pub requires: Requirement,
    /// The machine that it must run on, if a person has chosen one.
    pub peer: Option<PeerId>,
    /// The models that must be there before it starts, in the order of the file, without duplicates.
    pub models: Vec<ModelIndex>,
}

/// A set of files of one repository of the Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The key below `models`. Its nodes find the folder as [`environment_variable`](Model::environment_variable).
    pub name: ModelName,
    /// The model's place in the file.
    pub index: ModelIndex,
    /// `acme/tiny-detector`, or `tiny-detector` alone.
    pub repo: String,
    /// What kind of repository it is.
    pub kind: RepoKind,
    /// A branch, a tag or a commit; `main` when the description does not say.
    pub revision: String,
    /// Patterns of the files that are wanted, sorted and without duplicates; empty means all of them.
    pub files: Vec<String>,
}

impl Model {
    /// The environment variable that tells a node where the model's files are: `DATAFLOW_MODEL_` and the name in
    /// capitals, with `_` for every character that is no letter and no digit.
    #[must_use]
    pub fn environment_variable(&self) -> String {
        model_variable(&self.name)
    }
}

/// See [`Model::environment_variable`].
pub(crate) fn model_variable(name: &ModelName) -> String {
    let plain = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => character.to_ascii_uppercase(),
        _ => '_',
    };
    let name: String = name.as_str().chars().map(plain).collect();
    format!("DATAFLOW_MODEL_{name}")
}

/// How a node's `path` is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// A `.py` file, run by the node's Python.
    Python,
    /// Anything else is executed.
    Executable,
}

/// What a node asks of its machine. The default asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// Memory to reserve; 0 when the node does not say.
    pub memory_bytes: u64,
    /// Whether a GPU is needed.
    pub gpu: bool,
    /// Labels that the machine must have.
    pub labels: BTreeMap<String, String>,
}

/// An input port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The input's name, unique in its node.
    pub id: InputId,
    /// What feeds it.
    pub source: InputSource,
}

/// What feeds an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSource {
    /// Another node's output, or the node's own.
    Edge(EdgeId),
    /// A timer with this period, fired by the node's own library.
    Timer(Duration),
}

/// One output → one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The edge's place in the file.
    pub id: EdgeId,
    /// Where messages come from.
    pub source: OutputPlace,
    /// Where messages go.
    pub target: InputPlace,
    /// What happens when the queue is full.
    pub policy: QueuePolicy,
    /// Messages that may be queued: 1 to [`QUEUE_SIZE_MAX`](crate::limits::QUEUE_SIZE_MAX), and 1 for
    /// [`QueuePolicy::Latest`].
    pub queue_size: u32,
    /// Messages that the receiver may hold: 1 to [`HELD_MAX`](crate::limits::HELD_MAX).
    pub held_max: u32,
    /// How long the receiver spins before it sleeps; 0 by default.
    pub spin: Duration,
}

/// An output of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OutputPlace {
    /// The node's id.
    pub node: NodeId,
    /// The node's index.
    pub index: NodeIndex,
    /// The output's name.
    pub output: OutputId,
}

/// An input of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InputPlace {
    /// The node's id.
    pub node: NodeId,
    /// The node's index.
    pub index: NodeIndex,
    /// The input's name.
    pub input: InputId,
}
