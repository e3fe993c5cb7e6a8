//! What a file of a repository contains, and the hashes that git and large file storage give it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest;

/// How much of a file on disk is in memory at once, in bytes.
const READ_BYTES: usize = 1024 * 1024;

/// The bytes of a file: in memory, or on disk, read as they are sent.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Memory(Arc<[u8]>),
    /// In a file that does not change while the Hub serves it.
    Disk {
        /// Where.
        path: Arc<Path>,
        /// Its length in bytes.
        size_bytes: u64,
    },
}

impl Content {
    /// The bytes of the file at `path`.
    ///
    /// # Errors
    ///
    /// When there is no such file.
    pub fn of_file(path: impl Into<PathBuf>) -> io::Result<Content> {
        let path = path.into();
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::Error::other(format!("{} is no file", path.display())));
        }
        Ok(Content::Disk {
            path: path.into(),
            size_bytes: metadata.len(),
        })
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::Disk { size_bytes, .. } => *size_bytes,
        }
    }

    /// To read it from any place.
    pub(super) fn open(&self) -> io::Result<Opened> {
        Ok(match self {
            Content::Memory(bytes) => Opened::Memory(Arc::clone(bytes)),
            Content::Disk { path, .. } => Opened::Disk(File::open(path)?),
        })
    }

    /// Its SHA-256 and the SHA-1 that git gives it as a blob, in one reading.
    pub(super) fn hashes(&self) -> io::Result<(String, [u8; 20])> {
        let mut sha256 = digest::Context::new(&digest::SHA256);
        let mut git = GitObject::new("blob", self.size_bytes());
        match self {
            Content::Memory(bytes) => {
                sha256.update(bytes);
                git.update(bytes);
            }
            Content::Disk { path, .. } => {
                let mut file = File::open(path)?;
                let mut buffer = vec![0; READ_BYTES];
                loop {
                    let count = file.read(&mut buffer)?;
                    if count == 0 {
                        break;
                    }
                    sha256.update(&buffer[..count]);
                    git.update(&buffer[..count]);
                }
            }
        }
        Ok((hexadecimal(sha256.finish().as_ref()), git.finish()))
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Content {
        Content::Memory(bytes.into())
    }
}

impl<const N: usize> From<&[u8; N]> for Content {
    fn from(bytes: &[u8; N]) -> Content {
        Content::Memory(bytes.as_slice().into())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Content {
        Content::Memory(bytes.into())
    }
}

impl From<Arc<[u8]>> for Content {
    fn from(bytes: Arc<[u8]>) -> Content {
        Content::Memory(bytes)
    }
}

/// A content that is being read.
#[derive(Debug)]
pub(super) enum Opened {
    Memory(Arc<[u8]>),
    Disk(File),
}

impl Opened {
    /// Fills `buffer` with what stands at `offset`.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Opened::Memory(bytes) => {
                let start = usize::try_from(offset).map_err(io::Error::other)?;
                let part = bytes
                    .get(start..start + buffer.len())
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                buffer.copy_from_slice(part);
                Ok(())
            }
            Opened::Disk(file) => file.read_exact_at(buffer, offset),
        }
    }
}

/// The SHA-1 of an object of git, over its kind, its length and its bytes.
pub(super) struct GitObject(digest::Context);

impl GitObject {
    pub(super) fn new(kind: &str, size_bytes: u64) -> GitObject {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(format!("{kind} {size_bytes}\0").as_bytes());
        GitObject(context)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> [u8; 20] {
        let mut id = [0; 20];
        id.copy_from_slice(self.0.finish().as_ref());
        id
    }

    /// The id of a whole object.
    pub(super) fn id(kind: &str, bytes: &[u8]) -> [u8; 20] {
        let mut object = GitObject::new(kind, bytes.len() as u64);
        object.update(bytes);
        object.finish()
    }
}

/// The SHA-256 of `bytes`, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// `bytes` in hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
