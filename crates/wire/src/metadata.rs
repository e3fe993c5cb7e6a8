//! Metadata: the small map that travels with every message (section 15 of the design).
//!
//! An empty map is encoded as no bytes at all; a map with one small number takes about ten. Keys are kept in
//! order, so equal maps have equal bytes. Sizes and depth are limited, also while decoding what a faulty peer
//! wrote.

use std::collections::BTreeMap;
use std::fmt;

use crate::frame;

mod coding;

/// The most that a message's metadata may take, in bytes, encoded.
pub const METADATA_BYTES_MAX: usize = 65_536;

/// How deep lists and maps may be nested in metadata. The map itself is the first level.
pub const METADATA_DEPTH_MAX: usize = 32;

/// Why metadata cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The encoded map is longer than [`METADATA_BYTES_MAX`].
    #[error(
        "metadata takes {length_bytes} bytes, and at most {METADATA_BYTES_MAX} are allowed: \
         put large values into the payload"
    )]
    TooLong {
        /// What it takes, in bytes.
        length_bytes: usize,
    },
    /// Lists and maps are nested deeper than [`METADATA_DEPTH_MAX`].
    #[error("metadata is nested deeper than {METADATA_DEPTH_MAX} levels: flatten it")]
    TooDeep,
    /// The bytes are no metadata.
    #[error("the bytes are no metadata: {what}")]
    Malformed {
        /// What is wrong with them.
        what: String,
    },
}

/// One value in metadata.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A floating-point number.
    F64(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(Metadata),
}

impl Value {
    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::I64(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is one; a whole number is converted.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::F64(value) => Some(*value),
            Value::I64(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes, if it is some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(value) => Some(value),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Metadata> {
        match self {
            Value::Map(value) => Some(value),
            _ => None,
        }
    }

    fn check_depth(&self, levels_left: usize) -> Result<(), MetadataError> {
        match self {
            Value::List(values) => {
                let levels_left = levels_left.checked_sub(1).ok_or(MetadataError::TooDeep)?;
                values
                    .iter()
                    .try_for_each(|value| value.check_depth(levels_left))
            }
            Value::Map(map) => map.check_depth(levels_left),
            _ => Ok(()),
        }
    }
}

macro_rules! value_from {
    ($($from:ty => $variant:ident($convert:expr)),+ $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Value {
                Value::$variant($convert(value))
            }
        })+
    };
}

value_from! {
    bool => Bool(|value| value),
    i32 => I64(i64::from),
    u32 => I64(i64::from),
    i64 => I64(|value| value),
    f32 => F64(f64::from),
    f64 => F64(|value| value),
    &str => Str(str::to_owned),
    String => Str(|value| value),
    &[u8] => Bytes(<[u8]>::to_vec),
    Vec<u8> => Bytes(|value| value),
    Vec<Value> => List(|value| value),
    Metadata => Map(|value| value),
}

