//! Reading of statuses and reports, and the sums that hold in each.

use dataflow_wire::status::{DataflowStatus, EdgeStatus, NodeReport, NodeStatus, Report};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What the binary writes as JSON, in the types of `wire`: there, a time `x` is written as seconds, `x_s`.
///
/// # Panics
///
/// When the text is none of these types.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> T {
    let value = serde_json::from_str(text)
        .unwrap_or_else(|error| panic!("this is no JSON: {error}\n{text}"));
    serde_json::from_value(with_durations(value))
        .unwrap_or_else(|error| panic!("JSON of another shape: {error}\n{text}"))
}

fn with_durations(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(with_durations).collect(),
        Value::Object(entries) => entries
            .into_iter()
            .map(
                |(key, value)| match (key.strip_suffix("_s"), value.as_f64()) {
                    (Some(name), Some(seconds)) => {
                        let nanos = (seconds.fract() * 1e9) as u32;
                        (
                            name.to_owned(),
                            json!({"secs": seconds as u64, "nanos": nanos}),
                        )
                    }
                    _ => (key, with_durations(value)),
                },
            )
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Whether an edge of a report may be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Somebody in this test does that.
    MayBe,
    /// Nobody does.
    MustNotBe,
}

/// The edge from `source` (`node/output`) to `target` (`node/input`).
///
/// # Panics
///
/// When there is none.
pub fn edge<'a>(edges: &'a [EdgeStatus], source: &str, target: &str) -> &'a EdgeStatus {
    edges
        .iter()
        .find(|edge| {
            format!("{}/{}", edge.source, edge.output) == source
                && format!("{}/{}", edge.target, edge.input) == target
        })
        .unwrap_or_else(|| panic!("no edge {source} → {target} in {edges:#?}"))
}

/// The node `id` of a status.
///
/// # Panics
///
/// When there is none.
pub fn node<'a>(status: &'a DataflowStatus, id: &str) -> &'a NodeStatus {
    status
        .nodes
        .iter()
        .find(|node| node.node.as_str() == id)
        .unwrap_or_else(|| panic!("no node {id} in {status:#?}"))
}

/// The node `id` of a report.
///
/// # Panics
///
/// When there is none.
pub fn node_report<'a>(report: &'a Report, id: &str) -> &'a NodeReport {
    report
        .nodes
        .iter()
        .find(|node| node.node.as_str() == id)
        .unwrap_or_else(|| panic!("no node {id} in {report:#?}"))
}

/// I-2 on every edge of a report, and that each message is accounted for. With `MayBe`, but for those edges on
/// which damage was found.
///
/// # Panics
///
/// When a sum does not hold.
pub(crate) fn assert_balanced(report: &Report, damage: Damage) {
    for edge in &report.edges {
        if damage == Damage::MayBe && edge.damage.is_some() {
            continue;
        }
        assert_eq!(edge.damage, None, "{edge:#?}");
        let name = format!(
            "{}/{} → {}/{}",
            edge.source, edge.output, edge.target, edge.input
        );
        let counts = &edge.counts;
        assert!(
            counts.balances(),
            "I-2 does not hold on {name}: {counts:#?}"
        );
        // Nobody is left who could hold anything: what was delivered was released, or is named as lost.
        assert_eq!(
            counts.delivered,
            counts.released + counts.lost,
            "held by nobody on {name}: {counts:#?}"
        );
    }
}
