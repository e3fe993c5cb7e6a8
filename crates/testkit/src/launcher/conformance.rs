//! The suite that every launcher passes.
