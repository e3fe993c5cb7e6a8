//! What can go wrong between a Hub and its client, and when it shall.

use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive};
use std::time::Duration;

use super::record::Stage;

/// Something that goes wrong with one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends in the middle of the body.
    Cut {
        /// After so many bytes of it. With [`Ending::Rst`] fewer may arrive.
        after_bytes: u64,
        /// How.
        ending: Ending,
    },
    /// The connection ends before anything was answered.
    NoAnswer(Ending),
    /// Nothing is ever answered, and the connection stays.
    Mute,
    /// The connection stays silent in the middle of the body, until [`FakeHub::release`](super::FakeHub::release).
    Stall {
        /// After so many bytes of it.
        after_bytes: u64,
    },
    /// The body comes drop by drop.
    Drip {
        /// So many bytes at once.
        bytes: usize,
        /// So often.
        every: Duration,
    },
    /// The body comes slowly.
    Slow {
        /// So many bytes a second.
        bytes_per_second: u64,
    },
    /// The head comes late.
    DelayedHead(Duration),
    /// What comes is no HTTP.
    NoHttp,
    /// The body ends before the file does, and its head says the same length as the body has.
    ShortBody {
        /// So many bytes before.
        missing_bytes: u64,
    },
    /// The body goes on behind the end of the file, and its head says the same length as the body has.
    LongBody {
        /// So many bytes behind.
        extra_bytes: usize,
    },
    /// `Content-Length` says another length than the body has. The connection ends with the body.
    LyingLength {
        /// By how much it says more, or less.
        by_bytes: i64,
    },
    /// There is no `Content-Length`: the end of the connection is the end of the body.
    AbsentLength {
        /// It ends after so many bytes; `None`: with the body.
        after_bytes: Option<u64>,
    },
    /// There is no `Content-Length`: the body comes in chunks.
    Chunked {
        /// The connection ends after so many bytes; `None`: the body ends as it should.
        after_bytes: Option<u64>,
    },
    /// One bit of the body is another one.
    FlippedByte {
        /// In this byte of the file.
        at: u64,
    },
    /// A page for people comes instead, as from a proxy or a portal.
    ErrorPage {
        /// With this status: 200, 403, 502, …
        status: u16,
    },
    /// A page for people comes instead, as if it were the file, in chunks: nothing says how long it is.
    ChunkedPage,
    /// A refusal comes instead.
    Status {
        /// With this status: 408, 416, 429, 500, …
        status: u16,
        /// When to come back.
        retry_after: RetryAfter,
    },
    /// The whole file comes, whatever range was asked for.
    IgnoredRange,
    /// A part of the file comes, and something about it is wrong; also when no part was asked for.
    WrongRange(WrongRange),
    /// The file has another `ETag` (and `X-Linked-Etag`) than before; its content is the same.
    ChangedEtag,
    /// The file has another length than the Hub lists (and `X-Linked-Size`).
    ChangedSize {
        /// By how much it is longer, or shorter.
        by_bytes: i64,
    },
    /// Redirects that lead nowhere.
    RedirectLoop,
    /// A redirect to the same thing without encryption.
    RedirectToPlain,
    /// The body is packed, though nobody asked for it.
    Gzip,
    /// The link to the CDN has expired.
    ExpiredLink,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As if all were said: FIN.
    Fin,
    /// As if nobody were there any more: RST.
    Rst,
}

/// What a refusal says about when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Nothing.
    Nothing,
    /// `Retry-After`, in seconds.
    Seconds(u64),
    /// `Retry-After`, as a date so many seconds from now.
    Date(u64),
    /// `RateLimit`, as the Hub does: nothing left for so many seconds.
    RateLimit(u64),
    /// `Retry-After` with nonsense in it.
    Nonsense,
}

/// What is wrong with a part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongRange {
    /// It begins a byte later than asked, and `Content-Range` says so.
    OtherStart,
    /// It begins a byte later than asked, and `Content-Range` says that it does not.
    HiddenShift,
    /// `Content-Range` says that the file is a byte longer.
    OtherTotal,
    /// There is no `Content-Range`.
    Missing,
    /// `Content-Range` is nonsense.
    Garbled,
}

