//! The words of peers: keys, starts, connections, and how a peer stands.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What every fingerprint begins with, as people write it.
const PREFIX: &str = "sha256:";
/// The hexadecimal digits of a fingerprint.
const DIGITS: usize = 64;

/// The SHA-256 of a peer's public key (its `SubjectPublicKeyInfo`, DER), by which the key is pinned. As text:
/// `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Why a text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// It does not begin with `sha256:`.
    #[error("a fingerprint begins with `sha256:`")]
    NoPrefix,
    /// It does not have 64 digits after that.
    #[error("a fingerprint has {DIGITS} hexadecimal digits after `sha256:`, this one has {0}")]
    Length(usize),
    /// It has something else than hexadecimal digits.
    #[error("a fingerprint has hexadecimal digits, and {0:?} is none")]
    BadDigit(char),
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let digits = text
            .strip_prefix(PREFIX)
            .ok_or(FingerprintError::NoPrefix)?;
        let mut bytes = [0; 32];
        let mut count = 0;
        for (place, character) in digits.chars().enumerate() {
            let digit = character
                .to_digit(16)
                .ok_or(FingerprintError::BadDigit(character))?;
            if let Some(byte) = bytes.get_mut(place / 2) {
                *byte = *byte << 4 | digit as u8;
            }
            count = place + 1;
        }
        if count != DIGITS {
            return Err(FingerprintError::Length(count));
        }
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// How peers are watched: `health_check` in `peers.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    /// Between two probes of a peer that answers; jittered.
    pub interval: Duration,
    /// How long the answer to a probe, and a dial, may take.
    pub timeout: Duration,
    /// After how many misses in a row a peer is unreachable; at least 1.
    pub unreachable_after: u32,
}

impl Default for HealthCheck {
    fn default() -> HealthCheck {
        HealthCheck {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unreachable_after: 3,
        }
    }
}

/// One start of an agent: a random number, made anew each time. Two hellos with one boot id come from one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub u64);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One connection to another agent, in the process that has it. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkId(pub u64);

/// How a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerState {
    /// Connected, and it answers.
    Healthy,
    /// Not connected at this moment, or slow; not given up.
    Degraded,
    /// Several probes in a row had no answer.
    Unreachable,
    /// It is there, and it is not what the file says: another key, another cluster, another id.
    Rejected,
}

impl PeerState {
    /// The state's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            PeerState::Healthy => "healthy",
            PeerState::Degraded => "degraded",
            PeerState::Unreachable => "unreachable",
            PeerState::Rejected => "rejected",
        }
    }

    /// The mark in lists and pages.
    #[must_use]
    pub fn mark(self) -> char {
        match self {
            PeerState::Healthy => '●',
            PeerState::Degraded => '◐',
            PeerState::Unreachable => '✗',
            PeerState::Rejected => '⛔',
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_what_it_writes_and_says_what_is_wrong() {
        let text = format!("sha256:{}", "0aF9".repeat(16));
        let read: Fingerprint = text.parse().unwrap();
        assert_eq!(read.to_string(), text.to_lowercase());
        assert_eq!(read.to_string().parse(), Ok(read));
        let error = |text: &str| text.parse::<Fingerprint>().unwrap_err();
        assert_eq!(error("0a"), FingerprintError::NoPrefix);
        assert_eq!(error("sha256:0a"), FingerprintError::Length(2));
        assert_eq!(error(&format!("{text}00")), FingerprintError::Length(66));
        assert_eq!(error("sha256:0g"), FingerprintError::BadDigit('g'));
    }
}
