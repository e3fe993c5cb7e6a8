//! What a client asks: its head, read from a connection, and the parts of its target.

use std::io::{self, Read};

/// The longest head that is read, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most header lines that are read.
const HEADERS_MAX: usize = 100;

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// As it came: the path and the query, percent-encoded.
    pub(super) target: String,
    /// In their order; the names in lower case.
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, whose name is given in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(have, _)| have == name)?;
        Some(value)
    }

    /// Whether only the head of the answer is wanted.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether the connection ends with the answer.
    fn wants_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    /// The token that it shows.
    pub(super) fn token(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The parts of the path, decoded after they were split: a `%2F` is no slash between parts.
    pub(super) fn parts(&self) -> Vec<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.split('/').skip(1).map(decode).collect()
    }

    /// The value of a field of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| {
            let (have, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(have) == name).then(|| decode(value))
        })
    }

    /// The part of `size_bytes` bytes that is asked for.
    pub(super) fn range(&self, size_bytes: u64) -> Asked {
        let Some(wanted) = self
            .header("range")
            .and_then(|value| value.strip_prefix("bytes="))
        else {
            return Asked::Everything;
        };
        let Some((first, last)) = wanted.split_once('-') else {
            return Asked::Everything;
        };
        let (first, last) = (first.trim().parse::<u64>(), last.trim().parse::<u64>());
        match (first, last) {
            (Ok(first), Ok(last)) if last < first => Asked::Everything,
            (Ok(first), _) if first >= size_bytes => Asked::Unsatisfiable,
            (Ok(first), Ok(last)) => Asked::Part(first, last.min(size_bytes - 1)),
            (Ok(first), Err(_)) if wanted.ends_with('-') => Asked::Part(first, size_bytes - 1),
            (Err(_), Ok(0)) => Asked::Unsatisfiable,
            (Err(_), Ok(_)) if size_bytes == 0 => Asked::Unsatisfiable,
            (Err(_), Ok(last)) if wanted.starts_with('-') => {
                Asked::Part(size_bytes.saturating_sub(last), size_bytes - 1)
            }
            // Several parts, or nonsense: a server may answer with the whole.
            _ => Asked::Everything,
        }
    }
}

/// What a `Range` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Everything,
    /// From the first to the last byte, both counted.
    Part(u64, u64),
    /// It begins behind the end.
    Unsatisfiable,
}

/// A connection from which heads are read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// What came and was not looked at yet.
    buffer: Vec<u8>,
}

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    /// A request, and whether the client wants the connection to end with the answer.
    Request(Head, bool),
    /// No HTTP, or too long.
    Nonsense(String),
    /// The client has gone.
    End,
}

impl Reading {
    /// The next request, without its body, which is read and dropped.
    pub(super) fn next(&mut self, stream: &mut impl Read) -> io::Result<Came> {
        loop {
            if let Some(came) = self.parse() {
                let Came::Request(head, _) = &came else {
                    return Ok(came);
                };
                let body = head.header("content-length").unwrap_or("0");
                let Ok(body) = body.parse() else {
                    return Ok(Came::Nonsense(format!("Content-Length: {body}")));
                };
                return Ok(match self.skip(stream, body)? {
                    true => came,
                    false => Came::End,
                });
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Ok(Came::Nonsense("the head is too long".to_owned()));
            }
            if !self.more(stream)? {
                return Ok(Came::End);
            }
        }
    }

    fn parse(&mut self) -> Option<Came> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(&self.buffer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return None,
            Err(error) => return Some(Came::Nonsense(error.to_string())),
        };
        let head = Head {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            headers: request
                .headers
                .iter()
                .map(|header| {
                    let value = String::from_utf8_lossy(header.value).into_owned();
                    (header.name.to_ascii_lowercase(), value)
                })
                .collect(),
        };
        let is_last = head.wants_close() || request.version == Some(0);
        self.buffer.drain(..length);
        Some(Came::Request(head, is_last))
    }

    /// Drops a body. `false` when the client goes before its end.
    fn skip(&mut self, stream: &mut impl Read, mut length: u64) -> io::Result<bool> {
        loop {
            let here = length.min(self.buffer.len() as u64);
            self.buffer
                .drain(..usize::try_from(here).map_err(io::Error::other)?);
            length -= here;
            if length == 0 {
                return Ok(true);
            }
            if !self.more(stream)? {
                return Ok(false);
            }
        }
    }

    fn more(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        let mut chunk = [0; 8 * 1024];
        let count = stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }
}

/// Undoes percent-encoding. What is not right in it stays as it is.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let byte = (bytes[place] == b'%')
            .then(|| bytes.get(place + 1..place + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(byte.unwrap_or(bytes[place]));
        place += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Percent-encodes a path: everything but letters, digits, `-._~` and `/`.
pub(super) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(range: &str) -> Head {
        Head {
            method: "GET".to_owned(),
            target: "/a%2Fb/c%20d?x=1&blobs=true".to_owned(),
            headers: vec![("range".to_owned(), range.to_owned())],
        }
    }

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        for (range, asked) in [
            ("bytes=0-0", Asked::Part(0, 0)),
            ("bytes=3-", Asked::Part(3, 9)),
            ("bytes=3-100", Asked::Part(3, 9)),
            ("bytes=-4", Asked::Part(6, 9)),
            ("bytes=-40", Asked::Part(0, 9)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=5-3", Asked::Everything),
            ("bytes=0-1,3-4", Asked::Everything),
            ("bytes=x-y", Asked::Everything),
            ("lines=1-2", Asked::Everything),
        ] {
            assert_eq!(asking(range).range(10), asked, "{range}");
        }
        assert_eq!(asking("bytes=0-").range(0), Asked::Unsatisfiable);
        assert_eq!(asking("bytes=-1").range(0), Asked::Unsatisfiable);
    }

    #[test]
    fn a_target_is_split_before_it_is_decoded() {
        let head = asking("");
        assert_eq!(head.parts(), ["a/b", "c d"]);
        assert_eq!(head.query("blobs").as_deref(), Some("true"));
        assert_eq!(head.query("nothing"), None);
        assert_eq!(decode("100%"), "100%");
        assert_eq!(encode("a b/ü"), "a%20b/%C3%BC");
    }

    #[test]
    fn requests_that_come_in_one_piece_are_read_one_by_one() {
        let mut stream: &[u8] =
            b"GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /c HTTP/1.1\r\n\r\n";
        let mut reading = Reading::default();
        for target in ["/a", "/b", "/c"] {
            match reading.next(&mut stream).unwrap() {
                Came::Request(head, is_last) => {
                    assert_eq!(head.target, target);
                    assert!(!is_last);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(reading.next(&mut stream).unwrap(), Came::End));
    }
}
