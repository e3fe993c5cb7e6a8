//! A repository of the fake Hub: its commits, their files, its names, and who may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use dataflow_ids::RepoKind;

use super::content::{Content, sha256};
use super::git;

/// A repository, as a test describes it.
///
/// It begins with one commit, to which files are added; [`Repository::next_commit`] begins another one on top of it.
/// `main` is the last one. The ids of commits, trees and blobs are those that git would give them.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) kind: RepoKind,
    pub(super) name: String,
    pub(super) access: Access,
    pub(super) former_names: Vec<String>,
    /// The files of each commit, the oldest first. There is one.
    commits: Vec<Files>,
    /// What names of revisions mean, besides `main`: places in `commits`.
    names: BTreeMap<String, usize>,
}

/// The files of a commit, by path.
pub(super) type Files = BTreeMap<String, Arc<StoredFile>>;

/// A file, with what the Hub knows about it.
#[derive(Debug)]
pub(super) struct StoredFile {
    pub(super) content: Content,
    /// What git has: the file, or for a large one the pointer to it.
    pub(super) blob: [u8; 20],
    /// The SHA-256 and the length of the pointer in bytes, for a file in large file storage.
    pub(super) large: Option<Large>,
}

/// What the Hub knows of a file in large file storage.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) sha256: String,
    /// What the CDN calls the file: its own hash, not the content's.
    pub(super) cdn_etag: String,
    pub(super) pointer_bytes: usize,
}

/// Who may read a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Access {
    Public,
    /// Only these tokens see that it is there.
    Private(BTreeSet<String>),
    /// Everybody may see what it has; only these tokens get its files.
    Gated(BTreeSet<String>),
}

impl Repository {
    /// An empty repository, `owner/name` or `name`.
    #[must_use]
    pub fn new(kind: RepoKind, name: &str) -> Repository {
        Repository {
            kind,
            name: name.to_owned(),
            access: Access::Public,
            former_names: Vec::new(),
            commits: vec![Files::new()],
            names: BTreeMap::new(),
        }
    }

    /// An empty repository of a model.
    #[must_use]
    pub fn model(name: &str) -> Repository {
        Repository::new(RepoKind::Model, name)
    }

    /// An empty repository of a dataset.
    #[must_use]
    pub fn dataset(name: &str) -> Repository {
        Repository::new(RepoKind::Dataset, name)
    }

    /// An empty repository of a space.
    #[must_use]
    pub fn space(name: &str) -> Repository {
        Repository::new(RepoKind::Space, name)
    }

