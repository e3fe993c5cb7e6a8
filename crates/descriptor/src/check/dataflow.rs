//! The root of the file.

use std::collections::BTreeMap;

use dataflow_ids::{DataflowName, OnFailure};

use super::fields::Schema;
use super::model::DraftModels;
use super::node::DraftNode;
use super::scalar::suggested_name;
use super::{Checker, Report};
use crate::Code;
use crate::limits::NODES_MAX;
use crate::yaml::{Kind, Value};

const SCHEMA: Schema = Schema {
    known: &["name", "env", "models", "nodes", "on_failure"],
    reserved: &["peers"],
    foreign: &[
        (
            "communication",
            "messages go through shared memory, and there is nothing to choose; remove the key",
        ),
        (
            "operators",
            "operators are not in this build; make each a node of its own",
        ),
        (
            "_unstable_local",
            "messages go through shared memory, and there is nothing to choose; remove the key",
        ),
        ("node", "did you mean `nodes`?"),
        ("model", "did you mean `models`?"),
        ("id", "a dataflow's name is `name`"),
    ],
};

const ON_FAILURE: [(&str, OnFailure); 2] =
    [("stop", OnFailure::Stop), ("continue", OnFailure::Continue)];

const NODES_HELP: &str =
    "a dataflow has `nodes:`, a list, with `- id: camera` and what belongs to it";

/// A dataflow with holes where something was wrong.
pub(crate) struct DraftDataflow {
    pub(crate) name: Option<DataflowName>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) on_failure: OnFailure,
    pub(crate) models: DraftModels,
    /// `None` where an entry is no node at all; the others keep their index.
    pub(crate) nodes: Vec<Option<DraftNode>>,
}

impl Checker<'_> {
    pub(crate) fn dataflow(&mut self, root: &Value) -> Option<DraftDataflow> {
        let what = "the dataflow";
        let entries = self.entries(root, what, NODES_HELP)?;
        let fields = self.fields(entries, what, root.place, &SCHEMA);
        let name = match fields.get("name") {
            Some(value) => self.name(value, "`name` of the dataflow", DataflowName::new),
            None => self.name_of_file(),
        };
        // Before whatever may name a model or its variable.
        let mut models = fields
            .get("models")
            .map(|value| self.models(value))
            .unwrap_or_default();
        let env = fields
            .get("env")
            .map(|value| self.environment_variables(value, what, &models))
            .unwrap_or_default();
        let on_failure = fields
            .get("on_failure")
            .and_then(|value| self.word(value, "`on_failure`", &ON_FAILURE, &[]))
            .unwrap_or_default();
        let mut nodes = Vec::new();
        if let Some(value) = self.required(&fields, "nodes", what, NODES_HELP) {
            nodes = self.nodes(value, &mut models)?;
        }
        self.unused_models(&models);
        Some(DraftDataflow {
            name,
            env,
            on_failure,
            models,
            nodes,
        })
    }

    fn nodes(&mut self, value: &Value, models: &mut DraftModels) -> Option<Vec<Option<DraftNode>>> {
        let items: &[Value] = match &value.kind {
            Kind::List(items) => items,
            Kind::Null => &[],
            _ => {
                self.wrong_type(value, "`nodes`", "a list", Some(NODES_HELP.to_owned()));
                return None;
            }
        };
        if items.is_empty() {
            self.report(
                Report::error(Code::NoNodes, value.place, "the dataflow has no nodes")
                    .help(NODES_HELP),
            );
        }
        if let Some(first_over) = items.get(NODES_MAX) {
            self.report(
                Report::error(
                    Code::TooManyParts,
                    first_over.used_at,
                    format!("the dataflow has {} nodes", items.len()),
                )
                .help(format!(
                    "it has at most {NODES_MAX}: this is the first above"
                )),
            );
            return None;
        }
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| self.node(item, index, models))
                .collect(),
        )
    }

    /// The file's stem, when it is a name.
    fn name_of_file(&mut self) -> Option<DataflowName> {
        let stem = self
            .source
            .file()
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match DataflowName::new(stem.clone()) {
            Ok(name) => Some(name),
            Err(error) => {
                let name = suggested_name(&stem).unwrap_or_else(|| "my-dataflow".to_owned());
                self.report(
                    Report::error(
                        Code::BadName,
                        None,
                        format!("the file's name cannot be the dataflow's: {error}"),
                    )
                    .help(format!("give it one: `name: {name}`")),
                );
                None
            }
        }
    }
}
