//! `dataflow.lock`: which commit a revision meant when it was asked for first, for everybody who uses the project.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dataflow_core::models::{Shown, check_commit, check_repo, check_revision};
use dataflow_ids::RepoKind;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::ModelError;

/// What the file is called, beside the YAML.
pub const FILE_NAME: &str = "dataflow.lock";
/// The file's form.
const VERSION: u32 = 1;
/// Some ten thousand models.
const PINS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Whoever writes it needs a moment only.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const LOCK_ATTEMPTS_MAX: u32 = 500;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    commits: BTreeMap<(RepoKind, String, String), String>,
}

impl Pins {
    /// The commit that a revision of a repository is pinned to.
    #[must_use]
    pub fn commit(&self, kind: RepoKind, repo: &str, revision: &str) -> Option<&str> {
        let key = (kind, repo.to_owned(), revision.to_owned());
        self.commits.get(&key).map(String::as_str)
    }

    /// All pins: kind, repository, revision, commit; sorted.
    pub fn iter(&self) -> impl Iterator<Item = (RepoKind, &str, &str, &str)> {
        self.commits.iter().map(|((kind, repo, revision), commit)| {
            (*kind, repo.as_str(), revision.as_str(), commit.as_str())
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    models: Vec<WrittenPin>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPin {
    kind: RepoKind,
    repo: String,
    revision: String,
    commit: String,
}

/// Reads the file; no file pins nothing.
///
/// # Errors
/// [`ModelError::BadPins`] names the line; [`ModelError::Disk`] when it cannot be read.
pub fn read(path: &Path) -> Result<Pins, ModelError> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Pins::default()),
        Err(error) => return Err(refused("read", path)(error)),
    };
    let mut text = Vec::new();
    file.take(PINS_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(refused("read", path))?;
    let bad = |line: usize, why: String| ModelError::BadPins {
        path: path.to_path_buf(),
        line: line.max(1),
        why,
    };
    if text.len() as u64 > PINS_BYTES_MAX {
        return Err(bad(1, format!("it has more than {PINS_BYTES_MAX} bytes")));
    }
    let written: Written = serde_json::from_slice(&text).map_err(|error| {
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or_default();
        bad(error.line(), Shown(why).to_string())
    })?;
    if written.version != VERSION {
        let why = format!(
            "it is of version {}, and this reads {VERSION}",
            written.version
        );
        return Err(bad(line_of(&text, "\"version\"", 0), why));
    }
    let mut commits = BTreeMap::new();
    for (number, pin) in written.models.into_iter().enumerate() {
        let checked = check_repo(&pin.repo)
            .and_then(|()| check_revision(&pin.revision))
            .and_then(|()| check_commit(&pin.commit));
        let line = || line_of(&text, "\"kind\"", number);
        checked.map_err(|why| bad(line(), why.to_string()))?;
        let key = (pin.kind, pin.repo, pin.revision);
        if commits.contains_key(&key) {
            let why = format!("{} `{}` is pinned twice at `{}`", key.0, key.1, key.2);
            return Err(bad(line(), why));
        }
        commits.insert(key, pin.commit);
    }
    Ok(Pins { commits })
}

/// Pins a revision to a commit, beside all that is pinned already; in place of what it was pinned to. Others who do the
/// same at the same time wait for a moment. When it says that already, nothing is written.
///
/// # Errors
/// [`ModelError::BadName`]; [`ModelError::BadPins`] when the file holds something else, which is left as it is;
/// [`ModelError::Disk`] when it cannot be written.
pub fn pin(
    path: &Path,
    kind: RepoKind,
    repo: &str,
    revision: &str,
    commit: &str,
) -> Result<(), ModelError> {
    check_repo(repo)?;
    check_revision(revision)?;
    check_commit(commit)?;
    if read(path)?.commit(kind, repo, revision) == Some(commit) {
        return Ok(());
    }
    // A symlink is kept, and what it leads to is written.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let _lock = lock(folder)?;
    let mut pins = read(&path)?;
    let key = (kind, repo.to_owned(), revision.to_owned());
    pins.commits.insert(key, commit.to_owned());
    write(&path, folder, &pins)
}

/// Locks the folder, so that no file is left over from the lock.
fn lock(folder: &Path) -> Result<File, ModelError> {
    let file = File::open(folder).map_err(refused("open the folder", folder))?;
    for _ in 0..LOCK_ATTEMPTS_MAX {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a thread of the pool: no actor waits"
                )]
                thread::sleep(LOCK_PAUSE);
            }
            Err(errno) => return Err(refused("lock the folder", folder)(errno.into())),
        }
    }
    Err(refused("lock the folder", folder)(io::Error::from(
        io::ErrorKind::ResourceBusy,
    )))
}

