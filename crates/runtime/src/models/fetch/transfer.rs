//! One file: from the Hub into the cache, by whatever interruptions, and verified.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use dataflow_core::models::{Asked, ContentHash, FilePlan, Head, Meaning, ModelSpec};
use tokio::time::timeout;

use super::hub::Hub;
use super::patience::{Failure, Patience, Setback};
use super::progress::Board;
use super::shared::Shared;
use super::web::Answer;
use super::work;
use super::writer::{Inflow, Writer};
use crate::models::cache::{BlobGuard, RepoCache, Which};
use crate::models::error::ModelError;

/// One file that is to be transferred. Its lock is held by whoever calls.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    pub(super) shared: Arc<Shared>,
    pub(super) board: Board,
    pub(super) repo: RepoCache,
    pub(super) spec: ModelSpec,
    pub(super) commit: String,
    pub(super) plan: FilePlan,
    /// Its places in the listing: the same content may have several paths.
    pub(super) places: Vec<usize>,
}

/// An answer whose body is the file, or a part of it.
struct Come {
    answer: Answer,
    /// It begins with the file's first byte, and not where we go on.
    is_from_start: bool,
    /// So many bytes of it belong to the file.
    bytes_max: u64,
}

/// None has come.
enum NotCome {
    /// What is there does not fit to what the server has.
    BeginAnew(Setback),
    /// All is there already.
    Complete,
    /// For this reason.
    For(Failure),
}

impl<E: Into<Failure>> From<E> for NotCome {
    fn from(error: E) -> Self {
        NotCome::For(error.into())
    }
}

impl Transfer {
    /// Transfers the file, verifies it and admits it to the cache. What is there is gone on from. A file that comes with
    /// another content is put aside, and transferred once more from its start.
    ///
    /// # Errors
    ///
    /// It cannot be had.
    pub(super) async fn run(&self, guard: BlobGuard) -> Result<(), ModelError> {
        let mut guard = guard;
        let mut wrong_before = false;
        loop {
            let writer = self.open(guard).await?;
            let (found, held) = self.fill(writer).await?.finish();
            if found == self.plan.hash {
                return self.admit(held).await;
            }
            let (kept_aside, held) = self.put_aside(held).await?;
            self.board.done(&self.places, 0);
            tracing::warn!(
                repo = %self.spec.repo, file = %self.plan.path, %found, kept_aside = %kept_aside.display(),
                "model file has another content than listed"
            );
            if wrong_before {
                return Err(self.mismatch(found, kept_aside));
            }
            (guard, wrong_before) = (held, true);
        }
    }

    /// Opens the partial file and hashes what is in it.
    async fn open(&self, guard: BlobGuard) -> Result<Box<Writer>, ModelError> {
        let (repo, plan) = (self.repo.clone(), self.plan.clone());
        let pool = &self.shared.pool;
        let goes_on = self.shared.goes_on.clone();
        let open = move || Writer::open(&repo, guard, &plan, goes_on);
        let mut writer = work::done(pool, "open partial", open).await?;
        let found_bytes = writer.found_bytes();
        let _told = (found_bytes > 0).then(|| {
            let because = self.board.because();
            because.told(format!("hashing what is there of {}", self.plan.path))
        });
        while writer.length() < found_bytes {
            let hash = move || writer.rehash().map(|_| writer);
            writer = work::done(pool, "hash partial", hash).await?;
            self.board.done(&self.places, writer.length());
        }
        Ok(writer)
    }

    /// Has bytes sent until all are there.
    async fn fill(&self, writer: Box<Writer>) -> Result<Box<Writer>, ModelError> {
        let mut writer = writer;
        let mut patience = Patience::new(
            self.shared.limits.retry,
            &self.shared.dice,
            self.board.because(),
        );
        patience.reached(writer.length());
        while writer.length() < self.plan.size {
            let setback = match self.ask(&writer).await {
                Ok(Come {
                    answer,
                    is_from_start,
                    bytes_max,
                }) => {
                    if is_from_start {
                        writer = self.restart(writer).await?;
                    }
                    let setback;
                    (writer, setback) = self.take(writer, answer, bytes_max).await?;
                    patience.reached(writer.length());
                    setback.map(Failure::Setback)
                }
                Err(NotCome::BeginAnew(setback)) => {
                    writer = self.restart(writer).await?;
                    Some(Failure::Setback(setback))
                }
                Err(NotCome::Complete) => break,
                Err(NotCome::For(failure)) => Some(failure),
            };
            if let Some(failure) = setback {
                patience.after(failure).await?;
            }
        }
        Ok(writer)
    }

    /// Asks for what is missing.
    async fn ask(&self, writer: &Writer) -> Result<Come, NotCome> {
        let hub = self.shared.hub().await?;
        let asked = Asked {
            have_bytes: writer.length(),
            size_bytes: self.plan.size,
        };
        let range = asked.range();
        let answer = hub
            .file(&self.spec, &self.commit, &self.plan, range.as_deref())
            .await?;
        let head = Head {
            status: answer.status().as_u16(),
            content_length: answer.content_length(),
            content_range: answer.header("content-range"),
            content_encoding: answer.header("content-encoding"),
        };
        let wrong = |why: String| Setback::wrong(&answer.host, why);
        let (is_from_start, bytes_max) = match asked.meaning(&head) {
            Meaning::Other => return Err(self.refusal(&hub, &answer).into()),
            Meaning::Wrong(why) => return Err(wrong(why.to_string()).into()),
            Meaning::Complete => return Err(NotCome::Complete),
            Meaning::BeginAnew => {
                let why = "it has no such part of the file".to_owned();
                return Err(NotCome::BeginAnew(wrong(why)));
            }
            Meaning::Append { bytes_max } => (false, bytes_max),
            Meaning::FromStart => (true, self.plan.size),
        };
        self.check_linked(&answer)?;
        Ok(Come {
            answer,
            is_from_start,
            bytes_max,
        })
    }

