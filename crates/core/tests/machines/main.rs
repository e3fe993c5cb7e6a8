//! Properties of the machines, over random histories.

mod drain;
mod flow;
mod jobs;
mod lifecycle;
mod lifecycle_rules;
mod patterns;
mod peers;
mod placement;
mod pool;
mod restart;
mod stats;
mod waiting;
mod wishes;
mod world;
