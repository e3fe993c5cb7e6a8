//! How metadata goes through serde: bytes in one piece, and a depth that a peer cannot choose.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{METADATA_DEPTH_MAX, Metadata, MetadataError, Value};

/// The kinds of [`Value`], in the order of their numbers.
const VARIANTS: &[&str] = &["Null", "Bool", "I64", "F64", "Str", "Bytes", "List", "Map"];

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const NAME: &str = "Value";
        match self {
            Value::Null => serializer.serialize_unit_variant(NAME, 0, VARIANTS[0]),
            Value::Bool(v) => serializer.serialize_newtype_variant(NAME, 1, VARIANTS[1], v),
            Value::I64(v) => serializer.serialize_newtype_variant(NAME, 2, VARIANTS[2], v),
            Value::F64(v) => serializer.serialize_newtype_variant(NAME, 3, VARIANTS[3], v),
            Value::Str(v) => serializer.serialize_newtype_variant(NAME, 4, VARIANTS[4], v),
            Value::Bytes(v) => {
                serializer.serialize_newtype_variant(NAME, 5, VARIANTS[5], &RawBytes(v))
            }
            Value::List(v) => serializer.serialize_newtype_variant(NAME, 6, VARIANTS[6], v),
            Value::Map(v) => serializer.serialize_newtype_variant(NAME, 7, VARIANTS[7], v),
        }
    }
}

/// Bytes in one piece: serde would write a slice byte by byte.
struct RawBytes<'a>(&'a [u8]);

impl Serialize for RawBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
        Levels(METADATA_DEPTH_MAX)
            .map_seed()
            .deserialize(deserializer)
    }
}

/// How many levels may still be opened. Decoding is recursive, so a peer's bytes must not choose its depth.
#[derive(Clone, Copy)]
struct Levels(usize);

impl Levels {
    fn map_seed(self) -> MapSeed {
        MapSeed(self)
    }

    fn open<E: serde::de::Error>(self) -> Result<Levels, E> {
        match self.0.checked_sub(1) {
            Some(left) => Ok(Levels(left)),
            None => Err(E::custom(MetadataError::TooDeep)),
        }
    }
}

struct MapSeed(Levels);
struct ListSeed(Levels);
struct ValueSeed(Levels);
struct BytesSeed;

impl<'de> DeserializeSeed<'de> for MapSeed {
    type Value = Metadata;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Metadata, D::Error> {
        deserializer.deserialize_map(MapSeed(self.0.open()?))
    }
}

impl<'de> Visitor<'de> for MapSeed {
    type Value = Metadata;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of metadata")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Metadata, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            map.insert(key, access.next_value_seed(ValueSeed(self.0))?);
        }
        Ok(Metadata(map))
    }
}

impl<'de> DeserializeSeed<'de> for ListSeed {
    type Value = Vec<Value>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Value>, D::Error> {
        deserializer.deserialize_seq(ListSeed(self.0.open()?))
    }
}

impl<'de> Visitor<'de> for ListSeed {
    type Value = Vec<Value>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of values")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Vec<Value>, A::Error> {
        // The announced length is a peer's word: nothing is reserved on it.
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(ValueSeed(self.0))? {
            values.push(value);
        }
        Ok(values)
    }
}

impl<'de> DeserializeSeed<'de> for BytesSeed {
    type Value = Vec<u8>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for BytesSeed {
    type Value = Vec<u8>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }
    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_enum("Value", VARIANTS, self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of metadata")
    }
    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        let (variant, content) = access.variant::<u32>()?;
        Ok(match variant {
            0 => {
                content.unit_variant()?;
                Value::Null
            }
            1 => Value::Bool(content.newtype_variant()?),
            2 => Value::I64(content.newtype_variant()?),
            3 => Value::F64(content.newtype_variant()?),
            4 => Value::Str(content.newtype_variant()?),
            5 => Value::Bytes(content.newtype_variant_seed(BytesSeed)?),
            6 => Value::List(content.newtype_variant_seed(ListSeed(self.0))?),
            7 => Value::Map(content.newtype_variant_seed(self.0.map_seed())?),
            other => {
                return Err(A::Error::custom(format_args!(
                    "there is no kind {other} of value"
                )));
            }
        })
    }
}
