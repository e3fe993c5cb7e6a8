//! One content and all its paths: there already, fetched by somebody else, or fetched by us.

use std::time::Duration;

use dataflow_core::models::FilePlan;

use super::transfer::Transfer;
use super::work;
use crate::models::cache::{BlobGuard, BlobLock, BlobState, Hasher, Which};
use crate::models::error::ModelError;

/// How often somebody else's transfer is looked at: about, so that all who wait do not look at once.
const LOOK_EVERY_MS: u64 = 150;
/// Bytes of a file that one job hashes.
const HASH_BYTES: usize = 4 << 20;
const READ_BYTES: usize = 256 << 10;

/// A content that is to be had.
#[derive(Debug)]
pub(super) struct File {
    pub(super) transfer: Transfer,
    /// All files that have it.
    pub(super) paths: Vec<FilePlan>,
}

/// Who fetches it.
enum Turn {
    /// Nobody needs to: it is there.
    There,
    /// We do.
    Ours(BlobGuard, BlobState),
    /// Somebody else does, and has so many bytes.
    Others(u64),
}

impl File {
    /// Sees to it that it is there, verified and linked.
    ///
    /// # Errors
    ///
    /// It cannot be had.
    pub(super) async fn have(&self) -> Result<(), ModelError> {
        let Transfer {
            shared,
            board,
            plan,
            places,
            ..
        } = &self.transfer;
        loop {
            let place = shared.places.acquire().await;
            let place = place.map_err(|_| ModelError::Cancelled)?;
            match self.turn().await? {
                Turn::There => break,
                Turn::Ours(guard, state) => {
                    self.fetch(guard, state).await?;
                    break;
                }
                Turn::Others(bytes) => {
                    drop(place);
                    board.done(places, bytes);
                    let _told = board
                        .because()
                        .told(format!("another process fetches {}", plan.path));
                    let wait_ms = LOOK_EVERY_MS / 2 + shared.dice.draw() % LOOK_EVERY_MS;
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        }
        self.link().await?;
        board.verified(places, plan.size);
        Ok(())
    }

    /// Whose turn it is.
    async fn turn(&self) -> Result<Turn, ModelError> {
        let (repo, plan) = (self.transfer.repo.clone(), self.transfer.plan.clone());
        work::done(&self.transfer.shared.pool, "look at lock", move || {
            if repo.blob(&plan)? == BlobState::Verified {
                return Ok(Turn::There);
            }
            Ok(match repo.try_lock(plan.hash)? {
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

    async fn fetch(&self, guard: BlobGuard, state: BlobState) -> Result<(), ModelError> {
        let BlobState::Unverified { path } = state else {
            return self.transfer.run(guard).await;
        };
        let guard = match self.verify(&path, guard).await? {
            None => return Ok(()),
            Some(guard) => guard,
        };
        if self.transfer.shared.settings.is_offline {
            return Err(self.transfer.missing_offline());
        }
        self.transfer.run(guard).await
    }

    /// Hashes what another program has put into the cache. When it is right, it is marked; otherwise it is put aside, and
    /// the lock comes back.
    async fn verify(
        &self,
        path: &std::path::Path,
        guard: BlobGuard,
    ) -> Result<Option<BlobGuard>, ModelError> {
        let Transfer {
            shared,
            repo,
            plan,
            board,
            places,
            ..
        } = &self.transfer;
        let _told = board.because().told(format!("verifying {}", plan.path));
        let open = std::fs::File::open(path);
        let mut file = open.map_err(|error| work::disk("read", path, 0, &error))?;
        let mut hasher = Hasher::new(&plan.hash, plan.size);
        let mut done_bytes = 0;
        loop {
            let path = path.to_path_buf();
            let hash = move || {
                let read = hash_some(&mut file, &mut hasher)
                    .map_err(|error| work::disk("read", &path, 0, &error))?;
                Ok((file, hasher, read))
            };
            let read;
            (file, hasher, read) = work::done(&shared.pool, "hash blob", hash).await?;
            done_bytes += read as u64;
            board.done(places, done_bytes.min(plan.size));
            if read < HASH_BYTES {
                break;
            }
        }
        let is_right = hasher.finish() == plan.hash;
        let (repo, plan) = (repo.clone(), plan.clone());
        work::done(&shared.pool, "mark blob", move || {
            if is_right {
                repo.mark_verified(&plan)?;
                return Ok(None);
            }
            repo.quarantine(&guard, Which::Blob, plan.hash)?;
            Ok(Some(guard))
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
fn hash_some(file: &mut std::fs::File, hasher: &mut Hasher) -> std::io::Result<usize> {
    use std::io::Read;
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