/// A map from text to [`Value`], in the order of its keys.
#[derive(Clone, PartialEq, Default)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    /// An empty map.
    pub const fn new() -> Metadata {
        Metadata(BTreeMap::new())
    }

    /// The map with `value` under `key`: for building one in an expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Metadata {
        self.insert(key, value);
        self
    }

    /// Puts `value` under `key` and gives back what stood there.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(key.into(), value.into())
    }

    /// What stands under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Takes out what stands under `key`.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// The entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes that travel; none for an empty map.
    ///
    /// # Errors
    ///
    /// [`MetadataError::TooLong`] and [`MetadataError::TooDeep`].
    pub fn encode(&self) -> Result<Vec<u8>, MetadataError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        self.check_depth(METADATA_DEPTH_MAX)?;
        let bytes = frame::encode(self).map_err(|error| match error {
            frame::EncodeError::TooLong { bytes, .. } => MetadataError::TooLong {
                length_bytes: bytes,
            },
            frame::EncodeError::Unencodable { what } => MetadataError::Malformed { what },
        })?;
        if bytes.len() > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLong {
                length_bytes: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// The map that `bytes` stand for.
    ///
    /// # Errors
    ///
    /// [`MetadataError::TooLong`], and [`MetadataError::Malformed`] for anything that [`Metadata::encode`]
    /// does not write.
    pub fn decode(bytes: &[u8]) -> Result<Metadata, MetadataError> {
        if bytes.is_empty() {
            return Ok(Metadata::new());
        }
        if bytes.len() > METADATA_BYTES_MAX {
            return Err(MetadataError::TooLong {
                length_bytes: bytes.len(),
            });
        }
        frame::decode(bytes).map_err(|error| MetadataError::Malformed {
            what: error.to_string(),
        })
    }

    fn check_depth(&self, levels_left: usize) -> Result<(), MetadataError> {
        let levels_left = levels_left.checked_sub(1).ok_or(MetadataError::TooDeep)?;
        self.0
            .values()
            .try_for_each(|value| value.check_depth(levels_left))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Metadata {
        Metadata(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Metadata {
    fn from(entries: [(K, V); N]) -> Metadata {
        entries.into_iter().collect()
    }
}

impl IntoIterator for Metadata {
    type Item = (String, Value);
    type IntoIter = std::collections::btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::I64),
            proptest::num::f64::NORMAL.prop_map(Value::F64),
            ".{0,12}".prop_map(Value::Str),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                proptest::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Map(Metadata(map))),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_map_comes_back_as_it_was(
            map in proptest::collection::btree_map(".{0,8}", values(), 0..6)
        ) {
            let map = Metadata(map);
            prop_assert_eq!(Metadata::decode(&map.encode().unwrap()).unwrap(), map);
        }

        #[test]
        fn garbage_is_refused_or_read_and_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = Metadata::decode(&bytes);
        }

        #[test]
        fn a_truncated_map_is_refused(
            map in proptest::collection::btree_map(".{0,8}", values(), 1..6)
        ) {
            let bytes = Metadata(map).encode().unwrap();
            for length in 1..bytes.len() {
                prop_assert!(Metadata::decode(&bytes[..length]).is_err());
            }
        }
    }

    fn nested(depth: usize) -> Metadata {
        (1..depth).fold(Metadata::new(), |inner, _| Metadata::new().with("n", inner))
    }

    #[test]
    fn an_empty_map_takes_no_byte_and_a_small_one_few() {
        assert!(Metadata::new().encode().unwrap().is_empty());
        let small = Metadata::from([("frame", 12)]).encode().unwrap();
        assert!(small.len() <= 10, "{} bytes", small.len());
    }

    #[test]
    fn depth_is_limited_on_both_sides() {
        assert!(nested(METADATA_DEPTH_MAX).encode().is_ok());
        assert_eq!(
            nested(METADATA_DEPTH_MAX + 1).encode(),
            Err(MetadataError::TooDeep)
        );
        // The bytes of a map that holds one list in another, thirty thousand times: no stack may be chosen
        // by a peer.
        let mut hostile = vec![1, 1, b'n'];
        hostile.extend(std::iter::repeat_n([6_u8, 1], 30_000).flatten());
        let error = Metadata::decode(&hostile).unwrap_err();
        assert!(
            error.to_string().contains("nested deeper"),
            "not refused for its depth: {error}"
        );
    }

    #[test]
    fn size_is_limited_on_both_sides() {
        let large = Metadata::from([("x", vec![0_u8; METADATA_BYTES_MAX])]);
        assert!(matches!(
            large.encode(),
            Err(MetadataError::TooLong { length_bytes }) if length_bytes > METADATA_BYTES_MAX
        ));
        assert_eq!(
            Metadata::decode(&vec![0; METADATA_BYTES_MAX + 1]),
            Err(MetadataError::TooLong {
                length_bytes: METADATA_BYTES_MAX + 1
            })
        );
    }
}
