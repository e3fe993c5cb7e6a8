//! Any text as a description.

use std::path::Path;

use dataflow_descriptor::{Diagnostic, Environment, check_text, limits};
use dataflow_shm::edge::{EdgeConfig, Layout};

/// The longest report of one diagnostic, in bytes: its excerpts are cropped and its values shortened.
const RENDERED_BYTES_MAX: usize = 16 * 1024;

/// Checks `data` as the text of a description.
///
/// # Panics
///
/// When there is a dataflow in spite of an error, or none without one; when a diagnostic cannot be shown on a
/// terminal; or when the dataflow has what the rooms below refuse.
pub fn yaml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // Nothing is there, so that the answer does not depend on the machine.
    let folder = Path::new("/nonexistent/project");
    let checked = check_text(&text, "fuzz.yml", folder, &Environment::default());
    assert_eq!(checked.dataflow.is_some(), checked.errors() == 0);
    check_diagnostics(&checked.diagnostics, &text);
    if let Some(dataflow) = &checked.dataflow {
        assert!(dataflow.nodes.len() <= limits::NODES_MAX);
        assert!(dataflow.edges.len() <= limits::EDGES_MAX);
        for (place, node) in dataflow.nodes.iter().enumerate() {
            assert_eq!(node.index.0 as usize, place);
        }
        for (place, edge) in dataflow.edges.iter().enumerate() {
            assert_eq!(edge.id.0 as usize, place);
            assert!(dataflow.node(edge.source.index).is_some());
            assert!(dataflow.node(edge.target.index).is_some());
            // What the checker lets through, the data plane takes.
            let config = EdgeConfig {
                edge: edge.id,
                policy: edge.policy,
                queue_size: edge.queue_size,
                held_max: edge.held_max,
                held_bytes_max: 0,
            };
            if let Err(refused) = Layout::new(&config) {
                panic!("an edge of a checked dataflow: {refused}");
            }
        }
    }
}

/// There are not too many, and each can be shown and points into the text.
pub(crate) fn check_diagnostics(diagnostics: &[Diagnostic], text: &str) {
    assert!(diagnostics.len() <= limits::DIAGNOSTICS_MAX);
    let lines = text.split('\n').count();
    for diagnostic in diagnostics {
        let shown = diagnostic.to_string();
        assert!(!shown.is_empty() && shown.len() <= RENDERED_BYTES_MAX);
        assert!(
            !shown.contains(|sign: char| sign.is_control() && sign != '\n'),
            "{shown:?}"
        );
        let places = diagnostic.place.iter().map(|(place, _)| place);
        for place in places.chain(diagnostic.related.iter().map(|related| &related.place)) {
            assert!((1..=lines).contains(&place.line), "{place:?}");
            assert!(place.column >= 1 && place.length >= 1, "{place:?}");
        }
    }
}
