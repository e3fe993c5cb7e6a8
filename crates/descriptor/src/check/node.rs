//! One entry of `nodes`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dataflow_ids::{ModelIndex, NodeId, OutputId, PeerId, RestartPolicy};

use super::fields::Schema;
use super::input::DraftInput;
use super::model::DraftModels;
use super::{Checker, Report};
use crate::diagnostic::Place;
use crate::limits::OUTPUT_MEMORY_MB_MAX;
use crate::yaml::{Kind, Value, shortened};
use crate::{Code, Program, Requirement};

const SCHEMA: Schema = Schema {
    known: &[
        "id",
        "path",
        "args",
        "env",
        "build",
        "inputs",
        "outputs",
        "restart",
        "python",
        "output_memory_mb",
        "requires",
        "peer",
        "models",
    ],
    reserved: &["operator", "on_peer_loss"],
    foreign: &[
        ("model", "write `models: [NAME]`"),
        ("name", "a node's name is its `id`"),
        (
            "custom",
            "what dora has below `custom` stands in the node itself: `path`, `args`, `inputs`, `outputs`",
        ),
        (
            "operators",
            "operators are not in this build; make each a node of its own",
        ),
        (
            "source",
            "the program is `path`; `source` belongs to an input",
        ),
        ("command", "the program is `path`, its arguments are `args`"),
        ("cmd", "the program is `path`, its arguments are `args`"),
        ("exec", "the program is `path`, its arguments are `args`"),
        ("restart_policy", "write `restart`"),
        (
            "_unstable_deploy",
            "write `peer: gpu-a`, with the id of a machine in `peers.yaml`",
        ),
        (
            "deploy",
            "write `peer: gpu-a`, with the id of a machine in `peers.yaml`",
        ),
        (
            "machine",
            "write `peer: gpu-a`, with the id of a machine in `peers.yaml`",
        ),
    ],
};

const MB_BYTES: u64 = 1024 * 1024;
const FIRST_NODE_HELP: &str = "a node is written `- id: camera`, with `path: ./camera.py` below it";

/// A node with holes where something was wrong.
pub(crate) struct DraftNode {
    /// The id and the places of its text and of its use.
    pub(crate) id: Option<(NodeId, Place)>,
    pub(crate) program: Option<(PathBuf, Program)>,
    pub(crate) python: Option<PathBuf>,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) build: Option<String>,
    pub(crate) inputs: Vec<DraftInput>,
    /// `None` when the node's outputs cannot be known.
    pub(crate) outputs: Option<Vec<OutputId>>,
    pub(crate) restart: RestartPolicy,
    pub(crate) output_memory_bytes: Option<u64>,
    pub(crate) requires: Requirement,
    pub(crate) peer: Option<PeerId>,
    pub(crate) models: Vec<ModelIndex>,
}

