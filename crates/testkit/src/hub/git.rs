//! The objects that git would make of a repository, to have the ids that git would give them.

use std::collections::BTreeMap;

use super::content::{GitObject, hexadecimal};
use super::repository::Files;

/// The id of a file.
pub(super) fn blob(bytes: &[u8]) -> [u8; 20] {
    GitObject::id("blob", bytes)
}

/// What stands in git in the place of a large file.
pub(super) fn pointer(sha256: &str, size_bytes: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size_bytes}\n")
}

/// The id of the commit that has these files: 40 hexadecimal digits.
pub(super) fn commit(files: &Files, parent: Option<&str>) -> String {
    let tree = hexadecimal(&Tree::of(files).id());
    let parent = parent.map_or_else(String::new, |parent| format!("parent {parent}\n"));
    let who = "fake <fake@localhost> 1700000000 +0000";
    let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\nfiles\n");
    hexadecimal(&GitObject::id("commit", text.as_bytes()))
}

/// The ids of all folders, by path.
pub(super) fn folders(files: &Files) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    Tree::of(files).folders("", &mut found);
    found
}

/// A folder.
#[derive(Default)]
struct Tree<'a> {
    folders: BTreeMap<&'a str, Tree<'a>>,
    files: BTreeMap<&'a str, [u8; 20]>,
}

impl<'a> Tree<'a> {
    fn of(files: &'a Files) -> Tree<'a> {
        let mut root = Tree::default();
        for (path, file) in files {
            let mut tree = &mut root;
            let mut rest = path.as_str();
            while let Some((folder, below)) = rest.split_once('/') {
                tree = tree.folders.entry(folder).or_default();
                rest = below;
            }
            tree.files.insert(rest, file.blob);
        }
        root
    }

    fn id(&self) -> [u8; 20] {
        // Git sorts a folder as if its name ended with a slash.
        let mut entries: BTreeMap<String, (&str, &str, [u8; 20])> = BTreeMap::new();
        for (name, tree) in &self.folders {
            entries.insert(format!("{name}/"), ("40000", name, tree.id()));
        }
        for (name, id) in &self.files {
            entries.insert((*name).to_owned(), ("100644", name, *id));
        }
        let mut bytes = Vec::new();
        for (mode, name, id) in entries.into_values() {
            bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            bytes.extend_from_slice(&id);
        }
        GitObject::id("tree", &bytes)
    }

    fn folders(&self, prefix: &str, found: &mut BTreeMap<String, String>) {
        for (name, tree) in &self.folders {
            let path = format!("{prefix}{name}");
            tree.folders(&format!("{path}/"), found);
            found.insert(path, hexadecimal(&tree.id()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::repository::Repository;

    /// The ids are what `git` itself said: `git init; …; GIT_AUTHOR_DATE=… git commit -m files; git ls-tree -rt HEAD`.
    #[test]
    fn the_ids_are_those_that_git_gives() {
        let repository = Repository::model("acme/x")
            .file("a.txt", b"hello\n")
            .file("a/b/c.json", b"{}")
            .large_file("w.bin", b"weights");
        assert_eq!(
            repository.hash("a.txt").unwrap(),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
        assert_eq!(repository.commit(), EXPECTED_COMMIT);
    }

    const EXPECTED_COMMIT: &str = "647ede23bf52fce60cd0fad6d9520517bb60aa98";
}
