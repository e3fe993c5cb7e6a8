//! What the head of an HTTP answer means for a file of known length of which a part is there.
//!
//! Strict, because what is behind an answer is appended to what is there: RFC 9110, sections 14 and 15. Whatever passes
//! here, the hash decides in the end; this keeps a wrong answer from spoiling what was right.

use std::fmt;

/// How much of a file is there when it is asked for: `have_bytes` of `size_bytes`. When some are there, the request has
/// `Range: bytes=HAVE-`; otherwise it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Bytes that are in the partial file.
    pub have_bytes: u64,
    /// The length that the Hub lists.
    pub size_bytes: u64,
}

/// What of an answer's head decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head<'a> {
    /// Its status.
    pub status: u16,
    /// `Content-Length`, if there is one.
    pub content_length: Option<u64>,
    /// `Content-Range`, if there is one.
    pub content_range: Option<&'a str>,
    /// `Content-Encoding`, if there is one.
    pub content_encoding: Option<&'a str>,
}

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Its body follows on what is there: at most so many bytes of it.
    Append {
        /// How many bytes of the body belong to the file.
        bytes_max: u64,
    },
    /// Its body is the file from its first byte on: what is there goes, and the body takes its place.
    FromStart,
    /// All is there already: compare the hash.
    Complete,
    /// What is there does not fit to what the server has: it goes, and the file is asked for without a range.
    BeginAnew,
    /// Not an answer to what was asked. It may be another one next time; what is there stays.
    Wrong(WrongAnswer),
    /// Neither the file nor a part of it: a redirect, a refusal, a failure.
    Other,
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongAnswer {
    /// It is compressed, though that was not asked for.
    Encoded(String),
    /// It is of another length than it must be.
    Length {
        /// What it says.
        said_bytes: u64,
        /// What is right.
        right_bytes: u64,
    },
    /// It is another part than that asked for.
    Range(String),
    /// It is a part, though the whole was asked for.
    PartUnasked,
    /// It is no part, though one was asked for, and says no length: it may be anything.
    NoLength,
}

impl fmt::Display for WrongAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WrongAnswer::Encoded(how) => write!(f, "it sends the file encoded as `{how}`"),
            WrongAnswer::Length {
                said_bytes,
                right_bytes,
            } => write!(
                f,
                "it says {said_bytes} bytes where {right_bytes} are right"
            ),
            WrongAnswer::Range(what) => {
                write!(f, "it sends another part than that asked for: `{what}`")
            }
            WrongAnswer::NoLength => {
                f.write_str("it sends something of unknown length in place of the part asked for")
            }
            WrongAnswer::PartUnasked => {
                f.write_str("it sends a part, though the whole file was asked for")
            }
        }
    }
}

impl Asked {
    /// The value of the `Range` header, if there is one.
    #[must_use]
    pub fn range(&self) -> Option<String> {
        (self.have_bytes > 0).then(|| format!("bytes={}-", self.have_bytes))
    }

    /// What an answer means.
    #[must_use]
    pub fn meaning(&self, head: &Head<'_>) -> Meaning {
        if let 200 | 206 = head.status
            && let Some(encoding) = head.content_encoding.filter(|name| !is_identity(name))
        {
            return Meaning::Wrong(WrongAnswer::Encoded(shortened(encoding)));
        }
        match head.status {
            200 => self.whole(head),
            206 if self.have_bytes == 0 => Meaning::Wrong(WrongAnswer::PartUnasked),
            206 => self.part(head),
            416 if self.have_bytes == 0 => Meaning::Other,
            416 => self.not_satisfiable(head),
            _ => Meaning::Other,
        }
    }

    /// A 200: the whole file, also when a part was asked for (RFC 9110, 14.2: a server may ignore `Range`). Then it
    /// must have the right length: for the page of a portal, nothing that is there is given up.
    fn whole(&self, head: &Head<'_>) -> Meaning {
        match head.content_length {
            Some(said_bytes) if said_bytes != self.size_bytes => {
                Meaning::Wrong(WrongAnswer::Length {
                    said_bytes,
                    right_bytes: self.size_bytes,
                })
            }
            None if self.have_bytes > 0 => Meaning::Wrong(WrongAnswer::NoLength),
            _ => Meaning::FromStart,
        }
    }

    /// A 206: it must begin where we go on, and be a part of a file of that length. It may end before the file does.
    fn part(&self, head: &Head<'_>) -> Meaning {
        let text = head.content_range.unwrap_or("");
        let Some((first, last)) = part_range(text, self.size_bytes) else {
            return Meaning::Wrong(WrongAnswer::Range(shortened(text)));
        };
        if first != self.have_bytes || last < first || last >= self.size_bytes {
            return Meaning::Wrong(WrongAnswer::Range(shortened(text)));
        }
        let right_bytes = last - first + 1;
        match head.content_length {
            Some(said_bytes) if said_bytes != right_bytes => Meaning::Wrong(WrongAnswer::Length {
                said_bytes,
                right_bytes,
            }),
            _ => Meaning::Append {
                bytes_max: right_bytes,
            },
        }
    }

    /// A 416: there is nothing after what is there. That is right when all is there, and when the server knows the same
    /// length; otherwise one of both is wrong about the file.
    fn not_satisfiable(&self, head: &Head<'_>) -> Meaning {
        let total = head
            .content_range
            .and_then(|text| text.trim().strip_prefix("bytes */"))
            .and_then(digits);
        if self.have_bytes == self.size_bytes && total == Some(self.size_bytes) {
            Meaning::Complete
        } else {
            Meaning::BeginAnew
        }
    }
}

