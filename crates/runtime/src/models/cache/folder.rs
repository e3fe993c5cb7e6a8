//! A folder of the cache, held open. All that is written into the cache is written through one.
//!
//! Names are looked up one part at a time, relative to the open folder and never through a symlink, so neither a
//! planted symlink nor somebody who renames folders meanwhile leads anything out of the cache.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::reserve::free_bytes;
use super::steps::step;
use crate::models::error::ModelError;

/// As the umask allows.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// What a new name takes at least.
const BLOCK_BYTES: u64 = 4096;

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// One name in a folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// What it is itself, if it is a symlink: a symlink.
    pub(super) facts: Stat,
}

impl Entry {
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.facts.st_mode)
    }
}

/// The error for what the system refuses.
pub(super) fn refused(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> ModelError + use<> {
    refused_needing(doing, path, BLOCK_BYTES)
}

/// The same, where so many bytes were still to be written.
pub(in crate::models) fn refused_needing(
    doing: &'static str,
    path: &Path,
    needed_bytes: u64,
) -> impl FnOnce(io::Error) -> ModelError + use<> {
    let path = path.to_path_buf();
    move |error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ModelError::NoSpace {
            needed_bytes,
            free_bytes: free_bytes(&path),
            place: path.parent().unwrap_or(&path).to_path_buf(),
        },
        _ => ModelError::Disk {
            doing,
            path,
            why: error.to_string(),
            kind: error.kind(),
        },
    }
}

fn refused_by_system(doing: &'static str, path: &Path) -> impl FnOnce(Errno) -> ModelError + use<> {
    let refused = refused(doing, path);
    move |errno| refused(errno.into())
}

