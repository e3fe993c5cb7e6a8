//! One content and all its paths: there already, fetched by somebody else, or fetched by us.

use std::io::Read;
use std::time::Duration;

use dataflow_core::models::FilePlan;

use super::transfer::Transfer;
use super::work;
use crate::models::cache::{
    BlobGuard, BlobLock, BlobState, Hasher, OpenBlob, Which, refused_needing,
};
use crate::models::error::ModelError;

/// How often somebody else's transfer is looked at: about, so that all who wait do not look at once.
const LOOK_EVERY_MS: u64 = 150;
/// Bytes of a file that one job hashes.
const HASH_BYTES: usize = 4 << 20;
const READ_BYTES: usize = 256 << 10;
/// How often a file is hashed that changes meanwhile, before it is transferred in its place.
const HASHED_MAX: u32 = 3;

/// A content that is to be had.
#[derive(Debug)]
pub(super) struct File {
    pub(super) transfer: Transfer,
    /// All files that have it.
    pub(super) paths: Vec<FilePlan>,
}

/// What a file's content has turned out to be.
enum Hashed {
    /// Right.
    Right {
        /// Whether the cache says so now.
        is_marked: bool,
    },
    /// Another one.
    Wrong(OpenBlob),
    /// Nobody knows: while it was hashed, somebody has changed it, or has put something else in its place.
    Changed,
}

/// Who fetches it.
enum Turn {
    /// Nobody needs to: it is there.
    There,
    /// We do.
    Ours(BlobGuard, BlobState),
    /// Nobody here can: the cache may only be read, as this says, and something of its length is there.
    OnlyRead(ModelError),
    /// Somebody else does, and has so many bytes.
    Others(u64),
}

