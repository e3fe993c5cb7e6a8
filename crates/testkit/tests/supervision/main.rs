//! I-9 and I-10, for every message of every actor: it may panic there, and what must be true is.
//!
//! Each scenario is a small dataflow on virtual time, with simulated processes and real edges, beside another dataflow
//! in the same system. It is played once to see which messages come; then once more for each of them and each way to
//! fail over it.

mod at_random;
mod play;
mod scenarios;
mod simulated;
mod strikes;