impl Folder {
    /// The cache's own folder, which the user names: symlinks on the way to it are his.
    pub(super) fn root(path: &Path) -> Result<Option<Folder>, ModelError> {
        match rustix::fs::open(path, folder_flags() - OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Some(Folder {
                fd,
                path: path.to_path_buf(),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused_by_system("open the folder", path)(errno)),
        }
    }

    /// The same, made if it is not there.
    pub(super) fn make_root(path: &Path) -> Result<Folder, ModelError> {
        if let Some(root) = Folder::root(path)? {
            return Ok(root);
        }
        step();
        std::fs::create_dir_all(path).map_err(refused("make the folder", path))?;
        Folder::root(path)?.ok_or_else(|| {
            refused("open the folder", path)(io::Error::from(io::ErrorKind::NotFound))
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it, or `None` when there is nothing of that name.
    pub(super) fn enter(&self, name: &str) -> Result<Option<Folder>, ModelError> {
        let path = self.path.join(name);
        match rustix::fs::openat(&self.fd, name, folder_flags(), Mode::empty()) {
            Ok(fd) => Ok(Some(Folder { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            // What the system says of a symlink and of a file here.
            Err(Errno::LOOP | Errno::NOTDIR) => Err(ModelError::Disk {
                doing: "use the folder",
                path,
                why: "it is no folder, or a symlink that may lead out of the cache".to_owned(),
                kind: io::ErrorKind::NotADirectory,
            }),
            Err(errno) => Err(refused_by_system("open the folder", &path)(errno)),
        }
    }

    /// A folder in it, made if it is not there.
    pub(super) fn make(&self, name: &str) -> Result<Folder, ModelError> {
        if let Some(folder) = self.enter(name)? {
            return Ok(folder);
        }
        let path = self.path.join(name);
        step();
        match rustix::fs::mkdirat(&self.fd, name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(refused_by_system("make the folder", &path)(errno)),
        }
        self.enter(name)?.ok_or_else(|| {
            refused("open the folder", &path)(io::Error::from(io::ErrorKind::NotFound))
        })
    }

    /// The folder at the end of a path of folders.
    pub(super) fn enter_all<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Folder>, ModelError> {
        let mut folder = self.again()?;
        for name in names {
            match folder.enter(name)? {
                Some(next) => folder = next,
                None => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    /// The folder at the end of a path of folders, made as far as it is not there.
    pub(super) fn make_all<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Folder, ModelError> {
        let mut folder = self.again()?;
        for name in names {
            folder = folder.make(name)?;
        }
        Ok(folder)
    }

    fn again(&self) -> Result<Folder, ModelError> {
        let fd = self.fd.try_clone();
        Ok(Folder {
            fd: fd.map_err(refused("open the folder", &self.path))?,
            path: self.path.clone(),
        })
    }

    /// What a name is; a symlink is a symlink.
    pub(super) fn facts(&self, name: &str) -> Result<Option<Stat>, ModelError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(facts) => Ok(Some(facts)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused_by_system("look at", &self.path.join(name))(errno)),
        }
    }

    /// Opens a file, never through a symlink, and never waiting for a pipe. `None` when nothing has the name.
    pub(super) fn open(&self, name: &str, flags: OFlags) -> Result<Option<File>, ModelError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match rustix::fs::openat(&self.fd, name, flags, FILE_MODE) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused_by_system("open", &self.path.join(name))(errno)),
        }
    }

    /// A small file's content; `None` when nothing has the name, or what has it is no file or has more bytes.
    pub(super) fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, ModelError> {
        let path = self.path.join(name);
        match self.facts(name)? {
            Some(facts) if FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile => {}
            _ => return Ok(None),
        }
        let Some(file) = self.open(name, OFlags::RDONLY)? else {
            return Ok(None);
        };
        let mut content = Vec::new();
        file.take(bytes_max + 1)
            .read_to_end(&mut content)
            .map_err(refused("read", &path))?;
        Ok((content.len() as u64 <= bytes_max).then_some(content))
    }

    /// Where a symlink leads.
    pub(super) fn read_link(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        let target = rustix::fs::readlinkat(&self.fd, name, Vec::new());
        let refused = refused_by_system("read the symlink", &self.path.join(name));
        Ok(target.map_err(refused)?.into_bytes())
    }

    /// Makes a new file in this folder, which is for what is not finished, and moves it to `name` in `to` when it is
    /// on the disk: whoever reads there sees the old content or the new one, after a crash too.
    pub(super) fn write_into(
        &self,
        to: &Folder,
        name: &str,
        content: &[u8],
    ) -> Result<(), ModelError> {
        let path = to.path.join(name);
        let refuse = |doing| refused_needing(doing, &path, content.len() as u64);
        let temporary = temporary_name();
        step();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mut file = self
            .open(&temporary, flags)?
            .ok_or_else(|| refuse("write")(io::Error::from(io::ErrorKind::NotFound)))?;
        let (half, rest) = content.split_at(content.len() / 2);
        let written = file
            .write_all(half)
            .and_then(|()| {
                step();
                file.write_all(rest)
            })
            .and_then(|()| file.sync_all());
        if let Err(error) = written {
            self.remove(&temporary)?;
            return Err(refuse("write")(error));
        }
        self.rename(&temporary, to, name)
    }

    /// Makes a symlink in this folder, and moves it to `name` in `to`, over what has that name there.
    pub(super) fn link_into(
        &self,
        to: &Folder,
        name: &str,
        target: &str,
    ) -> Result<(), ModelError> {
        let temporary = temporary_name();
        step();
        rustix::fs::symlinkat(target, &self.fd, temporary.as_str())
            .map_err(refused_by_system("make the symlink", &to.path.join(name)))?;
        self.rename(&temporary, to, name).inspect_err(|_| {
            // What matters is said by the error; what is left here is nobody's.
            let _ = self.remove(&temporary);
        })
    }

    /// Moves something, over what has the new name there.
    pub(super) fn rename(&self, name: &str, to: &Folder, new: &str) -> Result<(), ModelError> {
        step();
        rustix::fs::renameat(&self.fd, name, &to.fd, new)
            .map_err(refused_by_system("move a file to", &to.path.join(new)))
    }

    /// Removes a file or a symlink, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), ModelError> {
        if self.facts(name)?.is_none() {
            return Ok(());
        }
        step();
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(refused_by_system("remove", &self.path.join(name))(errno)),
        }
    }

    /// Removes whatever has the name, if it is there: a folder with all that is in it, a symlink itself.
    pub(super) fn remove_all(&self, name: &str) -> Result<(), ModelError> {
        let Some(facts) = self.facts(name)? else {
            return Ok(());
        };
        if FileType::from_raw_mode(facts.st_mode) != FileType::Directory {
            return self.remove(name);
        }
        if let Some(folder) = self.enter(name)? {
            for entry in folder.entries()? {
                folder.remove_all(&entry.name)?;
            }
        }
        step();
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(refused_by_system("remove", &self.path.join(name))(errno)),
        }
    }

    /// What is in it, by name. Names that are no UTF-8 are nobody's here and are left out.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, ModelError> {
        let refuse = || refused_by_system("read the folder", &self.path);
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(refuse())? {
            let entry = entry.map_err(refuse())?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            // It may have gone meanwhile.
            if let Some(facts) = self.facts(name)? {
                let name = name.to_owned();
                entries.push(Entry { name, facts });
            }
        }
        entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Makes its names durable.
    pub(super) fn sync(&self) -> Result<(), ModelError> {
        step();
        rustix::fs::fsync(&self.fd).map_err(refused_by_system("sync the folder", &self.path))
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// No other process has it, on no machine and in no container that shares the cache, and no other thread.
fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u64> =
        LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}.{number}", *PROCESS)
}
