//! Models: fetching them from the Hub, verified, into the Hub's own cache.

pub mod cache;
mod environment;
mod error;
mod fetch;
pub mod pins;
mod seam;

pub use environment::{HubSettings, Token};
pub use error::ModelError;
pub use fetch::{FetchLimits, HubFetcher};
pub use seam::{
    FetchEpoch, FetchEvent, FetchProgress, FetchSink, Fetcher, Fetching, FileProgress, LetGo,
    ModelOrder, Models, Wanted,
};
