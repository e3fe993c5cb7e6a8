//! What must be true of any bytes: one function for each thing that reads what others have written.
//!
//! Each takes the bytes that a fuzzer has made up, and panics when something is not so that must be. The fuzzers of
//! `targets/` call them, and so does the test of this crate, for every file of `corpora/` and mutations of each.

mod bytes;
mod edge;
mod frames;
mod metadata;
mod mutation;
mod peer_frames;
mod peers;
mod statistics;
mod stream;
mod yaml;

pub use edge::{damaged_edge, edge_with_deaths};
pub use frames::frames;
pub use metadata::metadata;
pub use mutation::Mutations;
pub use peer_frames::peer_frames;
pub use peers::peers;
pub use statistics::{gathered, statistics};
pub use stream::stream;
pub use yaml::yaml;

/// A function that any bytes may be given to.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its folder of `corpora/`.
pub const TARGETS: [(&str, Target); 10] = [
    ("yaml", yaml),
    ("peers", peers),
    ("frames", frames),
    ("stream", stream),
    ("metadata", metadata),
    ("peer_frames", peer_frames),
    ("statistics", statistics),
    ("gathered", gathered),
    ("damaged_edge", damaged_edge),
    ("edge_with_deaths", edge_with_deaths),
];
