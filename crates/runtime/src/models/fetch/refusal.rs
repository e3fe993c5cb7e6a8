//! What it means when the Hub refuses, or whom it sends us to does.

use dataflow_core::models::asked_wait;
use dataflow_ids::RepoKind;

use super::patience::{Failure, Setback, SetbackKind, unix_seconds};
use super::web::Answer;
use crate::models::error::ModelError;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// What kind of repository.
    pub(super) kind: RepoKind,
    /// Which.
    pub(super) repo: &'a str,
    /// The revision or commit.
    pub(super) revision: &'a str,
    /// The file, when it was one.
    pub(super) file: Option<&'a str>,
    /// The Hub.
    pub(super) endpoint: &'a str,
    /// Where the token came from, when there is one.
    pub(super) token_from: Option<&'a str>,
}

/// What decides of a refusal.
#[derive(Debug, Clone, Copy, Default)]
struct Refused<'a> {
    status: u16,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
}

impl Question<'_> {
    /// What an answer means that is neither what was asked for nor a redirect.
    pub(super) fn refusal(&self, answer: &Answer) -> Failure {
        let status = answer.status();
        let asked = asked_wait(
            answer.header("retry-after"),
            answer.header("ratelimit"),
            unix_seconds(),
        );
        let setback = |kind, why: String| {
            Failure::Setback(Setback {
                host: answer.host.clone(),
                why,
                asked,
                kind,
            })
        };
        if status.as_u16() == 429 {
            return setback(SetbackKind::Limited, "too many requests".to_owned());
        }
        if status.is_server_error() || status.as_u16() == 408 {
            return setback(SetbackKind::Gone, format!("it answers {status}"));
        }
        if !answer.is_hub {
            // A link that has expired answers 403; the next request asks the Hub for a new one.
            return setback(
                SetbackKind::Wrong,
                format!("it answers {status} to the link that the Hub gives"),
            );
        }
        let refused = Refused {
            status: status.as_u16(),
            error_code: answer.header("x-error-code"),
            error_message: answer.header("x-error-message"),
        };
        match self.verdict(refused) {
            Some(error) => Failure::Final(error),
            None => setback(SetbackKind::Wrong, format!("it answers {status}")),
        }
    }

    /// What the Hub's refusal means, by its own words first, as the Python library reads them.
    fn verdict(&self, refused: Refused<'_>) -> Option<ModelError> {
        match (refused.error_code, refused.status) {
            (Some("RevisionNotFound"), _) => Some(ModelError::RevisionNotFound {
                repo: self.repo.to_owned(),
                revision: self.revision.to_owned(),
            }),
            (Some("EntryNotFound"), _) => Some(self.file_not_found()),
            (Some("GatedRepo"), _) => Some(ModelError::Gated {
                repo: self.repo.to_owned(),
                url: self.page(),
            }),
            (Some("RepoNotFound"), 401) if self.is_bad_token(refused) => self.token_refused(),
            (Some("RepoNotFound"), _) => Some(self.not_found()),
            (_, 401 | 403) => self.token_refused().or_else(|| Some(self.not_found())),
            (_, 404) if self.file.is_some() => Some(self.file_not_found()),
            (_, 404 | 410 | 451) => Some(self.not_found()),
            _ => None,
        }
    }

    /// The Hub says `RepoNotFound` with 401 to whoever has no token, and to whoever has one that is none.
    fn is_bad_token(&self, refused: Refused<'_>) -> bool {
        self.token_from.is_some()
            && refused
                .error_message
                .is_none_or(|message| message.contains("Invalid"))
    }

    fn token_refused(&self) -> Option<ModelError> {
        let from = self.token_from?.to_owned();
        let endpoint = shown(self.endpoint);
        Some(ModelError::TokenRefused { endpoint, from })
    }

    fn not_found(&self) -> ModelError {
        ModelError::NotFound {
            kind: self.kind,
            repo: self.repo.to_owned(),
            endpoint: shown(self.endpoint),
        }
    }

    fn file_not_found(&self) -> ModelError {
        ModelError::FileNotFound {
            repo: self.repo.to_owned(),
            file: self.file.unwrap_or_default().to_owned(),
            commit: self.revision.to_owned(),
        }
    }

    /// The page of the repository, where terms can be accepted.
    fn page(&self) -> String {
        let folder = match self.kind {
            RepoKind::Model => "",
            RepoKind::Dataset => "datasets/",
            RepoKind::Space => "spaces/",
        };
        format!(
            "{}/{folder}{}",
            shown(self.endpoint).trim_end_matches('/'),
            self.repo
        )
    }
}

/// An endpoint for people: without the name and the password that may stand in it.
pub(super) fn shown(endpoint: &str) -> String {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return endpoint.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (endpoint, expected) in [
            (
                "https://me:secret@hub.example:1/a@b",
                "https://hub.example:1/a@b",
            ),
            ("http://a@b:c@hub.example", "http://hub.example"),
            ("https://hub.example/x", "https://hub.example/x"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(shown(endpoint), expected);
        }
    }

    fn question<'a>(file: Option<&'a str>, token_from: Option<&'a str>) -> Question<'a> {
        Question {
            kind: RepoKind::Dataset,
            repo: "acme/x",
            revision: "v1",
            file,
            endpoint: "https://hub.example",
            token_from,
        }
    }

    #[track_caller]
    fn code(question: Question<'_>, status: u16, error_code: Option<&str>) -> &'static str {
        let refused = Refused {
            status,
            error_code,
            error_message: None,
        };
        question
            .verdict(refused)
            .map_or("again", |error| error.code())
    }

    #[test]
    fn the_hubs_own_words_decide_whatever_the_status() {
        let (info, file) = (question(None, None), question(Some("f"), None));
        assert_eq!(
            code(info, 404, Some("RevisionNotFound")),
            "revision-not-found"
        );
        assert_eq!(code(file, 404, Some("EntryNotFound")), "file-not-found");
        assert_eq!(code(info, 401, Some("GatedRepo")), "gated");
        assert_eq!(code(file, 403, Some("GatedRepo")), "gated");
        assert_eq!(code(info, 404, Some("RepoNotFound")), "not-found");
    }

    #[test]
    fn without_words_it_depends_on_whether_there_is_a_token() {
        let (with, without) = (question(None, Some("HF_TOKEN")), question(None, None));
        assert_eq!(code(without, 401, None), "not-found");
        assert_eq!(code(without, 401, Some("RepoNotFound")), "not-found");
        assert_eq!(code(with, 401, None), "token-refused");
        assert_eq!(code(with, 401, Some("RepoNotFound")), "token-refused");
        assert_eq!(code(with, 403, None), "token-refused");
        assert_eq!(code(with, 404, None), "not-found");
        assert_eq!(code(question(Some("f"), None), 404, None), "file-not-found");
        assert_eq!(code(without, 400, None), "again");
    }

    #[test]
    fn who_must_accept_terms_is_told_where() {
        let refused = Refused {
            status: 403,
            error_code: Some("GatedRepo"),
            ..Refused::default()
        };
        let Some(ModelError::Gated { url, .. }) = question(None, None).verdict(refused) else {
            panic!("it is gated");
        };
        assert_eq!(url, "https://hub.example/datasets/acme/x");
    }
}
