//! Patterns mean what they mean to Python: the same questions to both, at random, from the letters that matter.

#![allow(clippy::unwrap_used)] // the helpers of tests are tests

use std::io::Write;
use std::process::{Command, Stdio};

use dataflow_core::models::Pattern;
use dataflow_core::random::Random;

const QUESTIONS: usize = 40_000;

/// `huggingface_hub.utils.filter_repo_objects` does this to a pattern and a path (its version 2; before, it left `\` as
/// it is). Each line is a question: both in hexadecimal digits.
const PYTHON: &str = r#"
import sys, warnings
from fnmatch import fnmatchcase
warnings.simplefilter("ignore")
for line in sys.stdin:
    pattern, path = (bytes.fromhex(text).decode().replace("\\", "/") for text in line.rstrip("\n").split(" "))
    if pattern.endswith("/"):
        pattern += "*"
    sys.stdout.write("1" if fnmatchcase(path, pattern) else "0")
"#;

fn text(random: &mut Random, letters: &[char], length_max: u64) -> String {
    let length = random.draw() % (length_max + 1);
    let mut letter = || {
        let place = random.draw() % letters.len() as u64;
        letters[usize::try_from(place).unwrap()]
    };
    (0..length).map(|_| letter()).collect()
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn patterns_mean_what_they_mean_to_python() {
    let mut random = Random::new(4);
    let in_patterns: Vec<char> = "aabbc-]!![[^**??/\\.&~|é\n".chars().collect();
    let in_paths: Vec<char> = "aabbc-]![^/\\.&~|é\n*?".chars().collect();
    let questions: Vec<(String, String)> = (0..QUESTIONS)
        .map(|_| {
            let pattern = text(&mut random, &in_patterns, 9);
            let path = text(&mut random, &in_paths, 5);
            (pattern, path)
        })
        .collect();
    let mut python = Command::new("python3")
        .args(["-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let asked: String = questions
        .iter()
        .map(|(pattern, path)| format!("{} {}\n", hex(pattern), hex(path)))
        .collect();
    let asking = std::thread::Builder::new()
        .spawn(move || stdin.write_all(asked.as_bytes()))
        .unwrap();
    let answers = python.wait_with_output().unwrap();
    asking.join().unwrap().unwrap();
    assert!(answers.status.success());
    assert_eq!(answers.stdout.len(), QUESTIONS);
    let mut matches = 0;
    for ((pattern, path), answer) in questions.iter().zip(answers.stdout) {
        let is_match = answer == b'1';
        matches += usize::from(is_match);
        assert_eq!(
            Pattern::new(pattern).is_match(path),
            is_match,
            "pattern {pattern:?}, path {path:?}"
        );
    }
    assert!(matches > QUESTIONS / 50, "not all say no: {matches}");
}