impl Checker<'_> {
    pub(crate) fn node(
        &mut self,
        value: &Value,
        index: usize,
        models: &mut DraftModels,
    ) -> Option<DraftNode> {
        // People count from 1.
        let unnamed = format!("node {}", index + 1);
        let entries = self.entries(value, &unnamed, FIRST_NODE_HELP)?;
        let called = entries
            .iter()
            .find(|(key, _)| key.as_text() == Some("id"))
            .and_then(|(_, value)| value.as_text());
        let owner = match called {
            Some(id) => format!("the node `{}`", shortened(id)),
            None => unnamed,
        };
        let place = entries.first().map_or(value.place, |(key, _)| key.place);
        let fields = self.fields(entries, &owner, place, &SCHEMA);

        let id = self
            .required(&fields, "id", &owner, FIRST_NODE_HELP)
            .and_then(|value| {
                let id = self.name(value, &format!("`id` of {owner}"), NodeId::new)?;
                if matches!(id.as_str(), "timer" | "dora") {
                    self.report(
                        Report::error(
                            Code::BadName,
                            value.place,
                            format!(
                                "a node cannot be called `{id}`: sources that begin so are timers"
                            ),
                        )
                        .help("choose another `id`"),
                    );
                    return None;
                }
                Some((id, value.used_at))
            });
        let build = fields
            .get("build")
            .and_then(|value| self.text(value, &format!("`build` of {owner}")))
            .map(str::to_owned);
        let path = if fields.has_reserved() {
            fields.get("path")
        } else {
            self.required(
                &fields,
                "path",
                &owner,
                "name its program: `path: ./camera.py`",
            )
        };
        let program = path.and_then(|value| self.program(value, &owner, build.as_deref()));
        let python = match (&program, path) {
            (Some((_, Program::Python)), Some(path)) => {
                self.python(fields.get("python"), path.place, &owner)
            }
            (Some((_, Program::Executable)), _) => {
                if let Some((key, _)) = fields.entry("python") {
                    self.report(
                        Report::warning(
                            Code::NoEffect,
                            key.place,
                            format!(
                                "`python` does nothing for {owner}: its `path` is executed as it is"
                            ),
                        )
                        .help("only a `.py` file is run by Python; remove the key"),
                    );
                }
                None
            }
            _ => None,
        };
        let requires = fields
            .get("requires")
            .map(|value| self.requires(value, &owner))
            .unwrap_or_default();
        let peer = fields.get("peer").and_then(|value| {
            let peer = self.name(value, &format!("`peer` of {owner}"), PeerId::new)?;
            Some((peer, value.place))
        });
        let asked_at = fields.get("requires").map(|value| value.place);
        self.placeable(
            &owner,
            peer.as_ref(),
            asked_at.map(|place| (&requires, place)),
        );
        let output_memory_bytes = fields
            .get("output_memory_mb")
            .and_then(|value| self.output_memory(value, &owner, &requires));
        Some(DraftNode {
            id,
            program,
            python,
            args: fields
                .get("args")
                .map(|value| self.args(value, &owner))
                .unwrap_or_default(),
            env: fields
                .get("env")
                .map(|value| self.environment_variables(value, &owner, models))
                .unwrap_or_default(),
            build,
            inputs: fields
                .get("inputs")
                .map(|value| self.inputs(value, &owner))
                .unwrap_or_default(),
            outputs: match fields.get("outputs") {
                Some(value) => self.outputs(value, &owner),
                None => Some(Vec::new()),
            },
            restart: fields
                .get("restart")
                .map(|value| self.restart(value, &owner))
                .unwrap_or_default(),
            output_memory_bytes,
            requires,
            peer: peer.map(|(peer, _)| peer),
            models: fields
                .get("models")
                .map(|value| self.models_of_node(value, &owner, models))
                .unwrap_or_default(),
        })
    }

    fn args(&mut self, value: &Value, owner: &str) -> Vec<String> {
        let what = format!("`args` of {owner}");
        let Kind::List(items) = &value.kind else {
            let help = value.as_text().map(|text| {
                let words: Vec<String> = text
                    .split_whitespace()
                    .map(|word| format!("{word:?}"))
                    .collect();
                format!(
                    "no shell cuts it into words: write `args: [{}]`",
                    words.join(", ")
                )
            });
            self.wrong_type(value, &what, "a list of texts", help);
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                self.scalar(
                    item,
                    &format!("an item of {what}"),
                    "for an empty argument write \"\"",
                )
            })
            .collect()
    }

    fn outputs(&mut self, value: &Value, owner: &str) -> Option<Vec<OutputId>> {
        let what = format!("`outputs` of {owner}");
        let items = match &value.kind {
            Kind::List(items) => items,
            Kind::Null => return Some(Vec::new()),
            _ => {
                let help = value
                    .as_text()
                    .map(|text| format!("write `outputs: [{}]`", shortened(text)));
                self.wrong_type(value, &what, "a list of names", help);
                return None;
            }
        };
        let mut seen: BTreeMap<OutputId, Place> = BTreeMap::new();
        let mut outputs = Vec::new();
        let mut all_known = true;
        for item in items {
            let Some(output) = self.name(item, &format!("an output of {owner}"), OutputId::new)
            else {
                all_known = false;
                continue;
            };
            if let Some(first) = seen.get(&output) {
                self.report(
                    Report::error(
                        Code::DuplicateOutput,
                        item.used_at,
                        format!("{owner} has the output `{output}` twice"),
                    )
                    .related(*first, "the first is here")
                    .help("remove one of the two"),
                );
                continue;
            }
            seen.insert(output.clone(), item.used_at);
            outputs.push(output);
        }
        all_known.then_some(outputs)
    }

    fn output_memory(&mut self, value: &Value, owner: &str, requires: &Requirement) -> Option<u64> {
        let what = format!("`output_memory_mb` of {owner}");
        let bytes = self.integer(value, &what, 1..=OUTPUT_MEMORY_MB_MAX)? * MB_BYTES;
        if requires.memory_bytes > 0 && bytes > requires.memory_bytes {
            self.report(
                Report::error(
                    Code::ContradictoryRequirements,
                    value.place,
                    format!(
                        "the outputs of {owner} may take {} MB, and it requires only {} MB for all of it",
                        bytes / MB_BYTES,
                        requires.memory_bytes / MB_BYTES
                    ),
                )
                .help("raise `memory_gb`, or lower `output_memory_mb`"),
            );
        }
        Some(bytes)
    }
}
