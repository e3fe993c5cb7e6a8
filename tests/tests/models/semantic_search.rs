//! The example with a real model: its embeddings are right, and it finds what means the same.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use dataflow_testkit::hub::Repository;
use dataflow_tests::{Finished, python, repository};
use dataflow_wire::status::Outcome;

use crate::reference::{Reference, similarity};
use crate::world::World;

/// The sentences of the quick start of sentence-transformers, and how similar it says that this model finds them.
const QUICK_START: [&str; 3] = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
];
const PUBLISHED: [(usize, usize, f64); 3] = [(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)];

/// The folder of the model, which the script of the example has taken out of a package.
fn model() -> PathBuf {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let output = Command::new(repository().join("scripts/demo-models"))
            .arg("prepare")
            .stdin(Stdio::null())
            .output()
            .expect("the script of the example starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no model to test with: {said}");
    });
    repository().join("target/demo-models/model")
}

/// What the example computes for these texts, all in one batch.
fn computed(texts: &[&str]) -> Vec<Vec<f64>> {
    let script = "\
import json, sys
from embed import Embedder
print(json.dumps(Embedder(sys.argv[1]).embed(json.load(sys.stdin)).tolist()))";
    let mut child = Command::new(python())
        .args(["-c", script])
        .arg(model())
        .env("PYTHONPATH", repository().join("dataflows"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("OPENBLAS_NUM_THREADS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the environment's Python starts");
    let stdin = child.stdin.take().expect("its input is a pipe");
    serde_json::to_writer(stdin, texts).expect("it reads the texts");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the embeddings cannot be computed");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

#[test]
fn embeddings_agree_with_an_independent_implementation_and_with_the_published_similarities() {
    let no_word = "x".repeat(101);
    let mut texts = QUICK_START.to_vec();
    // Of other lengths than those, so that the batch is padded; and what words do at their worst.
    texts.extend([
        "",
        "Yes",
        "supercalifragilisticexpialidocious, antidisestablishmentarianism: (unbelievably) co-operative 3.14159!",
        &no_word,
    ]);
    let reference = Reference::read(&model());
    let computed = computed(&texts);
    let expected: Vec<_> = texts.iter().map(|text| reference.embedding(text)).collect();
    let mut off_max: f64 = 0.0;
    for (text, (expected, computed)) in texts.iter().zip(expected.iter().zip(&computed)) {
        assert_eq!(expected.len(), computed.len());
        for (expected, computed) in expected.iter().zip(computed) {
            off_max = off_max.max((expected - computed).abs());
        }
        assert!(off_max < 1e-4, "`{text}` is off by {off_max:e}");
    }
    println!("no value is off by more than {off_max:.1e}");
    for (one, other, published) in PUBLISHED {
        for embeddings in [&computed, &expected] {
            let similarity = similarity(&embeddings[one], &embeddings[other]);
            // They are published with four digits.
            assert!(
                (similarity - published).abs() < 1e-4,
                "{similarity} and not {published}"
            );
        }
    }
}

#[test]
fn a_text_is_cut_where_the_configuration_of_the_model_says() {
    let words = |count| vec!["word"; count].join(" ");
    // 256 tokens, two of which mark the beginning and the end.
    let embeddings = computed(&[&words(400), &words(254), &words(253)]);
    assert!(similarity(&embeddings[0], &embeddings[1]) > 1.0 - 1e-6);
    assert_ne!(embeddings[1], embeddings[2]);
    let apart = |one: &[f64], other: &[f64]| -> f64 {
        one.iter()
            .zip(other)
            .map(|(one, other)| (one - other).abs())
            .sum()
    };
    assert!(apart(&embeddings[0], &embeddings[1]) * 10.0 < apart(&embeddings[1], &embeddings[2]));
}

/// The table that the example has printed: similarities and sentences, in its order.
fn table(ended: &Finished) -> Vec<(f64, String)> {
    let output = ended.output();
    let rows = output.lines().filter_map(|line| {
        let (_, row) = line.split_once("rank      | ")?;
        let (similarity, rest) = row
            .trim_start()
            .split_once("  ")?
            .1
            .trim_start()
            .split_once("  ")?;
        Some((
            similarity.parse().ok()?,
            rest.split_once("  ")?.1.to_owned(),
        ))
    });
    rows.collect()
}

#[test]
fn the_example_fetches_its_model_and_finds_what_means_the_same_then_again_without_a_network() {
    const REPO: &str = "sentence-transformers/all-MiniLM-L6-v2";
    const WEIGHTS: &str = "model.safetensors";
    let repository = Repository::model(REPO)
        .folder(&model(), 1024 * 1024)
        .expect("the model is there");
    let mut world = World::new("semantic-search", [repository]);
    world.copy_examples();
    let file = world.folder().join("dataflows/semantic-search.yml");
    let search = |world: &World, question: &str| {
        let up = world.dataflow(["up"]).arg(&file).env("QUESTION", question);
        let ended = up.run().expect_code(0).expect_line(&["drained"]);
        let report = world.report_in(&world.folder().join("dataflows/.dataflow/runs"));
        assert_eq!(report.outcome, Outcome::Drained);
        table(&ended)
    };

    let [question, nearest, _] = QUICK_START;
    let found = search(&world, question);
    assert_eq!(
        found[..2],
        [(1.0, question.to_owned()), (0.6660, nearest.to_owned())]
    );
    assert_eq!(world.hub.transfers(WEIGHTS).len(), 1);
    // What the description does not name is not fetched.
    assert!(world.hub.transfers("vocab.txt").is_empty());
    assert_eq!(world.hub.violations(), Vec::<String>::new());

    let asked = world.hub.requests().len();
    world.set_variable("HF_HUB_OFFLINE", "1");
    let question = "How much medicine should I swallow?";
    let found = search(&world, question);
    assert_eq!(found[0].1, "Take one tablet twice a day, after a meal.");
    assert_eq!(world.hub.requests().len(), asked);
    let reference = Reference::read(&model());
    let question = reference.embedding(question);
    for (found, text) in &found {
        let expected = similarity(&question, &reference.embedding(text));
        assert!(
            (found - expected).abs() < 1e-4,
            "`{text}`: {found} and not {expected}"
        );
    }
}
