//! What the Hub lets people write: names of repositories, revisions, and patterns of files.
//!
//! Whatever passes here can be a part of a path below the Hub's cache without leaving it.

/// The longest owner or name of a repository, in bytes: the Hub's own limit.
pub const REPO_PART_LENGTH_MAX: usize = 96;
/// The longest revision, in bytes: what a file system takes as one name.
pub const REVISION_LENGTH_MAX: usize = 255;
/// The longest pattern of files, in bytes.
pub const PATTERN_LENGTH_MAX: usize = 1024;

/// Why a text is no repository of the Hub.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepoError {
    /// The text, or one of its two parts, is empty.
    #[error("it is `owner/name`, or a name alone, and neither may be empty")]
    Empty,
    /// The text has more than one `/`.
    #[error("it is `owner/name`, with one `/` at most")]
    TooManyParts,
    /// A part is longer than [`REPO_PART_LENGTH_MAX`].
    #[error(
        "the owner and the name have at most {REPO_PART_LENGTH_MAX} characters each, this has {0}"
    )]
    TooLong(usize),
    /// The text has a character that the Hub does not allow.
    #[error("it has letters, digits, `_`, `-` and `.`; {0:?} is not allowed")]
    BadCharacter(char),
    /// A part begins or ends with `-` or `.`.
    #[error("neither the owner nor the name begins or ends with `-` or `.`")]
    BadEdge,
    /// The text has `--` or `..`.
    #[error("it has no `{0}`")]
    Doubled(&'static str),
    /// The text ends in `.git`.
    #[error("it does not end in `.git`")]
    EndsInGit,
}

/// Whether `text` is a repository as the Hub names them: `owner/name`, or `name` alone.
///
/// # Errors
///
/// The first rule of the Hub that it breaks.
pub fn check_repo(text: &str) -> Result<(), RepoError> {
    let parts: Vec<&str> = text.split('/').collect();
    if parts.len() > 2 {
        return Err(RepoError::TooManyParts);
    }
    for part in parts {
        if part.is_empty() {
            return Err(RepoError::Empty);
        }
        let allowed = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.');
        if let Some(character) = part.chars().find(|it| !allowed(it)) {
            return Err(RepoError::BadCharacter(character));
        }
        if part.len() > REPO_PART_LENGTH_MAX {
            return Err(RepoError::TooLong(part.len()));
        }
        for doubled in ["--", ".."] {
            if part.contains(doubled) {
                return Err(RepoError::Doubled(doubled));
            }
        }
        if part.starts_with(['-', '.']) || part.ends_with(['-', '.']) {
            return Err(RepoError::BadEdge);
        }
    }
    if text.ends_with(".git") {
        return Err(RepoError::EndsInGit);
    }
    Ok(())
}

/// Why a text is no revision: the rules of `git check-ref-format`, and a little stricter, and a length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// The text is empty.
    #[error("a revision may not be empty")]
    Empty,
    /// The text is longer than [`REVISION_LENGTH_MAX`] bytes.
    #[error("a revision has at most {REVISION_LENGTH_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The text has a character that git does not allow.
    #[error("a revision has no {0:?}")]
    BadCharacter(char),
    /// The text has `..`, `@{` or `//`.
    #[error("a revision has no `{0}`")]
    BadSequence(&'static str),
    /// The text begins with `-` or `/`, or ends with `/`.
    #[error("a revision does not begin with `-` or `/`, and does not end with `/`")]
    BadEdge,
    /// A part of the text begins or ends with `.`, or ends in `.lock`, or the text is `@`.
    #[error(
        "`{0}` is no part of a revision: none begins or ends with `.` or ends in `.lock`, and `@` alone is none"
    )]
    BadPart(String),
}

/// Whether `text` can be a branch, a tag, another ref (`refs/pr/1`) or a commit.
///
/// # Errors
///
/// The first rule of git that it breaks.
pub fn check_revision(text: &str) -> Result<(), RevisionError> {
    if text.is_empty() {
        return Err(RevisionError::Empty);
    }
    if text.len() > REVISION_LENGTH_MAX {
        return Err(RevisionError::TooLong(text.len()));
    }
    let bad = |it: &char| it.is_control() || " ~^:?*[\\".contains(*it);
    if let Some(character) = text.chars().find(bad) {
        return Err(RevisionError::BadCharacter(character));
    }
    for sequence in ["..", "@{", "//"] {
        if text.contains(sequence) {
            return Err(RevisionError::BadSequence(sequence));
        }
    }
    if text.starts_with(['-', '/']) || text.ends_with('/') {
        return Err(RevisionError::BadEdge);
    }
    let is_bad = |part: &&str| {
        part.starts_with('.') || part.ends_with('.') || part.ends_with(".lock") || text == "@"
    };
    match text.split('/').find(is_bad) {
        Some(part) => Err(RevisionError::BadPart(part.to_owned())),
        None => Ok(()),
    }
}

/// Why a text is no pattern of files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text is empty.
    #[error("a pattern may not be empty")]
    Empty,
    /// The text is longer than [`PATTERN_LENGTH_MAX`] bytes.
    #[error("a pattern has at most {PATTERN_LENGTH_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// The text has a control character.
    #[error("a pattern has no {0:?}")]
    BadCharacter(char),
    /// The text begins with `/`.
    #[error("a pattern begins at the repository's root, without a `/`")]
    Absolute,
    /// A part is empty, `.` or `..`, which no file of a repository has.
    #[error("no file of a repository has an empty part, `.` or `..` in its path")]
    BadPart(String),
}

