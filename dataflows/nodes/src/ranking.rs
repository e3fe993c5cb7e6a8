//! The ranking of a semantic search: which texts mean what a question asks.

/// How wide the bar of a similarity of 1 is.
const BAR_WIDTH: usize = 20;

/// Texts with their embeddings, and the question that they are ranked by.
#[derive(Debug, Default)]
pub struct Ranking {
    question: Option<Embedded>,
    texts: Vec<Embedded>,
}

#[derive(Debug)]
struct Embedded {
    text: String,
    embedding: Vec<f64>,
}

/// Why an embedding is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RankingError {
    /// The bytes are no numbers.
    #[error("the embedding of `{text}` has {bytes} bytes: it is no list of 32-bit numbers")]
    NoNumbers {
        /// Of which text.
        text: String,
        /// How many bytes.
        bytes: usize,
    },
    /// It has no direction: a value is not finite, or all are 0.
    #[error("the embedding of `{text}` has no direction")]
    NoDirection {
        /// Of which text.
        text: String,
    },
    /// Another model has made it than the one before.
    #[error("the embedding of `{text}` has {found} values, others have {expected}")]
    OtherLength {
        /// Of which text.
        text: String,
        /// How many values it has.
        found: usize,
        /// How many the first one had.
        expected: usize,
    },
}

impl Ranking {
    /// Takes the question in: its embedding as little-endian 32-bit floating point numbers. The last one counts.
    ///
    /// # Errors
    ///
    /// When the bytes are no embedding, or one of another length.
    pub fn ask(&mut self, text: &str, embedding: &[u8]) -> Result<(), RankingError> {
        self.question = Some(self.read(text, embedding)?);
        Ok(())
    }

    /// Takes a text in that may be the answer.
    ///
    /// # Errors
    ///
    /// As [`ask`](Ranking::ask).
    pub fn add(&mut self, text: &str, embedding: &[u8]) -> Result<(), RankingError> {
        let embedded = self.read(text, embedding)?;
        self.texts.push(embedded);
        Ok(())
    }

    fn read(&self, text: &str, bytes: &[u8]) -> Result<Embedded, RankingError> {
        let text = text.to_owned();
        let numbers = bytes.chunks_exact(4);
        if bytes.is_empty() || !numbers.remainder().is_empty() {
            let bytes = bytes.len();
            return Err(RankingError::NoNumbers { text, bytes });
        }
        let embedding: Vec<f64> = numbers
            .map(|number| f32::from_le_bytes(number.try_into().expect("chunks_exact gives 4")))
            .map(f64::from)
            .collect();
        let length = length(&embedding);
        if length == 0.0 || !length.is_finite() {
            return Err(RankingError::NoDirection { text });
        }
        let expected = self.question.iter().chain(&self.texts).next();
        let expected = expected.map_or(embedding.len(), |other| other.embedding.len());
        if embedding.len() != expected {
            let found = embedding.len();
            return Err(RankingError::OtherLength {
                text,
                found,
                expected,
            });
        }
        Ok(Embedded { text, embedding })
    }

    /// The texts with their similarity to the question (the cosine of the angle between the two embeddings, from
    /// -1 to 1), the nearest first. Empty without a question.
    pub fn ranked(&self) -> Vec<(f64, &str)> {
        let Some(question) = &self.question else {
            return Vec::new();
        };
        let mut ranked: Vec<_> = self
            .texts
            .iter()
            .map(|of| (cosine(&question.embedding, &of.embedding), of.text.as_str()))
            .collect();
        ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        ranked
    }

    /// The table: the question, and the `count` nearest texts.
    pub fn lines(&self, count: usize) -> Vec<String> {
        let Some(question) = &self.question else {
            return vec!["nothing was asked".to_owned()];
        };
        let mut lines = vec![
            format!(
                "“{}”: the nearest of {} sentences",
                question.text,
                self.texts.len()
            ),
            format!(
                "{:>4}  {:>10}  {:BAR_WIDTH$}  sentence",
                "", "similarity", ""
            ),
        ];
        for (place, (similarity, text)) in self.ranked().into_iter().take(count).enumerate() {
            let bar = (similarity.clamp(0.0, 1.0) * BAR_WIDTH as f64).round() as usize;
            let bar = "█".repeat(bar);
            lines.push(format!(
                "{:>4}  {similarity:>10.4}  {bar:·<BAR_WIDTH$}  {text}",
                place + 1
            ));
        }
        lines
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn length(embedding: &[f64]) -> f64 {
    dot(embedding, embedding).sqrt()
}

fn cosine(one: &[f64], other: &[f64]) -> f64 {
    dot(one, other) / (length(one) * length(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    #[test]
    fn the_nearest_text_comes_first_whatever_the_lengths_of_the_embeddings() {
        let mut ranking = Ranking::default();
        ranking.add("across", &bytes(&[0.0, 7.0])).unwrap();
        ranking.add("against", &bytes(&[-0.5, 0.0])).unwrap();
        ranking.ask("where to?", &bytes(&[2.0, 0.0])).unwrap();
        ranking.add("half", &bytes(&[3.0, 3.0])).unwrap();
        ranking.add("along", &bytes(&[0.1, 0.0])).unwrap();
        let texts: Vec<_> = ranking.ranked().iter().map(|(_, text)| *text).collect();
        assert_eq!(texts, ["along", "half", "across", "against"]);
        let lines = ranking.lines(2);
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].contains("“where to?”: the nearest of 4 sentences"));
        assert_eq!(lines[2], "   1      1.0000  ████████████████████  along");
        assert_eq!(lines[3], "   2      0.7071  ██████████████······  half");
    }

    #[test]
    fn without_a_question_there_is_no_ranking_and_it_says_so() {
        let mut ranking = Ranking::default();
        ranking.add("a text", &bytes(&[1.0])).unwrap();
        assert!(ranking.ranked().is_empty());
        assert_eq!(ranking.lines(5), ["nothing was asked"]);
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        let mut ranking = Ranking::default();
        ranking.ask("two", &bytes(&[1.0, 2.0])).unwrap();
        let text = || "x".to_owned();
        let mut refused = |bytes: &[u8]| ranking.add("x", bytes).unwrap_err();
        for length in [0, 3, 9] {
            assert_eq!(
                refused(&vec![1; length]),
                RankingError::NoNumbers {
                    text: text(),
                    bytes: length
                }
            );
        }
        for values in [[0.0, 0.0], [f32::NAN, 1.0], [f32::INFINITY, 1.0]] {
            assert_eq!(
                refused(&bytes(&values)),
                RankingError::NoDirection { text: text() }
            );
        }
        assert_eq!(
            refused(&bytes(&[1.0; 3])),
            RankingError::OtherLength {
                text: text(),
                found: 3,
                expected: 2
            }
        );
        assert!(ranking.texts.is_empty());
    }
}
