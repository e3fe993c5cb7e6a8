//! The binary `dataflow`.
fn main() {}