/// Whether `text` can match a file of a repository: a shell's pattern over its path, or a folder with a `/` at its
/// end.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_pattern(text: &str) -> Result<(), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > PATTERN_LENGTH_MAX {
        return Err(PatternError::TooLong(text.len()));
    }
    if let Some(character) = text.chars().find(|it| it.is_control()) {
        return Err(PatternError::BadCharacter(character));
    }
    if text.starts_with('/') {
        return Err(PatternError::Absolute);
    }
    let path = text.strip_suffix('/').unwrap_or(text);
    match path
        .split('/')
        .find(|part| matches!(*part, "" | "." | ".."))
    {
        Some(part) => Err(PatternError::BadPart(part.to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name_or_a_name_alone() {
        let longest = "n".repeat(REPO_PART_LENGTH_MAX);
        for good in [
            "acme/tiny-detector",
            "gpt2",
            "a/b",
            "_x/y_",
            "A.B/c.d",
            &longest,
            "a/b.gitx",
        ] {
            assert_eq!(check_repo(good), Ok(()), "{good}");
        }
        for (bad, error) in [
            ("", RepoError::Empty),
            ("/", RepoError::Empty),
            ("/etc", RepoError::Empty),
            ("a/", RepoError::Empty),
            ("a/b/c", RepoError::TooManyParts),
            ("../x", RepoError::Doubled("..")),
            ("..", RepoError::Doubled("..")),
            (".", RepoError::BadEdge),
            ("a/.", RepoError::BadEdge),
            ("a/b--c", RepoError::Doubled("--")),
            ("-a/b", RepoError::BadEdge),
            ("a/b.", RepoError::BadEdge),
            ("a/b.git", RepoError::EndsInGit),
            ("a/b\0", RepoError::BadCharacter('\0')),
            ("a/b c", RepoError::BadCharacter(' ')),
            ("a\\b", RepoError::BadCharacter('\\')),
            ("a/é", RepoError::BadCharacter('é')),
            ("a/%2e%2e", RepoError::BadCharacter('%')),
        ] {
            assert_eq!(check_repo(bad), Err(error), "{bad}");
        }
        assert_eq!(
            check_repo(&format!("{longest}n")),
            Err(RepoError::TooLong(97))
        );
    }

    #[test]
    fn a_revision_is_what_git_takes_for_one() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for good in [
            "main",
            "v1.0",
            "refs/pr/1",
            "feature/x-y",
            "é",
            "a@b",
            "@x",
            commit,
        ] {
            assert_eq!(check_revision(good), Ok(()), "{good}");
        }
        for (bad, error) in [
            ("", RevisionError::Empty),
            ("..", RevisionError::BadSequence("..")),
            ("a/../b", RevisionError::BadSequence("..")),
            ("a//b", RevisionError::BadSequence("//")),
            ("main@{1}", RevisionError::BadSequence("@{")),
            ("/etc/passwd", RevisionError::BadEdge),
            ("-x", RevisionError::BadEdge),
            ("x/", RevisionError::BadEdge),
            ("x.", RevisionError::BadPart("x.".to_owned())),
            ("x./y", RevisionError::BadPart("x.".to_owned())),
            ("@", RevisionError::BadPart("@".to_owned())),
            (".x", RevisionError::BadPart(".x".to_owned())),
            ("a/.x", RevisionError::BadPart(".x".to_owned())),
            ("x.lock/y", RevisionError::BadPart("x.lock".to_owned())),
            ("a b", RevisionError::BadCharacter(' ')),
            ("a\nb", RevisionError::BadCharacter('\n')),
            ("a\0", RevisionError::BadCharacter('\0')),
            ("HEAD~1", RevisionError::BadCharacter('~')),
            ("a\\b", RevisionError::BadCharacter('\\')),
        ] {
            assert_eq!(check_revision(bad), Err(error), "{bad}");
        }
        assert_eq!(
            check_revision(&"x".repeat(256)),
            Err(RevisionError::TooLong(256))
        );
    }

    #[test]
    fn a_pattern_stays_in_its_repository() {
        for good in [
            "*.json",
            "onnx/",
            "onnx/*.onnx",
            "[ab]?.txt",
            "**/x",
            "a..b",
            ".gitattributes",
        ] {
            assert_eq!(check_pattern(good), Ok(()), "{good}");
        }
        let part = |part: &str| PatternError::BadPart(part.to_owned());
        for (bad, error) in [
            ("", PatternError::Empty),
            ("/etc/*", PatternError::Absolute),
            ("/", PatternError::Absolute),
            ("../*", part("..")),
            ("a/../b", part("..")),
            ("a/..", part("..")),
            ("./a", part(".")),
            ("a//b", part("")),
            ("a//", part("")),
            ("a\0", PatternError::BadCharacter('\0')),
        ] {
            assert_eq!(check_pattern(bad), Err(error), "{bad}");
        }
        assert_eq!(
            check_pattern(&"x".repeat(1025)),
            Err(PatternError::TooLong(1025))
        );
    }
}
