//! `models` of the dataflow: what is fetched from the Hub.

use std::collections::{BTreeMap, BTreeSet};

use dataflow_ids::{ModelIndex, ModelName, RepoKind, check_pattern, check_repo, check_revision};

use super::fields::Schema;
use super::{Checker, Report};
use crate::Code;
use crate::dataflow::{Model, model_variable};
use crate::diagnostic::Place;
use crate::limits::{MODELS_MAX, PATTERNS_MAX};
use crate::yaml::{Kind, Value, shortened};

const SCHEMA: Schema = Schema {
    known: &["repo", "kind", "revision", "files"],
    reserved: &[],
    foreign: &[
        ("repo_id", "write `repo`"),
        ("repository", "write `repo`"),
        (
            "name",
            "write `repo: owner/name`; the model's name here is its key",
        ),
        ("repo_type", "write `kind`"),
        ("type", "write `kind`"),
        ("branch", "write `revision`"),
        ("tag", "write `revision`"),
        ("commit", "write `revision`"),
        ("ref", "write `revision`"),
        ("allow_patterns", "write `files`"),
        ("include", "write `files`"),
        ("patterns", "write `files`"),
        ("file", "write `files`, a list"),
        (
            "token",
            "a token never stands in a description: set HF_TOKEN",
        ),
    ],
};

const KINDS: [(&str, RepoKind); 3] = [
    ("model", RepoKind::Model),
    ("dataset", RepoKind::Dataset),
    ("space", RepoKind::Space),
];

const MODELS_HELP: &str =
    "models have names: write `models:` and below it `detector: { repo: acme/tiny-detector }`";
const FILES_HELP: &str =
    "write `files: [\"*.json\", \"*.safetensors\"]`; without `files` all are meant";
const REPO_HELP: &str = "write it as the Hub's page of it has it: `acme/tiny-detector`";

/// The dataflow's models, with holes where something was wrong, and what is known about their use.
#[derive(Default)]
pub(crate) struct DraftModels {
    /// In the order of the file.
    pub(super) declared: Vec<DraftModel>,
    /// Whether entries were left out, so that a name which is not there may have been meant to be.
    pub(super) has_holes: bool,
    /// Who is wanted by a node, or nearly.
    pub(super) used: BTreeSet<ModelIndex>,
    /// Whether a node wants what cannot be known.
    pub(super) uses_unknown: bool,
}

pub(super) struct DraftModel {
    pub(super) name: ModelName,
    pub(super) place: Place,
    variable: String,
    repo: Option<String>,
    kind: RepoKind,
    revision: Option<String>,
    files: Option<Vec<String>>,
}

impl DraftModels {
    /// The models, when no draft has a hole.
    pub(crate) fn complete(self) -> Option<Vec<Model>> {
        let complete = |(index, draft): (usize, DraftModel)| {
            Some(Model {
                name: draft.name,
                index: model_index(index),
                repo: draft.repo?,
                kind: draft.kind,
                revision: draft.revision?,
                files: draft.files?,
            })
        };
        self.declared
            .into_iter()
            .enumerate()
            .map(complete)
            .collect()
    }

    /// The model whose nodes find it in this environment variable, and where it is declared.
    pub(crate) fn with_variable(&self, variable: &str) -> Option<(&ModelName, Place)> {
        let model = self
            .declared
            .iter()
            .find(|model| model.variable == variable)?;
        Some((&model.name, model.place))
    }

    pub(super) fn index_of(&self, name: &str) -> Option<ModelIndex> {
        let place = self
            .declared
            .iter()
            .position(|model| model.name.as_str() == name)?;
        Some(model_index(place))
    }
}

