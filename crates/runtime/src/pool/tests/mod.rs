//! The pool on the system's threads, on threads that cannot be started, and under a model checker.

mod behaviour;
