//! The log of one node on the disk: a file that grows up to a limit, and the one before it.
//!
//! A file that is full becomes `<node>.log.1`, in place of the one that had that name, and the next begins with a
//! line that says what came before it: so a reader knows what is not there any more. What cannot be written is
//! counted, and said in the log as soon as there is room again. A record that was written in part is ended by a line
//! feed, and skipped by readers as no record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dataflow_ids::NodeId;
use serde::{Deserialize, Serialize};

use super::losses::Losses;
use super::read::{LogRecord, LogStream};

/// How much is collected before it is written, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// The file that is written.
pub(super) fn newer(folder: &Path, node: &NodeId) -> PathBuf {
    folder.join(format!("{node}.log"))
}

/// The one before it.
pub(super) fn older(folder: &Path, node: &NodeId) -> PathBuf {
    folder.join(format!("{node}.log.1"))
}

/// How much was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

/// The first line of every file but the first. It can be read as a [`LogRecord`], too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heading {
    #[serde(flatten)]
    pub(super) record: LogRecord,
    /// The number of this file, counted from 1.
    pub(super) file: u64,
    /// What all the files before it had.
    pub(super) before: Written,
}

/// Where a record ends in the buffer, and how long its text is.
#[derive(Debug, Clone, Copy)]
struct End {
    at: usize,
    text_bytes: u64,
}

/// The files of one node.
#[derive(Debug)]
pub(super) struct NodeLog {
    node: NodeId,
    newer: PathBuf,
    older: PathBuf,
    file_bytes_max: u64,
    file: Option<File>,
    number: u64,
    /// In the file that is written.
    written: Written,
    /// In the file before it, if it is there.
    kept: Written,
    /// In all files before the one that is written.
    before: Written,
    buffer: Vec<u8>,
    ends: Vec<End>,
    /// The file begins as it should: the first has no heading.
    has_heading: bool,
    /// The file does not end with a line feed.
    is_torn: bool,
    /// What could not be written, and was not said in the log yet.
    unsaid: Written,
    /// When the last record came, for lines of our own.
    at_ms: u64,
    losses: Losses,
    /// How many bytes the disk still takes.
    #[cfg(test)]
    pub(super) room: Option<usize>,
}

impl NodeLog {
    /// The log of a node that has said nothing yet. Its two files together take at most `log_bytes_max` bytes, and a
    /// record more.
    pub(super) fn new(folder: &Path, node: NodeId, log_bytes_max: u64, losses: Losses) -> NodeLog {
        NodeLog {
            newer: newer(folder, &node),
            older: older(folder, &node),
            node,
            file_bytes_max: log_bytes_max / 2,
            file: None,
            number: 1,
            written: Written::default(),
            kept: Written::default(),
            before: Written::default(),
            buffer: Vec::new(),
            ends: Vec::new(),
            has_heading: true,
            is_torn: false,
            unsaid: Written::default(),
            at_ms: 0,
            losses,
            #[cfg(test)]
            room: None,
        }
    }

    /// Takes a record. It is on the disk after the next [`NodeLog::flush`].
    ///
    /// # Errors
    ///
    /// As [`NodeLog::flush`], of records that came before this one.
    pub(super) fn write(&mut self, record: &LogRecord) -> io::Result<()> {
        self.at_ms = record.at_ms;
        let mut text = Vec::with_capacity(record.line.len() + 128);
        serde_json::to_writer(&mut text, record)?;
        text.push(b'\n');
        let mut result = Ok(());
        let there = self.written.bytes + self.buffer.len() as u64;
        if there > 0 && there + text.len() as u64 > self.file_bytes_max {
            result = self.flush();
            // Also when the disk is full: what the next file replaces makes room.
            if self.written.bytes > 0 {
                result = result.and(self.begin_next());
            }
        } else if self.buffer.len() >= BUFFER_BYTES {
            result = self.flush();
        }
        self.buffer.extend_from_slice(&text);
        self.ends.push(End {
            at: self.buffer.len(),
            text_bytes: record.line.len() as u64,
        });
        result
    }

    /// Whether something could not be written and was not said yet.
    pub(super) fn owes_a_word(&self) -> bool {
        self.unsaid.lines > 0
    }

