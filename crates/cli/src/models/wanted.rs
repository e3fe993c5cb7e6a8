//! What `models` is asked for: descriptions, and repositories with a revision.

use std::path::{Path, PathBuf};

use dataflow_core::models::ModelSpec;
use dataflow_descriptor::{Dataflow, Model};
use dataflow_ids::{RepoKind, check_pattern};
use dataflow_runtime::models::ModelOrder;

use super::arguments::PullArguments;
use super::repository::Repository;
use crate::error::CliError;
use crate::load;

/// Something that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What people call it: the model's name in the description, or the repository with its revision.
    pub(super) name: String,
    pub(super) order: ModelOrder,
    /// The description that wants it.
    pub(super) file: Option<PathBuf>,
}

/// What these arguments ask for.
///
/// # Errors
///
/// [`CliError`] when a name is none, a description is wrong, or the options do not fit.
pub(super) fn of(arguments: &PullArguments) -> Result<Vec<Wanted>, CliError> {
    let mut files: Vec<String> = arguments.files.clone();
    files.sort();
    files.dedup();
    for pattern in &files {
        check_pattern(pattern).map_err(|error| CliError::BadModel {
            what: "pattern",
            text: pattern.clone(),
            why: error.to_string(),
        })?;
    }
    let mut wanted = Vec::new();
    for what in &arguments.what {
        if is_description(what) {
            for (option, is_given) in [
                ("--file", !files.is_empty()),
                ("--kind", arguments.kind.is_some()),
            ] {
                if is_given {
                    return Err(CliError::OptionOfRepositories {
                        option,
                        file: what.into(),
                    });
                }
            }
            let dataflow = load::load(Path::new(what))?;
            wanted.extend(of_dataflow(&dataflow, arguments.update));
            continue;
        }
        let Repository { repo, revision } = Repository::from_text(what)?;
        let kind = arguments.kind.map(RepoKind::from).unwrap_or_default();
        let revision = revision.unwrap_or_else(|| "main".to_owned());
        let spec = ModelSpec::new(kind, repo, revision, files.clone());
        wanted.push(Wanted {
            name: spec.to_string(),
            order: ModelOrder {
                spec,
                pins: None,
                is_update: arguments.update,
            },
            file: None,
        });
    }
    let mut told_apart: Vec<Wanted> = Vec::new();
    for one in wanted {
        if !told_apart.iter().any(|other| other.order == one.order) {
            told_apart.push(one);
        }
    }
    Ok(told_apart)
}

/// The models that nodes of a dataflow want.
pub(super) fn of_dataflow(dataflow: &Dataflow, is_update: bool) -> impl Iterator<Item = Wanted> {
    let is_used = |model: &&Model| {
        let mut nodes = dataflow.nodes.iter();
        nodes.any(|node| node.models.contains(&model.index))
    };
    dataflow
        .models
        .iter()
        .filter(is_used)
        .map(move |model| Wanted {
            name: model.name.to_string(),
            order: ModelOrder::of(model, &dataflow.folder, is_update),
            file: Some(dataflow.file.clone()),
        })
}

/// Whether an argument is a description, and no repository. No file of another name is taken for one: that a folder
/// has a file `gpt2` does not change what `gpt2` means.
fn is_description(what: &str) -> bool {
    let extension = Path::new(what).extension();
    extension.is_some_and(|extension| extension == "yml" || extension == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use crate::models::rate::LimitRate;

    fn arguments(what: &[&str], files: &[&str]) -> PullArguments {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        PullArguments {
            what: texts(what),
            files: texts(files),
            kind: None,
            update: false,
            limit_rate: LimitRate { limit_rate: None },
            json: false,
        }
    }

    #[test]
    fn a_pattern_that_leaves_the_repository_is_wrong_input() {
        let error = of(&arguments(&["a/b"], &["../*"])).unwrap_err();
        assert_eq!(error.exit(), Exit::WrongInput);
    }

    #[test]
    fn what_is_named_twice_is_wanted_once() {
        let wanted = of(&arguments(
            &["acme/x", "acme/x@main", "acme/x@v2"],
            &["*.json", "b", "*.json"],
        ))
        .unwrap();
        let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        assert_eq!(names, ["acme/x@main", "acme/x@v2"]);
        assert_eq!(wanted[0].order.spec.files, ["*.json", "b"]);
        assert_eq!(wanted[0].order.pins, None);
    }

    #[test]
    fn of_a_dataflow_the_models_of_its_nodes_are_wanted_and_pinned_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flow.yml");
        let text = "
models:
  used: { repo: acme/x, revision: v1, files: [b, a] }
  unused: { repo: acme/y }
nodes:
  - { id: a, path: /bin/sh, models: [used] }
  - { id: b, path: /bin/sh, models: [used] }
";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let wanted = of(&arguments(&[file, file], &[])).unwrap();
        let [one] = &wanted[..] else {
            panic!("one model is wanted: {wanted:?}");
        };
        assert_eq!(one.name, "used");
        assert_eq!(one.order.spec.to_string(), "acme/x@v1");
        assert_eq!(one.order.spec.files, ["a", "b"]);
        let lock = folder.path().canonicalize().unwrap().join("dataflow.lock");
        assert_eq!(one.order.pins, Some(lock));
        // What a description says itself, an option does not say otherwise.
        let error = of(&arguments(&[file], &["a"])).unwrap_err();
        assert_eq!(error.exit(), Exit::WrongInput);
        assert!(error.to_string().contains("--file"), "{error}");
    }
}
