//! What a send waits for: receivers that are ready, and room on its edges; and what ends such a wait.

use std::os::fd::AsFd;
use std::time::Duration;

use dataflow_shm::edge::Outgoing;

use super::super::output::OutputEdge;
use super::Writer;
use crate::activity::WaitsFor;
use crate::clock;
use crate::error::SendError;
use crate::shared::Shared;
use crate::wait::{OnSignal, SignalHook, Woken, wait};

impl Writer {
    /// The first message of an output waits until everybody who is to get it is ready.
    pub(super) fn wait_for_receivers(
        &mut self,
        place: usize,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        while !self.outputs[place].begun {
            self.shared.send_wake.drain();
            if self.outputs[place].edges.iter().all(OutputEdge::may_begin) {
                self.outputs[place].begun = true;
                break;
            }
            self.may_wait(place, 0)?;
            // Whoever sees that it waits, sees no moment before this one.
            let since_ns = clock::monotonic_now_ns();
            self.waits_since_ns.get_or_insert(since_ns);
            let edges = &mut self.outputs[place].edges;
            (edges.iter_mut()).for_each(OutputEdge::prepare_sleep_for_readiness);
            let (_, woken) = sleep(&self.shared, since_ns);
            for edge in &mut self.outputs[place].edges {
                // Nothing keeps it from sending on this edge yet.
                edge.finish_sleep(0);
            }
            self.woken(place, woken, on_signal)?;
        }
        Ok(())
    }

    #[cold]
    pub(super) fn write_when_there_is_room(
        &mut self,
        place: usize,
        mut outgoing: Outgoing<'_>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        let edges = self.outputs[place].edges.len();
        let waited_before_ns = outgoing.waited_ns;
        let look = self.patience.look();
        while let Some(looked) = look.again() {
            // The look has begun as good as with the first try: no other clock is read for it.
            let looked_ns = u64::try_from(looked.as_nanos()).unwrap_or(u64::MAX);
            outgoing.waited_ns = waited_before_ns.saturating_add(looked_ns);
            if self.write_where_there_is_room(place, &outgoing) {
                self.patience.helped();
                return Ok(());
            }
        }
        loop {
            // Forgotten before the look, so that a wake-up after it is not.
            self.shared.send_wake.drain();
            outgoing.waited_ns = clock::monotonic_now_ns().saturating_sub(outgoing.sent_at_ns);
            if self.write_where_there_is_room(place, &outgoing) {
                return Ok(());
            }
            self.may_wait(place, edges - self.full.len())?;
            let output = &mut self.outputs[place];
            let quiet = self
                .full
                .iter()
                .all(|&number| output.edges[number].prepare_sleep_for_room());
            let (slept_ns, woken) = if quiet {
                let since_ns = clock::monotonic_now_ns();
                for &number in &self.full {
                    output.edges[number].blocked_since(since_ns);
                }
                sleep(&self.shared, since_ns)
            } else {
                (0, Ok(Woken::Readable))
            };
            for &number in &self.full {
                output.edges[number].finish_sleep(slept_ns);
            }
            if quiet {
                self.patience.slept(Duration::from_nanos(slept_ns));
            }
            self.woken(place, woken, on_signal)
                .map_err(|error| match error {
                    // Told with what had been reached by then.
                    SendError::Stopped { .. } => self.stopped(place, edges - self.full.len()),
                    other => other,
                })?;
        }
    }

    /// Tries again on the edges that had no room; says whether all are written.
    fn write_where_there_is_room(&mut self, place: usize, outgoing: &Outgoing<'_>) -> bool {
        let mut full = std::mem::take(&mut self.full);
        full.retain(|&number| {
            let written = self.publish(place, number, outgoing);
            if written {
                self.outputs[place].edges[number].wake();
            }
            !written
        });
        self.full = full;
        self.full.is_empty()
    }

    /// Whether a send that has begun may wait: only `now`, or the end of the runtime, ends it.
    pub(super) fn may_wait(&self, place: usize, written: usize) -> Result<(), SendError> {
        if self.shared.is_runtime_gone() {
            return Err(SendError::RuntimeGone);
        }
        if self.shared.stop.is_now() {
            self.shared.say_stop_delivered();
            return Err(self.stopped(place, written));
        }
        Ok(())
    }

    pub(super) fn woken(
        &self,
        place: usize,
        woken: Result<Woken, rustix::io::Errno>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<(), SendError> {
        match woken {
            Ok(Woken::Readable | Woken::TimedOut) => Ok(()),
            Ok(Woken::Signal) => match on_signal() {
                OnSignal::GoOn => Ok(()),
                OnSignal::GiveUp => Err(SendError::Interrupted),
            },
            Err(rustix::io::Errno::BADF) => Err(SendError::DescriptorsClosed),
            Err(errno) => Err(SendError::Wait {
                output: self.outputs[place].id.clone(),
                errno,
            }),
        }
    }

    pub(super) fn stopped(&self, place: usize, written: usize) -> SendError {
        let output = &self.outputs[place];
        SendError::Stopped {
            output: output.id.clone(),
            written,
            edges: output.edges.len(),
        }
    }
}

/// Sleeps until the send waiter is woken; gives for how long by then, since this moment.
pub(super) fn sleep(shared: &Shared, since_ns: u64) -> (u64, Result<Woken, rustix::io::Errno>) {
    let _inside = shared.activity.waiting(WaitsFor::Room);
    let woken = wait(&[shared.send_wake.as_fd()], None);
    (clock::monotonic_now_ns().saturating_sub(since_ns), woken)
}
