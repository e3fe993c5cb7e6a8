//! Peers: which connection counts, what is dialled and probed when, and how a peer stands.

// A failed test may say so by a panic anywhere.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod histories;
mod links;
mod one;
mod settings;
mod states;
