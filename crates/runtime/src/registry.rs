//! Where the sockets of running dataflows are, so that every command finds its own and no other.
//!
//! `$XDG_RUNTIME_DIR/dataflow/`, or a private folder in the temporary directory, holds one folder for each
//! project folder (named by a hash of its path), and in it `<name>.sock` and `<name>.json`. The runtime holds
//! a lock on the `.json` for as long as it lives; the kernel drops it with the process, so whoever gets that
//! lock knows the run is gone and may clear up after it. No process id is ever trusted for that. An agent has an entry of
//! the same kind, beside those folders: there is one a user and machine.

mod agent;
mod claim;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use dataflow_ids::DataflowName;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use agent::{FoundAgent, agent};
pub(crate) use claim::Claim;
use claim::{Claimed, busy, claim_in};

/// The longest entry read, in bytes.
const ENTRY_BYTES_MAX: u64 = 64 * 1024;

/// Why the registry cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A folder of it belongs to somebody else, or others may write into it.
    #[error(
        "{folder} is not private to you (owner {owner}, mode {mode:o}): remove it, or set XDG_RUNTIME_DIR to a \
         folder of your own", folder = folder.display()
    )]
    NotPrivate {
        /// The folder.
        folder: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
    /// The same dataflow runs already.
    #[error("`{}` runs already (pid {})", .0.name, .0.pid)]
    RunsAlready(Box<FoundRun>),
    /// An agent runs already.
    #[error("the agent `{}` runs already (pid {})", .0.this, .0.pid)]
    AgentRunsAlready(Box<FoundAgent>),
    /// The system refused.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn refused(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_path_buf();
    move |source| RegistryError::System { what, path, source }
}

/// What stands in a `.json` of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: DataflowName,
    run: String,
    file: PathBuf,
    folder: PathBuf,
    pid: u32,
}

/// A dataflow that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRun {
    /// Its name.
    pub name: DataflowName,
    /// The run's name, which is also its folder's under `.dataflow/runs/`.
    pub run: String,
    /// The YAML it was started from, absolute.
    pub file: PathBuf,
    /// The project's folder, absolute.
    pub folder: PathBuf,
    /// The runtime's process.
    pub pid: u32,
    /// Its socket.
    pub socket: PathBuf,
}

/// The registry of one user, at one place.
#[derive(Debug, Clone)]
pub struct Registry {
    root: PathBuf,
}

impl Registry {
    /// The registry of this process: in `$XDG_RUNTIME_DIR`, else in a private folder of the temporary
    /// directory. Its folders are made when they are needed.
    pub fn of_this_process() -> Registry {
        let root = match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => PathBuf::from(folder).join("dataflow"),
            None => std::env::temp_dir()
                .join(format!("dataflow-{}", rustix::process::getuid().as_raw())),
        };
        Registry { root }
    }

    /// A registry somewhere else, for tests.
    pub fn at(root: impl Into<PathBuf>) -> Registry {
        Registry { root: root.into() }
    }

    /// Claims the name of a dataflow in its project's folder, and makes the socket.
    ///
    /// # Errors
    ///
    /// [`RegistryError::RunsAlready`] when another process, or this one, holds the claim.
    pub(crate) fn claim(
        &self,
        name: &DataflowName,
        run: &str,
        file: &Path,
        folder: &Path,
    ) -> Result<Claim, RegistryError> {
        let folder = canonical(folder);
        private_folder(&self.root)?;
        let place = self.root.join(project_hash(&folder));
        private_folder(&place)?;
        let entry = Entry {
            name: name.clone(),
            run: run.to_owned(),
            file: canonical(file),
            folder,
            pid: std::process::id(),
        };
        match claim_in(&place, name.as_str(), &entry)? {
            Claimed::Ours(claim) => Ok(claim),
            Claimed::Held { by, entry, socket } => match found(&by, &socket) {
                Some(run) => Err(RegistryError::RunsAlready(Box::new(run))),
                None => Err(busy(&entry)),
            },
        }
    }

    /// The runs whose project folder is `folder` or lies below it; with `which`, only those of that name, or
    /// of that YAML file (absolute, or relative to `folder`). What is left of runs that are gone is removed.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NotPrivate`] when others may write into it, [`RegistryError::System`] when it is there and
    /// cannot be read.
    pub fn find(&self, folder: &Path, which: Option<&str>) -> Result<Vec<FoundRun>, RegistryError> {
        let folder = canonical(folder);
        let mut runs = Vec::new();
        for place in read_private_folder(&self.root)? {
            for entry_path in read_private_folder(&place)? {
                if entry_path.extension().is_none_or(|ending| ending != "json") {
                    continue;
                }
                let socket = entry_path.with_extension("sock");
                if let Some(run) =
                    living(&entry_path, &socket)?.and_then(|text| found(&text, &socket))
                    && run.folder.starts_with(&folder)
                    && which.is_none_or(|which| is_meant(&run, &folder, which))
                {
                    runs.push(run);
                }
            }
        }
        runs.sort_by(|a, b| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)));
        Ok(runs)
    }
}

