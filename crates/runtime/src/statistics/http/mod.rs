//! What programs read over HTTP: `/metrics` for Prometheus and its kin, `/healthz` for whoever watches over a process.
//! It has a thread of its own: whatever comes in there delays nobody who runs dataflows, or watches them.

mod answers;
mod health;
mod kept;
mod listen;
mod server;
mod show;

pub use listen::MetricsError;
pub(crate) use listen::MetricsListener;
pub(crate) use show::show_metrics;

#[cfg(test)]
mod tests;
