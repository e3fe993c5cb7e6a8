//! The graph as lines of text: nodes from the sources on, each with the edges that leave it.
//!
//! Only ASCII, so that it can be read everywhere and pasted anywhere.

use dataflow_descriptor::{Dataflow, Edge, InputSource, Node};
use dataflow_ids::OutputId;

use super::{queue_label, timer_label};
use crate::text::counted;

/// Draws it.
pub(super) fn draw(dataflow: &Dataflow) -> String {
    let order = in_order(dataflow);
    let mut lines = vec![format!(
        "{}: {}, {}",
        dataflow.name,
        counted(dataflow.nodes.len() as u64, "node"),
        counted(dataflow.edges.len() as u64, "edge")
    )];
    // Where each node is drawn, by its index.
    let mut places = vec![0; order.len()];
    for (place, node) in order.iter().enumerate() {
        places[*node] = place;
    }
    for node in order.iter().map(|node| &dataflow.nodes[*node]) {
        lines.push(String::new());
        lines.extend(boxed(dataflow, node));
        lines.extend(outputs(dataflow, node, &places));
    }
    lines.join("\n") + "\n"
}

/// The node's name in a box, its timers and its models beside it.
fn boxed(dataflow: &Dataflow, node: &Node) -> Vec<String> {
    let bar = format!("+{}+", "-".repeat(node.id.as_str().len() + 2));
    let timers = node.inputs.iter().filter_map(|input| match input.source {
        InputSource::Timer(period) => Some(format!("{} <-- {}", input.id, timer_label(period))),
        InputSource::Edge(_) => None,
    });
    let models = dataflow.models.iter();
    let models = models.filter(|model| node.models.contains(&model.index));
    let models =
        models.map(|model| format!("model {} <-- {}@{}", model.name, model.repo, model.revision));
    let beside: Vec<String> = timers.chain(models).collect();
    let name = format!("| {} |  {}", node.id, beside.join(", "));
    vec![bar.clone(), name.trim_end().to_owned(), bar]
}

/// One line for each edge that leaves the node, and for each output that nobody reads.
fn outputs(dataflow: &Dataflow, node: &Node, places: &[usize]) -> Vec<String> {
    struct Line<'d> {
        output: &'d OutputId,
        first_of_output: bool,
        arrow: &'static str,
        target: String,
        notes: Vec<String>,
    }
    let mut drawn: Vec<Line<'_>> = Vec::new();
    for output in &node.outputs {
        let edges: Vec<&Edge> = dataflow
            .edges_from(node.index)
            .filter(|edge| edge.source.output == *output)
            .collect();
        if edges.is_empty() {
            drawn.push(Line {
                output,
                first_of_output: true,
                arrow: "--->",
                target: "(nobody)".to_owned(),
                notes: Vec::new(),
            });
        }
        for (number, edge) in edges.iter().enumerate() {
            let mut notes: Vec<String> = queue_label(edge).into_iter().collect();
            let (from, to) = (edge.source.index.0 as usize, edge.target.index.0 as usize);
            if from == to {
                notes.push("(to itself)".to_owned());
            } else if places[to] < places[from] {
                notes.push("(back up)".to_owned());
            }
            drawn.push(Line {
                output,
                first_of_output: number == 0,
                arrow: if edges.len() == 1 { "--->" } else { "-+->" },
                target: format!("{}.{}", edge.target.node, edge.target.input),
                notes,
            });
        }
    }
    let output_width = node
        .outputs
        .iter()
        .map(|output| output.as_str().len())
        .max();
    let target_width = drawn.iter().map(|line| line.target.len()).max();
    let (output_width, target_width) = (output_width.unwrap_or(0), target_width.unwrap_or(0));
    drawn
        .iter()
        .map(|line| {
            let start = if line.first_of_output {
                // The name's line leads into the arrow: `image ----+->`.
                format!("{:-<1$}", format!("{} ", line.output), output_width + 1)
            } else {
                " ".repeat(output_width + 1)
            };
            let arrow = if line.first_of_output {
                line.arrow.to_owned()
            } else {
                line.arrow.replacen('-', " ", 1)
            };
            format!(
                "    {start}{arrow} {:target_width$}  {}",
                line.target,
                line.notes.join(" ")
            )
            .trim_end()
            .to_owned()
        })
        .collect()
}

/// The nodes' indices from the sources on: a node comes after those that feed it. In a cycle, the first in the
/// file comes first.
fn in_order(dataflow: &Dataflow) -> Vec<usize> {
    let count = dataflow.nodes.len();
    let mut waits_for = vec![0_usize; count];
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); count];
    for edge in &dataflow.edges {
        let (from, to) = (edge.source.index.0 as usize, edge.target.index.0 as usize);
        if from != to {
            waits_for[to] += 1;
            feeds[from].push(to);
        }
    }
    let mut placed = vec![false; count];
    let mut order = Vec::new();
    while order.len() < count {
        let unplaced = || (0..count).filter(|node| !placed[*node]);
        let next = unplaced()
            .find(|node| waits_for[*node] == 0)
            // A cycle is entered where something from outside comes in, else at its first node.
            .or_else(|| {
                unplaced().find(|node| {
                    dataflow.edges.iter().any(|edge| {
                        edge.target.index.0 as usize == *node
                            && placed[edge.source.index.0 as usize]
                    })
                })
            })
            .or_else(|| unplaced().next());
        let Some(next) = next else { break };
        placed[next] = true;
        order.push(next);
        for fed in &feeds[next] {
            waits_for[*fed] -= 1;
        }
    }
    order
}
