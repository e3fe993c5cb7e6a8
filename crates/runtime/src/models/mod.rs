//! Models: fetching them from the Hub, verified, into the Hub's own cache.

mod error;
mod seam;

pub use error::ModelError;
pub use seam::{
    FetchEpoch, FetchEvent, FetchProgress, FetchSink, Fetcher, Fetching, FileProgress, LetGo,
    ModelOrder, Models, Wanted,
};
