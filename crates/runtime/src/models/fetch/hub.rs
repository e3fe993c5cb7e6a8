//! The Hub: which commit a revision is, which files it has, and where they are.
//!
//! The URLs are those of `hf-hub`. Its requests are not sent by its own client, which follows redirects to anywhere with
//! the token and never tries again.

use dataflow_core::models::{FilePlan, Listing, ModelSpec};
use dataflow_ids::RepoKind;
use hf_hub::api::tokio::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Repo, RepoType};
use reqwest::Url;

use super::escape::escaped;
use super::limits::FetchLimits;
use super::listing::{Files, next_page, read_information, read_tree};
use super::patience::{Dice, Failure, Patience, Setback};
use super::progress::Because;
use super::refusal::{Question, shown};
use super::web::{Answer, Web};
use crate::models::environment::HubSettings;
use crate::models::error::ModelError;

/// Pages of a tree: the Hub gives 1,000 entries on each.
const PAGES_MAX: usize = 1_000;

/// The Hub of the environment.
pub(super) struct Hub {
    api: Api,
    web: Web,
    settings: HubSettings,
    limits: FetchLimits,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its parts: one of them knows the token.
        f.debug_struct("Hub")
            .field("endpoint", &shown(&self.settings.endpoint))
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// The Hub that the settings name. Reads the system's certificates, which takes some milliseconds.
    ///
    /// # Errors
    ///
    /// The endpoint is no URL, or the token no token.
    pub(super) fn new(settings: HubSettings, limits: FetchLimits) -> Result<Hub, ModelError> {
        let secret = settings.token.as_ref().map(|token| token.secret.as_str());
        let web = Web::new(&settings.endpoint, secret, limits)?;
        let api = ApiBuilder::from_cache(hf_hub::Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            // It is sent by our client, not by this one.
            .with_token(None)
            .with_progress(false)
            .build()
            .map_err(|error| ModelError::BadAnswer {
                host: web.hub_host(),
                why: error.to_string(),
            })?;
        Ok(Hub {
            api,
            web,
            settings,
            limits,
        })
    }

    /// The files of a revision, and its commit.
    ///
    /// # Errors
    ///
    /// The Hub does not have it, does not give it, or cannot be asked.
    pub(super) async fn listing(
        &self,
        spec: &ModelSpec,
        revision: &str,
        random: &Dice,
        because: Because,
    ) -> Result<Listing, ModelError> {
        let mut patience = Patience::new(self.limits.retry, random, because);
        loop {
            match self.try_listing(spec, revision).await {
                Ok(listing) => return Ok(listing),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }

    /// Host and port of the Hub.
    pub(super) fn host(&self) -> String {
        self.web.hub_host()
    }

    async fn try_listing(&self, spec: &ModelSpec, revision: &str) -> Result<Listing, Failure> {
        let question = self.question(spec.kind, &spec.repo, revision, None);
        let url = self.information_url(spec, revision)?;
        let (body, _) = self.json(url, &question).await?;
        let read = read_information(&body, self.limits.listing_files_max);
        let information = read.map_err(|why| Setback::wrong(&self.web.hub_host(), why))?;
        let files = match information.files {
            Some(files) => files,
            None => self.tree(spec, &information.commit).await?,
        };
        let files = files
            .plans()
            .map_err(|why| Setback::wrong(&self.web.hub_host(), why))?;
        Ok(Listing {
            commit: information.commit,
            files,
        })
    }

    /// The files, page by page: for Hubs whose information says neither lengths nor hashes.
    async fn tree(&self, spec: &ModelSpec, commit: &str) -> Result<Files, Failure> {
        let question = self.question(spec.kind, &spec.repo, commit, None);
        let wrong = |why: String| Setback::wrong(&self.web.hub_host(), why);
        let mut files = Files::default();
        let mut next = Some(self.tree_url(spec, commit)?);
        for _ in 0..PAGES_MAX {
            let Some(url) = next else { return Ok(files) };
            let (body, link) = self.json(url.clone(), &question).await?;
            read_tree(&body, &mut files, self.limits.listing_files_max).map_err(wrong)?;
            next = match link.as_deref().and_then(next_page) {
                Some(link) => {
                    let page = self.page_url(&url, link).map_err(wrong)?;
                    if page == url {
                        return Err(wrong("its next page is the same page".to_owned()).into());
                    }
                    Some(page)
                }
                None => None,
            };
        }
        Err(wrong(format!("its listing has more than {PAGES_MAX} pages")).into())
    }

    /// A page that a `Link` names. Mirrors name the original Hub there: the page is asked of the Hub that was asked.
    fn page_url(&self, from: &Url, link: &str) -> Result<Url, String> {
        let named = from
            .join(link)
            .map_err(|error| format!("its next page is no URL: {error}"))?;
        let mut page = from.clone();
        page.set_path(named.path());
        page.set_query(named.query());
        Ok(page)
    }

    /// Asks for JSON. Gives the body and the `Link` header.
    async fn json(
        &self,
        url: Url,
        question: &Question<'_>,
    ) -> Result<(Vec<u8>, Option<String>), Failure> {
        let answer = self.web.get(url, None).await?;
        if answer.status().as_u16() != 200 {
            return Err(question.refusal(&answer));
        }
        let link = answer.header("link").map(str::to_owned);
        let body = answer.body(self.limits.listing_bytes_max).await?;
        Ok((body, link))
    }

    /// Asks for a file at a commit: the answer's head, from the Hub or from whom it sends us to.
    ///
    /// # Errors
    ///
    /// Nobody answers.
    pub(super) async fn file(
        &self,
        spec: &ModelSpec,
        commit: &str,
        file: &FilePlan,
        range: Option<&str>,
    ) -> Result<Answer, Failure> {
        let url = self.repo(spec, commit).url(&escaped(&file.path));
        self.web.get(self.parsed(&url)?, range).await
    }

    /// What is asked, for errors to tell.
    pub(super) fn question<'a>(
        &'a self,
        kind: RepoKind,
        repo: &'a str,
        revision: &'a str,
        file: Option<&'a str>,
    ) -> Question<'a> {
        Question {
            kind,
            repo,
            revision,
            file,
            endpoint: &self.settings.endpoint,
            token_from: self
                .settings
                .token
                .as_ref()
                .map(|token| token.from.as_str()),
        }
    }

    fn information_url(&self, spec: &ModelSpec, revision: &str) -> Result<Url, ModelError> {
        let request = self
            .repo(spec, revision)
            .info_request()
            .query(&[("blobs", "true")])
            .build();
        request
            .map(|request| request.url().clone())
            .map_err(|error| self.no_url(&error.without_url().to_string()))
    }

    fn tree_url(&self, spec: &ModelSpec, commit: &str) -> Result<Url, ModelError> {
        let mut url = self.information_url(spec, commit)?;
        let path = url.path().replacen("/revision/", "/tree/", 1);
        url.set_path(&path);
        url.set_query(Some("recursive=true&expand=false"));
        Ok(url)
    }

    /// `hf-hub` writes a revision's `/` as `%2F` and leaves all else as it is.
    fn repo(&self, spec: &ModelSpec, revision: &str) -> ApiRepo {
        let kind = match spec.kind {
            RepoKind::Model => RepoType::Model,
            RepoKind::Dataset => RepoType::Dataset,
            RepoKind::Space => RepoType::Space,
        };
        let revision = escaped(revision);
        self.api
            .repo(Repo::with_revision(escaped(&spec.repo), kind, revision))
    }

    fn parsed(&self, url: &str) -> Result<Url, ModelError> {
        Url::parse(url).map_err(|error| self.no_url(&error.to_string()))
    }

    fn no_url(&self, why: &str) -> ModelError {
        ModelError::BadAnswer {
            host: self.web.hub_host(),
            why: format!("no URL can be made of it: {why}"),
        }
    }
}
