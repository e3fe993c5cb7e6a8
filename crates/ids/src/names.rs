//! Names that people write: dataflows, nodes, outputs, inputs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The longest name accepted, in bytes.
pub const NAME_LENGTH_MAX: usize = 64;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name may not be empty")]
    Empty,
    /// The text is longer than [`NAME_LENGTH_MAX`] bytes.
    #[error("a name has at most {NAME_LENGTH_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The text has a character that names do not have.
    #[error(
        "a name has letters, digits, `_`, `-` and `.`, and begins with a letter, a digit or `_`; \
         `{0}` is not allowed here"
    )]
    BadCharacter(char),
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_LENGTH_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    for (place, character) in text.chars().enumerate() {
        let allowed = character.is_ascii_alphanumeric()
            || character == '_'
            || (place > 0 && (character == '-' || character == '.'));
        if !allowed {
            return Err(NameError::BadCharacter(character));
        }
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks `text` and makes a name of it.
            ///
            /// # Errors
            ///
            /// [`NameError`] when the text is empty, longer than [`NAME_LENGTH_MAX`] bytes, or has a
            /// character outside `[A-Za-z0-9_.-]`, or begins with `.` or `-`.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A dataflow's name: the `name` key of its YAML, or the file's stem.
    DataflowName
);
name!(
    /// A node's `id`, unique in its dataflow.
    NodeId
);
name!(
    /// An output port's name, unique in its node.
    OutputId
);
name!(
    /// An input port's name, unique in its node.
    InputId
);
name!(
    /// A model's name in its dataflow: a key of `models`.
    ModelName
);
name!(
    /// A peer's `id` in `peers.yaml`: the name of a machine that runs the runtime.
    PeerId
);
name!(
    /// The name of a set of peers that belong together: `cluster` in `peers.yaml`.
    ClusterName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_letters_digits_and_few_signs() {
        for good in ["camera", "a", "_x", "7up", "left-eye.raw", &"n".repeat(64)] {
            assert!(NodeId::new(good).is_ok(), "{good}");
        }
        assert_eq!(NodeId::new(""), Err(NameError::Empty));
        assert_eq!(NodeId::new("n".repeat(65)), Err(NameError::TooLong(65)));
        for (bad, sign) in [
            ("../x", '.'),
            ("-x", '-'),
            ("a/b", '/'),
            ("a b", ' '),
            ("é", 'é'),
        ] {
            assert_eq!(
                NodeId::new(bad),
                Err(NameError::BadCharacter(sign)),
                "{bad}"
            );
        }
    }
}
