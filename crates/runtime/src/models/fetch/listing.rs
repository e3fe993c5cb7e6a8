//! The Hub's JSON, read: which files a repository has, with their lengths and hashes. All of it may be wrong.

use std::collections::BTreeMap;

use dataflow_core::models::{BadName, ContentHash, FilePlan, check_file, check_files, is_commit};
use serde::Deserialize;

/// `/api/models/REPO/revision/REVISION?blobs=true`, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Info {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    /// The repository's information calls it so, …
    sha256: Option<String>,
    /// … and its tree so.
    oid: Option<String>,
    size: Option<u64>,
}

/// One entry of `/api/models/REPO/tree/COMMIT?recursive=true`.
#[derive(Debug, Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    size: Option<u64>,
    oid: Option<String>,
    lfs: Option<Lfs>,
}

/// What the repository's information says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Information {
    /// The commit of the revision that was asked for.
    pub(super) commit: String,
    /// Its files; `None` when a length or a hash is missing, so that the tree must be asked for.
    pub(super) files: Option<Files>,
}

/// Files by path: each is there once, and they are sorted.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Files {
    by_path: BTreeMap<String, (u64, ContentHash)>,
}

impl Files {
    /// Takes one more file.
    fn add(&mut self, file: FilePlan, files_max: usize) -> Result<(), String> {
        check(&file.path)?;
        if self.by_path.len() >= files_max {
            return Err(format!("it lists more than {files_max} files"));
        }
        let shown = shortened(&file.path);
        match self.by_path.insert(file.path, (file.size, file.hash)) {
            None => Ok(()),
            Some(_) => Err(format!("it lists `{shown}` twice")),
        }
    }

    /// The files as the rest of the project has them.
    ///
    /// # Errors
    ///
    /// One of them is the folder of another.
    pub(super) fn plans(self) -> Result<Vec<FilePlan>, String> {
        check_files(self.by_path.keys().map(String::as_str)).map_err(|bad| no_path(&bad))?;
        let plan = |(path, (size, hash))| FilePlan { path, size, hash };
        Ok(self.by_path.into_iter().map(plan).collect())
    }
}

/// Reads the repository's information.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read_information(json: &[u8], files_max: usize) -> Result<Information, String> {
    let info: Info = serde_json::from_slice(json).map_err(|error| no_json(&error))?;
    if !is_commit(&info.sha) {
        return Err(format!("it names no commit: `{}`", shortened(&info.sha)));
    }
    let mut files = Some(Files::default());
    for sibling in info.siblings {
        check(&sibling.rfilename)?;
        let plan = plan(
            sibling.rfilename,
            sibling.size,
            sibling.blob_id,
            sibling.lfs,
        );
        match (plan?, &mut files) {
            (Some(plan), Some(files)) => files.add(plan, files_max)?,
            (None, _) => files = None,
            (_, None) => {}
        }
    }
    Ok(Information {
        commit: info.sha,
        files,
    })
}

/// Reads one page of a tree into `files`.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn read_tree(json: &[u8], files: &mut Files, files_max: usize) -> Result<(), String> {
    let entries: Vec<TreeEntry> = serde_json::from_slice(json).map_err(|error| no_json(&error))?;
    for entry in entries {
        if entry.kind != "file" {
            continue;
        }
        let shown = shortened(&entry.path);
        match plan(entry.path, entry.size, entry.oid, entry.lfs)? {
            Some(plan) => files.add(plan, files_max)?,
            None => return Err(format!("it does not say length and hash of `{shown}`")),
        }
    }
    Ok(())
}

/// A file's plan; `None` when its length or its hash is missing.
fn plan(
    path: String,
    size: Option<u64>,
    git: Option<String>,
    lfs: Option<Lfs>,
) -> Result<Option<FilePlan>, String> {
    let (size, hash, digits) = match lfs {
        // In the tree of older Hubs, the size beside `lfs` is that of the pointer.
        Some(lfs) => (lfs.size.or(size), lfs.sha256.or(lfs.oid), 64),
        None => (size, git, 40),
    };
    let (Some(size), Some(hash)) = (size, hash) else {
        return Ok(None);
    };
    match hash.parse() {
        Ok(hash_read) if hash.len() == digits => Ok(Some(FilePlan {
            path,
            size,
            hash: hash_read,
        })),
        _ => Err(format!(
            "it lists no hash for `{}`, but `{}`",
            shortened(&path),
            shortened(&hash)
        )),
    }
}

/// Where the next page is: `Link: <URL>; rel="next"` (RFC 8288).
pub(super) fn next_page(link: &str) -> Option<&str> {
    link.split(',').find_map(|one| {
        let (target, parameters) = one.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            parameter
                .trim()
                .split_once('=')
                .is_some_and(|(name, value)| {
                    name.trim().eq_ignore_ascii_case("rel")
                        && value.trim().trim_matches('"') == "next"
                })
        });
        is_next.then_some(target)
    })
}

/// A path in a repository leads into its snapshot and nowhere else.
fn check(path: &str) -> Result<(), String> {
    check_file(path).map_err(|bad| no_path(&bad))
}

