//! Reading the log of one node, from one file to the next, and on as it grows.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use dataflow_ids::NodeId;

use super::folder::{LogsError, refused};
use super::node_log::{Heading, Written, newer, older};
use super::read::{LogRecord, LogStream};

/// How much of a file is read at once while its last lines are looked for, in bytes.
const TAIL_BLOCK_BYTES: usize = 64 * 1024;
/// The longest heading of a file, in bytes.
const HEADING_BYTES_MAX: u64 = 1024;

/// The log of one node.
#[derive(Debug)]
pub(super) struct Tail {
    node: NodeId,
    newer: PathBuf,
    older: PathBuf,
    /// The file that is read.
    file: Option<Open>,
    /// The number of the file that was read to its end last, or need not be read, and how many bytes there were up
    /// to its end. Before the first file: nothing.
    read: (u64, u64),
    /// The next record.
    pub(super) head: Option<LogRecord>,
}

/// A file of the log.
#[derive(Debug)]
struct Open {
    reader: BufReader<File>,
    /// Which file, whatever its name is by now.
    inode: u64,
    number: u64,
    /// What came before it.
    before: Written,
    has_heading: bool,
    /// How far it was read, in bytes.
    so_far: u64,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
}

impl Tail {
    pub(super) fn new(folder: &Path, node: &NodeId) -> Tail {
        Tail {
            newer: newer(folder, node),
            older: older(folder, node),
            node: node.clone(),
            file: None,
            read: (0, 0),
            head: None,
        }
    }

    /// Goes to the beginning of the last `lines` complete lines.
    pub(super) fn skip_to_last(&mut self, lines: usize) -> Result<(), LogsError> {
        let mut left = lines;
        for path in [self.newer.clone(), self.older.clone()] {
            let Some(mut file) = Open::at(&path)? else {
                continue;
            };
            // It has got its other name in between, and all of its lines are taken.
            if (self.file.as_ref()).is_some_and(|newer| newer.inode == file.inode) {
                break;
            }
            let refused = || refused("read", &path);
            let (start, found) = start_of_last(file.reader.get_ref(), left).map_err(refused())?;
            file.reader
                .seek(SeekFrom::Start(start))
                .map_err(refused())?;
            file.so_far = start;
            // Its heading is no line of the node.
            let found = found - usize::from(start == 0 && file.has_heading).min(found);
            // What comes before is not asked for, so it is not missed.
            self.read = file.beginning();
            self.file = Some(file);
            left -= found;
            if left == 0 {
                break;
            }
        }
        if left > 0 {
            // All of it is wanted.
            self.read = (0, 0);
        }
        Ok(())
    }

    /// Reads on until there is a head, or nothing more for now.
    pub(super) fn fill(&mut self) -> Result<(), LogsError> {
        while self.head.is_none() {
            if self.file.is_none() {
                self.file = self.next_file()?;
            }
            let Some(file) = &mut self.file else {
                return Ok(());
            };
            let gap = gap(self.read, file);
            self.read = file.beginning();
            if let Some(line) = gap {
                let at_ms = file.first_at_ms().map_err(refused("read", &self.newer))?;
                self.head = Some(LogRecord {
                    at_ms,
                    node: self.node.clone(),
                    stream: LogStream::Runtime,
                    line,
                });
                return Ok(());
            }
            match file.next_line().map_err(refused("read", &self.newer))? {
                Some(record) => self.head = record,
                None if is_named(file.inode, &self.newer)? => return Ok(()),
                // What is another file by now does not grow any more, but may have grown before that.
                None => match file.next_line().map_err(refused("read", &self.newer))? {
                    Some(record) => self.head = record,
                    None => {
                        // A full disk may have kept nothing but its line feed.
                        self.head = serde_json::from_slice(&file.partial).ok();
                        self.read = file.end();
                        self.file = None;
                    }
                },
            }
        }
        Ok(())
    }

    /// The oldest file that was not read yet.
    fn next_file(&self) -> Result<Option<Open>, LogsError> {
        let wanted = self.read.0 + 1;
        // The newer one first: when it gets the older one's name meanwhile, it is found twice, and not missed.
        let newer = Open::at(&self.newer)?;
        let older = Open::at(&self.older)?;
        let found = [older, newer].into_iter().flatten();
        Ok(found
            .filter(|file| file.number >= wanted)
            .min_by_key(|file| file.number))
    }
}

