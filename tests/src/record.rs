//! What a test node writes down about itself: one line a fact, in a file of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// The record of one node. Every incarnation appends to the same one.
#[derive(Debug, Clone)]
pub struct Record {
    path: PathBuf,
}

impl Record {
    pub(crate) fn new(path: PathBuf) -> Record {
        Record { path }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole lines so far.
    pub fn lines(&self) -> Vec<String> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => panic!("cannot read {}: {error}", self.path.display()),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// The lines that begin with `word`, without it.
    pub fn facts(&self, word: &str) -> Vec<String> {
        self.lines()
            .iter()
            .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
            .map(str::to_owned)
            .collect()
    }

    /// Waits until a line begins with `start`, and gives that line.
    ///
    /// # Panics
    ///
    /// When none comes.
    pub fn wait_for(&self, start: &str) -> String {
        self.wait_for_count(start, 1).swap_remove(0)
    }

    /// Waits until `count` lines begin with `start`, and gives them.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub fn wait_for_count(&self, start: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found: Vec<_> = self
                .lines()
                .into_iter()
                .filter(|line| line.starts_with(start))
                .collect();
            if found.len() >= count {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} lines `{start}…` in {}: {:#?}",
                found.len(),
                self.path.display(),
                self.lines()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The numbers of the messages that arrived at `input`, in order of arrival.
    ///
    /// # Panics
    ///
    /// When one of them arrived damaged.
    pub fn arrived(&self, input: &str) -> Vec<u64> {
        let mut numbers = Vec::new();
        for fact in self.facts("input") {
            let words: Vec<_> = fact.split(' ').collect();
            let [id, number, _bytes, state] = words[..] else {
                panic!("a fact of another shape: {fact}");
            };
            assert_eq!(state, "whole", "a damaged message: {fact}");
            if id == input {
                numbers.push(number.parse().expect("a message's number"));
            }
        }
        numbers
    }
}