fn no_path(bad: &BadName) -> String {
    format!("it lists a file at what is no path: {bad}")
}

fn no_json(error: &serde_json::Error) -> String {
    format!("its answer cannot be read: {error}")
}

fn shortened(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
    const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn information(siblings: &str) -> Result<Information, String> {
        let json = format!(r#"{{"sha":"{COMMIT}","private":false,"siblings":[{siblings}]}}"#);
        read_information(json.as_bytes(), 3)
    }

    fn small(path: &str) -> String {
        format!(r#"{{"rfilename":"{path}","size":6,"blobId":"{GIT}"}}"#)
    }

    #[test]
    fn small_files_have_their_git_hash_and_large_ones_their_sha256() {
        let large = format!(
            r#"{{"rfilename":"a.bin","size":9,"blobId":"{GIT}","lfs":{{"sha256":"{SHA}","size":9,"pointerSize":134}}}}"#
        );
        let read = information(&format!("{},{large}", small("config.json"))).unwrap();
        assert_eq!(read.commit, COMMIT);
        let files = read.files.unwrap().plans().unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(
            (files[0].path.as_str(), files[0].size),
            ("a.bin", 9),
            "sorted"
        );
        assert_eq!(files[0].hash.to_string(), SHA);
        assert_eq!(files[1].hash.to_string(), GIT);
    }

    #[test]
    fn when_a_length_or_a_hash_is_missing_the_tree_is_asked_for() {
        for missing in [
            r#"{"rfilename":"x"}"#.to_owned(),
            r#"{"rfilename":"x","size":3}"#.to_owned(),
            format!(r#"{{"rfilename":"x","blobId":"{GIT}"}}"#),
            format!(r#"{{"rfilename":"x","size":3,"blobId":"{GIT}","lfs":{{"size":3}}}}"#),
        ] {
            let read = information(&format!("{missing},{}", small("y"))).unwrap();
            assert_eq!(read.files, None, "{missing}");
        }
    }

    #[test]
    fn a_tree_is_read_page_by_page_and_its_folders_are_none_of_its_files() {
        let page = format!(
            r#"[{{"type":"directory","path":"d","oid":"{GIT}","size":0}},
                {{"type":"file","path":"d/a","oid":"{GIT}","size":134,"lfs":{{"oid":"{SHA}","size":9,"pointerSize":134}}}}]"#
        );
        let mut files = Files::default();
        read_tree(page.as_bytes(), &mut files, 3).unwrap();
        let again = read_tree(page.as_bytes(), &mut files, 3).unwrap_err();
        assert!(again.contains("twice"), "{again}");
        let plans = files.plans().unwrap();
        assert_eq!((plans[0].path.as_str(), plans[0].size), ("d/a", 9));
        let bare = br#"[{"type":"file","path":"d/a"}]"#;
        assert!(read_tree(bare, &mut Files::default(), 3).is_err());
    }

    #[test]
    fn a_listing_that_leads_elsewhere_or_says_nonsense_is_refused() {
        let long = "x".repeat(256);
        for path in [
            "../x",
            "/x",
            "a//b",
            "a/../b",
            "a/.",
            "",
            "a/",
            &long,
            "a\\u0000b",
        ] {
            assert!(information(&small(path)).is_err(), "{path}");
            let without = format!(r#"{{"rfilename":"{path}"}}"#);
            assert!(information(&without).is_err(), "{path}");
        }
        let twice = format!("{},{}", small("x"), small("x"));
        assert!(information(&twice).unwrap_err().contains("twice"));
        let inside = format!("{},{}", small("x"), small("x/y"));
        let read = information(&inside).unwrap().files.unwrap().plans();
        assert!(read.unwrap_err().contains("folder"));
        let many: Vec<String> = ["a", "b", "c", "d"].map(small).into();
        assert!(
            information(&many.join(","))
                .unwrap_err()
                .contains("more than 3")
        );
        let short = format!(r#"{{"rfilename":"x","size":3,"blobId":"{SHA}"}}"#);
        assert!(information(&short).unwrap_err().contains("no hash"));
        let negative = format!(r#"{{"rfilename":"x","size":-3,"blobId":"{GIT}"}}"#);
        assert!(information(&negative).is_err());
        for commit in ["main", "../x", &COMMIT.to_uppercase(), ""] {
            let json = format!(r#"{{"sha":"{commit}","siblings":[]}}"#);
            assert!(read_information(json.as_bytes(), 3).is_err(), "{commit}");
        }
        assert!(read_information(b"<html>", 3).is_err());
        assert!(read_information(&[b'['; 100_000], 3).is_err());
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        assert_eq!(
            next_page(r#"<https://h/api?cursor=x>; rel="next""#),
            Some("https://h/api?cursor=x")
        );
        assert_eq!(next_page("</a>; rel=prev, </b>; rel=next"), Some("/b"));
        for none in ["", "</a>", "</a>; rel=prev", "/a; rel=next", "<", "<>"] {
            assert_eq!(next_page(none), None, "{none}");
        }
    }
}
