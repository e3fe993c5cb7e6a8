//! What is done with statistics outside of their actor: they are looked at, counted again, and told to subscribers,
//! all on a thread of their own.
//!
//! The keeper of the statistics ([`StatsActor`](crate::actors::StatsActor)) publishes snapshots. Whatever wants to know
//! something has a [`Source`] and looks at the last of them: it never enters the actor, and costs the control thread
//! nothing but that the edges are read more often while somebody reads.
//!
//! A *reader* takes snapshots; a *subscriber* is told what changes, over a socket, by a conversation that is a reader.

mod attend;
mod beat;
mod collect;
mod encoded;
mod follow;
mod http;
mod metrics;
mod places;
mod processes;
mod readers;
mod source;
mod subscribers;
mod thread;

pub(crate) use attend::{AUDITED_MAX, attend};
pub(crate) use collect::AgentStatistics;
pub(crate) use follow::CopyOfStatistics;
pub use http::MetricsError;
pub(crate) use http::{MetricsListener, show_metrics};
pub use metrics::MetricsPages;
pub(crate) use processes::{AskedFor, Processes, read_processes};
pub(crate) use source::{EVERY_WHILE_READ, EVERY_WHILE_UNREAD, Publisher, Source};
pub(crate) use subscribers::watch;
pub(crate) use thread::StatisticsThread;

#[cfg(test)]
mod tests;
