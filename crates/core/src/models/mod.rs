//! Models: what is wanted of the Hub, and what is decided about fetching it.

mod spec;

pub use spec::{BadHash, ContentHash, FilePlan, Listing, ModelSpec};
