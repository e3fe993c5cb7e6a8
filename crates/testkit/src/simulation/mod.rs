//! Whole runtimes on virtual time, driven by a seed.
