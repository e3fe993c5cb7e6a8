//! Who sees everything that happens in a repository's folder of the cache: not now and then, but each change, because
//! the kernel writes them down.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// A watch over `blobs/` and one snapshot of a repository.
#[derive(Debug)]
pub(crate) struct Watch {
    events: OwnedFd,
    blobs: PathBuf,
    snapshot: PathBuf,
    /// Which number of the kernel is which folder.
    folders: BTreeMap<i32, PathBuf>,
    /// The right content of each blob, by name.
    right: BTreeMap<String, Vec<u8>>,
}

impl Watch {
    /// Watches the folder of a repository that is not there yet. `right` has the content of every blob that may
    /// come, by name.
    pub(crate) fn new(cached: &Path, commit: &str, right: BTreeMap<String, Vec<u8>>) -> Watch {
        let events =
            inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify works");
        let blobs = cached.join("blobs");
        let snapshot = cached.join("snapshots").join(commit);
        let mut folders = BTreeMap::new();
        for folder in [&blobs, &snapshot] {
            fs::create_dir_all(folder).expect("a folder can be made");
            let flags = WatchFlags::CREATE
                | WatchFlags::MODIFY
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_TO;
            let number = inotify::add_watch(&events, folder, flags).expect("it can be watched");
            folders.insert(number, folder.clone());
        }
        Watch {
            events,
            blobs,
            snapshot,
            folders,
            right,
        }
    }

    /// Looks at what has happened since the last look, and at what is there now. Gives how many blobs have come.
    ///
    /// # Panics
    ///
    /// When a blob has been made or written where it is seen, instead of being moved there whole; when one has
    /// another content than its name says; when something in the snapshot is no link to a blob.
    #[track_caller]
    pub(crate) fn look(&self) -> usize {
        let mut room = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.events, &mut room);
        let mut came = 0;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            };
            let kind = event.events();
            assert!(!kind.contains(ReadFlags::QUEUE_OVERFLOW), "not all is seen");
            let name = event.file_name().expect("it is about a file of the folder");
            let name = name.to_str().expect("a name in UTF-8");
            let folder = &self.folders[&event.wd()];
            if *folder == self.blobs {
                assert!(
                    kind.contains(ReadFlags::MOVED_TO),
                    "blobs/{name} was not moved there whole: {kind:?}"
                );
                came += 1;
            } else {
                assert!(
                    !kind.intersects(ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE),
                    "a file was written in the snapshot: {name}"
                );
            }
        }
        self.check_contents();
        came
    }

    fn check_contents(&self) {
        for path in files(&self.blobs) {
            let name = path.file_name().and_then(|name| name.to_str());
            let right = name.and_then(|name| self.right.get(name));
            let right = right.unwrap_or_else(|| panic!("{} is no blob", path.display()));
            let content = fs::read(&path).expect("a blob can be read");
            assert!(content == *right, "{} is not right", path.display());
        }
        for path in files(&self.snapshot) {
            let target =
                fs::read_link(&path).unwrap_or_else(|_| panic!("{} is no link", path.display()));
            let target = path.with_file_name(target).canonicalize();
            let target = target.unwrap_or_else(|error| {
                panic!("{} leads nowhere: {error}", path.display());
            });
            assert!(target.starts_with(self.blobs.canonicalize().expect("it is there")));
            File::open(&path).expect("it can be read");
        }
    }
}

/// The files in a folder and below.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn a_blob_that_is_written_where_it_is_seen_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let right = BTreeMap::from([("hash".to_owned(), b"content".to_vec())]);
    let watch = Watch::new(folder.path(), "commit", right);
    let partial = folder.path().join("partial");
    let blob = folder.path().join("blobs/hash");
    fs::write(&partial, b"content").expect("it can be written");
    fs::rename(&partial, &blob).expect("it can be moved");
    std::os::unix::fs::symlink(
        "../../blobs/hash",
        folder.path().join("snapshots/commit/file"),
    )
    .expect("a link can be made");
    assert_eq!(watch.look(), 1);

    let found_out = |change: &dyn Fn()| {
        change();
        let look = std::panic::AssertUnwindSafe(|| watch.look());
        std::panic::catch_unwind(look).expect_err("it is found out");
    };
    found_out(&|| fs::write(&blob, b"content").expect("it can be written"));
    found_out(&|| {
        fs::write(&partial, b"contents").expect("it can be written");
        fs::rename(&partial, &blob).expect("it can be moved");
    });
}