/// The runs of this user whose project folder is `folder` or lies below it; see [`Registry::find`].
///
/// # Errors
///
/// As [`Registry::find`].
pub fn find(folder: &Path, which: Option<&str>) -> Result<Vec<FoundRun>, RegistryError> {
    Registry::of_this_process().find(folder, which)
}

impl FoundRun {
    /// Whether it still runs: its name is given back only when everything of it is on the disk, and nothing of it lives.
    ///
    /// # Errors
    ///
    /// As [`Registry::find`].
    pub fn lives(&self) -> Result<bool, RegistryError> {
        let entry = self.socket.with_extension("json");
        let text = living(&entry, &self.socket)?;
        let now = text.and_then(|text| found(&text, &self.socket));
        Ok(now.is_some_and(|now| now.run == self.run && now.pid == self.pid))
    }

    /// Connects to the run's socket.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        connect(&self.socket)
    }
}

/// Connects to a socket of this user's, and of nobody else's.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let place = socket
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let folder = open_folder(place)?;
    let stream = UnixStream::connect(short(&folder, socket))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    if peer.uid != rustix::process::geteuid() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("user {} listens there, and not you", peer.uid.as_raw()),
        ));
    }
    Ok(stream)
}

/// A socket's path may have 107 bytes; through the descriptor of its folder it never has more.
fn short(folder: &OwnedFd, socket: &Path) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    path.extend(socket.file_name());
    path
}

fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// What stands in an entry.
fn text_of(file: &mut File) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(ENTRY_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(text)
}

fn found(text: &[u8], socket: &Path) -> Option<FoundRun> {
    let entry: Entry = serde_json::from_slice(text).ok()?;
    Some(FoundRun {
        name: entry.name,
        run: entry.run,
        file: entry.file,
        folder: entry.folder,
        pid: entry.pid,
        socket: socket.to_path_buf(),
    })
}

/// What the holder of an entry has written, if it lives; otherwise its rests are removed.
fn living(entry: &Path, socket: &Path) -> Result<Option<Vec<u8>>, RegistryError> {
    let mut file = match File::open(entry) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused("open", entry)(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(text_of(&mut file)),
        Err(errno) => Err(refused("lock", entry)(errno.into())),
        Ok(()) => {
            if is_same_file(&file, entry) {
                remove_if_there(socket)?;
                remove_if_there(entry)?;
            }
            Ok(None)
        }
    }
}

fn is_meant(run: &FoundRun, folder: &Path, which: &str) -> bool {
    run.name.as_str() == which || canonical(&folder.join(which)) == run.file
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// 16 hexadecimal digits of the SHA-256 of the project folder's path.
fn project_hash(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What is in a folder that only this user may write into. Nothing, when it is not there.
fn read_private_folder(folder: &Path) -> Result<Vec<PathBuf>, RegistryError> {
    match fs::symlink_metadata(folder) {
        Ok(facts) if facts.is_file() => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Ok(facts) => check_private(folder, &facts)?,
        Err(error) => return Err(refused("look at", folder)(error)),
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(refused("read", folder)(error)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused("read", folder))?;
    paths.sort();
    Ok(paths)
}

fn remove_if_there(path: &Path) -> Result<(), RegistryError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(refused("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes the folder with mode 0700, or checks that it is private to this user.
fn private_folder(folder: &Path) -> Result<(), RegistryError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refused("make the folder", folder)(error)),
    }
    let facts = fs::symlink_metadata(folder).map_err(refused("look at", folder))?;
    check_private(folder, &facts)
}

fn check_private(folder: &Path, facts: &fs::Metadata) -> Result<(), RegistryError> {
    let mode = facts.mode() & 0o7777;
    let ours = facts.uid() == rustix::process::geteuid().as_raw();
    if !facts.is_dir() || !ours || mode & 0o077 != 0 {
        return Err(RegistryError::NotPrivate {
            folder: folder.to_path_buf(),
            owner: facts.uid(),
            mode,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
