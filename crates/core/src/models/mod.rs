//! Models: what is wanted of the Hub, and what is decided about fetching it.

mod answer;
mod jobs;
mod names;
mod needs;
mod patterns;
mod rate;
mod retry;
mod spec;

pub use answer::{Asked, Head, Meaning, WrongAnswer};
pub use jobs::{FetchEpoch, FetchSaid, Job, JobCommand, JobEvent, JobState, Jobs, SubscriberId};
pub use names::{
    BadName, Shown, check_commit, check_file, check_files, check_repo, check_revision, is_commit,
};
pub use needs::{Needs, Standing};
pub use patterns::Pattern;
pub use rate::{Bucket, Rate};
pub use retry::{Attempts, NextAttempt, RetryRules, asked_wait};
pub use spec::{BadHash, ContentHash, FilePlan, Listing, ModelSpec};
