//! The pool on the system's threads, with threads that cannot be started, and under a model checker.

mod behaviour;
mod model;
mod threadless;