/// The first and the last byte of `bytes FIRST-LAST/SIZE`, if SIZE is the one expected.
fn part_range(text: &str, size_bytes: u64) -> Option<(u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    (digits(total)? == size_bytes).then_some((digits(first)?, digits(last)?))
}

/// A number of nothing but digits: `u64::from_str` also takes a `+`.
fn digits(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn is_identity(name: &str) -> bool {
    name.trim().is_empty() || name.trim().eq_ignore_ascii_case("identity")
}

/// What a server says, short enough for one line.
fn shortened(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(80)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Asked = Asked {
        have_bytes: 0,
        size_bytes: 100,
    };
    const PART: Asked = Asked {
        have_bytes: 40,
        size_bytes: 100,
    };
    const ALL: Asked = Asked {
        have_bytes: 100,
        size_bytes: 100,
    };

    fn head(status: u16, length: Option<u64>, range: Option<&'static str>) -> Head<'static> {
        Head {
            status,
            content_length: length,
            content_range: range,
            content_encoding: None,
        }
    }

    fn length(said_bytes: u64, right_bytes: u64) -> Meaning {
        Meaning::Wrong(WrongAnswer::Length {
            said_bytes,
            right_bytes,
        })
    }

    #[test]
    fn a_range_is_asked_for_only_when_something_is_there() {
        assert_eq!(FRESH.range(), None);
        assert_eq!(PART.range().as_deref(), Some("bytes=40-"));
    }

    #[test]
    fn a_200_is_the_file_from_its_start_also_when_a_part_was_asked_for() {
        for asked in [FRESH, PART, ALL] {
            assert_eq!(
                asked.meaning(&head(200, Some(100), None)),
                Meaning::FromStart
            );
            assert_eq!(asked.meaning(&head(200, Some(99), None)), length(99, 100));
        }
    }

    #[test]
    fn a_200_of_unknown_length_takes_the_place_of_nothing_that_is_there() {
        let unknown = head(200, None, None);
        assert_eq!(FRESH.meaning(&unknown), Meaning::FromStart);
        for asked in [PART, ALL] {
            let wrong = Meaning::Wrong(WrongAnswer::NoLength);
            assert_eq!(asked.meaning(&unknown), wrong);
        }
    }

    #[test]
    fn a_206_is_appended_only_when_it_begins_where_we_go_on_and_has_the_right_total() {
        let append = |bytes_max| Meaning::Append { bytes_max };
        let fits = "bytes 40-99/100";
        assert_eq!(PART.meaning(&head(206, Some(60), Some(fits))), append(60));
        assert_eq!(PART.meaning(&head(206, None, Some(fits))), append(60));
        assert_eq!(
            PART.meaning(&head(206, Some(10), Some("bytes 40-49/100"))),
            append(10),
            "a server may send less than was asked for"
        );
        assert_eq!(
            PART.meaning(&head(206, Some(59), Some(fits))),
            length(59, 60)
        );
        for wrong in [
            "bytes 41-99/100",
            "bytes 39-99/100",
            "bytes 0-99/100",
            "bytes 40-99/101",
            "bytes 40-99/*",
            "bytes 40-100/100",
            "bytes 40-39/100",
            "bytes +40-99/100",
            "bytes 40-99",
            "bytes */100",
            "items 40-99/100",
            "bytes 40-18446744073709551616/100",
            "",
        ] {
            assert_eq!(
                PART.meaning(&head(206, None, Some(wrong))),
                Meaning::Wrong(WrongAnswer::Range(wrong.to_owned())),
                "{wrong}"
            );
        }
        assert!(matches!(
            PART.meaning(&head(206, Some(60), None)),
            Meaning::Wrong(WrongAnswer::Range(_))
        ));
        assert_eq!(
            FRESH.meaning(&head(206, Some(100), Some("bytes 0-99/100"))),
            Meaning::Wrong(WrongAnswer::PartUnasked)
        );
    }

    #[test]
    fn a_416_is_completeness_only_when_all_is_there_and_the_server_knows_the_same_length() {
        let total = |text| head(416, None, Some(text));
        assert_eq!(ALL.meaning(&total("bytes */100")), Meaning::Complete);
        assert_eq!(ALL.meaning(&total("bytes */99")), Meaning::BeginAnew);
        assert_eq!(ALL.meaning(&head(416, None, None)), Meaning::BeginAnew);
        assert_eq!(PART.meaning(&total("bytes */100")), Meaning::BeginAnew);
        assert_eq!(FRESH.meaning(&total("bytes */100")), Meaning::Other);
    }

    #[test]
    fn an_encoded_body_is_refused_and_identity_is_none() {
        for (encoding, is_refused) in [("gzip", true), ("identity", false), (" Identity ", false)] {
            let head = Head {
                content_encoding: Some(encoding),
                ..head(200, Some(100), None)
            };
            let meaning = FRESH.meaning(&head);
            assert_eq!(
                matches!(meaning, Meaning::Wrong(WrongAnswer::Encoded(_))),
                is_refused
            );
        }
    }

    #[test]
    fn all_else_is_no_file() {
        for status in [100, 204, 302, 307, 401, 403, 404, 429, 500, 503] {
            assert_eq!(PART.meaning(&head(status, Some(60), None)), Meaning::Other);
        }
    }
}