/// What is missing between what was read and the beginning of `file`, in words.
fn gap((number, bytes): (u64, u64), file: &Open) -> Option<String> {
    if file.number == number + 1 || file.before.bytes <= bytes {
        return None;
    }
    let missing = match number {
        // From the first line on.
        0 => format!("{} lines ({} bytes)", file.before.lines, file.before.bytes),
        _ => format!("{} bytes", file.before.bytes - bytes),
    };
    Some(format!(
        "{missing} that came before are not kept: the log of a node has a limit"
    ))
}

/// Whether the file of this name is this one.
fn is_named(inode: u64, path: &Path) -> Result<bool, LogsError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.ino() == inode),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(refused("read", path)(error)),
    }
}

impl Open {
    /// The file of this name; `None` when it is not there, or has no whole line yet.
    fn at(path: &Path) -> Result<Option<Open>, LogsError> {
        let refused = |what| refused(what, path);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("open")(error)),
        };
        let inode = file.metadata().map_err(refused("read"))?.ino();
        let mut first = Vec::new();
        BufReader::new((&file).take(HEADING_BYTES_MAX))
            .read_until(b'\n', &mut first)
            .map_err(refused("read"))?;
        if first.is_empty() || (first.last() != Some(&b'\n') && first.len() < 1024) {
            return Ok(None);
        }
        let heading: Option<Heading> = serde_json::from_slice(&first).ok();
        let mut reader = BufReader::new(file);
        reader.rewind().map_err(refused("read"))?;
        Ok(Some(Open {
            reader,
            inode,
            number: heading.as_ref().map_or(1, |heading| heading.file),
            before: heading
                .as_ref()
                .map_or(Written::default(), |heading| heading.before),
            has_heading: heading.is_some(),
            so_far: 0,
            partial: Vec::new(),
        }))
    }

    /// As [`Tail::read`], before this file and after it.
    fn beginning(&self) -> (u64, u64) {
        (self.number - 1, self.before.bytes)
    }

    fn end(&self) -> (u64, u64) {
        (
            self.number,
            self.before.bytes + self.so_far + self.partial.len() as u64,
        )
    }

    /// The next whole line: a record, or `Some(None)` for one that is none. `None`: there is no more for now.
    fn next_line(&mut self) -> io::Result<Option<Option<LogRecord>>> {
        let read = self.reader.read_until(b'\n', &mut self.partial)?;
        if read == 0 || self.partial.last() != Some(&b'\n') {
            return Ok(None);
        }
        let is_heading = self.has_heading && self.so_far == 0;
        self.so_far += self.partial.len() as u64;
        let record = serde_json::from_slice(&self.partial).ok();
        self.partial.clear();
        Ok(Some(record.filter(|_| !is_heading)))
    }

    /// When the first record of the file came.
    fn first_at_ms(&self) -> io::Result<u64> {
        let mut first = vec![0; HEADING_BYTES_MAX as usize];
        let read = self.reader.get_ref().read_at(&mut first, 0)?;
        let line = first[..read].split(|byte| *byte == b'\n').next();
        let record: Option<LogRecord> = line.and_then(|line| serde_json::from_slice(line).ok());
        Ok(record.map_or(0, |record| record.at_ms))
    }
}

/// Where the last `lines` complete lines of `file` begin, found from its end, and how many they are.
fn start_of_last(file: &File, lines: usize) -> io::Result<(u64, usize)> {
    let mut block = vec![0; TAIL_BLOCK_BYTES];
    let mut end = file.metadata()?.len();
    // Ends of lines that were seen. The first of them ends the last line.
    let mut seen = 0;
    while end > 0 {
        let length = usize::try_from(end).map_or(TAIL_BLOCK_BYTES, |end| end.min(TAIL_BLOCK_BYTES));
        let start = end - length as u64;
        let bytes = &mut block[..length];
        file.read_exact_at(bytes, start)?;
        for (place, _) in bytes.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            if seen == lines {
                return Ok((start + place as u64 + 1, lines));
            }
            seen += 1;
        }
        end = start;
    }
    Ok((0, seen))
}
