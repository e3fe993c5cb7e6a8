//! Who else may write the file of peers: it says who comes in, so nobody may but root and whoever runs the agent.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::folders::steps_to;

const ROOT: u32 = 0;
/// Who owns what belongs to nobody that a user namespace knows; outside of one, nobody logs in as this.
const NOBODY: u32 = 65534;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// Of a folder: only the owner of an entry renames or removes it.
const STICKY: u32 = 0o1000;

/// Somebody else may write the file, or put another one in its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenToOthers {
    /// Everybody may.
    #[error(
        "the file of peers says who comes in, and everybody may write {}: `chmod o-w` it", .0.display()
    )]
    Everybody(PathBuf),
    /// Another user may.
    #[error(
        "the file of peers says who comes in, and {} belongs to user {owner}, not to user {user} who runs the agent: \
         `chown` it, or keep the file elsewhere", path.display()
    )]
    Owner {
        /// The file, or a folder that leads to it.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs the agent.
        user: u32,
    },
}

/// Looks at a file of peers, at every link on the way to it, and at every folder that these are in. A file that is not
/// there is nobody's. It asks the file system, and may block.
///
/// # Errors
///
/// [`OpenToOthers`], which says what to do.
pub fn look_who_writes(file: &Path) -> Result<(), OpenToOthers> {
    look(file, rustix::process::geteuid().as_raw())
}

/// What is doubtful about who may write the file, in one line: a group may that is not its owner's alone.
pub fn group_that_writes(file: &Path) -> Option<String> {
    let own = rustix::process::getegid().as_raw();
    let folder = file.parent().map(Path::to_owned);
    let mut paths = [Some(file.to_owned()), folder].into_iter().flatten();
    paths.find_map(|path| {
        let metadata = path.metadata().ok()?;
        // Many systems give each user a group of the same number, with nobody else in it.
        let is_private = metadata.gid() == own || metadata.gid() == metadata.uid();
        let writes = metadata.mode() & GROUP_WRITES != 0 && metadata.mode() & STICKY == 0;
        (writes && !is_private).then(|| {
            format!(
                "the file of peers says who comes in, and the group {} may write {}",
                metadata.gid(),
                path.display()
            )
        })
    })
}

fn look(file: &Path, user: u32) -> Result<(), OpenToOthers> {
    let (Ok(file), Ok(metadata)) = (std::path::absolute(file), file.metadata()) else {
        return Ok(());
    };
    let mut ways = BTreeSet::new();
    for step in steps_to(&file) {
        ways.insert(step.folder.join(&step.name));
        ways.extend(step.folder.ancestors().map(Path::to_owned));
    }
    let about = |path: &Path| path.symlink_metadata().ok().map(|it| Entry::of(&it));
    for path in ways {
        // What went meanwhile leads nowhere.
        let Some(entry) = about(&path) else { continue };
        let folder = path.parent().and_then(about);
        match judge(entry, folder, metadata.uid(), user) {
            Some(Open::Everybody) => return Err(OpenToOthers::Everybody(path)),
            Some(Open::Owner) => {
                let owner = entry.owner;
                return Err(OpenToOthers::Owner { path, owner, user });
            }
            None => {}
        }
    }
    Ok(())
}

/// What is known of a file, a folder or a link.
#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: Kind,
    owner: u32,
    mode: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    Link,
    File,
}

impl Entry {
    fn of(metadata: &Metadata) -> Entry {
        let kind = match () {
            () if metadata.is_symlink() => Kind::Link,
            () if metadata.is_dir() => Kind::Folder,
            () => Kind::File,
        };
        Entry {
            kind,
            owner: metadata.uid(),
            mode: metadata.mode(),
        }
    }

