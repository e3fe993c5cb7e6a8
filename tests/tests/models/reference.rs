//! all-MiniLM-L6-v2 once more, written for the test alone and out of nothing but the model's files: other language,
//! other arithmetic, none of the libraries that the example uses.

mod bert;
mod weights;
mod words;

use std::path::Path;

use weights::Weights;
use words::Vocabulary;

/// The model.
#[derive(Debug)]
pub(crate) struct Reference {
    weights: Weights,
    vocabulary: Vocabulary,
}

impl Reference {
    pub(crate) fn read(folder: &Path) -> Reference {
        Reference {
            weights: Weights::read(&folder.join("model.safetensors")),
            vocabulary: Vocabulary::read(&folder.join("vocab.txt")),
        }
    }

    /// The embedding of a text in ASCII of fewer than 256 tokens.
    pub(crate) fn embedding(&self, text: &str) -> Vec<f64> {
        bert::embedding(&self.weights, &self.vocabulary.tokens(text))
    }
}

/// How alike two embeddings are.
pub(crate) fn similarity(one: &[f64], other: &[f64]) -> f64 {
    bert::dot(one, other)
}
