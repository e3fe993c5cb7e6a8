//! Models: fetching them from the Hub, verified, into the Hub's own cache.

pub mod cache;
mod environment;
mod error;
mod fetch;
mod none;
pub mod pins;
mod rows;
mod seam;
mod service;

pub use environment::{HubSettings, Token};
pub use error::ModelError;
pub use fetch::{Ending, FetchLimits, HubFetcher};
pub use none::NoModels;
pub(crate) use rows::{download_row, pool_row};
pub use seam::{
    FetchEpoch, FetchEvent, FetchProgress, FetchSink, Fetcher, Fetching, FileProgress, LetGo,
    ModelOrder, ModelWatch, Models, Wanted,
};
#[cfg(any(test, feature = "faults"))]
pub use service::ActorFault;
pub(crate) use service::Ledger;
pub use service::{LocalModels, ModelService};
