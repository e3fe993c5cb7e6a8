//! The graph as a whole: sources are looked up, edges are numbered, cycles of `block` edges are found.

use std::collections::BTreeMap;

use dataflow_ids::{EdgeId, NodeId, NodeIndex, OutputId, QueuePolicy};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex as GraphIndex};
use petgraph::visit::EdgeRef;

use super::dataflow::DraftDataflow;
use super::fields::list;
use super::input::{DraftEdge, DraftInput, DraftSource};
use super::node::DraftNode;
use super::path::absolute;
use super::{Checker, Report};
use crate::dataflow::{Dataflow, Edge, Input, InputPlace, InputSource, Node, OutputPlace};
use crate::diagnostic::Place;
use crate::limits::EDGES_MAX;
use crate::nearest::nearest;
use crate::{Code, Program};

/// Edges of a cycle that are shown besides the one that closes it.
const RELATED_MAX: usize = 12;

/// What the sources of inputs are looked up in.
struct Directory {
    /// Each node's index, and its outputs when they can be known.
    nodes: BTreeMap<NodeId, (NodeIndex, Option<Vec<OutputId>>)>,
}

impl Checker<'_> {
    /// Finds the edges. `None` when something was wrong, here or before.
    pub(crate) fn link(&mut self, draft: DraftDataflow) -> Option<Dataflow> {
        let directory = self.directory(&draft.nodes);
        let mut edges: Vec<Edge> = Vec::new();
        let mut places: Vec<Place> = Vec::new();
        let mut nodes = Vec::new();
        let mut edges_count = 0_usize;
        for (index, draft_node) in draft.nodes.into_iter().enumerate() {
            let Some(mut draft_node) = draft_node else {
                continue;
            };
            let index = node_index(index);
            let mut inputs = Vec::new();
            for input in std::mem::take(&mut draft_node.inputs) {
                let DraftInput { id, place, source } = input;
                let source = match source {
                    None => continue,
                    Some(DraftSource::Timer(period)) => InputSource::Timer(period),
                    Some(DraftSource::Output(edge)) => {
                        edges_count += 1;
                        if edges_count > EDGES_MAX {
                            self.too_many_edges(place);
                            return None;
                        }
                        let source = self.source_of(&edge, &directory);
                        let (Some(source), Some((target, _))) = (source, &draft_node.id) else {
                            continue;
                        };
                        let target = InputPlace {
                            node: target.clone(),
                            index,
                            input: id.clone(),
                        };
                        let edge_id = EdgeId(u32::try_from(edges.len()).unwrap_or(u32::MAX));
                        edges.push(Edge {
                            id: edge_id,
                            source,
                            target,
                            policy: edge.queue.policy,
                            queue_size: edge.queue.queue_size,
                            held_max: edge.queue.held_max,
                            spin: edge.queue.spin,
                        });
                        places.push(place);
                        InputSource::Edge(edge_id)
                    }
                };
                inputs.push(Input { id, source });
            }
            nodes.extend(complete(draft_node, index, inputs));
        }
        self.block_cycles(&edges, &places);
        if self.has_errors() {
            return None;
        }
        let file = absolute(self.source.file());
        Some(Dataflow {
            name: draft.name?,
            folder: self
                .folder
                .canonicalize()
                .unwrap_or_else(|_| absolute(self.folder)),
            file,
            env: draft.env,
            on_failure: draft.on_failure,
            models: draft.models.complete()?,
            nodes,
            edges,
        })
    }

    fn too_many_edges(&mut self, place: Place) {
        self.report(
            Report::error(
                Code::TooManyParts,
                place,
                format!("the dataflow has more than {EDGES_MAX} edges"),
            )
            .help("this input is the first above"),
        );
    }

    /// Who has which outputs; two nodes of one id are reported.
    fn directory(&mut self, drafts: &[Option<DraftNode>]) -> Directory {
        let mut nodes = BTreeMap::new();
        let mut first_places: BTreeMap<NodeId, Place> = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            let Some(draft) = draft else { continue };
            let Some((id, place)) = &draft.id else {
                continue;
            };
            if let Some(first) = first_places.get(id) {
                self.report(
                    Report::error(
                        Code::DuplicateNode,
                        *place,
                        format!("two nodes have the id `{id}`"),
                    )
                    .related(*first, "the first is here")
                    .help("give one of them another `id`"),
                );
                continue;
            }
            first_places.insert(id.clone(), *place);
            nodes.insert(id.clone(), (node_index(index), draft.outputs.clone()));
        }
        Directory { nodes }
    }

    /// The output that an edge comes from.
    fn source_of(&mut self, edge: &DraftEdge, directory: &Directory) -> Option<OutputPlace> {
        let (node, node_place) = &edge.node;
        let (output, output_place) = &edge.output;
        let Some((index, outputs)) = directory.nodes.get(node) else {
            let names: Vec<&str> = directory.nodes.keys().map(NodeId::as_str).collect();
            let help = match nearest(node.as_str(), names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.len() <= 12 => format!("the nodes are {}", list(&names)),
                None => "a source names a node of this file".to_owned(),
            };
            self.report(
                Report::error(
                    Code::UnknownNode,
                    *node_place,
                    format!("there is no node `{node}`"),
                )
                .help(help),
            );
            return None;
        };
        // Outputs with an error of their own have been reported; what they were meant to be is not known.
        let outputs = outputs.as_ref()?;
        if !outputs.contains(output) {
            let help = match nearest(output.as_str(), outputs.iter().map(OutputId::as_str)) {
                Some(near) => {
                    format!("did you mean `{near}`? The node declares {}", list(outputs))
                }
                None if outputs.is_empty() => {
                    format!("the node declares none: add `outputs: [{output}]` to it")
                }
                None => format!("the node declares {}", list(outputs)),
            };
            self.report(
                Report::error(
                    Code::UnknownOutput,
                    *output_place,
                    format!("the node `{node}` has no output `{output}`"),
                )
                .help(help),
            );
            return None;
        }
        Some(OutputPlace {
            node: node.clone(),
            index: *index,
            output: output.clone(),
        })
    }

    /// Reports each cycle in which every edge makes its sender wait: all of its nodes can wait for each other.
    fn block_cycles(&mut self, edges: &[Edge], places: &[Place]) {
        let mut graph: DiGraph<NodeIndex, usize> = DiGraph::new();
        let mut indices: BTreeMap<NodeIndex, GraphIndex> = BTreeMap::new();
        for (number, edge) in edges.iter().enumerate() {
            if edge.policy == QueuePolicy::Block {
                let [source, target] = [edge.source.index, edge.target.index]
                    .map(|node| *indices.entry(node).or_insert_with(|| graph.add_node(node)));
                graph.add_edge(source, target, number);
            }
        }
        for members in tarjan_scc(&graph) {
            let Some(start) = members.iter().copied().min_by_key(|index| graph[*index]) else {
                continue;
            };
            let Some(cycle) = shortest_cycle(&graph, start) else {
                continue;
            };
            let names: Vec<String> = cycle
                .iter()
                .filter_map(|number| edges.get(*number))
                .map(|edge| edge.source.node.to_string())
                .collect();
            let Some((closing, others)) = cycle.split_last() else {
                continue;
            };
            let Some(place) = places.get(*closing) else {
                continue;
            };
            let way = match names.as_slice() {
                [only] => format!("{only} → {only}"),
                [first, ..] => format!("{} → {first}", names.join(" → ")),
                [] => continue,
            };
            let mut report = Report::error(
                Code::BlockCycle,
                *place,
                format!("a cycle of `block` edges can wait for itself for ever: {way}"),
            )
            .help("let one edge of the cycle drop: `queue_policy: drop-oldest`");
            for number in others.iter().take(RELATED_MAX) {
                if let (Some(edge), Some(place)) = (edges.get(*number), places.get(*number)) {
                    report = report.related(
                        *place,
                        format!(
                            "`{}` waits for `{}` here",
                            edge.source.node, edge.target.node
                        ),
                    );
                }
            }
            self.report(report);
        }
    }
}

