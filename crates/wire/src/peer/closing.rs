//! Why a side ends a connection: the code and the reason of QUIC's close. Their form never changes, so that agents of
//! different versions understand why they cannot speak.

use dataflow_ids::{ClusterName, PeerId};

/// Why a connection ends that both sides had taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// Another connection between the two is kept.
    Superseded,
    /// The agent ends.
    Ending,
    /// The peer is not in the file any more, or its entry has changed.
    Reconfigured,
    /// Another agent with the same id is connected, and lives.
    DuplicateId,
    /// What came was no message.
    Garbage,
    /// Probes on it had no answer.
    Unanswered,
}

impl Goodbye {
    const ALL: [Goodbye; 6] = [
        Goodbye::Superseded,
        Goodbye::Ending,
        Goodbye::Reconfigured,
        Goodbye::DuplicateId,
        Goodbye::Garbage,
        Goodbye::Unanswered,
    ];

    /// The code of the close.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Goodbye::Superseded => 1,
            Goodbye::Ending => 2,
            Goodbye::Reconfigured => 3,
            Goodbye::DuplicateId => 4,
            Goodbye::Garbage => 5,
            Goodbye::Unanswered => 6,
        }
    }

    /// Which one the code stands for.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Goodbye> {
        Self::ALL
            .into_iter()
            .find(|goodbye| u64::from(goodbye.code()) == code)
    }
}

/// Why a side does not take the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It speaks another version.
    Protocol {
        /// The version of who refuses.
        ours: u32,
    },
    /// It belongs to another cluster.
    Cluster {
        /// The cluster of who refuses.
        ours: ClusterName,
    },
    /// Somebody else is meant.
    Peer {
        /// The id of who refuses.
        ours: PeerId,
    },
    /// The other one is not in the file.
    NotListed,
    /// The key that came is not that of whom it says to be.
    Key,
    /// Both ends are one agent.
    Itself,
    /// There are too many connections from that peer, or they come too fast.
    TooMany,
    /// What came was no conversation of ours.
    Garbage,
}

impl Refusal {
    /// The code and the reason of the close.
    #[must_use]
    pub fn to_close(&self) -> (u32, Vec<u8>) {
        match self {
            Refusal::Protocol { ours } => (32, ours.to_string().into_bytes()),
            Refusal::Cluster { ours } => (33, ours.as_str().as_bytes().to_vec()),
            Refusal::Peer { ours } => (34, ours.as_str().as_bytes().to_vec()),
            Refusal::NotListed => (35, Vec::new()),
            Refusal::Key => (36, Vec::new()),
            Refusal::Itself => (37, Vec::new()),
            Refusal::TooMany => (38, Vec::new()),
            Refusal::Garbage => (39, Vec::new()),
        }
    }

    /// Which one a close stands for; `None` when it is no refusal of ours.
    #[must_use]
    pub fn from_close(code: u64, reason: &[u8]) -> Option<Refusal> {
        let text = std::str::from_utf8(reason).ok();
        Some(match code {
            32 => Refusal::Protocol {
                ours: text?.parse().ok()?,
            },
            33 => Refusal::Cluster {
                ours: ClusterName::new(text?).ok()?,
            },
            34 => Refusal::Peer {
                ours: PeerId::new(text?).ok()?,
            },
            35 => Refusal::NotListed,
            36 => Refusal::Key,
            37 => Refusal::Itself,
            38 => Refusal::TooMany,
            39 => Refusal::Garbage,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_reads_what_it_writes_and_takes_nothing_hostile() {
        let peer = || PeerId::new("gpu-a").unwrap();
        for refusal in [
            Refusal::Protocol { ours: 7 },
            Refusal::Cluster {
                ours: ClusterName::new("lab").unwrap(),
            },
            Refusal::Peer { ours: peer() },
            Refusal::NotListed,
            Refusal::Key,
            Refusal::Itself,
            Refusal::TooMany,
            Refusal::Garbage,
        ] {
            let (code, reason) = refusal.to_close();
            assert_eq!(Goodbye::from_code(code.into()), None);
            assert_eq!(Refusal::from_close(code.into(), &reason), Some(refusal));
        }
        for goodbye in Goodbye::ALL {
            let code = u64::from(goodbye.code());
            assert_eq!(Goodbye::from_code(code), Some(goodbye));
            assert_eq!(Refusal::from_close(code, b""), None);
        }
        for reason in [&b"\x1b[2J"[..], b"\xff", b"", &[b'a'; 100]] {
            assert_eq!(Refusal::from_close(33, reason), None);
            assert_eq!(Refusal::from_close(32, reason), None);
        }
    }
}
