//! How a model stands, for whoever wants it: what was decided, and how far the fetch is.

use dataflow_core::Time;
use dataflow_core::models::{FilePlan, Job, JobState, Rate};
use dataflow_wire::status::{MODEL_FILES_SHOWN_MAX, ModelFile, ModelState, ModelView};

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
    let plans = job.listing.as_deref().map_or(&[][..], |it| &it.files);
    let far = |place: usize, plan: &FilePlan| {
        let done = FileProgress {
            done_bytes: plan.size,
            is_verified: true,
        };
        let said = progress.and_then(|it| it.files.get(place)).copied();
        let far = if is_there {
            done
        } else {
            said.unwrap_or_default()
        };
        FileProgress {
            done_bytes: far.done_bytes.min(plan.size),
            ..far
        }
    };
    let mut shown = Shown::default();
    let (mut bytes_done, mut bytes_total, mut files_done) = (0_u64, 0_u64, 0);
    for (place, plan) in plans.iter().enumerate() {
        let far = far(place, plan);
        // What a hub claims can be any number.
        bytes_done = bytes_done.saturating_add(far.done_bytes);
        bytes_total = bytes_total.saturating_add(plan.size);
        files_done += u64::from(far.is_verified);
        shown.offer(place, far);
    }
    let files = shown.places().into_iter().map(|place| {
        let (plan, far) = (&plans[place], far(place, &plans[place]));
        ModelFile {
            path: plan.path.clone(),
            bytes_done: far.done_bytes,
            bytes_total: plan.size,
            is_verified: far.is_verified,
        }
    });
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
        files: files.collect(),
        files_total: plans.len() as u64,
        files_done,
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

/// The places of the files that are shown, by how much they have to say. Each holds at most as many as can be shown.
#[derive(Debug, Default)]
struct Shown {
    begun: Vec<usize>,
    awaited: Vec<usize>,
    done: Vec<usize>,
}

impl Shown {
    /// A file of the listing, in its order.
    fn offer(&mut self, place: usize, far: FileProgress) {
        let alike = match (far.is_verified, far.done_bytes) {
            (true, _) => &mut self.done,
            (false, 0) => &mut self.awaited,
            (false, _) => &mut self.begun,
        };
        if alike.len() < MODEL_FILES_SHOWN_MAX {
            alike.push(place);
        }
    }

    /// Those that are shown, in the order of the listing.
    fn places(self) -> Vec<usize> {
        let by_worth = [self.begun, self.awaited, self.done].into_iter().flatten();
        let mut places: Vec<usize> = by_worth.take(MODEL_FILES_SHOWN_MAX).collect();
        places.sort_unstable();
        places
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;
    use std::sync::Arc;

    use dataflow_core::models::{ContentHash, FetchEpoch, Listing};

    use super::*;

    const SIZE: u64 = 10;

    fn job(files: usize, state: JobState<ModelError>) -> Job<ModelError> {
        let plans = (0..files).map(|place| FilePlan {
            path: format!("part-{place:06}.bin"),
            size: SIZE,
            hash: ContentHash::Sha256([0; 32]),
        });
        Job {
            epoch: FetchEpoch(1),
            state,
            listing: Some(Arc::new(Listing {
                commit: "0".repeat(40),
                files: plans.collect(),
            })),
            subscribers: BTreeSet::new(),
        }
    }

    fn progress(files: usize, far: impl Fn(usize) -> (u64, bool)) -> FetchProgress {
        let files = (0..files)
            .map(far)
            .map(|(done_bytes, is_verified)| FileProgress {
                done_bytes,
                is_verified,
            });
        FetchProgress {
            files: files.collect(),
            ..FetchProgress::default()
        }
    }

    #[test]
    fn of_a_large_repository_those_in_transfer_are_shown_and_all_are_counted() {
        const FILES: usize = 200_000;
        // Near the end: the first half is there, and two are in transfer.
        let progress = progress(FILES, |place| match place {
            0..100_000 => (SIZE, true),
            150_000 | 199_999 => (4, false),
            _ => (0, false),
        });
        let view = of(&job(FILES, JobState::Fetching), Some(&progress), None);
        assert_eq!((view.files_total, view.files_done), (200_000, 100_000));
        assert_eq!((view.bytes_done, view.bytes_total), (1_000_008, 2_000_000));
        assert_eq!(view.files.len(), MODEL_FILES_SHOWN_MAX);
        assert!(view.files.is_sorted_by(|one, other| one.path < other.path));
        let begun = view.files.iter().filter(|file| file.bytes_done > 0);
        let begun: Vec<&str> = begun.map(|file| file.path.as_str()).collect();
        assert_eq!(begun, ["part-150000.bin", "part-199999.bin"]);
        assert!(
            view.files.iter().all(|file| !file.is_verified),
            "there are enough that are not done"
        );
    }

    #[test]
    fn more_in_transfer_than_can_be_shown_are_no_more_than_that() {
        let progress = progress(100, |_| (4, false));
        let view = of(&job(100, JobState::Fetching), Some(&progress), None);
        assert_eq!(view.files.len(), MODEL_FILES_SHOWN_MAX);
        assert_eq!((view.files_total, view.files_done), (100, 0));
    }

    #[test]
    fn of_a_small_repository_all_files_are_shown_with_those_that_are_done() {
        let progress = progress(3, |place| (4, place == 1));
        let view = of(&job(3, JobState::Fetching), Some(&progress), None);
        let verified: Vec<bool> = view.files.iter().map(|file| file.is_verified).collect();
        assert_eq!(verified, [false, true, false]);
        let snapshot = PathBuf::from("/snapshot");
        let view = of(&job(3, JobState::Ready { snapshot }), None, None);
        assert_eq!((view.files_total, view.files_done), (3, 3));
        assert_eq!((view.files.len(), view.bytes_done), (3, 3 * SIZE));
    }
}
