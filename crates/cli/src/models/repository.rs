//! A repository of the Hub as it is typed: `acme/tiny-detector@v1.0`.

use dataflow_ids::{check_repo, check_revision};

use crate::error::CliError;

/// A repository, and a revision of it if one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) repo: String,
    pub(super) revision: Option<String>,
}

impl Repository {
    /// Reads `acme/tiny-detector@v1.0`.
    ///
    /// # Errors
    ///
    /// [`CliError::BadModel`] when it is none.
    pub(super) fn from_text(text: &str) -> Result<Repository, CliError> {
        let (repo, revision) = match text.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision)),
            None => (text, None),
        };
        check_repo(repo).map_err(|error| CliError::BadModel {
            what: "repository",
            text: repo.to_owned(),
            why: error.to_string(),
        })?;
        if let Some(revision) = revision {
            check_revision(revision).map_err(|error| CliError::BadModel {
                what: "revision",
                text: revision.to_owned(),
                why: error.to_string(),
            })?;
        }
        Ok(Repository {
            repo: repo.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn a_repository_may_have_a_revision() {
        let read = |text: &str| Repository::from_text(text).unwrap();
        assert_eq!(read("gpt2").revision, None);
        let pull_request = read("acme/x@refs/pr/1");
        assert_eq!(pull_request.repo, "acme/x");
        assert_eq!(pull_request.revision.as_deref(), Some("refs/pr/1"));
    }

    #[test]
    fn a_hostile_name_is_wrong_input_that_says_what_it_is() {
        for (text, part) in [
            ("", "repository"),
            ("../../etc/passwd", "repository"),
            ("/etc", "repository"),
            ("a/..", "repository"),
            ("a/b@", "revision"),
            ("a/b@../../x", "revision"),
            ("a/b@x\0", "revision"),
            ("a/b@refs/../x", "revision"),
        ] {
            let error = Repository::from_text(text).unwrap_err();
            assert!(error.to_string().contains(part), "{text}: {error}");
            assert_eq!(error.exit(), Exit::WrongInput);
        }
    }
}
