//! The API a dataflow node is written with.
