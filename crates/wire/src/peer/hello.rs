//! Who an agent is, as it says to another one; and what is no such thing, since it is shown to people.

use dataflow_ids::{BootId, ClusterName, PeerId};
use serde::{Deserialize, Serialize};

use crate::peers::Offer;

/// The longest version of a `dataflow`, in bytes.
pub const VERSION_BYTES_MAX: usize = 64;
/// The most labels that a machine has.
pub const LABELS_MAX: usize = 64;
/// The longest key or value of a label, in bytes.
pub const LABEL_BYTES_MAX: usize = 128;

/// Who an agent is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// Its own id.
    pub from: PeerId,
    /// Whom it wants to speak to.
    pub to: PeerId,
    /// This start of it.
    pub boot: BootId,
    /// The version of its `dataflow`.
    pub version: String,
    /// What its machine has.
    pub offer: Offer,
}

/// What is wrong with a hello. It is shown to people, so nothing in it may move a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The version is no printable ASCII, or too long.
    #[error("its version is not of 1 to {VERSION_BYTES_MAX} printable characters")]
    Version,
    /// There are too many labels.
    #[error("it has {0} labels, and {LABELS_MAX} are allowed")]
    Labels(usize),
    /// A label has characters that cannot be shown, or is too long.
    #[error("one of its labels is not of at most {LABEL_BYTES_MAX} bytes that can be shown")]
    Label,
}

impl Hello {
    /// Looks whether everything in it can be shown.
    ///
    /// # Errors
    ///
    /// [`HelloError`] at the first thing that cannot.
    pub fn check(&self) -> Result<(), HelloError> {
        let version_fits = (1..=VERSION_BYTES_MAX).contains(&self.version.len())
            && self.version.bytes().all(|byte| byte.is_ascii_graphic());
        if !version_fits {
            return Err(HelloError::Version);
        }
        let labels = &self.offer.labels;
        if labels.len() > LABELS_MAX {
            return Err(HelloError::Labels(labels.len()));
        }
        let shows =
            |text: &String| text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control);
        if !labels.iter().all(|(key, value)| shows(key) && shows(value)) {
            return Err(HelloError::Label);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            cluster: ClusterName::new("default").unwrap(),
            from: PeerId::new("a").unwrap(),
            to: PeerId::new("b").unwrap(),
            boot: BootId(1),
            version: "0.1.0".to_owned(),
            offer: Offer::default(),
        }
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        assert_eq!(hello().check(), Ok(()));
        for version in ["", "0.1\x1b[2J", "é", &"1".repeat(65)] {
            let mut bad = hello();
            version.clone_into(&mut bad.version);
            assert_eq!(bad.check(), Err(HelloError::Version), "{version:?}");
        }
        let labelled = |labels: Vec<(String, String)>| {
            let mut hello = hello();
            hello.offer.labels = labels.into_iter().collect();
            hello.check()
        };
        let many = |count: usize| (0..count).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(labelled(many(64)), Ok(()));
        assert_eq!(labelled(many(65)), Err(HelloError::Labels(65)));
        let one = |value: &str| labelled(vec![("room".to_owned(), value.to_owned())]);
        assert_eq!(one("Küche"), Ok(()));
        assert_eq!(one("\x1b]0;"), Err(HelloError::Label));
        assert_eq!(one(&"k".repeat(129)), Err(HelloError::Label));
    }
}