    /// Whether everybody may put entries into this folder, and take away their own alone.
    fn is_shared_folder(self) -> bool {
        self.kind == Kind::Folder && self.mode & OTHERS_WRITE != 0 && self.mode & STICKY != 0
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Open {
    Everybody,
    Owner,
}

/// Whether somebody else may write an entry on the way to the file, of which the owner is `file_owner`.
fn judge(entry: Entry, folder: Option<Entry>, file_owner: u32, user: u32) -> Option<Open> {
    let mode_counts = entry.kind != Kind::Link && !entry.is_shared_folder();
    if mode_counts && entry.mode & OTHERS_WRITE != 0 {
        return Some(Open::Everybody);
    }
    // Root may run the agent of a project that is one user's. Where everybody may put files, it may be anybody's.
    let is_put = folder.is_some_and(Entry::is_shared_folder);
    let is_projects = user == ROOT && entry.owner == file_owner && !is_put;
    let is_ours = [ROOT, user, NOBODY].contains(&entry.owner) || is_projects;
    (!is_ours).then_some(Open::Owner)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const ANN: u32 = 1000;
    const MALLORY: u32 = 1001;

    fn entry(kind: Kind, owner: u32, mode: u32) -> Entry {
        Entry { kind, owner, mode }
    }

    #[test]
    fn only_what_lets_a_third_party_write_is_an_error() {
        let (file, folder, link) = (Kind::File, Kind::Folder, Kind::Link);
        let tmp = entry(folder, ROOT, 0o1777);
        let home = entry(folder, ANN, 0o755);
        // What, where, whose file it is, who runs the agent.
        let cases = [
            (entry(file, ANN, 0o644), home, ANN, ANN, None),
            (entry(file, ANN, 0o664), home, ANN, ANN, None),
            (entry(file, ROOT, 0o644), home, ROOT, ANN, None),
            (
                entry(file, ANN, 0o646),
                home,
                ANN,
                ANN,
                Some(Open::Everybody),
            ),
            (
                entry(file, MALLORY, 0o600),
                home,
                MALLORY,
                ANN,
                Some(Open::Owner),
            ),
            (
                entry(folder, ANN, 0o777),
                home,
                ANN,
                ANN,
                Some(Open::Everybody),
            ),
            (
                entry(folder, MALLORY, 0o755),
                home,
                ANN,
                ANN,
                Some(Open::Owner),
            ),
            (tmp, home, ANN, ANN, None),
            (entry(file, ANN, 0o644), tmp, ANN, ANN, None),
            (
                entry(file, MALLORY, 0o644),
                tmp,
                MALLORY,
                ANN,
                Some(Open::Owner),
            ),
            (entry(link, ANN, 0o777), home, ANN, ANN, None),
            (
                entry(link, MALLORY, 0o777),
                tmp,
                ANN,
                ANN,
                Some(Open::Owner),
            ),
            // Root runs what is ann's: ann may write, and nobody else.
            (entry(file, ANN, 0o644), home, ANN, ROOT, None),
            (entry(folder, ANN, 0o755), home, ANN, ROOT, None),
            (
                entry(folder, MALLORY, 0o755),
                home,
                ANN,
                ROOT,
                Some(Open::Owner),
            ),
            (entry(file, ANN, 0o644), tmp, ANN, ROOT, Some(Open::Owner)),
            (entry(folder, NOBODY, 0o755), home, ANN, ANN, None),
        ];
        for (entry, folder, file_owner, user, expected) in cases {
            let found = judge(entry, Some(folder), file_owner, user);
            assert_eq!(found, expected, "{entry:?} in {folder:?}, {user} runs it");
        }
    }

    #[test]
    fn the_file_every_link_and_every_folder_on_the_way_is_looked_at() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let (real, named) = (root.join("real/deep"), root.join("named"));
        fs::create_dir_all(&real).unwrap();
        fs::create_dir(&named).unwrap();
        fs::write(real.join("peers.yaml"), "").unwrap();
        symlink(real.join("peers.yaml"), named.join("peers.yaml")).unwrap();
        let file = named.join("peers.yaml");
        assert_eq!(look_who_writes(&file), Ok(()));
        assert_eq!(look_who_writes(&root.join("nowhere")), Ok(()));
        let opened = [
            real.join("peers.yaml"),
            real.clone(),
            root.join("real"),
            named.clone(),
        ];
        for path in opened {
            let before = path.metadata().unwrap().permissions();
            fs::set_permissions(&path, Permissions::from_mode(0o757)).unwrap();
            let everybody = OpenToOthers::Everybody(path.clone());
            assert_eq!(look_who_writes(&file), Err(everybody));
            fs::set_permissions(&path, before).unwrap();
        }
        let owner = root.metadata().unwrap().uid();
        let other = owner + 1;
        assert!(owner == ROOT || look(&file, other).is_err(), "user {owner}");
    }
}
