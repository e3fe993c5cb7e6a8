//! The words of a download: what is wanted, and what it consists of.

use std::fmt;
use std::str::FromStr;

use dataflow_ids::RepoKind;

/// What somebody wants of the Hub. Two wants that are equal are served by one download.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelSpec {
    /// What kind of repository.
    pub kind: RepoKind,
    /// `acme/tiny-detector`, or `tiny-detector` alone.
    pub repo: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// Patterns of the files that are wanted, sorted and without duplicates; empty means all of them.
    pub files: Vec<String>,
}

impl ModelSpec {
    /// What is wanted, with the patterns in the one order that makes equal wants equal.
    #[must_use]
    pub fn new(kind: RepoKind, repo: String, revision: String, files: Vec<String>) -> ModelSpec {
        let mut files = files;
        files.sort_unstable();
        files.dedup();
        ModelSpec {
            kind,
            repo,
            revision,
            files,
        }
    }
}

impl fmt::Display for ModelSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RepoKind::Model => {}
            kind => write!(f, "{kind} ")?,
        }
        write!(f, "{}@{}", self.repo, self.revision)
    }
}

/// The files of a repository at one commit, as the Hub lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit: 40 hexadecimal digits.
    pub commit: String,
    /// Its files, sorted by path.
    pub files: Vec<FilePlan>,
}

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePlan {
    /// Its path in the repository, with `/`; checked: relative, no `..`, no empty part, no NUL.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// What its content must hash to; also its name in the cache.
    pub hash: ContentHash,
}

/// What a file's content must hash to. Its text is the file's name below `blobs/` in the Hub's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentHash {
    /// Of a file in large file storage: SHA-256 of its content.
    Sha256([u8; 32]),
    /// Of any other: the SHA-1 that git gives the blob, over `blob SIZE\0` and the content.
    GitSha1([u8; 20]),
}

/// A text is no hash: it does not have 40 or 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no hash: it has 40 hexadecimal digits (git) or 64 (sha256)")]
pub struct BadHash(pub String);

impl FromStr for ContentHash {
    type Err = BadHash;

    /// Reads 64 hexadecimal digits as SHA-256 and 40 as git's SHA-1.
    fn from_str(text: &str) -> Result<Self, BadHash> {
        let bad = || BadHash(text.chars().take(80).collect());
        let mut bytes = [0; 32];
        let length = text.len() / 2;
        if !text.is_ascii() || !matches!(text.len(), 40 | 64) {
            return Err(bad());
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |place: usize| (digits[place] as char).to_digit(16);
            let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                return Err(bad());
            };
            *byte = u8::try_from(high * 16 + low).map_err(|_| bad())?;
        }
        if length == 32 {
            return Ok(ContentHash::Sha256(bytes));
        }
        let mut short = [0; 20];
        short.copy_from_slice(&bytes[..20]);
        Ok(ContentHash::GitSha1(short))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: &[u8] = match self {
            ContentHash::Sha256(bytes) => bytes,
            ContentHash::GitSha1(bytes) => bytes,
        };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_patterns_makes_no_other_want() {
        let spec = |files: &[&str]| {
            let files = files.iter().map(|&file| file.to_owned()).collect();
            ModelSpec::new(RepoKind::Model, "acme/x".into(), "main".into(), files)
        };
        assert_eq!(spec(&["b", "a", "b"]), spec(&["a", "b"]));
        assert_ne!(spec(&["a"]), spec(&["a", "b"]));
    }

    #[test]
    fn a_hash_is_read_and_written_in_hexadecimal_digits() {
        let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        for text in [sha256, git] {
            let hash: ContentHash = text.parse().unwrap();
            assert_eq!(hash.to_string(), text);
        }
        assert!(matches!(sha256.parse(), Ok(ContentHash::Sha256(_))));
        assert!(matches!(git.parse(), Ok(ContentHash::GitSha1(_))));
        for bad in [
            "",
            "xyz",
            &sha256[1..],
            &"g".repeat(40),
            &"é".repeat(20),
            "+1".repeat(20).as_str(),
        ] {
            assert_eq!(bad.parse::<ContentHash>(), Err(BadHash(bad.to_owned())));
        }
    }
}
