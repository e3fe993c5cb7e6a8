//! Watches the statistics of a running dataflow, or of an agent: one copy of them that is kept up to date.

use std::time::Duration;

use dataflow_core::stats::apply;
use dataflow_ids::stats::{Delta, EdgeHistograms, Statistics};
use dataflow_wire::client::{ClientReply, ClientRequest};

use super::{Client, ClientError, OnSilence};
use crate::registry::{FoundAgent, FoundRun};

/// After so many changes in a row that do not follow on what is known, although the whole was asked for again each time,
/// the runtime is of another kind than it says.
const GAPS_MAX: u32 = 8;

/// No runtime has statistics that take so much memory, in bytes: some 400,000 edges. Changes could lead there all the
/// same, and small ones: a row of zeros is short on its way, and as large as any here.
const MEMORY_BYTES_MAX: usize = if cfg!(test) { 16 } else { 640 } * 1024 * 1024;

/// Statistics that are kept up to date by what their keeper says has changed. Blocking; the keeper waits for nobody, so
/// whoever is slow is told more at once.
#[derive(Debug)]
pub struct Watcher {
    client: Client,
    every: Duration,
    /// What is known; `None` until the whole has come.
    known: Option<Statistics>,
    /// Changes in a row that did not follow.
    gaps: u32,
}

impl Watcher {
    /// Watches a dataflow. It says how it stands `every` so long, at most 10 times a second.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn of_run(
        run: &FoundRun,
        every: Duration,
        on_silence: OnSilence,
    ) -> Result<Watcher, ClientError> {
        Watcher::new(Client::connect_and_hear(run, on_silence)?, every)
    }

    /// Watches all dataflows of an agent, and its peers.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn of_agent(
        agent: &FoundAgent,
        every: Duration,
        on_silence: OnSilence,
    ) -> Result<Watcher, ClientError> {
        Watcher::new(Client::connect_to_agent(agent, on_silence)?, every)
    }

    /// As [`Watcher::of_run`], over a conversation that has begun.
    pub(crate) fn new(mut client: Client, every: Duration) -> Result<Watcher, ClientError> {
        client.send(&ClientRequest::Watch { every })?;
        Ok(Watcher {
            client,
            every,
            known: None,
            gaps: 0,
        })
    }

    /// The process that keeps them.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.client.pid()
    }

    /// Waits until its keeper says something, and gives the statistics as they stand with that; `None` when the runtime
    /// has ended. What does not follow on what is known is made up for by the whole, which is asked for again.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the runtime refuses, or says something that is no answer, or more than any runtime has.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends what it gives, and an iterator cannot"
    )]
    pub fn next(&mut self) -> Result<Option<&Statistics>, ClientError> {
        loop {
            let reply = match self.client.next_reply() {
                Err(ClientError::Ended) => return Ok(None),
                reply => reply?,
            };
            match reply {
                ClientReply::Statistics(whole) => self.known = Some(*whole),
                ClientReply::StatisticsDelta(delta) => {
                    if !self.follows(&delta)? {
                        continue;
                    }
                }
                _ => return Err(ClientError::Unexpected),
            }
            if self
                .known
                .as_ref()
                .is_some_and(|known| memory_bytes(known) > MEMORY_BYTES_MAX)
            {
                self.known = None;
                return Err(ClientError::Unexpected);
            }
            return Ok(self.known.as_ref());
        }
    }

    /// The statistics as they stood when the runtime last said something.
    #[must_use]
    pub fn last(&self) -> Option<&Statistics> {
        self.known.as_ref()
    }

    /// Takes a change. Gives whether it follows on what is known; if it does not, the whole is asked for.
    fn follows(&mut self, delta: &Delta) -> Result<bool, ClientError> {
        let Some(known) = &mut self.known else {
            // The whole is on its way.
            return Ok(false);
        };
        if apply(known, delta).is_ok() {
            self.gaps = 0;
            return Ok(true);
        }
        self.gaps += 1;
        if self.gaps > GAPS_MAX {
            return Err(ClientError::Unexpected);
        }
        self.known = None;
        self.client
            .send(&ClientRequest::Watch { every: self.every })?;
        Ok(false)
    }
}

/// How much memory the rows take, of whatever can be many, and their texts. Names are short.
fn memory_bytes(known: &Statistics) -> usize {
    let histograms = known.edges.len() * size_of::<EdgeHistograms>();
    let rows = size_of_val(&*known.dataflows)
        + size_of_val(&*known.groups)
        + size_of_val(&*known.nodes)
        + size_of_val(&*known.edges)
        + histograms
        + size_of_val(&*known.actors)
        + size_of_val(&*known.peers)
        + size_of_val(&*known.downloads.rows);
    let runs = known.dataflows.iter().map(|row| row.run.len());
    let actors = known.actors.iter().map(|row| row.actor.len());
    let peers = known.peers.iter().map(|row| row.because.len());
    let downloads = (known.downloads.rows.iter()).map(|row| row.model.len() + row.state.len());
    rows + runs
        .chain(actors)
        .chain(peers)
        .chain(downloads)
        .sum::<usize>()
}
