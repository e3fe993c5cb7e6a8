//! What a good description means, value by value.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataflow_descriptor::{
    Code, Dataflow, Environment, InputSource, Model, Program, check_file_in, check_text, limits,
};
use dataflow_ids::{
    EdgeId, ModelIndex, ModelName, NodeIndex, OnFailure, QueuePolicy, RepoKind, RestartOn,
    RestartPolicy,
};

fn environment() -> Environment {
    Environment {
        virtual_env: None,
        search_path: Some("tests/data/bin".into()),
    }
}

fn good() -> Dataflow {
    check_file_in("tests/data/good.yml", &environment())
        .dataflow
        .expect("good.yml is good")
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_dataflow_has_its_name_environment_and_places() {
    let dataflow = good();
    let folder = Path::new("tests/data").canonicalize().unwrap();
    assert_eq!(dataflow.name.as_str(), "vision");
    assert_eq!(dataflow.file, folder.join("good.yml"));
    assert_eq!(dataflow.folder, folder);
    assert_eq!(dataflow.on_failure, OnFailure::Continue);
    // As it is written, not as a number would be printed.
    assert_eq!(
        dataflow.env,
        texts(&[
            ("RUST_LOG", "info"),
            ("VERSION", "1.10"),
            ("DEBUG", "true"),
            ("EMPTY", "")
        ])
    );
}

#[test]
fn nodes_keep_their_order_and_what_they_ask_for() {
    let dataflow = good();
    let ids: Vec<&str> = dataflow.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["camera", "detector", "sink"]);
    let folder = &dataflow.folder;

    let camera = &dataflow.nodes[0];
    assert_eq!(camera.index, NodeIndex(0));
    assert_eq!(camera.path, folder.join("programs/node.py"));
    assert_eq!(camera.program, Program::Python);
    assert_eq!(camera.python, Some(folder.join("bin/python3")));
    assert_eq!(camera.args, ["--fps", "30", "--exposure", "1.50"]);
    assert_eq!(camera.env, texts(&[("RUST_LOG", "debug")]));
    assert_eq!(camera.restart.on, RestartOn::OnFailure);
    assert_eq!(camera.output_memory_bytes, Some(512 << 20));
    assert_eq!(camera.requires.memory_bytes, 512 << 20);
    assert!(camera.requires.gpu);
    assert_eq!(
        camera.requires.labels,
        texts(&[("room", "lab"), ("floor", "3")])
    );
    let timers: Vec<InputSource> = camera.inputs.iter().map(|input| input.source).collect();
    assert_eq!(
        timers,
        [
            InputSource::Timer(Duration::from_millis(33)),
            InputSource::Timer(Duration::from_secs(1)),
            InputSource::Timer(Duration::from_nanos(33_333_333)),
        ]
    );

    let detector = &dataflow.nodes[1];
    assert_eq!(detector.program, Program::Executable);
    assert_eq!(detector.python, None);
    assert_eq!(detector.build.as_deref(), Some("true"));
    assert_eq!(
        detector.restart,
        RestartPolicy {
            on: RestartOn::Always,
            restarts_max: 3,
            window: Duration::from_secs(120),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    );
    assert_eq!(dataflow.nodes[2].restart, RestartPolicy::default());
}

#[test]
fn models_keep_their_order_and_nodes_find_them() {
    let dataflow = good();
    let model = |name: &str, index, repo: &str, kind, revision: &str, files: &[&str]| Model {
        name: ModelName::new(name).unwrap(),
        index: ModelIndex(index),
        repo: repo.to_owned(),
        kind,
        revision: revision.to_owned(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
    };
    let detector = model(
        "detector",
        0,
        "acme/tiny-detector",
        RepoKind::Model,
        "v1.0",
        &["*.json", "*.safetensors"],
    );
    let words = model("words", 1, "gpt2", RepoKind::Model, "main", &[]);
    // As it is written: the tag is `1.10`, no number.
    let faces = model(
        "faces",
        2,
        "acme/faces",
        RepoKind::Dataset,
        "1.10",
        &["train/"],
    );
    assert_eq!(dataflow.models, [detector, words, faces]);
    let wanted: Vec<&[ModelIndex]> = dataflow.nodes.iter().map(|node| &node.models[..]).collect();
    // In the order in which the node names them.
    assert_eq!(
        wanted,
        [&[][..], &[ModelIndex(1), ModelIndex(0)], &[ModelIndex(2)]]
    );
}

#[test]
fn a_node_finds_its_model_in_a_variable_with_the_models_name_in_capitals() {
    let mut model = good().models[0].clone();
    assert_eq!(model.environment_variable(), "DATAFLOW_MODEL_DETECTOR");
    model.name = ModelName::new("all-MiniLM.v2_x").unwrap();
    assert_eq!(
        model.environment_variable(),
        "DATAFLOW_MODEL_ALL_MINILM_V2_X"
    );
}

#[test]
fn edges_are_numbered_in_order_and_know_their_queues() {
    let dataflow = good();
    let edges: Vec<(String, String, QueuePolicy, u32)> = dataflow
        .edges
        .iter()
        .map(|edge| {
            (
                format!("{}/{}", edge.source.node, edge.source.output),
                format!("{}/{}", edge.target.node, edge.target.input),
                edge.policy,
                edge.queue_size,
            )
        })
        .collect();
    let expected = [
        ("camera/image", "detector/image", QueuePolicy::DropOldest, 2),
        ("camera/depth", "detector/depth", QueuePolicy::Latest, 1),
        (
            "detector/boxes",
            "detector/own",
            QueuePolicy::DropOldest,
            10,
        ),
        ("detector/boxes", "sink/boxes", QueuePolicy::Block, 64),
        ("detector/boxes", "sink/again", QueuePolicy::Block, 10),
    ]
    .map(|(source, target, policy, size)| (source.to_owned(), target.to_owned(), policy, size));
    assert_eq!(edges, expected);
    for (number, edge) in dataflow.edges.iter().enumerate() {
        assert_eq!(edge.id, EdgeId(u32::try_from(number).unwrap()));
        let target = dataflow.node(edge.target.index).unwrap();
        assert_eq!(target.id, edge.target.node);
        let input = target
            .inputs
            .iter()
            .find(|input| input.id == edge.target.input)
            .unwrap();
        assert_eq!(input.source, InputSource::Edge(edge.id));
        assert_eq!(
            dataflow.node(edge.source.index).unwrap().id,
            edge.source.node
        );
    }
    assert_eq!(dataflow.edges[0].held_max, 8);
    assert_eq!(dataflow.edges[0].spin, Duration::from_micros(50));
    assert_eq!(dataflow.edges[1].held_max, limits::HELD_DEFAULT);
    assert_eq!(dataflow.edges[1].spin, Duration::ZERO);
}

#[test]
fn a_dataflow_without_a_name_has_its_files() {
    let text = "nodes: [{ id: a, path: programs/run }]";
    let checked = check_text(
        text,
        "tests/data/left-eye.v2.yml",
        "tests/data",
        &environment(),
    );
    assert_eq!(checked.dataflow.unwrap().name.as_str(), "left-eye.v2");
}

#[test]
fn aliases_and_merge_keys_share_what_nodes_have_in_common() {
    let text = "
nodes:
  - &first { id: a, path: programs/run, args: [x], outputs: [o] }
  - { <<: *first, id: b, inputs: { i: a/o } }
";
    let checked = check_text(text, "shared.yml", "tests/data", &environment());
    let dataflow = checked.dataflow.expect("it is good");
    assert_eq!(dataflow.nodes[1].id.as_str(), "b");
    assert_eq!(dataflow.nodes[1].args, ["x"]);
    assert_eq!(dataflow.edges.len(), 1);
}

struct Project {
    _folder: tempfile::TempDir,
    folder: PathBuf,
}

impl Project {
    fn new() -> Project {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        std::fs::write(folder.join("node.py"), "").unwrap();
        Project {
            _folder: temporary,
            folder,
        }
    }

    /// A program that may be executed.
    fn program(&self, path: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The Python of a node that names none, or the code of what is wrong.
    fn python(
        &self,
        virtual_env: Option<&str>,
        search_path: Option<&str>,
    ) -> Result<PathBuf, Code> {
        let environment = Environment {
            virtual_env: virtual_env.map(|path| self.folder.join(path)),
            search_path: search_path.map(|path| self.folder.join(path).into_os_string()),
        };
        let checked = check_text(
            "nodes: [{ id: a, path: node.py }]",
            self.folder.join("flow.yml"),
            &self.folder,
            &environment,
        );
        match checked.dataflow {
            Some(dataflow) => Ok(dataflow.nodes[0].python.clone().unwrap()),
            None => Err(checked.diagnostics[0].code),
        }
    }
}

#[test]
fn python_is_looked_for_beside_the_yaml_then_in_the_environment_then_on_the_path() {
    let project = Project::new();
    assert_eq!(project.python(None, None), Err(Code::PythonNotFound));
    let on_path = project.program("bin/python3");
    assert_eq!(project.python(None, Some("bin")), Ok(on_path));
    let active = project.program("active/bin/python");
    assert_eq!(project.python(Some("active"), Some("bin")), Ok(active));
    // One that was removed since it was activated is passed over.
    assert!(project.python(Some("gone"), Some("bin")).is_ok());
    let beside = project.program(".venv/bin/python");
    assert_eq!(project.python(Some("active"), Some("bin")), Ok(beside));
}

#[test]
fn a_virtual_environment_whose_python_is_gone_is_an_error_and_not_passed_over() {
    let project = Project::new();
    project.program("bin/python3");
    std::fs::create_dir_all(project.folder.join(".venv/bin")).unwrap();
    std::os::unix::fs::symlink("/no/such/python", project.folder.join(".venv/bin/python")).unwrap();
    assert_eq!(project.python(None, Some("bin")), Err(Code::PythonNotFound));
}

#[test]
fn a_program_that_build_is_to_make_may_be_missing() {
    let text = "nodes: [{ id: a, path: target/debug/a, build: cargo build -p a }]";
    let checked = check_text(text, "flow.yml", "tests/data", &environment());
    assert_eq!(checked.warnings(), 1);
    let dataflow = checked.dataflow.expect("a warning does not stop it");
    assert!(dataflow.nodes[0].path.is_absolute());
}
