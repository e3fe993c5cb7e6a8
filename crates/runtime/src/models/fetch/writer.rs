//! Bytes on their way into a partial file: written and hashed in the pool, in order, while the next ones are gathered.
//!
//! What is not written yet is bounded: one buffer that is being written, and one that is being filled. Together they
//! are the chunk that is fetched again after a crash.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use dataflow_core::models::{ContentHash, FilePlan};
use tokio::time::Instant;

use super::ending::GoesOn;
use super::work::{panicked, submitted};
use crate::models::cache::{BlobGuard, Hasher, Partial, RepoCache, refused_needing};
use crate::models::error::ModelError;
use crate::pool::{JobResult, Pool};

/// Bytes in a buffer.
const BUFFER_BYTES: u64 = 512 << 10;
/// After so long a buffer is written even if it is not full: on a slow line, half a megabyte takes minutes.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Bytes that one job reads and hashes of what is there already.
const REHASH_BYTES: u64 = 4 << 20;
const READ_BYTES: usize = 256 << 10;

/// A partial file, its lock, and the hash of what is in it. It is always in one place: here, or in a job of the pool;
/// so the lock is held until the last write has ended, whoever has gone away meanwhile.
#[derive(Debug)]
pub(super) struct Writer {
    partial: Partial,
    guard: BlobGuard,
    path: PathBuf,
    plan: FilePlan,
    hasher: Hasher,
    length: u64,
    /// After the files: when this is dropped, they are closed.
    _goes_on: GoesOn,
}

impl Writer {
    /// Opens the partial file. What is in it is not hashed yet: see [`rehash`](Self::rehash). Blocks.
    pub(super) fn open(
        repo: &RepoCache,
        guard: BlobGuard,
        plan: &FilePlan,
        goes_on: GoesOn,
    ) -> Result<Box<Writer>, ModelError> {
        let partial = repo.open_partial(&guard, plan)?;
        Ok(Box::new(Writer {
            partial,
            guard,
            path: repo.partial(plan.hash),
            plan: plan.clone(),
            hasher: Hasher::new(&plan.hash, plan.size),
            length: 0,
            _goes_on: goes_on,
        }))
    }

    /// Bytes that are there and hashed.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that were there when it was opened.
    pub(super) fn found_bytes(&self) -> u64 {
        self.partial.have_bytes().min(self.plan.size)
    }

    /// Hashes some of what was there when it was opened. Blocks. Gives whether all of it is hashed.
    pub(super) fn rehash(&mut self) -> Result<bool, ModelError> {
        let end = self.found_bytes().min(self.length + REHASH_BYTES);
        let mut buffer = vec![0; READ_BYTES];
        while self.length < end {
            let wanted = usize::try_from(end - self.length).unwrap_or(READ_BYTES);
            let space = &mut buffer[..wanted.min(READ_BYTES)];
            let read = self
                .partial
                .file()
                .read_at(space, self.length)
                .map_err(self.refused("read"))?;
            if read == 0 {
                let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(self.refused("read")(cut));
            }
            self.hasher.update(&space[..read]);
            self.length += read as u64;
        }
        Ok(self.length == self.found_bytes())
    }

    /// Forgets all that is there. Blocks.
    pub(super) fn restart(&mut self) -> Result<(), ModelError> {
        self.partial
            .file()
            .set_len(0)
            .map_err(self.refused("cut"))?;
        self.hasher = Hasher::new(&self.plan.hash, self.plan.size);
        self.length = 0;
        Ok(())
    }

    /// Appends and hashes. Blocks.
    fn append(&mut self, pieces: &[Bytes]) -> Result<(), ModelError> {
        for piece in pieces {
            self.partial
                .file()
                .write_all_at(piece, self.length)
                .map_err(self.refused("write"))?;
            self.hasher.update(piece);
            self.length += piece.len() as u64;
        }
        Ok(())
    }

    /// The hash of all that is there, and the lock.
    pub(super) fn finish(self) -> (ContentHash, BlobGuard) {
        (self.hasher.finish(), self.guard)
    }

    fn refused(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> ModelError + use<> {
        let needed_bytes = self.plan.size.saturating_sub(self.length);
        refused_needing(doing, &self.path, needed_bytes)
    }
}

/// Takes pieces and has them appended in order.
#[derive(Debug)]
pub(super) struct Inflow<'a> {
    pool: &'a Pool,
    place: Place,
    gathered: Vec<Bytes>,
    gathered_bytes: u64,
    gathering_since: Instant,
    /// Bytes that are there, and those that are on their way.
    end: u64,
}

/// Where the writer is.
#[derive(Debug)]
enum Place {
    Here(Box<Writer>),
    InPool(JobResult<(Box<Writer>, Result<(), ModelError>)>),
    /// It is lost with an error.
    Nowhere,
}

impl<'a> Inflow<'a> {
    pub(super) fn new(pool: &'a Pool, writer: Box<Writer>) -> Inflow<'a> {
        Inflow {
            pool,
            end: writer.length(),
            place: Place::Here(writer),
            gathered: Vec::new(),
            gathered_bytes: 0,
            gathering_since: Instant::now(),
        }
    }

    /// Bytes that are there when all is written that was pushed.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Takes a piece. Waits while too much is not written yet.
    ///
    /// # Errors
    ///
    /// An earlier piece could not be written.
    pub(super) async fn push(&mut self, piece: Bytes) -> Result<(), ModelError> {
        if self.gathered.is_empty() {
            self.gathering_since = Instant::now();
        }
        let bytes = piece.len() as u64;
        self.end += bytes;
        self.gathered_bytes += bytes;
        self.gathered.push(piece);
        if self.gathered_bytes >= BUFFER_BYTES || self.gathering_since.elapsed() >= FLUSH_AFTER {
            self.flush().await?;
        }
        Ok(())
    }

    /// After how long what is gathered should be [flushed](Self::flush) if nothing more comes.
    pub(super) fn flush_after(&self) -> Option<Duration> {
        (!self.gathered.is_empty())
            .then(|| FLUSH_AFTER.saturating_sub(self.gathering_since.elapsed()))
    }

    /// Hands what is gathered to the pool.
    ///
    /// # Errors
    ///
    /// An earlier piece could not be written.
    pub(super) async fn flush(&mut self) -> Result<(), ModelError> {
        let mut writer = self.settled().await?;
        if self.gathered.is_empty() {
            self.place = Place::Here(writer);
            return Ok(());
        }
        let pieces = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        let job = move || {
            let appended = writer.append(&pieces);
            (writer, appended)
        };
        self.place = Place::InPool(submitted(self.pool, "write and hash", job).await?);
        Ok(())
    }

    /// Waits until all is written, and gives the writer back.
    ///
    /// # Errors
    ///
    /// Something could not be written.
    pub(super) async fn into_writer(mut self) -> Result<Box<Writer>, ModelError> {
        self.flush().await?;
        self.settled().await
    }

    async fn settled(&mut self) -> Result<Box<Writer>, ModelError> {
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Here(writer) => Ok(writer),
            Place::InPool(job) => {
                let (writer, appended) = job.await.map_err(panicked)?;
                appended.map(|()| writer)
            }
            Place::Nowhere => Err(ModelError::Cancelled),
        }
    }
}
