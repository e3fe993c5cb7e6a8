//! What leads to a file: each folder that is looked into, and the name that is looked for in it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// As many symlinks as the kernel follows.
const SYMLINKS_MAX: u32 = 40;

/// A name in a folder: when what it means changes, the file may be another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Step {
    pub(super) folder: PathBuf,
    pub(super) name: OsString,
}

/// The steps to a file that decide which one it is: every symlink on the way, and the file itself. Where a step leads
/// nowhere, that is the last. It asks the file system, and may block.
pub(super) fn steps_to(file: &Path) -> BTreeSet<Step> {
    let mut steps = BTreeSet::new();
    let mut symlinks = 0;
    let mut at = PathBuf::new();
    let mut left: Vec<OsString> = components(file);
    while let Some(name) = left.pop() {
        if name == OsStr::new("/") {
            at = PathBuf::from("/");
            continue;
        }
        if name == OsStr::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let is_last = left.is_empty();
        match next.read_link() {
            Ok(target) if symlinks < SYMLINKS_MAX => {
                symlinks += 1;
                let folder = at.clone();
                steps.insert(Step { folder, name });
                left.extend(components(&target));
            }
            _ if is_last || !next.is_dir() => {
                let folder = at;
                steps.insert(Step { folder, name });
                return steps;
            }
            _ => at = next,
        }
    }
    steps
}

/// The components of a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    let needed = components.filter(|it| !matches!(it, Component::CurDir));
    needed.map(|it| it.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn step(folder: &Path, name: &str) -> Step {
        Step {
            folder: folder.to_owned(),
            name: name.into(),
        }
    }

    #[test]
    fn a_plain_file_is_one_step_whether_it_is_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let expected = BTreeSet::from([step(&root, "peers.yaml")]);
        assert_eq!(steps_to(&root.join("peers.yaml")), expected);
        std::fs::write(root.join("peers.yaml"), "").unwrap();
        assert_eq!(steps_to(&root.join("./peers.yaml")), expected);
    }

    #[test]
    fn every_symlink_on_the_way_is_a_step_also_those_of_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        // As a cluster's configuration is mounted: file → ..data/file, ..data → ..1/.
        std::fs::create_dir_all(root.join("mount/..1")).unwrap();
        std::fs::write(root.join("mount/..1/peers.yaml"), "").unwrap();
        symlink("..1", root.join("mount/..data")).unwrap();
        symlink("..data/peers.yaml", root.join("mount/peers.yaml")).unwrap();
        symlink(root.join("mount"), root.join("etc")).unwrap();
        let mount = root.join("mount");
        let expected = BTreeSet::from([
            step(&root, "etc"),
            step(&mount, "peers.yaml"),
            step(&mount, "..data"),
            step(&mount.join("..1"), "peers.yaml"),
        ]);
        assert_eq!(steps_to(&root.join("etc/peers.yaml")), expected);
    }

    #[test]
    fn where_the_way_ends_the_next_name_is_waited_for_and_a_circle_ends() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let steps = steps_to(&root.join("not/there/peers.yaml"));
        assert_eq!(steps, BTreeSet::from([step(&root, "not")]));
        symlink("other", root.join("one")).unwrap();
        symlink("one", root.join("other")).unwrap();
        let steps = steps_to(&root.join("one"));
        assert_eq!(
            steps,
            BTreeSet::from([step(&root, "one"), step(&root, "other")])
        );
    }
}