    /// With a small file, in git: the hub itself serves it, after a relative redirect.
    ///
    /// # Panics
    ///
    /// When a content on disk cannot be read: add that with [`Repository::add`].
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Content>) -> Repository {
        self.add(path, content.into(), Storage::Git)
            .expect("the content can be read");
        self
    }

    /// With a file in large file storage: the CDN serves it, after an absolute redirect.
    ///
    /// # Panics
    ///
    /// When a content on disk cannot be read: add that with [`Repository::add`].
    #[must_use]
    pub fn large_file(mut self, path: &str, content: impl Into<Content>) -> Repository {
        self.add(path, content.into(), Storage::Large)
            .expect("the content can be read");
        self
    }

    /// Adds a file to the last commit, or puts it in the place of the one that has its path.
    ///
    /// # Errors
    ///
    /// When the content cannot be read.
    pub fn add(&mut self, path: &str, content: Content, storage: Storage) -> io::Result<()> {
        let (sha256_of_content, git_blob) = content.hashes()?;
        let (blob, large) = match storage {
            Storage::Git => (git_blob, None),
            Storage::Large => {
                let pointer = git::pointer(&sha256_of_content, content.size_bytes());
                let large = Large {
                    cdn_etag: sha256(format!("the CDN's own: {sha256_of_content}").as_bytes()),
                    sha256: sha256_of_content,
                    pointer_bytes: pointer.len(),
                };
                (git::blob(pointer.as_bytes()), Some(large))
            }
        };
        let file = StoredFile {
            content,
            blob,
            large,
        };
        self.last_mut().insert(path.to_owned(), Arc::new(file));
        Ok(())
    }

    /// With the files of a folder and of those in it, served from where they are. Those with at least
    /// `large_from_bytes` are in large file storage.
    ///
    /// # Errors
    ///
    /// When something cannot be read, or a name is no UTF-8.
    pub fn folder(mut self, folder: &Path, large_from_bytes: u64) -> io::Result<Repository> {
        self.add_folder(folder, "", large_from_bytes)?;
        Ok(self)
    }

    fn add_folder(&mut self, folder: &Path, prefix: &str, large_from_bytes: u64) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| {
                io::Error::other(format!("{} is no UTF-8", name.to_string_lossy()))
            })?;
            let path = format!("{prefix}{name}");
            if fs::metadata(entry.path())?.is_dir() {
                self.add_folder(&entry.path(), &format!("{path}/"), large_from_bytes)?;
                continue;
            }
            let content = Content::of_file(entry.path())?;
            let storage = if content.size_bytes() >= large_from_bytes {
                Storage::Large
            } else {
                Storage::Git
            };
            self.add(&path, content, storage)?;
        }
        Ok(())
    }

    /// Without this file in the last commit.
    #[must_use]
    pub fn without(mut self, path: &str) -> Repository {
        self.last_mut().remove(path);
        self
    }

    /// With another commit, which begins with the files of the one before. `main` is this one now.
    #[must_use]
    pub fn next_commit(mut self) -> Repository {
        let files = self.last().clone();
        self.commits.push(files);
        self
    }

    /// The last commit is also called so: a tag, or a branch that stays there.
    #[must_use]
    pub fn revision(mut self, name: &str) -> Repository {
        self.names.insert(name.to_owned(), self.commits.len() - 1);
        self
    }

    /// Only this token sees it (and those that are named in other calls).
    #[must_use]
    pub fn private_for(mut self, token: &str) -> Repository {
        match &mut self.access {
            Access::Private(tokens) => {
                tokens.insert(token.to_owned());
            }
            access => *access = Access::Private([token.to_owned()].into()),
        }
        self
    }

    /// Its terms must be accepted before its files are given; nobody has accepted them yet.
    #[must_use]
    pub fn gated(mut self) -> Repository {
        self.access = Access::Gated(BTreeSet::new());
        self
    }

    /// Its terms must be accepted before its files are given, and this token's account has done so.
    #[must_use]
    pub fn gated_for(mut self, token: &str) -> Repository {
        match &mut self.access {
            Access::Gated(tokens) => {
                tokens.insert(token.to_owned());
            }
            access => *access = Access::Gated([token.to_owned()].into()),
        }
        self
    }

    /// It had another name once: whoever asks for that is redirected.
    #[must_use]
    pub fn formerly(mut self, name: &str) -> Repository {
        self.former_names.push(name.to_owned());
        self
    }

    /// The ids of its commits, the oldest first; the last one is `main`.
    #[must_use]
    pub fn commits(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for files in &self.commits {
            let id = git::commit(files, ids.last().map(String::as_str));
            ids.push(id);
        }
        ids
    }

    /// The id of `main`'s commit: 40 hexadecimal digits.
    #[must_use]
    pub fn commit(&self) -> String {
        self.commits().pop().expect("there is one commit")
    }

    /// What the Hub lists as the hash of a file of `main`: the SHA-256 of a large one, git's SHA-1 of another one.
    #[must_use]
    pub fn hash(&self, path: &str) -> Option<String> {
        let file = self.last().get(path)?;
        Some(file.listed_hash())
    }

    /// The commit that a revision means, and its files.
    pub(super) fn resolve(&self, revision: &str) -> Option<(String, &Files)> {
        let mut ids = self.commits();
        let place = match self.names.get(revision) {
            Some(place) => *place,
            None if revision == "main" => ids.len() - 1,
            None => ids.iter().position(|id| id == revision)?,
        };
        Some((ids.swap_remove(place), &self.commits[place]))
    }

    /// The tokens that it names.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &String> {
        match &self.access {
            Access::Public => None,
            Access::Private(tokens) | Access::Gated(tokens) => Some(tokens),
        }
        .into_iter()
        .flatten()
    }

    fn last(&self) -> &Files {
        self.commits.last().expect("there is one commit")
    }

    fn last_mut(&mut self) -> &mut Files {
        self.commits.last_mut().expect("there is one commit")
    }
}

impl StoredFile {
    /// What the Hub lists as its hash.
    pub(super) fn listed_hash(&self) -> String {
        match &self.large {
            Some(large) => large.sha256.clone(),
            None => super::content::hexadecimal(&self.blob),
        }
    }
}

/// Where a file of a repository lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In git, as small files do.
    Git,
    /// In large file storage, with a pointer in git.
    Large,
}