impl Checker<'_> {
    /// The root's `models`.
    pub(crate) fn models(&mut self, value: &Value) -> DraftModels {
        let mut models = DraftModels::default();
        if matches!(value.kind, Kind::Null) {
            return models;
        }
        let what = "`models` of the dataflow";
        let Some(entries) = self.entries(value, what, MODELS_HELP) else {
            models.has_holes = true;
            return models;
        };
        if let Some((first_over, _)) = entries.get(MODELS_MAX) {
            self.report(
                Report::error(
                    Code::TooManyParts,
                    first_over.used_at,
                    format!("the dataflow has {} models", entries.len()),
                )
                .help(format!(
                    "it has at most {MODELS_MAX}: this is the first above"
                )),
            );
            models.has_holes = true;
            return models;
        }
        let mut seen: BTreeMap<ModelName, &Value> = BTreeMap::new();
        for (key, value) in entries {
            let Some(name) = self.name(key, "the name of a model", ModelName::new) else {
                models.has_holes = true;
                continue;
            };
            if let Some(first) = seen.get(&name) {
                self.duplicate_key(first, key, name.as_str(), what);
                continue;
            }
            seen.insert(name.clone(), key);
            let variable = model_variable(&name);
            if let Some((other, place)) = models.with_variable(&variable) {
                self.report(
                    Report::error(
                        Code::SameVariable,
                        key.used_at,
                        format!("nodes would find both `{other}` and `{name}` in `{variable}`"),
                    )
                    .related(place, "the other is here")
                    .help("give one of them another name"),
                );
            }
            let draft = self.model(name, variable, key, value);
            models.declared.push(draft);
        }
        models
    }

    fn model(
        &mut self,
        name: ModelName,
        variable: String,
        key: &Value,
        value: &Value,
    ) -> DraftModel {
        let owner = format!("the model `{name}`");
        let mut draft = DraftModel {
            name,
            place: key.used_at,
            variable,
            repo: None,
            kind: RepoKind::default(),
            revision: None,
            files: None,
        };
        let help = match value.as_text() {
            Some(repo) if check_repo(repo).is_ok() => {
                format!("write `{}: {{ repo: {repo} }}`", draft.name)
            }
            _ => format!("write `{}: {{ repo: acme/tiny-detector }}`", draft.name),
        };
        let Some(entries) = self.entries(value, &owner, &help) else {
            return draft;
        };
        let fields = self.fields(entries, &owner, key.used_at, &SCHEMA);
        draft.repo = self
            .required(
                &fields,
                "repo",
                &owner,
                "name it as the Hub does: `repo: acme/tiny-detector`",
            )
            .and_then(|value| self.repo(value, &owner));
        if let Some(value) = fields.get("kind") {
            let what = format!("`kind` of {owner}");
            draft.kind = self.word(value, &what, &KINDS, &[]).unwrap_or_default();
        }
        draft.revision = match fields.get("revision") {
            Some(value) => self.revision(value, &owner),
            None => Some("main".to_owned()),
        };
        draft.files = match fields.get("files") {
            Some(value) => self.files(value, &owner),
            None => Some(Vec::new()),
        };
        draft
    }

    fn repo(&mut self, value: &Value, owner: &str) -> Option<String> {
        let what = format!("`repo` of {owner}");
        let text = self.text(value, &what)?;
        let Err(error) = check_repo(text) else {
            return Some(text.to_owned());
        };
        self.report(
            Report::error(
                Code::BadRepository,
                value.place,
                format!("{what} cannot be `{}`: {error}", shortened(text)),
            )
            .help(meant_repo(text).unwrap_or_else(|| REPO_HELP.to_owned())),
        );
        None
    }

    fn revision(&mut self, value: &Value, owner: &str) -> Option<String> {
        let what = format!("`revision` of {owner}");
        // A tag such as `1.0` and a commit of digits alone are texts to whoever writes them; YAML reads numbers.
        let text = match &value.kind {
            Kind::Integer(_) | Kind::Number(_) => value.scalar_text()?,
            Kind::Text(text) => text.clone(),
            _ => {
                let help = "name a branch, a tag or a commit; without `revision` it is `main`";
                self.wrong_type(value, &what, "a text", Some(help.to_owned()));
                return None;
            }
        };
        let Err(error) = check_revision(&text) else {
            return Some(text);
        };
        self.report(
            Report::error(
                Code::BadRevision,
                value.place,
                format!("{what} cannot be `{}`: {error}", shortened(&text)),
            )
            .help("name a branch, a tag, a ref such as `refs/pr/1`, or a commit; without `revision` it is `main`"),
        );
        None
    }

    fn files(&mut self, value: &Value, owner: &str) -> Option<Vec<String>> {
        let what = format!("`files` of {owner}");
        let Kind::List(items) = &value.kind else {
            let help = match value.as_text() {
                Some(text) => format!("write `files: [\"{}\"]`", shortened(text)),
                None => FILES_HELP.to_owned(),
            };
            self.wrong_type(value, &what, "a list of patterns", Some(help));
            return None;
        };
        if items.is_empty() {
            self.report(
                Report::error(
                    Code::BadPattern,
                    value.place,
                    format!("{what} means no file at all"),
                )
                .help("leave `files` out: then all are meant"),
            );
            return None;
        }
        if let Some(first_over) = items.get(PATTERNS_MAX) {
            self.report(
                Report::error(
                    Code::TooManyParts,
                    first_over.used_at,
                    format!("{owner} has {} patterns", items.len()),
                )
                .help(format!(
                    "it has at most {PATTERNS_MAX}: this is the first above; `*` stands for any part of a path"
                )),
            );
            return None;
        }
        let patterns: Vec<Option<String>> =
            items.iter().map(|item| self.pattern(item, &what)).collect();
        let patterns: Option<BTreeSet<String>> = patterns.into_iter().collect();
        Some(patterns?.into_iter().collect())
    }

    fn pattern(&mut self, value: &Value, files: &str) -> Option<String> {
        let what = format!("a pattern in {files}");
        let Some(text) = value.as_text() else {
            let help = match value.scalar_text() {
                Some(text) => format!("write it in quotes: \"{text}\""),
                None => FILES_HELP.to_owned(),
            };
            self.wrong_type(value, &what, "a text", Some(help));
            return None;
        };
        let Err(error) = check_pattern(text) else {
            return Some(text.to_owned());
        };
        self.report(
            Report::error(
                Code::BadPattern,
                value.place,
                format!("{what} cannot be `{}`: {error}", shortened(text)),
            )
            .help("write paths as the repository has them, such as `config.json`, `*.safetensors` or `onnx/*`"),
        );
        None
    }
}

pub(super) fn model_index(index: usize) -> ModelIndex {
    ModelIndex(u32::try_from(index).unwrap_or(u32::MAX))
}

/// What to write instead of an address or of a repository with its revision.
fn meant_repo(text: &str) -> Option<String> {
    let (path, is_address) = match text.split_once("://") {
        Some(("hf", path)) => (path, true),
        Some((_, rest)) => (rest.split_once('/')?.1, true),
        None => (text, false),
    };
    for (prefix, kind) in [("datasets/", "dataset"), ("spaces/", "space")] {
        let Some(repo) = path.strip_prefix(prefix) else {
            continue;
        };
        let repo = first_two(repo);
        return check_repo(&repo)
            .is_ok()
            .then(|| format!("write `repo: {repo}` and `kind: {kind}`"));
    }
    if let Some((repo, revision)) = path.split_once('@')
        && check_repo(repo).is_ok()
        && check_revision(revision).is_ok()
    {
        return Some(format!("write `repo: {repo}` and `revision: {revision}`"));
    }
    let repo = first_two(path);
    (is_address && check_repo(&repo).is_ok()).then(|| format!("write `repo: {repo}`"))
}

fn first_two(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').take(2).collect();
    parts.join("/")
}
