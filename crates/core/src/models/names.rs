//! Which texts may name something of the Hub. What passes here stays inside the cache when it becomes a path.

use std::fmt;

/// No file system takes a longer name.
const PART_BYTES_MAX: usize = 255;
/// A file's path has at most this many bytes.
const PATH_BYTES_MAX: usize = 1024;
/// And at most so many parts.
const PARTS_MAX: usize = 64;
/// How much of a bad text an error repeats.
const SHOWN_LETTERS_MAX: usize = 80;

/// A text may not name what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: {why}")]
pub struct BadName {
    /// `repository`, `revision`, `commit`, `file`.
    pub what: &'static str,
    /// The text, shortened, without control characters.
    pub text: String,
    /// Why not.
    pub why: String,
}

impl BadName {
    fn new(what: &'static str, text: &str, why: impl fmt::Display) -> BadName {
        let text = text
            .chars()
            .take(SHOWN_LETTERS_MAX)
            .map(|letter| match letter.is_control() {
                true => char::REPLACEMENT_CHARACTER,
                false => letter,
            });
        BadName {
            what,
            text: text.collect(),
            why: why.to_string(),
        }
    }
}

/// A repository of the Hub: [`dataflow_ids::check_repo`].
///
/// # Errors
/// [`BadName`] says which rule is broken.
pub fn check_repo(text: &str) -> Result<(), BadName> {
    dataflow_ids::check_repo(text).map_err(|why| BadName::new("repository", text, why))
}

/// A branch, a tag, a commit or a reference such as `refs/pr/1`: [`dataflow_ids::check_revision`].
///
/// # Errors
/// [`BadName`] says which rule is broken.
pub fn check_revision(text: &str) -> Result<(), BadName> {
    dataflow_ids::check_revision(text).map_err(|why| BadName::new("revision", text, why))
}

/// A commit in full: 40 hexadecimal digits, in lower case.
#[must_use]
pub fn is_commit(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

/// The same as [`is_commit`], as a check.
///
/// # Errors
/// [`BadName`] for everything else.
pub fn check_commit(text: &str) -> Result<(), BadName> {
    match is_commit(text) {
        true => Ok(()),
        false => Err(BadName::new("commit", text, "it has 40 hexadecimal digits")),
    }
}

/// The path of a file in a repository: relative, with `/`, nothing in it that leads elsewhere.
///
/// # Errors
/// [`BadName`] says which rule is broken.
pub fn check_file(text: &str) -> Result<(), BadName> {
    check_parts(text).map_err(|why| BadName::new("file", text, why))
}

/// What holds for whatever becomes a path below a folder of the cache.
fn check_parts(text: &str) -> Result<(), &'static str> {
    if text.len() > PATH_BYTES_MAX {
        return Err("it has more than 1024 bytes");
    }
    if text.split('/').count() > PARTS_MAX {
        return Err("it has more than 64 parts");
    }
    if text.chars().any(char::is_control) {
        return Err("it has control characters");
    }
    for part in text.split('/') {
        match part {
            "" => return Err("it is empty, or has an empty part"),
            "." | ".." => return Err("a part of it leads elsewhere"),
            _ if part.len() > PART_BYTES_MAX => return Err("a part of it has more than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// The paths of a listing fit together: each is good, none is there twice, and none is a folder of another.
///
/// # Errors
/// [`BadName`] for the first that does not.
pub fn check_files<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), BadName> {
    let mut paths: Vec<&str> = paths.collect();
    paths.iter().try_for_each(|path| check_file(path))?;
    // By parts, and not by bytes: `a/b` comes right behind `a`, and not behind `a-b`.
    paths.sort_unstable_by(|one, other| one.split('/').cmp(other.split('/')));
    for pair in paths.windows(2) {
        let mut rest = pair[1].split('/');
        if pair[0].split('/').all(|part| rest.next() == Some(part)) {
            let why = "it is listed twice, or is a file and a folder";
            return Err(BadName::new("file", pair[0], why));
        }
    }
    Ok(())
}

/// A text that an error may show on one line.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BadName::new("", self.0, "").text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_as_the_python_library_allows() {
        for good in [
            "foo",
            "foo/bar",
            "123",
            "Foo-BAR_foo.bar123",
            "_a/b_",
            &"a".repeat(96),
        ] {
            assert_eq!(check_repo(good), Ok(()));
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "datasets/foo/bar",
            ".repo_id",
            "repo-",
            "foo--bar",
            "foo.git",
            "a..b",
            "..",
            "../x",
            "a/..",
            "café",
            "a b",
            "a\0b",
            "a\n",
            &"a".repeat(97),
        ] {
            assert!(check_repo(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_revision_may_be_whatever_git_allows_and_leads_nowhere() {
        for good in ["main", "refs/pr/1", "v1.0", "feature/x-y", "0123abc", "ünï"] {
            assert_eq!(check_revision(good), Ok(()));
        }
        for bad in [
            "",
            "..",
            "../../x",
            "a/../b",
            "/etc/passwd",
            "a//b",
            "a/",
            ".hidden",
            "a/.b",
            "x.lock",
            "a b",
            "a\0",
            "a\n",
            "-x",
            "a..b",
            "@{u}",
            "HEAD~1",
            "a\\b",
            &"a".repeat(256),
        ] {
            assert!(check_revision(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_of_a_listing_stays_below_its_folder() {
        for good in [
            "a",
            "a/b/c.json",
            "..a",
            ".gitattributes",
            "with space",
            "a\\b",
            "-x",
        ] {
            assert_eq!(check_file(good), Ok(()));
        }
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a\0b",
            "a\nb",
            &"a/".repeat(600),
        ] {
            assert!(check_file(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_file_of_a_listing_is_there_twice_or_a_folder_of_another() {
        assert_eq!(check_files(["a-b", "a/b", "a/c", "ab"].into_iter()), Ok(()));
        assert!(check_files(["a", "b", "a"].into_iter()).is_err());
        assert!(check_files(["a/b", "a-b", "a"].into_iter()).is_err());
        assert!(check_files(["a/b/c", "a/b"].into_iter()).is_err());
    }

    #[test]
    fn an_error_shows_no_control_characters_and_not_the_whole_text() {
        let error = check_repo(&format!("\x1b[31m{}", "x".repeat(5000))).unwrap_err();
        assert!(error.to_string().len() < 200);
        assert!(!error.to_string().contains('\x1b'));
    }
}