    /// Writes what was collected.
    ///
    /// # Errors
    ///
    /// What the system says. Then the records that were not written whole are given up, and counted.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() && !self.owes_a_word() {
            return Ok(());
        }
        let mut text = Vec::new();
        if self.is_torn {
            text.push(b'\n');
        }
        if !self.has_heading {
            self.say_heading(&mut text)?;
        }
        let headed_at = text.len();
        if self.owes_a_word() {
            self.say_losses(&mut text)?;
        }
        let said_at = text.len();
        text.append(&mut self.buffer);
        let ends = std::mem::take(&mut self.ends);
        let (done, result) = self.write_out(&text);
        self.written.bytes += done as u64;
        if done > 0 {
            self.is_torn = text[done - 1] != b'\n';
        }
        if !self.has_heading {
            self.has_heading = done >= headed_at;
            if !self.has_heading && done > 0 {
                // A file without its heading is begun once more.
                self.is_torn = false;
                self.written.bytes = 0;
                let emptied = self.open().and_then(|file| file.set_len(0));
                if let Err(error) = emptied {
                    tracing::debug!(node = %self.node, %error, "log not emptied");
                }
            }
        }
        if self.owes_a_word() && done >= said_at {
            self.unsaid = Written::default();
        }
        // A record that lacks its line feed only is whole once that is written.
        let is_whole = |end: &&End| said_at + end.at <= done + 1;
        let whole = ends.iter().filter(is_whole).count();
        self.written.lines += whole as u64;
        if let Some(error) = result.as_ref().err() {
            self.lose(&ends[whole..], error);
        }
        result
    }

    /// Writes as much as the disk takes; gives how much that was.
    fn write_out(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        #[cfg(test)]
        if let Some(room) = self.room.filter(|room| *room < text.len()) {
            self.room = Some(0);
            let (done, _) = match self.open() {
                Ok(mut file) => write_until_refused(&mut file, &text[..room]),
                Err(_) => (0, Ok(())),
            };
            return (done, Err(rustix::io::Errno::NOSPC.into()));
        }
        match self.open() {
            Ok(mut file) => write_until_refused(&mut file, text),
            Err(error) => (0, Err(error)),
        }
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            self.file = Some(options.append(true).create(true).open(&self.newer)?);
        }
        Ok(self
            .file
            .as_ref()
            .expect("it was opened above, if it was not"))
    }

    /// The file is full: it becomes the older one, and another begins.
    fn begin_next(&mut self) -> io::Result<()> {
        fs::rename(&self.newer, &self.older)?;
        let thrown_away = self.kept;
        self.losses.note(&self.node, |losses| {
            losses.lines_thrown_away += thrown_away.lines;
            losses.bytes_thrown_away += thrown_away.bytes;
        });
        self.file = None;
        self.is_torn = false;
        self.kept = std::mem::take(&mut self.written);
        self.before.lines += self.kept.lines;
        self.before.bytes += self.kept.bytes;
        self.number += 1;
        self.has_heading = false;
        Ok(())
    }

    fn say_heading(&self, text: &mut Vec<u8>) -> io::Result<()> {
        let Written { lines, bytes } = self.before;
        let line = format!(
            "the log goes on here: {lines} lines ({bytes} bytes) came before, of which only the last file is kept"
        );
        let heading = Heading {
            record: self.of_ours(line),
            file: self.number,
            before: self.before,
        };
        serde_json::to_writer(&mut *text, &heading)?;
        text.push(b'\n');
        Ok(())
    }

    fn of_ours(&self, line: String) -> LogRecord {
        LogRecord {
            at_ms: self.at_ms,
            node: self.node.clone(),
            stream: LogStream::Runtime,
            line,
        }
    }

    fn say_losses(&self, text: &mut Vec<u8>) -> io::Result<()> {
        let Written { lines, bytes } = self.unsaid;
        let why = self.losses.of(&self.node).why.unwrap_or_default();
        let plural = if lines == 1 { "" } else { "s" };
        let line = format!("{lines} line{plural} ({bytes} bytes) could not be written here: {why}");
        serde_json::to_writer(&mut *text, &self.of_ours(line))?;
        text.push(b'\n');
        Ok(())
    }

    fn lose(&mut self, ends: &[End], error: &io::Error) {
        let lines = ends.len() as u64;
        let bytes: u64 = ends.iter().map(|end| end.text_bytes).sum();
        self.unsaid.lines += lines;
        self.unsaid.bytes += bytes;
        self.losses.note(&self.node, |losses| {
            losses.lines_unwritten += lines;
            losses.bytes_unwritten += bytes;
            losses.why = Some(error.to_string());
        });
    }
}

/// Writes as much as the system takes; gives how much that was.
fn write_until_refused(to: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while done < bytes.len() {
        match to.write(&bytes[done..]) {
            Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => done += written,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}
