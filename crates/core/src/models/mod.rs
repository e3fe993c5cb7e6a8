//! Models: what is wanted of the Hub, and what is decided about fetching it.

mod answer;
mod patterns;
mod rate;
mod retry;
mod spec;

pub use answer::{Asked, Head, Meaning, WrongAnswer};
pub use patterns::Pattern;
pub use rate::{Bucket, Pace, Rate};
pub use retry::{Attempts, NextAttempt, RetryRules, asked_wait};
pub use spec::{BadHash, ContentHash, FilePlan, Listing, ModelSpec};