/// The edges of a shortest cycle through `start`, beginning with one that leaves it.
fn shortest_cycle(graph: &DiGraph<NodeIndex, usize>, start: GraphIndex) -> Option<Vec<usize>> {
    let mut came_by: BTreeMap<GraphIndex, (GraphIndex, usize)> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(here) = queue.pop_front() {
        for edge in graph.edges(here) {
            let next = edge.target();
            if next == start {
                let mut cycle = vec![*edge.weight()];
                let mut at = here;
                while at != start {
                    let (before, number) = came_by.get(&at)?;
                    cycle.push(*number);
                    at = *before;
                }
                cycle.reverse();
                return Some(cycle);
            }
            came_by.entry(next).or_insert_with(|| {
                queue.push_back(next);
                (here, *edge.weight())
            });
        }
    }
    None
}

fn node_index(index: usize) -> NodeIndex {
    NodeIndex(u32::try_from(index).unwrap_or(u32::MAX))
}

/// A node, when its draft has no holes.
fn complete(draft: DraftNode, index: NodeIndex, inputs: Vec<Input>) -> Option<Node> {
    let (path, program) = draft.program?;
    if program == Program::Python && draft.python.is_none() {
        return None;
    }
    Some(Node {
        id: draft.id?.0,
        index,
        path,
        program,
        python: draft.python,
        args: draft.args,
        env: draft.env,
        build: draft.build,
        inputs,
        outputs: draft.outputs?,
        restart: draft.restart,
        output_memory_bytes: draft.output_memory_bytes,
        requires: draft.requires,
        peer: draft.peer,
        models: draft.models,
    })
}
