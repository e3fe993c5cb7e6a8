//! A client that shows what came, and follows nothing by itself.

use std::io::{Read, Write};
use std::net::TcpStream;

/// What came for one request, until the connection ended.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Everything behind the head, as it came.
    pub(crate) body: Vec<u8>,
    /// Whether the connection ended with RST.
    pub(crate) is_reset: bool,
}

impl Came {
    /// The value of a header, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.iter();
        let (_, value) = lines.find(|(have, _)| have.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// All bytes that come for a request on a connection of its own, and whether it ended with RST.
pub(crate) fn raw(url: &str, method: &str, headers: &[(&str, &str)]) -> (Vec<u8>, bool) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, target) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let mut request =
        format!("{method} /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut came = Vec::new();
    let is_reset = stream.read_to_end(&mut came).is_err();
    (came, is_reset)
}

/// What comes for a request.
pub(crate) fn ask(url: &str, method: &str, headers: &[(&str, &str)]) -> Came {
    let (bytes, is_reset) = raw(url, method, headers);
    let mut lines = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut lines);
    let length = response.parse(&bytes).unwrap().unwrap();
    Came {
        status: response.code.unwrap(),
        headers: response
            .headers
            .iter()
            .map(|line| {
                let value = String::from_utf8(line.value.to_vec()).unwrap();
                (line.name.to_owned(), value)
            })
            .collect(),
        body: bytes[length..].to_vec(),
        is_reset,
    }
}

/// What comes for `GET`.
pub(crate) fn get(url: &str) -> Came {
    ask(url, "GET", &[])
}
