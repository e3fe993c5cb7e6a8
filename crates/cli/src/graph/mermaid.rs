//! The graph for Markdown: <https://mermaid.js.org/syntax/flowchart.html>.

use std::fmt::Write;

use dataflow_descriptor::{Dataflow, InputSource};

use super::{queue_label, timer_label};

/// Draws it. Nodes are called `n0`, `n1`, …: a name such as `end` would mean something to Mermaid.
pub(super) fn draw(dataflow: &Dataflow) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for node in &dataflow.nodes {
        line(
            &mut text,
            format_args!("n{}[{}]", node.index.0, quoted(node.id.as_str())),
        );
    }
    let mut timers = 0;
    for node in &dataflow.nodes {
        for input in &node.inputs {
            if let InputSource::Timer(period) = input.source {
                line(
                    &mut text,
                    format_args!(
                        "t{timers}([{}]) -. {} .-> n{}",
                        quoted(&timer_label(period)),
                        quoted(input.id.as_str()),
                        node.index.0
                    ),
                );
                timers += 1;
            }
        }
    }
    for edge in &dataflow.edges {
        let mut label = format!("{} → {}", edge.source.output, edge.target.input);
        if let Some(queue) = queue_label(edge) {
            label = format!("{label}, {queue}");
        }
        line(
            &mut text,
            format_args!(
                "n{} -- {} --> n{}",
                edge.source.index.0,
                quoted(&label),
                edge.target.index.0
            ),
        );
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "    {arguments}");
}

/// A text in quotes. Inside, Mermaid knows entities, and no other escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("#quot;"),
            '#' => quoted.push_str("#35;"),
            '<' => quoted.push_str("#lt;"),
            '>' => quoted.push_str("#gt;"),
            '&' => quoted.push_str("#amp;"),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn signs_that_mermaid_minds_become_entities() {
        assert_eq!(
            quoted(r#"a "b" #1 <c>"#),
            r#""a #quot;b#quot; #35;1 #lt;c#gt;""#
        );
    }
}