impl Fault {
    /// Each of them once or more, for an answer whose body is `body` of a file: some thousands of bytes at least. What
    /// takes time takes `slowness`; those that are for ever ([`Fault::Mute`], [`Fault::Stall`]) are among them.
    #[must_use]
    pub fn all(body: Range<u64>, slowness: Duration) -> Vec<Fault> {
        let size_bytes = body.end - body.start;
        let half = size_bytes / 2;
        let mut all = Vec::new();
        for ending in [Ending::Fin, Ending::Rst] {
            all.push(Fault::NoAnswer(ending));
            for after_bytes in [0, 1, half, size_bytes - 1] {
                all.push(Fault::Cut {
                    after_bytes,
                    ending,
                });
            }
        }
        all.extend([
            Fault::Mute,
            Fault::Stall { after_bytes: 0 },
            Fault::Stall { after_bytes: half },
            Fault::Drip {
                bytes: usize::try_from(size_bytes / 10).unwrap_or(usize::MAX),
                every: slowness / 10,
            },
            Fault::Slow {
                bytes_per_second: (size_bytes as f64 / slowness.as_secs_f64()) as u64,
            },
            Fault::DelayedHead(slowness),
            Fault::NoHttp,
            Fault::ShortBody { missing_bytes: 1 },
            Fault::ShortBody {
                missing_bytes: half,
            },
            Fault::LongBody { extra_bytes: 1 },
            Fault::LongBody {
                extra_bytes: 100_000,
            },
            Fault::LyingLength { by_bytes: 1 },
            Fault::LyingLength { by_bytes: -1 },
            Fault::AbsentLength { after_bytes: None },
            Fault::AbsentLength {
                after_bytes: Some(half),
            },
            Fault::Chunked { after_bytes: None },
            Fault::Chunked {
                after_bytes: Some(half),
            },
            Fault::FlippedByte { at: body.start },
            Fault::FlippedByte { at: body.end - 1 },
            Fault::IgnoredRange,
            Fault::ChangedEtag,
            Fault::ChangedSize { by_bytes: 1 },
            Fault::ChangedSize { by_bytes: -1 },
            Fault::ChunkedPage,
            Fault::RedirectLoop,
            Fault::RedirectToPlain,
            Fault::Gzip,
            Fault::ExpiredLink,
        ]);
        all.extend([200, 403, 404, 502].map(|status| Fault::ErrorPage { status }));
        for retry_after in [
            RetryAfter::Nothing,
            RetryAfter::Seconds(1),
            RetryAfter::Date(1),
            RetryAfter::RateLimit(1),
            RetryAfter::Nonsense,
        ] {
            all.extend([429, 503].map(|status| Fault::Status {
                status,
                retry_after,
            }));
        }
        all.extend(
            [400, 401, 408, 416, 418, 500, 504].map(|status| Fault::Status {
                status,
                retry_after: RetryAfter::Nothing,
            }),
        );
        all.extend(
            [
                WrongRange::OtherStart,
                WrongRange::HiddenShift,
                WrongRange::OtherTotal,
                WrongRange::Missing,
                WrongRange::Garbled,
            ]
            .map(Fault::WrongRange),
        );
        all
    }
}

/// Which requests are counted together, to say which of them goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Those of one stage for one file, by its path in the repository. A [`Stage::Content`] counts `GET` alone.
    File(Stage, String),
    /// Those of one stage.
    Stage(Stage),
    /// All.
    Anywhere,
}

impl From<&str> for Place {
    /// The transfers of a file.
    fn from(path: &str) -> Place {
        Place::File(Stage::Content, path.to_owned())
    }
}

impl From<Stage> for Place {
    fn from(stage: Stage) -> Place {
        Place::Stage(stage)
    }
}

/// Which of the requests of a [`Place`] go wrong, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts(RangeInclusive<u32>);

impl Attempts {
    /// Whether this one does.
    pub(super) fn contains(&self, attempt: u32) -> bool {
        self.0.contains(&attempt)
    }
}

impl From<u32> for Attempts {
    fn from(only: u32) -> Attempts {
        Attempts(only..=only)
    }
}

impl From<RangeInclusive<u32>> for Attempts {
    fn from(attempts: RangeInclusive<u32>) -> Attempts {
        Attempts(attempts)
    }
}

impl From<RangeFrom<u32>> for Attempts {
    fn from(attempts: RangeFrom<u32>) -> Attempts {
        Attempts(attempts.start..=u32::MAX)
    }
}

impl From<RangeFull> for Attempts {
    fn from(_: RangeFull) -> Attempts {
        Attempts(0..=u32::MAX)
    }
}
