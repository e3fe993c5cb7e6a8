//! Runs of real processes that need no library, from `prepare` to the report.

mod library_less;
mod support;
