//! How an answer is sent: at once and as it is, or otherwise.

use std::time::Duration;

use super::fault::Ending;

/// How an answer is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) begin: Begin,
    pub(super) framing: Framing,
    /// The byte of the file of which a bit is another one.
    pub(super) flip_at: Option<u64>,
    /// The connection ends after so many bytes of the body.
    pub(super) end_after: Option<(u64, Ending)>,
    /// Silence after so many bytes of the body.
    pub(super) stall_after: Option<u64>,
    /// So many bytes at once, so often.
    pub(super) drip: Option<(usize, Duration)>,
    /// So fast, at most.
    pub(super) bytes_per_second: Option<u64>,
}

/// What comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Begin {
    #[default]
    Head,
    /// The head, but late.
    HeadAfter(Duration),
    /// Nothing, for ever.
    Nothing,
    /// The end of the connection.
    End(Ending),
    /// What is no HTTP.
    Nonsense,
}

/// How the end of the body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`, and by how much it is more than the body.
    Length(i64),
    /// The end of the connection.
    Close,
    /// Chunks.
    Chunks,
}

impl Default for Framing {
    fn default() -> Framing {
        Framing::Length(0)
    }
}
