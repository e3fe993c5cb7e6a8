//! Fetching: the Hub is asked, files are transferred and verified, and the cache gets what is right.

mod ending;
mod escape;
mod fetcher;
mod hub;
mod job;
mod limits;
mod listing;
mod locked;
mod patience;
mod progress;
mod refusal;
mod resolve;
mod shared;
mod transfer;
mod web;
mod work;
mod writer;

pub use ending::Ending;
pub use fetcher::HubFetcher;
pub use limits::FetchLimits;