    /// Forgets what is there.
    async fn restart(&self, mut writer: Box<Writer>) -> Result<Box<Writer>, ModelError> {
        if writer.length() == 0 {
            return Ok(writer);
        }
        let restart = move || writer.restart().map(|()| writer);
        let writer = work::done(&self.shared.pool, "begin anew", restart).await?;
        self.board.done(&self.places, 0);
        Ok(writer)
    }

    /// When the Hub sends us away for a large file, it says what we shall find there: before gigabytes come that are not
    /// what it lists, it is compared.
    fn check_linked(&self, answer: &Answer) -> Result<(), Setback> {
        let wrong = |why: String| Err(Setback::wrong(&answer.host, why));
        if let Some(size) = answer.linked_size.filter(|size| *size != self.plan.size) {
            return wrong(format!(
                "the Hub says {size} bytes, and lists {}",
                self.plan.size
            ));
        }
        let etag = answer.linked_etag.as_deref().map(bare);
        match etag.and_then(|etag| etag.parse::<ContentHash>().ok()) {
            Some(hash @ ContentHash::Sha256(_))
                if hash != self.plan.hash && matches!(self.plan.hash, ContentHash::Sha256(_)) =>
            {
                wrong(format!("the Hub says {hash}, and lists {}", self.plan.hash))
            }
            _ => Ok(()),
        }
    }

    fn refusal(&self, hub: &Hub, answer: &Answer) -> Failure {
        hub.question(
            self.spec.kind,
            &self.spec.repo,
            &self.commit,
            Some(&self.plan.path),
        )
        .refusal(answer)
    }

    /// Takes an answer's body. Gives the writer back, and why it ended before its end, if it did.
    async fn take(
        &self,
        writer: Box<Writer>,
        mut answer: Answer,
        bytes_max: u64,
    ) -> Result<(Box<Writer>, Option<Setback>), ModelError> {
        let end = writer.length().saturating_add(bytes_max);
        let mut inflow = Inflow::new(&self.shared.pool, writer);
        let mut setback = None;
        while inflow.end() < end {
            let mut piece = match next_piece(&mut answer, &mut inflow).await? {
                Ok(Some(piece)) => piece,
                Ok(None) => {
                    let short = format!("it ended after {} of {end} bytes", inflow.end());
                    setback = Some(Setback::gone(&answer.host, short));
                    break;
                }
                Err(broken) => {
                    setback = Some(broken);
                    break;
                }
            };
            let bytes = piece.len() as u64;
            self.board.received(bytes);
            let missing = usize::try_from(end - inflow.end()).unwrap_or(usize::MAX);
            piece.truncate(missing);
            inflow.push(piece).await?;
            self.board.done(&self.places, inflow.end());
            self.shared.paced(bytes).await;
        }
        Ok((inflow.into_writer().await?, setback))
    }

    async fn admit(&self, guard: BlobGuard) -> Result<(), ModelError> {
        let (repo, plan) = (self.repo.clone(), self.plan.clone());
        work::done(&self.shared.pool, "admit", move || {
            repo.admit(&guard, &plan)
        })
        .await
    }

    async fn put_aside(
        &self,
        guard: BlobGuard,
    ) -> Result<(std::path::PathBuf, BlobGuard), ModelError> {
        let (repo, hash) = (self.repo.clone(), self.plan.hash);
        work::done(&self.shared.pool, "quarantine", move || {
            let kept_aside = repo.quarantine(&guard, Which::Partial, hash)?;
            Ok((kept_aside, guard))
        })
        .await
    }

    /// Nothing may be asked of the network, and this is not there.
    pub(super) fn missing_offline(&self) -> ModelError {
        ModelError::OfflineAndMissing {
            missing: vec![self.plan.path.clone()],
            cache: self.shared.settings.cache.clone(),
        }
    }

    fn mismatch(&self, found: ContentHash, kept_aside: std::path::PathBuf) -> ModelError {
        ModelError::Mismatch {
            repo: self.spec.repo.clone(),
            file: self.plan.path.clone(),
            expected: self.plan.hash.to_string(),
            found: found.to_string(),
            kept_aside,
        }
    }
}

/// The next piece of an answer. While it does not come, what was gathered is written after a while.
async fn next_piece(
    answer: &mut Answer,
    inflow: &mut Inflow<'_>,
) -> Result<Result<Option<Bytes>, Setback>, ModelError> {
    let mut piece = pin!(answer.piece());
    if let Some(wait) = inflow.flush_after() {
        match timeout(wait, &mut piece).await {
            Ok(piece) => return Ok(piece),
            Err(_) => inflow.flush().await?,
        }
    }
    Ok(piece.await)
}

/// An `ETag` without its quotes, and without what makes it a weak one.
fn bare(etag: &str) -> &str {
    etag.trim().trim_start_matches("W/").trim_matches('"')
}
