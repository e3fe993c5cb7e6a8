//! The `DownloadActor` and what is around it: what it leads outlives its panics, and whoever wants a model talks to
//! it from another thread, or from the same one.

mod actor;
mod door;
mod keeper;
mod ledger;
mod local;
mod serve;
mod thread;
mod view;

#[cfg(any(test, feature = "faults"))]
pub use door::ActorFault;
pub(crate) use ledger::Ledger;
pub use local::LocalModels;
pub use thread::ModelService;
