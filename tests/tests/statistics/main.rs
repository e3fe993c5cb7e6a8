//! What is known of a dataflow while it runs, shown with real processes: what waits and why, and that what is counted is
//! what has happened.

mod blocked;
mod cost;
mod exact;
mod metrics;
mod stopped_tops;
mod subscriber;
mod top;
mod waits;
