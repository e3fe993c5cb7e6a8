//! What a file's content hashes to, a piece at a time.

use std::fmt;

use dataflow_core::models::ContentHash;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// Takes a file's content piece by piece, and says what it hashes to, in the way of the hash that is expected.
#[derive(Clone)]
pub struct Hasher {
    context: Context,
    is_git: bool,
}

impl Hasher {
    /// For a file of `size` bytes that should hash to `expected`. Git hashes the size before the content, so it must
    /// be known.
    #[must_use]
    pub fn new(expected: &ContentHash, size: u64) -> Hasher {
        match expected {
            ContentHash::Sha256(_) => Hasher {
                context: Context::new(&SHA256),
                is_git: false,
            },
            ContentHash::GitSha1(_) => {
                // Not for safety, but for agreement: it is how git names its blobs.
                let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                context.update(format!("blob {size}\0").as_bytes());
                Hasher {
                    context,
                    is_git: true,
                }
            }
        }
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The hash of all pieces.
    #[must_use]
    pub fn finish(self) -> ContentHash {
        let digest = self.context.finish();
        let mut sha256 = [0; 32];
        let mut sha1 = [0; 20];
        match self.is_git {
            true => {
                sha1.copy_from_slice(digest.as_ref());
                ContentHash::GitSha1(sha1)
            }
            false => {
                sha256.copy_from_slice(digest.as_ref());
                ContentHash::Sha256(sha256)
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("is_git", &self.is_git)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hashes_are_those_of_git_and_sha256sum() {
        // `printf 'hello\n' | git hash-object --stdin`, and `| sha256sum`.
        for expected in [
            "ce013625030ba8dba906f756967f9e9ca394464a",
            "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        ] {
            let expected: ContentHash = expected.parse().unwrap();
            let mut hasher = Hasher::new(&expected, 6);
            hasher.update(b"hel");
            hasher.update(b"");
            hasher.update(b"lo\n");
            assert_eq!(hasher.finish(), expected);
        }
    }
}
