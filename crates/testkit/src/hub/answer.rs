//! What is answered: a status, header lines and a body, before anything is written.

use std::io;
use std::ops::Range;

use serde_json::Value;

use super::content::Content;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In their order. `Content-Length` is not among them: it is `length`.
    pub(super) headers: Vec<(String, String)>,
    /// What follows the head.
    pub(super) body: Vec<Piece>,
}

/// A piece of a body.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// A part of a file.
    Part(Content, Range<u64>),
}

impl Piece {
    /// How many bytes it has.
    fn length(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Part(_, part) => part.end - part.start,
        }
    }
}

impl Answer {
    /// An answer with a text.
    pub(super) fn text(status: u16, text: &str) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: vec![Piece::Bytes(text.as_bytes().to_vec())],
        }
        .with("Content-Type", "text/plain; charset=utf-8")
    }

    /// An answer with a page.
    pub(super) fn page(status: u16, page: &str) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: vec![Piece::Bytes(page.as_bytes().to_vec())],
        }
        .with("Content-Type", "text/html; charset=utf-8")
    }

    /// An answer with JSON.
    pub(super) fn json(status: u16, value: &Value) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: vec![Piece::Bytes(value.to_string().into_bytes())],
        }
        .with("Content-Type", "application/json; charset=utf-8")
    }

    /// A refusal as the Hub writes it. `code` is its `X-Error-Code`.
    pub(super) fn refusal(status: u16, code: Option<&str>, message: &str) -> Answer {
        let mut answer = Answer::json(status, &serde_json::json!({ "error": message }))
            .with("X-Error-Message", message);
        if let Some(code) = code {
            answer = answer.with("X-Error-Code", code);
        }
        answer
    }

    /// How many bytes its body has.
    pub(super) fn length(&self) -> u64 {
        self.body.iter().map(Piece::length).sum()
    }

    /// Its body, in memory.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        for piece in &self.body {
            match piece {
                Piece::Bytes(bytes) => all.extend_from_slice(bytes),
                Piece::Part(content, part) => {
                    let begin = all.len();
                    let length = usize::try_from(piece.length()).map_err(io::Error::other)?;
                    all.resize(begin + length, 0);
                    content
                        .open()?
                        .read_exact_at(&mut all[begin..], part.start)?;
                }
            }
        }
        Ok(all)
    }

    /// Takes away what is more than `length` bytes of its body.
    pub(super) fn shorten(&mut self, length: u64) {
        let mut left = length;
        for piece in &mut self.body {
            let keep = piece.length().min(left);
            left -= keep;
            match piece {
                Piece::Bytes(bytes) => bytes.truncate(usize::try_from(keep).unwrap_or(usize::MAX)),
                Piece::Part(_, part) => part.end = part.start + keep,
            }
        }
    }

    /// The value of a header line, by its name as it was written.
    pub(super) fn header_mut(&mut self, name: &str) -> Option<&mut String> {
        let mut lines = self.headers.iter_mut();
        let (_, value) = lines.find(|(have, _)| have == name)?;
        Some(value)
    }

    /// With one more header line.
    pub(super) fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The words that go with the status.
    pub(super) fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            206 => "Partial Content",
            301 => "Moved Permanently",
            302 => "Found",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            416 => "Range Not Satisfiable",
            429 => "Too Many Requests",
            500 => "Internal Server Error",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            _ => "Other",
        }
    }
}
