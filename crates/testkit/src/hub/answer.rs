//! What is answered: a status, header lines and a body, before anything is written.

use std::ops::Range;

use serde_json::Value;

use super::content::Content;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// In their order. `Content-Length` is not among them: it is `length`.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

/// What follows the head.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Bytes(Vec<u8>),
    /// A part of a file.
    Part(Content, Range<u64>),
}

impl Body {
    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        match self {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::Part(_, part) => part.end - part.start,
        }
    }
}

impl Answer {
    /// An answer with a text.
    pub(super) fn text(status: u16, text: &str) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Body::Bytes(text.as_bytes().to_vec()),
        }
        .with("Content-Type", "text/plain; charset=utf-8")
    }

    /// An answer with a page.
    pub(super) fn page(status: u16, page: &str) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Body::Bytes(page.as_bytes().to_vec()),
        }
        .with("Content-Type", "text/html; charset=utf-8")
    }

    /// An answer with JSON.
    pub(super) fn json(status: u16, value: &Value) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Body::Bytes(value.to_string().into_bytes()),
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
