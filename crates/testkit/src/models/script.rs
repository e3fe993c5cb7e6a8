//! What a fetch does that is none.

use std::time::Duration;

use dataflow_runtime::models::ModelError;

/// What a fetch does, from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// How long it takes to know the files.
    pub resolves_after: Duration,
    /// How long the files take after that.
    pub takes: Duration,
    /// The files, each with its length in bytes.
    pub files: Vec<(String, u64)>,
    /// How it ends.
    pub ending: Ending,
    /// How long after it was cancelled it says its end all the same, as a fetch on another thread may. `None`: it
    /// says nothing.
    pub says_late: Option<Duration>,
}

/// How a fetch ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Its files are there.
    Finishes,
    /// It fails for good.
    Fails(ModelError),
    /// It never answers; it does not even know the files.
    Hangs,
    /// It knows the files, and nothing more comes of them.
    Stalls,
    /// It ends without a word.
    Vanishes,
    /// Beginning it panics.
    Panics,
}

impl Script {
    /// Two files that are there after `takes`.
    #[must_use]
    pub fn finishes_after(takes: Duration) -> Script {
        Script {
            resolves_after: Duration::ZERO,
            takes,
            files: vec![
                ("config.json".to_owned(), 400),
                ("weights".to_owned(), 9_600),
            ],
            ending: Ending::Finishes,
            says_late: None,
        }
    }

    /// As [`Script::finishes_after`], with another end.
    #[must_use]
    pub fn ends_after(takes: Duration, ending: Ending) -> Script {
        Script {
            ending,
            ..Script::finishes_after(takes)
        }
    }
}
