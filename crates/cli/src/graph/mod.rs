//! `dataflow graph`: the graph of a description, or of the machines, for people and for programs that draw.

mod ascii;
mod dot;
mod json;
mod mermaid;
mod peers;

use dataflow_descriptor::{Dataflow, Edge, limits};
use dataflow_ids::QueuePolicy;

use crate::arguments::{GraphArguments, GraphFormat};
use crate::error::{CliError, Exit};
use crate::peers::source;
use crate::{load, output};

use self::peers::Machines;

/// Runs the command.
///
/// # Errors
///
/// [`CliError::Said`] when the description has errors: they have been said.
pub(crate) fn run(arguments: &GraphArguments) -> Result<Exit, CliError> {
    let text = match (&arguments.file, &arguments.peers) {
        (Some(file), _) => drawn(&load::load(file)?, arguments.format),
        (None, Some(Some(file))) => {
            let peers = source::load(file)?;
            Machines::of_file(&peers).draw(arguments.format, None)
        }
        (None, _) => {
            let status = source::status()?.ok_or(CliError::NoAgent)?;
            Machines::live(&status).draw(arguments.format, Some(&status))
        }
    };
    output::write(&text)?;
    Ok(Exit::Done)
}

/// The graph, with a line end at its end.
fn drawn(dataflow: &Dataflow, format: GraphFormat) -> String {
    match format {
        GraphFormat::Ascii => ascii::draw(dataflow),
        GraphFormat::Mermaid => mermaid::draw(dataflow),
        GraphFormat::Dot => dot::draw(dataflow),
        GraphFormat::Json => json::draw(dataflow),
    }
}

/// How an edge queues, when it is not what every edge does that does not say: `latest`, `block 64`.
fn queue_label(edge: &Edge) -> Option<String> {
    let usual_size = edge.queue_size == limits::QUEUE_SIZE_DEFAULT;
    match edge.policy {
        QueuePolicy::DropOldest if usual_size => None,
        QueuePolicy::Latest => Some(edge.policy.to_string()),
        QueuePolicy::Block if usual_size => Some(edge.policy.to_string()),
        QueuePolicy::DropOldest | QueuePolicy::Block => {
            Some(format!("{} {}", edge.policy, edge.queue_size))
        }
    }
}

/// A timer as descriptions write it.
fn timer_label(period: std::time::Duration) -> String {
    format!("timer/{}", dataflow_descriptor::duration_text(period))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dataflow_descriptor::{Environment, check_file_in};

    use super::*;

    const FORMATS: [(GraphFormat, &str); 4] = [
        (GraphFormat::Ascii, "txt"),
        (GraphFormat::Mermaid, "mmd"),
        (GraphFormat::Dot, "dot"),
        (GraphFormat::Json, "json"),
    ];

    /// Each description in `tests/graphs` is drawn as the files beside it say; `UPDATE_EXPECT=1` renews them.
    #[test]
    fn each_graph_is_drawn_as_the_files_beside_it_say() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/graphs");
        let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
        let mut drawings = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "yml") {
                continue;
            }
            let checked = check_file_in(&path, &Environment::default());
            let dataflow = checked
                .dataflow
                .unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
            for (format, extension) in FORMATS {
                let found = drawn(&dataflow, format).replace(folder.to_str().unwrap(), "FOLDER");
                let expected_path = path.with_extension(extension);
                if update {
                    std::fs::write(&expected_path, &found).unwrap();
                }
                let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
                let place = expected_path.display();
                if format == GraphFormat::Json {
                    // The order of keys is nobody's business.
                    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                    assert_eq!(value(&found), value(&expected), "{place}");
                } else {
                    assert_eq!(found, expected, "{place}");
                }
                drawings += 1;
            }
        }
        assert!(drawings >= 16, "the descriptions have gone");
    }
}
