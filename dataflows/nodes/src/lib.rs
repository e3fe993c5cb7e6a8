//! The Rust nodes of the example dataflows.