impl File {
    /// Sees to it that it is there, verified and linked. Gives whether the cache says that it is verified: not if it
    /// may only be read.
    ///
    /// # Errors
    ///
    /// It cannot be had.
    pub(super) async fn have(&self) -> Result<bool, ModelError> {
        let Transfer {
            shared,
            board,
            plan,
            places,
            ..
        } = &self.transfer;
        // Said without a gap while it is looked at again and again.
        let mut told = None;
        let is_marked = loop {
            let place = shared.places.acquire().await;
            let place = place.map_err(|_| ModelError::Cancelled)?;
            let turn = self.turn().await?;
            if !matches!(turn, Turn::Others(_)) {
                told = None;
            }
            match turn {
                Turn::There => break true,
                Turn::Ours(guard, state) => break self.fetch(guard, state).await?,
                Turn::OnlyRead(error) => match self.verify().await? {
                    Hashed::Right { is_marked } => break is_marked,
                    Hashed::Wrong(_) | Hashed::Changed => return Err(error),
                },
                Turn::Others(bytes) => {
                    drop(place);
                    board.done(places, bytes);
                    told.get_or_insert_with(|| {
                        let reason = format!("another process fetches {}", plan.path);
                        board.because().told(reason)
                    });
                    let wait_ms = LOOK_EVERY_MS / 2 + shared.dice.draw() % LOOK_EVERY_MS;
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        };
        self.link().await?;
        board.verified(places, plan.size);
        Ok(is_marked)
    }

    /// Whose turn it is.
    async fn turn(&self) -> Result<Turn, ModelError> {
        let (repo, plan) = (self.transfer.repo.clone(), self.transfer.plan.clone());
        work::done(&self.transfer.shared.pool, "look at lock", move || {
            let state = repo.blob(&plan)?;
            if state == BlobState::Verified {
                return Ok(Turn::There);
            }
            let lock = match repo.try_lock(plan.hash) {
                Err(error) if error.is_read_only() && state != BlobState::Missing => {
                    return Ok(Turn::OnlyRead(error));
                }
                lock => lock?,
            };
            Ok(match lock {
                // Somebody may have finished between both looks.
                BlobLock::Held(guard) => match repo.blob(&plan)? {
                    BlobState::Verified => Turn::There,
                    state => Turn::Ours(guard, state),
                },
                BlobLock::Busy => {
                    let partial = std::fs::symlink_metadata(repo.partial(plan.hash));
                    Turn::Others(partial.map_or(0, |facts| facts.len().min(plan.size)))
                }
            })
        })
        .await
    }

    /// Uses what is there if it is right, and transfers it otherwise. Gives whether the cache says that it is verified.
    async fn fetch(&self, guard: BlobGuard, state: BlobState) -> Result<bool, ModelError> {
        let mut guard = guard;
        if state != BlobState::Missing {
            for _ in 0..HASHED_MAX {
                match self.verify().await? {
                    Hashed::Right { is_marked } => return Ok(is_marked),
                    Hashed::Wrong(blob) => {
                        guard = self.put_aside(guard, blob).await?;
                        break;
                    }
                    Hashed::Changed => {}
                }
            }
            if self.transfer.shared.settings.is_offline {
                return Err(self.transfer.missing_offline());
            }
        }
        self.transfer.run(guard).await?;
        Ok(true)
    }

    /// Hashes what another program has put into the cache. When it is right, it is marked: the file that was hashed,
    /// and nothing that has its name by then.
    async fn verify(&self) -> Result<Hashed, ModelError> {
        let Transfer {
            shared,
            repo,
            plan,
            board,
            places,
            ..
        } = &self.transfer;
        let _told = board.because().told(format!("verifying {}", plan.path));
        let opened = {
            let (repo, plan) = (repo.clone(), plan.clone());
            work::done(&shared.pool, "open blob", move || repo.open(&plan)).await?
        };
        let Some(mut blob) = opened else {
            return Ok(Hashed::Changed);
        };
        let mut hasher = Hasher::new(&plan.hash, plan.size);
        let mut done_bytes = 0;
        loop {
            let path = repo.blob_path(plan.hash);
            let hash = move || {
                let read =
                    hash_some(&blob, &mut hasher).map_err(refused_needing("read", &path, 0))?;
                Ok((blob, hasher, read))
            };
            let read;
            (blob, hasher, read) = work::done(&shared.pool, "hash blob", hash).await?;
            done_bytes += read as u64;
            board.done(places, done_bytes.min(plan.size));
            if read < HASH_BYTES {
                break;
            }
        }
        let is_right = hasher.finish() == plan.hash;
        let (repo, hash) = (repo.clone(), plan.hash);
        work::done(&shared.pool, "mark blob", move || {
            let is_marked = is_right && repo.mark_as_hashed(hash, &blob)?;
            Ok(match (repo.is_still(hash, &blob)?, is_right) {
                (false, _) => Hashed::Changed,
                (true, true) => Hashed::Right { is_marked },
                (true, false) => Hashed::Wrong(blob),
            })
        })
        .await
    }

    /// Moves what was hashed out of the way, if it stands there still. Gives the lock back.
    async fn put_aside(&self, guard: BlobGuard, blob: OpenBlob) -> Result<BlobGuard, ModelError> {
        let (repo, hash) = (self.transfer.repo.clone(), self.transfer.plan.hash);
        work::done(&self.transfer.shared.pool, "quarantine", move || {
            if repo.is_still(hash, &blob)? {
                repo.quarantine(&guard, Which::Blob, hash)?;
            }
            Ok(guard)
        })
        .await
    }

    async fn link(&self) -> Result<(), ModelError> {
        let (repo, commit) = (self.transfer.repo.clone(), self.transfer.commit.clone());
        let paths = self.paths.clone();
        work::done(&self.transfer.shared.pool, "link", move || {
            paths.iter().try_for_each(|plan| repo.link(&commit, plan))
        })
        .await
    }
}

/// Hashes up to [`HASH_BYTES`]; fewer mean that the file has ended.
fn hash_some(blob: &OpenBlob, hasher: &mut Hasher) -> std::io::Result<usize> {
    let mut file = blob.file();
    let mut buffer = vec![0; READ_BYTES];
    let mut read = 0;
    while read < HASH_BYTES {
        let space = &mut buffer[..READ_BYTES.min(HASH_BYTES - read)];
        match file.read(space)? {
            0 => break,
            bytes => {
                hasher.update(&space[..bytes]);
                read += bytes;
            }
        }
    }
    Ok(read)
}