fn write(path: &Path, folder: &Path, pins: &Pins) -> Result<(), ModelError> {
    let models = pins
        .iter()
        .map(|(kind, repo, revision, commit)| WrittenPin {
            kind,
            repo: repo.to_owned(),
            revision: revision.to_owned(),
            commit: commit.to_owned(),
        });
    let written = Written {
        version: VERSION,
        models: models.collect(),
    };
    let mut json = serde_json::to_vec_pretty(&written)
        .map_err(|error| refused("write", path)(io::Error::other(error)))?;
    json.push(b'\n');
    // Whoever holds the folder's lock has this name; what a crash has left of it is overwritten.
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = folder.join(name);
    let written = create(&new)
        .and_then(|mut file| {
            file.write_all(&json)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| File::open(folder)?.sync_all());
    written.map_err(|error| {
        // What matters is said by the error.
        let _ = fs::remove_file(&new);
        refused("write", path)(error)
    })
}

/// Never waits for a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file")),
    }
}

fn create(path: &Path) -> io::Result<File> {
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(
        path,
        flags,
        Mode::from_raw_mode(0o666),
    )?))
}

/// The line of the text's occurrence of this number, from 1 on.
fn line_of(text: &[u8], what: &str, number: usize) -> usize {
    let text = String::from_utf8_lossy(text);
    let place = text.match_indices(what).nth(number);
    let before = place.map_or("", |(place, _)| &text[..place]);
    before.matches('\n').count() + 1
}

fn refused(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ModelError + use<> {
    let path: PathBuf = path.to_path_buf();
    move |error| ModelError::Disk {
        doing,
        path,
        why: error.to_string(),
        kind: error.kind(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dataflow.lock");
        (folder, path)
    }

    #[test]
    fn pins_are_kept_sorted_and_moved_by_pinning_again() {
        let (folder, path) = place();
        assert_eq!(read(&path).unwrap(), Pins::default());
        pin(&path, RepoKind::Dataset, "z", "main", ONE).unwrap();
        pin(&path, RepoKind::Model, "b/c", "refs/pr/1", ONE).unwrap();
        pin(&path, RepoKind::Model, "b/c", "main", ONE).unwrap();
        pin(&path, RepoKind::Model, "b/c", "main", TWO).unwrap();
        let pins = read(&path).unwrap();
        let all: Vec<_> = pins.iter().collect();
        assert_eq!(
            all,
            [
                (RepoKind::Model, "b/c", "main", TWO),
                (RepoKind::Model, "b/c", "refs/pr/1", ONE),
                (RepoKind::Dataset, "z", "main", ONE),
            ]
        );
        assert_eq!(pins.commit(RepoKind::Dataset, "z", "main"), Some(ONE));
        assert_eq!(pins.commit(RepoKind::Model, "z", "main"), None);
        // Nothing but the file is left.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn many_pin_at_once_and_none_is_lost() {
        let (_folder, path) = place();
        thread::scope(|scope| {
            for number in 0..16 {
                let path = &path;
                scope.spawn(move || {
                    pin(path, RepoKind::Model, &format!("m{number}"), "main", ONE).unwrap();
                });
            }
        });
        assert_eq!(read(&path).unwrap().iter().count(), 16);
    }

    #[test]
    fn what_holds_something_else_is_left_alone_and_the_line_is_named() {
        let (_folder, path) = place();
        let pin_of = |repo: &str, revision: &str, commit: &str| {
            format!(
                "{{\n\"version\": 1,\n\"models\": [\n{{\"kind\": \"model\", \"repo\": \"{repo}\", \
                 \"revision\": \"{revision}\",\n\"commit\": \"{commit}\"}}]}}"
            )
        };
        for (text, line) in [
            (String::new(), 1),
            ("\0\u{1b}[2J".to_owned(), 1),
            ("{\"version\": 1,\n\"models\": 7}".to_owned(), 2),
            ("{\n\"version\": 2, \"models\": []}".to_owned(), 2),
            (
                "{\n\n\"version\": 1, \"models\": [], \"more\": 1}".to_owned(),
                3,
            ),
            (pin_of("../../x", "main", ONE), 4),
            (pin_of("a", "../../x", ONE), 4),
            (pin_of("a", "main", "main"), 4),
            ("[".repeat(100_000), 1),
        ] {
            fs::write(&path, &text).unwrap();
            let error = pin(&path, RepoKind::Model, "a", "main", ONE).unwrap_err();
            assert_eq!(error.code(), "bad-lock-file", "{error}");
            let place = format!("{}:{line}: ", path.display());
            assert!(error.to_string().starts_with(&place), "{error}");
            assert!(!error.to_string().contains(['\u{1b}', '\n']), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(read(&path).unwrap_err().code(), "disk");
    }
}
