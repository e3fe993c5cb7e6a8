//! Writes an answer, as its delivery says.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::answer::{Answer, Piece};
use super::delivery::{Begin, Delivery, Framing};
use super::record::Stage;
use super::shared::Shared;
use super::stream::Stream;

/// The most bytes of a body that are written at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// How many times a second an answer sends something whose speed is limited.
const CHUNKS_PER_SECOND: u64 = 50;

/// What no client of HTTP understands.
const NONSENSE: &[u8] = b"\x16\x03\x01 200 OK, and so on\r\n\r\n";

/// What happens to the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The next request may come.
    Next,
    /// It is closed, as both sides know.
    Close,
    /// It has ended already.
    End,
}

/// An answer on its way.
pub(super) struct Sending<'a> {
    shared: &'a Shared,
    /// Where it is written down.
    record: Option<usize>,
    stream: &'a mut Stream,
    delivery: Delivery,
    begun_at: Instant,
    /// Bytes of the body.
    sent_bytes: u64,
    /// Of a content that is on its way: how many bytes it has.
    on_its_way: Option<u64>,
}

impl<'a> Sending<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        record: Option<usize>,
        stream: &'a mut Stream,
        delivery: Delivery,
    ) -> Sending<'a> {
        Sending {
            shared,
            record,
            stream,
            delivery,
            begun_at: Instant::now(),
            sent_bytes: 0,
            on_its_way: None,
        }
    }

    /// Sends it. `Err` when the client goes, or the Hub ends.
    pub(super) fn send(
        mut self,
        answer: &Answer,
        is_head: bool,
        is_last: bool,
    ) -> io::Result<After> {
        match self.delivery.begin {
            Begin::Head => {}
            Begin::HeadAfter(time) => self.rest(time)?,
            Begin::Nothing => {
                self.shared.wait_for_the_end();
                return Ok(After::End);
            }
            Begin::End(ending) => {
                self.stream.end(ending)?;
                return Ok(After::End);
            }
            Begin::Nonsense => {
                self.stream.write_all(NONSENSE)?;
                self.stream.flush()?;
                return Ok(After::Close);
            }
        }
        // What is wrongly framed ends the connection: nobody could find the next answer in it.
        let is_last =
            is_last || !matches!(self.delivery.framing, Framing::Length(0) | Framing::Chunks);
        self.head(answer, is_last)?;
        if !is_head && !self.body(answer)? {
            return Ok(After::End);
        }
        self.stream.flush()?;
        Ok(if is_last { After::Close } else { After::Next })
    }

    fn head(&mut self, answer: &Answer, is_last: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, answer.reason());
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.delivery.framing {
            Framing::Length(by_bytes) => {
                let length = answer.length().saturating_add_signed(by_bytes);
                head.push_str(&format!("Content-Length: {length}\r\n"));
            }
            Framing::Close => {}
            Framing::Chunks => head.push_str("Transfer-Encoding: chunked\r\n"),
        }
        let connection = if is_last { "close" } else { "keep-alive" };
        head.push_str(&format!("Connection: {connection}\r\n\r\n"));
        if let Some(record) = self.record {
            self.shared.change(|state| {
                state.records.requests[record].status = Some(answer.status);
            });
        }
        self.stream.write_all(head.as_bytes())
    }

    /// Sends the body. `false`: the connection has ended in the middle of it.
    fn body(&mut self, answer: &Answer) -> io::Result<bool> {
        self.begin_transfer(answer.length());
        for piece in &answer.body {
            let is_whole = match piece {
                Piece::Bytes(bytes) => self.piece(0, bytes.len() as u64, |buffer, place| {
                    let start = usize::try_from(place).map_err(io::Error::other)?;
                    buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                    Ok(())
                })?,
                Piece::Part(content, part) => {
                    let opened = content.open()?;
                    self.piece(part.start, part.end, |buffer, place| {
                        opened.read_exact_at(buffer, place)
                    })?
                }
            };
            if !is_whole {
                return Ok(false);
            }
        }
        if !self.go_on()? {
            return Ok(false);
        }
        if self.delivery.framing == Framing::Chunks {
            self.stream.write_all(b"0\r\n\r\n")?;
        }
        Ok(true)
    }

    /// Sends the bytes from `place` to `end`, which `read` finds.
    fn piece(
        &mut self,
        mut place: u64,
        end: u64,
        read: impl Fn(&mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<bool> {
        let mut buffer = vec![0; CHUNK_BYTES];
        while place < end {
            if !self.go_on()? {
                return Ok(false);
            }
            let left = usize::try_from(end - place).unwrap_or(usize::MAX);
            let count = left.min(self.chunk_bytes());
            let chunk = &mut buffer[..count];
            read(chunk, place)?;
            if let Some(at) = self.delivery.flip_at
                && let Some(offset) = at.checked_sub(place)
                && let Some(byte) = usize::try_from(offset)
                    .ok()
                    .and_then(|at| chunk.get_mut(at))
            {
                *byte ^= 1;
            }
            self.chunk(&buffer[..count])?;
            place += count as u64;
        }
        Ok(true)
    }

    /// Looks whether it is time for silence, or for the end: `false` then.
    fn go_on(&mut self) -> io::Result<bool> {
        if self.delivery.stall_after == Some(self.sent_bytes) {
            self.stream.flush()?;
            self.delivery.stall_after = None;
            let record = self.record.unwrap_or_default();
            self.is_silent(true);
            if !self.shared.wait_for_release(record) {
                return Ok(false);
            }
            self.is_silent(false);
        }
        match self.delivery.end_after {
            Some((after, ending)) if after == self.sent_bytes => {
                self.stream.flush()?;
                self.stream.end(ending)?;
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    /// How much may be sent at once.
    fn chunk_bytes(&self) -> usize {
        let mut most = CHUNK_BYTES as u64;
        if let Some(rate) = self.rate() {
            most = most.min((rate / CHUNKS_PER_SECOND).max(1));
        }
        if let Some((bytes, _)) = self.delivery.drip {
            most = most.min(bytes as u64);
        }
        let ends = self.delivery.end_after.map(|(after, _)| after);
        for halt in [ends, self.delivery.stall_after].into_iter().flatten() {
            if halt > self.sent_bytes {
                most = most.min(halt - self.sent_bytes);
            }
        }
        usize::try_from(most).unwrap_or(CHUNK_BYTES)
    }

    fn rate(&self) -> Option<u64> {
        let everybody = self.shared.state().bytes_per_second;
        [everybody, self.delivery.bytes_per_second]
            .into_iter()
            .flatten()
            .min()
    }

    /// Sends a piece of the body, not faster than is allowed.
    fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.delivery.framing == Framing::Chunks {
            self.stream
                .write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        }
        self.counted(bytes)?;
        if self.delivery.framing == Framing::Chunks {
            self.stream.write_all(b"\r\n")?;
        }
        let mut early = Duration::ZERO;
        if let Some(rate) = self.rate() {
            let due = Duration::from_secs_f64(self.sent_bytes as f64 / rate.max(1) as f64);
            early = due.saturating_sub(self.begun_at.elapsed());
        }
        if let Some((_, every)) = self.delivery.drip {
            early = early.max(every);
        }
        if early.is_zero() {
            return Ok(());
        }
        self.stream.flush()?;
        self.rest(early)
    }

    /// Writes bytes of the body. They are counted before they leave, so whoever has received them finds them counted;
    /// what the system does not take is counted no more.
    fn counted(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.count(self.sent_bytes + bytes.len() as u64);
        let mut left = bytes;
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(0) => {
                    self.count(self.sent_bytes - left.len() as u64);
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.count(self.sent_bytes - left.len() as u64);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// If what is sent is the content of a file, it is on its way from now on.
    fn begin_transfer(&mut self, length: u64) {
        let Some(record) = self.record.filter(|_| length > 0) else {
            return;
        };
        self.shared.change(|state| {
            if state.records.requests[record].stage == Stage::Content {
                state.records.transfer_begins();
                self.on_its_way = Some(length);
            }
        });
    }

    fn end_transfer(&mut self) {
        if self.on_its_way.take().is_some() {
            self.shared.change(|state| state.records.transfer_ends());
        }
    }

    fn count(&mut self, sent_bytes: u64) {
        self.sent_bytes = sent_bytes;
        // Before the last byte leaves: whoever has it may ask for the next file at once.
        if self.on_its_way.is_some_and(|length| sent_bytes >= length) {
            self.end_transfer();
        }
        if let Some(record) = self.record {
            self.shared
                .change(|state| state.records.requests[record].sent_bytes = sent_bytes);
        }
    }

    fn is_silent(&self, is_silent: bool) {
        if let Some(record) = self.record {
            self.shared
                .change(|state| state.records.requests[record].is_silent = is_silent);
        }
    }

    fn rest(&self, time: Duration) -> io::Result<()> {
        match self.shared.rest(time) {
            true => Ok(()),
            false => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.end_transfer();
    }
}
