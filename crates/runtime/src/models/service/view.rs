//! How a model stands, for whoever wants it: what was decided, and how far the fetch is.

use dataflow_core::Time;
use dataflow_core::models::{Job, JobState, Rate};
use dataflow_wire::status::{ModelFile, ModelState, ModelView};

use crate::models::{FetchProgress, FileProgress, ModelError};

/// Bytes a second; `None` while it is too early to say, and when nothing comes.
pub(super) fn rate(measured: &Rate, now: Time) -> Option<u64> {
    measured.per_second(now).filter(|rate| *rate > 0)
}

/// The view of a job. Without a fetch, nothing is known of the files of one that is not there.
pub(super) fn of(
    job: &Job<ModelError>,
    progress: Option<&FetchProgress>,
    rate_at: Option<(&Rate, Time)>,
) -> ModelView {
    let is_there = matches!(job.state, JobState::Ready { .. });
    let files: Vec<ModelFile> = (job.listing.iter())
        .flat_map(|listing| listing.files.iter().enumerate())
        .map(|(place, file)| {
            let far = match progress.and_then(|it| it.files.get(place)) {
                _ if is_there => FileProgress {
                    done_bytes: file.size,
                    is_verified: true,
                },
                far => far.copied().unwrap_or_default(),
            };
            ModelFile {
                path: file.path.clone(),
                bytes_done: far.done_bytes.min(file.size),
                bytes_total: file.size,
                is_verified: far.is_verified,
            }
        })
        .collect();
    // What a hub claims can be any number.
    let sum = |part: fn(&ModelFile) -> u64| {
        let parts = files.iter().map(part);
        parts.fold(0, u64::saturating_add)
    };
    let (bytes_done, bytes_total) = (sum(|file| file.bytes_done), sum(|file| file.bytes_total));
    let rate_at = rate_at.filter(|_| matches!(job.state, JobState::Fetching));
    let left_bytes = bytes_total - bytes_done;
    let in_hand = progress.filter(|_| job.state.is_in_hand());
    ModelView {
        state: match job.state {
            JobState::Resolving => ModelState::Resolving,
            JobState::Fetching => ModelState::Fetching,
            JobState::Ready { .. } => ModelState::Ready,
            JobState::Failed(_) => ModelState::Failed,
        },
        commit: job.listing.as_ref().map(|listing| listing.commit.clone()),
        files,
        bytes_done,
        bytes_total,
        bytes_per_second: rate_at.and_then(|(measured, now)| rate(measured, now)),
        time_left: rate_at.and_then(|(measured, now)| measured.time_left(now, left_bytes)),
        because: in_hand.and_then(|progress| progress.because.clone()),
        path: match &job.state {
            JobState::Ready { snapshot } => Some(snapshot.clone()),
            _ => None,
        },
        failure: match &job.state {
            JobState::Failed(error) => Some(error.failure()),
            _ => None,
        },
    }
}
