//! The numbers in a file of safetensors: a length, a header of JSON, and then nothing but little-endian numbers.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// All tensors of a file, widened to 64 bits.
#[derive(Debug)]
pub(crate) struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

/// A matrix, or a vector as a matrix of one row.
#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) columns: usize,
    pub(crate) values: Vec<f64>,
}

impl Tensor {
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }
}

impl Weights {
    pub(crate) fn read(path: &Path) -> Weights {
        let bytes = std::fs::read(path).expect("the model is there");
        let (length, rest) = bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
        let (header, numbers) = rest.split_at(usize::try_from(length).expect("a short header"));
        let header: BTreeMap<String, Value> = serde_json::from_slice(header).expect("JSON");
        let tensors = header
            .into_iter()
            .filter(|(_, tensor)| tensor["dtype"] == "F32")
            .map(|(name, tensor)| (name, of(&tensor, numbers)))
            .collect();
        Weights { tensors }
    }

    pub(crate) fn tensor(&self, name: &str) -> &Tensor {
        let tensor = self.tensors.get(name);
        tensor.unwrap_or_else(|| panic!("the model has no `{name}`"))
    }
}

fn of(tensor: &Value, numbers: &[u8]) -> Tensor {
    let number = |value: &Value| usize::try_from(value.as_u64().expect("a number")).expect("small");
    let shape = tensor["shape"].as_array().expect("a shape");
    let [from, to] = [0, 1].map(|place| number(&tensor["data_offsets"][place]));
    Tensor {
        columns: shape.last().map_or(1, number),
        values: numbers[from..to]
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4 bytes")))
            .map(f64::from)
            .collect(),
    }
}
