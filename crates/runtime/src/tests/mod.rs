//! Runs of real processes that need no library, from `prepare` to the report.

mod embedded;
mod folding;
mod hostile;
mod library_less;
mod models;
mod on_an_agent;
mod panics;
mod pinned;
mod support;
mod watched;
