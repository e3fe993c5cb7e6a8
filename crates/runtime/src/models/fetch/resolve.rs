//! Which commit is meant and which files it has: pinned, in the cache, or asked of the Hub.

use std::sync::Arc;

use dataflow_core::models::{Listing, check_revision, is_commit};

use super::job::unless_read_only;
use super::progress::Board;
use super::shared::Shared;
use super::work;
use crate::models::cache::RepoCache;
use crate::models::error::ModelError;
use crate::models::pins;
use crate::models::seam::ModelOrder;

/// A revision's commit and its files.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) listing: Listing,
    /// The Hub was asked for the revision just now.
    pub(super) is_from_hub: bool,
}

/// What is known without asking anybody.
struct Known {
    /// The commit that is meant, if that needs no asking.
    commit: Option<String>,
    /// Whether `dataflow.lock` names it.
    is_pinned: bool,
    listing: Option<Listing>,
}

/// Finds the commit and its files, and pins the commit.
///
/// # Errors
///
/// The Hub does not have it, does not give it, or cannot be asked.
pub(super) async fn resolve(
    shared: &Arc<Shared>,
    order: &ModelOrder,
    repo: &RepoCache,
    board: &Board,
) -> Result<Resolved, ModelError> {
    check_revision(&order.spec.revision)?;
    let is_offline = shared.settings.is_offline;
    let spec = &order.spec;
    // What the cache knows may be older than what is pinned.
    if is_offline && order.is_update && !is_commit(&spec.revision) {
        return Err(ModelError::OfflineAndMissing {
            missing: vec![format!("what `{spec}` means now")],
            cache: shared.settings.cache.clone(),
        });
    }
    let known = {
        let (order, repo) = (order.clone(), repo.clone());
        let look = move || known(&order, &repo, is_offline);
        work::done(&shared.pool, "look for pin", look).await?
    };
    if let Some(listing) = known.listing {
        if !known.is_pinned {
            pin(shared, order, &listing.commit).await?;
        }
        return Ok(Resolved {
            listing,
            is_from_hub: false,
        });
    }
    if is_offline {
        return Err(ModelError::OfflineAndMissing {
            missing: vec![spec.to_string()],
            cache: shared.settings.cache.clone(),
        });
    }
    let revision = known.commit.as_deref().unwrap_or(&spec.revision);
    let hub = shared.hub().await?;
    let listing = hub
        .listing(spec, revision, &shared.dice, board.because())
        .await?;
    if let Some(commit) = known
        .commit
        .as_ref()
        .filter(|commit| **commit != listing.commit)
    {
        return Err(ModelError::BadAnswer {
            host: hub.host(),
            why: format!("asked for commit {commit}, it lists {}", listing.commit),
        });
    }
    let is_from_hub = known.commit.is_none();
    let (repo, written) = (repo.clone(), listing.clone());
    let asked = is_from_hub.then(|| spec.revision.clone());
    let write = move || {
        unless_read_only(repo.write_listing(&written))?;
        let Some(revision) = asked else {
            return Ok(());
        };
        unless_read_only(repo.write_answer(&revision, &written.commit))
    };
    work::done(&shared.pool, "write listing", write).await?;
    if !known.is_pinned {
        pin(shared, order, &listing.commit).await?;
    }
    Ok(Resolved {
        listing,
        is_from_hub,
    })
}

/// What pins and the cache say. Blocks.
fn known(order: &ModelOrder, repo: &RepoCache, is_offline: bool) -> Result<Known, ModelError> {
    let spec = &order.spec;
    let pinned = match (&order.pins, order.is_update) {
        (Some(path), false) => pins::read(path)?
            .commit(spec.kind, &spec.repo, &spec.revision)
            .map(str::to_owned),
        _ => None,
    };
    let is_pinned = pinned.is_some();
    let commit = match pinned {
        Some(commit) => Some(commit),
        None if is_commit(&spec.revision) || is_offline => repo.resolve_ref(&spec.revision)?,
        None => None,
    };
    let mut listing = None;
    if let Some(commit) = &commit {
        listing = repo.listing(commit)?;
        if listing.is_none() && is_offline {
            listing = repo.linked(commit)?;
        }
    }
    Ok(Known {
        commit,
        is_pinned,
        listing,
    })
}

/// Writes the commit to `dataflow.lock`, if there is to be one.
async fn pin(shared: &Shared, order: &ModelOrder, commit: &str) -> Result<(), ModelError> {
    let Some(path) = order.pins.clone() else {
        return Ok(());
    };
    let (spec, commit) = (order.spec.clone(), commit.to_owned());
    work::done(&shared.pool, "pin", move || {
        pins::pin(&path, spec.kind, &spec.repo, &spec.revision, &commit)
    })
    .await
}
