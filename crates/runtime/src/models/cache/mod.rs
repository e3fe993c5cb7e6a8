//! The Hub's cache on disk: the layout of Python's `huggingface_hub`, in which only right files ever stand.
//!
//! ```text
//! models--acme--tiny-detector/
//!   blobs/HASH                    right files only; their names are what they hash to
//!   refs/main                     a commit
//!   snapshots/COMMIT/path         → ../../blobs/HASH
//!   .dataflow/partial/HASH        files on their way
//!   .dataflow/temporary/…         small files before they are moved to their place
//!   .dataflow/quarantine/HASH.N   what came with another content
//!   .dataflow/listings/COMMIT.json
//!   .dataflow/answers/main        a commit: what the Hub has said of a revision, before its files had come
//!   .dataflow/verified/HASH       says which file was hashed, by length, time and inode
//! .locks/models--acme--tiny-detector/HASH.lock
//! ```
//!
//! Everything here blocks: it is for the pool, or for a thread of its own. (I-11: nothing under `snapshots/` or
//! `blobs/` is ever partial or unverified.)

mod blobs;
mod folder;
mod hasher;
mod linked;
mod listings;
mod locks;
mod partial;
mod quarantine;
mod removal;
mod repo;
mod reserve;
mod scan;
mod snapshots;
mod steps;
mod verification;

#[cfg(test)]
mod tests;

pub use blobs::{BlobState, OpenBlob};
pub(super) use folder::refused_needing;
pub use hasher::Hasher;
pub use locks::{BlobGuard, BlobLock};
pub use partial::Partial;
pub use quarantine::Which;
pub use removal::Removed;
pub use repo::{Cache, RepoCache};
pub use reserve::Reservation;
pub use scan::{CacheScan, CachedCommit, CachedRepo};
pub use verification::{CheckedFile, Verdict, VerifyProgress};
