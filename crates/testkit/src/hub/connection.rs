//! A connection: requests are read, answers are written, one after the other.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answer::{Answer, Body};
use super::record::{Listener, Request};
use super::request::{Came, Head, Reading};
use super::routes::{self, Routed};
use super::shared::Shared;

/// The most bytes of a body that are written at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// How many times a second a limited answer sends something.
const CHUNKS_PER_SECOND: u64 = 50;

/// What is read from and written to.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// Serves a connection until it ends. `Err` when the client goes in the middle of something.
pub(super) fn serve(
    shared: &Shared,
    listener: Listener,
    number: u64,
    tcp: TcpStream,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut stream = match tls {
        None => Stream::Plain(tcp),
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Stream::Tls(Box::new(StreamOwned::new(connection, tcp)))
        }
    };
    let mut reading = Reading::default();
    loop {
        let (head, is_last) = match reading.next(&mut stream)? {
            Came::Request(head, is_last) => (head, is_last),
            Came::End => return Ok(()),
            Came::Nonsense(why) => {
                let answer = Answer::text(400, &why);
                return Sending::new(shared, None, &mut stream).send(&answer, false, true);
            }
        };
        let Routed {
            stage,
            file,
            answer,
        } = routes::answer(shared, listener, &head);
        let record = shared.change(|state| {
            state.records.note(Request {
                listener,
                connection: number,
                method: head.method.clone(),
                target: head.target.clone(),
                headers: head.headers.clone(),
                stage,
                file,
                status: None,
                sent_bytes: 0,
            })
        });
        let answer = dressed(answer, listener, &head, record);
        Sending::new(shared, Some(record), &mut stream).send(&answer, head.is_head(), is_last)?;
        if is_last {
            return Ok(());
        }
    }
}

/// With the header lines that each answer of a listener has.
fn dressed(answer: Answer, listener: Listener, head: &Head, record: usize) -> Answer {
    if listener != Listener::Hub {
        return answer;
    }
    let (limit, left) = if head.target.starts_with("/api/") {
        ("api", "\"fixed window\";\"api\";q=500;w=300")
    } else {
        ("resolvers", "\"fixed window\";\"resolvers\";q=3000;w=300")
    };
    answer
        .with("X-Powered-By", "huggingface-moon")
        .with("X-Request-Id", &format!("Root=1-{record:08x}"))
        .with("RateLimit", &format!("\"{limit}\";r=499;t=300"))
        .with("RateLimit-Policy", left)
}

/// An answer on its way.
struct Sending<'a> {
    shared: &'a Shared,
    /// Where it is written down.
    record: Option<usize>,
    stream: &'a mut Stream,
    begun_at: Instant,
    sent_bytes: u64,
}

impl<'a> Sending<'a> {
    fn new(shared: &'a Shared, record: Option<usize>, stream: &'a mut Stream) -> Sending<'a> {
        Sending {
            shared,
            record,
            stream,
            begun_at: Instant::now(),
            sent_bytes: 0,
        }
    }

    fn send(mut self, answer: &Answer, is_head: bool, is_last: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, answer.reason());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n", answer.body.length()));
        let connection = if is_last { "close" } else { "keep-alive" };
        head.push_str(&format!("Connection: {connection}\r\n\r\n"));
        if let Some(record) = self.record {
            self.shared.change(|state| {
                state.records.requests[record].status = Some(answer.status);
            });
        }
        self.stream.write_all(head.as_bytes())?;
        if !is_head {
            match &answer.body {
                Body::Bytes(bytes) => self.chunk(bytes)?,
                Body::Part(content, part) => {
                    let opened = content.open()?;
                    let mut buffer = vec![0; CHUNK_BYTES];
                    let mut place = part.start;
                    while place < part.end {
                        let left = usize::try_from(part.end - place).unwrap_or(usize::MAX);
                        let count = left.min(self.chunk_bytes());
                        opened.read_exact_at(&mut buffer[..count], place)?;
                        self.chunk(&buffer[..count])?;
                        place += count as u64;
                    }
                }
            }
        }
        self.stream.flush()
    }

    /// How much is sent at once.
    fn chunk_bytes(&self) -> usize {
        let rate = self.shared.state().bytes_per_second;
        rate.map_or(CHUNK_BYTES, |rate| {
            usize::try_from(rate / CHUNKS_PER_SECOND)
                .unwrap_or(CHUNK_BYTES)
                .clamp(1, CHUNK_BYTES)
        })
    }

    /// Sends a piece of the body, not faster than is allowed.
    fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.sent_bytes += bytes.len() as u64;
        let rate = self.shared.change(|state| {
            if let Some(record) = self.record {
                state.records.requests[record].sent_bytes = self.sent_bytes;
            }
            state.bytes_per_second
        });
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(self.sent_bytes as f64 / rate.max(1) as f64);
            let early = due.saturating_sub(self.begun_at.elapsed());
            if !early.is_zero() && !self.shared.rest(early) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        Ok(())
    }
}
