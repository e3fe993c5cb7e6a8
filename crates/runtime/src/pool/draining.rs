//! Waiting for the end of what a pool still does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::machinery::System;
use super::shared::Shared;
use super::waiting::block_on_for;

/// A pool that takes no more jobs, runs those it has, and then ends its threads. The future is ready when the last one
/// has left; until then [`still_running`](Draining::still_running) says who is waited for.
#[must_use = "nobody waits for what the pool still does"]
pub struct Draining(pub(super) Arc<Shared<System>>);

impl Draining {
    /// The names of the jobs that run, and then of those that are queued.
    #[must_use]
    pub fn still_running(&self) -> Vec<String> {
        self.0.look(|roster| {
            let names = roster.running().chain(roster.queued());
            names.map(|name| name.to_string()).collect()
        })
    }

    /// Blocks the calling thread until the last thread of the pool has left, for `at_most` so long.
    ///
    /// # Errors
    ///
    /// [`still_running`](Draining::still_running), when that was not enough.
    pub fn wait(mut self, at_most: Duration) -> Result<(), Vec<String>> {
        match block_on_for(&mut self, at_most) {
            Some(()) => Ok(()),
            None => Err(self.still_running()),
        }
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_drained(context.waker())
    }
}
