//! BERT after its paper (Devlin et al., 2018; the layers after Vaswani et al., 2017), a token at a time, in 64 bits.

use super::weights::Weights;

/// Below it, a variance counts as this: `layer_norm_eps` of this model.
const EPSILON: f64 = 1e-12;
const LAYERS: usize = 6;
const HEADS: usize = 12;

/// The mean of what the last layer says of each token, with length 1.
pub(crate) fn embedding(weights: &Weights, tokens: &[usize]) -> Vec<f64> {
    let mut hidden: Vec<Vec<f64>> = tokens
        .iter()
        .enumerate()
        .map(|(place, token)| {
            let word = weights
                .tensor("embeddings.word_embeddings.weight")
                .row(*token);
            let place = weights
                .tensor("embeddings.position_embeddings.weight")
                .row(place);
            let kind = weights
                .tensor("embeddings.token_type_embeddings.weight")
                .row(0);
            let sum = sum(&sum(word, place), kind);
            normal(weights, "embeddings.LayerNorm", &sum)
        })
        .collect();
    for number in 0..LAYERS {
        hidden = layer(weights, &format!("encoder.layer.{number}"), &hidden);
    }
    let mut mean = hidden
        .into_iter()
        .reduce(|one, other| sum(&one, &other))
        .expect("there is a token");
    // The length takes the number of tokens out again.
    let length = dot(&mean, &mean).sqrt();
    mean.iter_mut().for_each(|value| *value /= length);
    mean
}

fn layer(weights: &Weights, name: &str, hidden: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dense = |part: &str, values: &[f64]| dense(weights, &format!("{name}.{part}"), values);
    let normal = |part: &str, values: &[f64]| normal(weights, &format!("{name}.{part}"), values);
    let of_all = |part: &str| -> Vec<Vec<f64>> {
        let part = format!("attention.self.{part}");
        hidden.iter().map(|values| dense(&part, values)).collect()
    };
    let (queries, keys, values) = (of_all("query"), of_all("key"), of_all("value"));
    hidden
        .iter()
        .zip(&queries)
        .map(|(before, query)| {
            let seen = attention(query, &keys, &values);
            let seen = dense("attention.output.dense", &seen);
            let seen = normal("attention.output.LayerNorm", &sum(&seen, before));
            let mut wide = dense("intermediate.dense", &seen);
            wide.iter_mut().for_each(|value| *value = gelu(*value));
            let narrow = dense("output.dense", &wide);
            normal("output.LayerNorm", &sum(&narrow, &seen))
        })
        .collect()
}

fn attention(query: &[f64], keys: &[Vec<f64>], values: &[Vec<f64>]) -> Vec<f64> {
    let width = query.len() / HEADS;
    let mut seen = Vec::with_capacity(query.len());
    for from in (0..query.len()).step_by(width) {
        let head = from..from + width;
        let weights: Vec<f64> = keys
            .iter()
            .map(|key| dot(&query[head.clone()], &key[head.clone()]))
            .map(|score| (score / (width as f64).sqrt()).exp())
            .collect();
        let whole: f64 = weights.iter().sum();
        seen.extend(head.map(|column| {
            let column = values.iter().map(|value| value[column]);
            column
                .zip(&weights)
                .map(|(value, weight)| value * weight)
                .sum::<f64>()
                / whole
        }));
    }
    seen
}

fn dense(weights: &Weights, name: &str, values: &[f64]) -> Vec<f64> {
    let weight = weights.tensor(&format!("{name}.weight"));
    let bias = &weights.tensor(&format!("{name}.bias")).values;
    let rows = weight.values.chunks_exact(values.len());
    rows.zip(bias)
        .map(|(row, bias)| dot(row, values) + bias)
        .collect()
}

fn normal(weights: &Weights, name: &str, values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    let weight = &weights.tensor(&format!("{name}.weight")).values;
    let bias = &weights.tensor(&format!("{name}.bias")).values;
    let scaled = values
        .iter()
        .map(|value| (value - mean) / (variance + EPSILON).sqrt());
    let scaled = scaled.zip(weight).zip(bias);
    scaled
        .map(|((value, weight), bias)| value * weight + bias)
        .collect()
}

/// x · Φ(x), the exact one.
fn gelu(x: f64) -> f64 {
    x * (1.0 + error_function(x / 2.0_f64.sqrt())) / 2.0
}

/// erf by its Taylor series (DLMF 7.6.2, all terms positive), up to where it is 1 in 64 bits.
fn error_function(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut number) = (x, x, 0.0);
    while term.abs() > sum.abs() * 1e-17 {
        number += 1.0;
        term *= 2.0 * x * x / (2.0 * number + 1.0);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

pub(crate) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn sum(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter()
        .zip(other)
        .map(|(one, other)| one + other)
        .collect()
}

#[test]
fn the_error_function_is_that_of_the_tables() {
    for (x, known) in [
        (0.0, 0.0),
        (0.5, 0.520_499_877_813_046_5),
        (-1.0, -0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (7.0, 1.0),
    ] {
        assert!((error_function(x) - known).abs() < 1e-14, "{x}");
    }
}
