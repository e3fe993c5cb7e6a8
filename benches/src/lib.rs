//! Benches and the side-by-side harness.
