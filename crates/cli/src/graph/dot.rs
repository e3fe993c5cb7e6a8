//! The graph for Graphviz: <https://graphviz.org/doc/info/lang.html>.

use std::fmt::Write;

use dataflow_descriptor::{Dataflow, InputSource};

use super::{queue_label, timer_label};

/// Draws it.
pub(super) fn draw(dataflow: &Dataflow) -> String {
    let mut text = format!("digraph {} {{\n", quoted(dataflow.name.as_str()));
    line(&mut text, format_args!("rankdir=LR;"));
    line(
        &mut text,
        format_args!("node [shape=box, style=rounded, fontname=\"sans-serif\"];"),
    );
    line(
        &mut text,
        format_args!("edge [fontname=\"sans-serif\", fontsize=10];"),
    );
    for node in &dataflow.nodes {
        line(&mut text, format_args!("{};", quoted(node.id.as_str())));
    }
    for node in &dataflow.nodes {
        for input in &node.inputs {
            if let InputSource::Timer(period) = input.source {
                // A name cannot have `/`, so this is no node's.
                let timer = quoted(&format!("timer/{}/{}", node.id, input.id));
                let label = quoted(&timer_label(period));
                line(
                    &mut text,
                    format_args!("{timer} [label={label}, shape=plain];"),
                );
                line(
                    &mut text,
                    format_args!(
                        "{timer} -> {} [label={}, style=dashed];",
                        quoted(node.id.as_str()),
                        quoted(input.id.as_str())
                    ),
                );
            }
        }
    }
    for edge in &dataflow.edges {
        let mut label = format!("{} → {}", edge.source.output, edge.target.input);
        if let Some(queue) = queue_label(edge) {
            label = format!("{label}\n{queue}");
        }
        line(
            &mut text,
            format_args!(
                "{} -> {} [label={}];",
                quoted(edge.source.node.as_str()),
                quoted(edge.target.node.as_str()),
                quoted(&label)
            ),
        );
    }
    text.push_str("}\n");
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "    {arguments}");
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn quotes_backslashes_and_line_ends_are_escaped() {
        assert_eq!(quoted("a \"b\" \\ c\nd"), r#""a \"b\" \\ c\nd""#);
    }
}
