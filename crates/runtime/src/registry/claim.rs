//! Claiming an entry: its lock, what is written into it, and the socket beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::{RegistryError, is_same_file, open_folder, refused, remove_if_there, short, text_of};

/// How often a claim is tried again: another process may be looking at the same entry at this moment, and holds
/// its lock for some microseconds.
const CLAIM_ATTEMPTS_MAX: u32 = 10;
/// How long a claim waits between two attempts.
const CLAIM_PAUSE: Duration = Duration::from_millis(5);
/// A claimed name. Dropping it gives the name back and removes the socket.
#[derive(Debug)]
pub(crate) struct Claim {
    listener: Option<UnixListener>,
    _lock: File,
    pub(super) entry: PathBuf,
    pub(super) socket: PathBuf,
}

impl Claim {
    /// The listening socket, nonblocking. `None` when it was taken before.
    pub(crate) fn take_listener(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Best effort, while the lock is still held: whoever finds a rest of it clears it up.
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(&self.entry);
    }
}

/// What became of a claim.
pub(super) enum Claimed {
    Ours(Claim),
    /// Another process, or this one, has it.
    Held {
        /// What it has written there.
        by: Vec<u8>,
        entry: PathBuf,
        socket: PathBuf,
    },
}

/// Claims `<name>.json` in a folder that is private, writes `about` into it, and makes `<name>.sock`.
pub(super) fn claim_in(
    place: &Path,
    name: &str,
    about: &impl Serialize,
) -> Result<Claimed, RegistryError> {
    let entry = place.join(format!("{name}.json"));
    let socket = place.join(format!("{name}.sock"));
    let mut lock = match lock_entry(&entry)? {
        Locked::Ours(lock) => lock,
        Locked::Held(by) => return Ok(Claimed::Held { by, entry, socket }),
    };
    let text = serde_json::to_vec(about)
        .map_err(io::Error::other)
        .map_err(refused("write", &entry))?;
    lock.set_len(0)
        .and_then(|()| lock.seek(SeekFrom::Start(0)))
        .and_then(|_| lock.write_all(&text))
        .map_err(refused("write", &entry))?;
    // We hold the lock: a socket that is still here belongs to a process that is gone.
    remove_if_there(&socket)?;
    let listener = bind(place, &socket).map_err(refused("make the socket", &socket))?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
        .map_err(refused("protect", &socket))?;
    listener
        .set_nonblocking(true)
        .map_err(refused("use the socket", &socket))?;
    Ok(Claimed::Ours(Claim {
        listener: Some(listener),
        _lock: lock,
        entry,
        socket,
    }))
}

pub(super) fn busy(entry: &Path) -> RegistryError {
    refused("claim", entry)(io::ErrorKind::ResourceBusy.into())
}

/// The lock of an entry, or what its holder has written.
enum Locked {
    Ours(File),
    Held(Vec<u8>),
}

/// Opens the entry and locks it, as the one process that may.
fn lock_entry(entry: &Path) -> Result<Locked, RegistryError> {
    let mut held_by = None;
    for _ in 0..CLAIM_ATTEMPTS_MAX {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(entry)
            .map_err(refused("open", entry))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_same_file(&file, entry) => return Ok(Locked::Ours(file)),
            // Removed by somebody who cleared up, between our open and our lock.
            Ok(()) => continue,
            Err(rustix::io::Errno::WOULDBLOCK) => {
                held_by = text_of(&mut file);
                #[expect(
                    clippy::disallowed_methods,
                    reason = "before the run begins: no actor waits"
                )]
                std::thread::sleep(CLAIM_PAUSE);
            }
            Err(errno) => return Err(refused("lock", entry)(errno.into())),
        }
    }
    held_by.map(Locked::Held).ok_or_else(|| busy(entry))
}

fn bind(place: &Path, socket: &Path) -> io::Result<UnixListener> {
    let folder = open_folder(place)?;
    UnixListener::bind(short(&folder, socket))
}
