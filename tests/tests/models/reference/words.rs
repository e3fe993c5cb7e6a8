//! WordPiece as BERT's own first program did it: lower case, words and punctuation apart, then the longest piece of
//! the vocabulary that fits, again and again. For ASCII: accents and other scripts need tables that a test can do
//! without.

use std::collections::BTreeMap;
use std::path::Path;

/// A word that is longer is not looked at.
const WORD_LENGTH_MAX: usize = 100;

/// The pieces, by their text.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    numbers: BTreeMap<String, usize>,
}

impl Vocabulary {
    /// Reads `vocab.txt`: the number of a piece is the number of its line.
    pub(crate) fn read(path: &Path) -> Vocabulary {
        let text = std::fs::read_to_string(path).expect("the vocabulary is there");
        let numbered = text.lines().map(str::to_owned).zip(0..);
        Vocabulary {
            numbers: numbered.collect(),
        }
    }

    /// The numbers of the pieces of a text, between the marks for its beginning and its end.
    pub(crate) fn tokens(&self, text: &str) -> Vec<usize> {
        assert!(text.is_ascii(), "this knows ASCII only: {text}");
        let mut tokens = vec![self.numbers["[CLS]"]];
        for word in words(&text.to_ascii_lowercase()) {
            let pieces = self.pieces(&word);
            tokens.extend(pieces.unwrap_or_else(|| vec![self.numbers["[UNK]"]]));
        }
        tokens.push(self.numbers["[SEP]"]);
        tokens
    }

    /// `None`: some part of the word is no piece.
    fn pieces(&self, word: &str) -> Option<Vec<usize>> {
        if word.len() > WORD_LENGTH_MAX {
            return None;
        }
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < word.len() {
            let mark = if from == 0 { "" } else { "##" };
            let (to, number) = (from + 1..=word.len()).rev().find_map(|to| {
                let number = self.numbers.get(&format!("{mark}{}", &word[from..to]))?;
                Some((to, *number))
            })?;
            pieces.push(number);
            from = to;
        }
        Some(pieces)
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            words.extend([character.to_string(), String::new()]);
        } else if character.is_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
