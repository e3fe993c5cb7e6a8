//! The receiving half of a node: which event comes next, and sleeping until there is one.

mod future;

use std::future::Future;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataflow_ids::{DataflowName, EdgeId, Epoch, NodeId, Sequence, StopMode};
use dataflow_shm::descriptors_were_closed;
use dataflow_wire::metadata::Metadata;
use dataflow_wire::node::{TimerSpec, ToRuntime};
use rustix::io::Errno;

use crate::activity::WaitsFor;
use crate::clock;
use crate::edge_input::{EdgeInput, Look};
use crate::error::RecvError;
use crate::event::{Event, Input, InputInfo, Source};
use crate::observation::InHand;
use crate::payload::Payload;
use crate::shared::Shared;
use crate::timer::{Tick, Timer};
use crate::wait::{OnSignal, SignalHook, Woken, wait};
use future::NextEvent;

/// What a receive that does not wait for ever gives.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // a small message travels in it: a box would cost an allocation each
pub enum Polled {
    /// An event.
    Event(Event),
    /// Nothing has come yet.
    Nothing,
    /// The last event has been given: nothing will come.
    Ended,
}

/// The receiving half of a node. One thread at a time receives.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    inputs: Vec<EdgeInput>,
    timers: Vec<(Arc<InputInfo>, Timer)>,
    /// Where the next look begins, so that a busy input does not starve the others.
    next: usize,
    /// How many edges have not closed yet.
    open: usize,
    /// The longest time that an input asks to be watched for before the thread sleeps.
    spin: Duration,
    phase: Phase,
    /// The message that the program got last, and the place of its input, until it asks for the next event.
    in_hand: Option<(usize, InHand)>,
}

/// How far the receiving half is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody has received yet.
    Fresh,
    /// Events come.
    Receiving,
    /// A graceful stop is on its way: the limits of the edges are set.
    Stopping,
    /// The last event has been given.
    Ended,
}

impl Receiver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        inputs: Vec<EdgeInput>,
        timers: &[TimerSpec],
    ) -> Receiver {
        let timers = timers
            .iter()
            .map(|timer| {
                let info = InputInfo {
                    id: timer.input.clone(),
                    source: Source::Timer,
                };
                (Arc::new(info), Timer::new(timer.period))
            })
            .collect();
        Receiver {
            open: inputs.len(),
            spin: inputs.iter().map(EdgeInput::spin).max().unwrap_or_default(),
            shared,
            inputs,
            timers,
            next: 0,
            phase: Phase::Fresh,
            in_hand: None,
        }
    }

    /// This node's name.
    pub fn node(&self) -> &NodeId {
        &self.shared.node
    }

    /// The dataflow's name.
    pub fn dataflow(&self) -> &DataflowName {
        &self.shared.dataflow
    }

    /// This incarnation of the node.
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// Tells the runtime that this node is ready; the first receive or send does so too.
    pub fn ready(&self) {
        self.shared.say_ready();
    }

    /// Waits for the next event. `None`: the last one has been given.
    ///
    /// # Errors
    ///
    /// [`RecvError`], never [`RecvError::Interrupted`].
    pub fn recv(&mut self) -> Result<Option<Event>, RecvError> {
        self.recv_with(&mut || OnSignal::GoOn)
    }

    /// As [`Receiver::recv`], and asks `on_signal` whenever a signal has interrupted the wait.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; [`RecvError::Interrupted`] when `on_signal` gives up.
    pub fn recv_with(
        &mut self,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<Option<Event>, RecvError> {
        match self.receive(None, on_signal)? {
            Polled::Event(event) => Ok(Some(event)),
            Polled::Ended | Polled::Nothing => Ok(None),
        }
    }

    /// Gives the next event if it is there. Never waits.
    ///
    /// # Errors
    ///
    /// [`RecvError`], never [`RecvError::Interrupted`].
    pub fn try_recv(&mut self) -> Result<Polled, RecvError> {
        self.begin()?;
        Ok(self.look())
    }

    /// Waits for the next event, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvError`], never [`RecvError::Interrupted`].
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Polled, RecvError> {
        self.recv_timeout_with(timeout, &mut || OnSignal::GoOn)
    }

    /// As [`Receiver::recv_timeout`], and asks `on_signal` whenever a signal has interrupted the wait.
    ///
    /// # Errors
    ///
    /// [`RecvError`]; [`RecvError::Interrupted`] when `on_signal` gives up.
    pub fn recv_timeout_with(
        &mut self,
        timeout: Duration,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<Polled, RecvError> {
        // A time beyond what the clock can count is for ever.
        self.receive(self.shared.time.now().checked_add(timeout), on_signal)
    }

    /// Waits for the next event without holding a thread, under any executor. `None`: the last one has been
    /// given. Dropping the future loses nothing.
    pub fn recv_async(&mut self) -> impl Future<Output = Result<Option<Event>, RecvError>> + '_ {
        NextEvent::new(self)
    }

    fn receive(
        &mut self,
        until: Option<Instant>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<Polled, RecvError> {
        self.begin()?;
        loop {
            let found = self.look();
            if !matches!(found, Polled::Nothing) {
                return Ok(found);
            }
            if !self.spin.is_zero() && self.open > 0 {
                if let Some(found) = self.spin(until) {
                    return Ok(found);
                }
                // A signal that came meanwhile has interrupted nothing.
                if on_signal() == OnSignal::GiveUp {
                    return Err(RecvError::Interrupted);
                }
            }
            if let Some(found) = self.sleep(until, on_signal)? {
                return Ok(found);
            }
        }
    }

    /// What every receive begins with.
    fn begin(&mut self) -> Result<(), RecvError> {
        if !self.shared.fork_guard.holds() {
            return Err(RecvError::Forked);
        }
        if descriptors_were_closed() {
            return Err(RecvError::DescriptorsClosed);
        }
        if self.phase == Phase::Fresh {
            self.phase = Phase::Receiving;
            self.shared.stop.set_received(true);
            self.shared.say_ready();
            let now = self.shared.time.now();
            for (_, timer) in &mut self.timers {
                timer.due(now);
            }
        }
        self.shared.may_receive()
    }

    /// The next event, if one is there.
    fn look(&mut self) -> Polled {
        let coarse_ns = self.shared.activity.touch();
        if let Some((place, in_hand)) = self.in_hand.take() {
            self.inputs[place].handled(in_hand, coarse_ns);
        }
        if self.phase == Phase::Ended {
            return Polled::Ended;
        }
        match self.shared.stop.asked() {
            None => {}
            // Its delivery by a refused send counts: nothing is left to be said.
            Some(_) if self.shared.stop.is_delivered() => {
                self.phase = Phase::Ended;
                return Polled::Ended;
            }
            Some(StopMode::Now) => return self.stop_now(coarse_ns),
            Some(StopMode::Graceful) => {
                if self.inputs.is_empty() {
                    return self.stop();
                }
                if self.phase != Phase::Stopping {
                    self.phase = Phase::Stopping;
                    self.set_limits(&self.shared.stop.upto());
                }
            }
        }
        // Everything that was there has been given. A timer that is due whenever it is looked at delays no stop.
        let is_done = self.phase == Phase::Stopping && self.inputs.iter().all(EdgeInput::is_done);
        let timers = if is_done { 0 } else { self.timers.len() };
        if let Some(event) = self.look_at_inputs(timers, coarse_ns) {
            return Polled::Event(event);
        }
        if self.phase == Phase::Stopping && self.inputs.iter().all(EdgeInput::is_done) {
            return self.stop();
        }
        if self.open == 0 && !self.inputs.is_empty() {
            self.phase = Phase::Ended;
            self.shared.stop.set_received(false);
            return Polled::Event(Event::AllInputsClosed);
        }
        Polled::Nothing
    }

    /// The stop that comes ahead of the queues; not ahead of a message that has left its queue already and waits
    /// for its segment, which is on its way: nobody would list it as unread.
    fn stop_now(&mut self, coarse_ns: u64) -> Polled {
        for place in 0..self.inputs.len() {
            if self.inputs[place].has_taken() {
                return match self.look_at_edge(place, coarse_ns) {
                    Some(event) => Polled::Event(event),
                    None => Polled::Nothing,
                };
            }
        }
        self.stop()
    }

    fn stop(&mut self) -> Polled {
        self.phase = Phase::Ended;
        self.shared.say_stop_delivered();
        Polled::Event(Event::Stop)
    }

    fn set_limits(&mut self, upto: &[(EdgeId, Sequence)]) {
        for input in &mut self.inputs {
            if let Some((_, upto)) = upto.iter().find(|(edge, _)| *edge == input.edge()) {
                input.set_upto(*upto);
            }
        }
    }

    /// Looks at every edge and the first of the timers once, beginning behind the one that gave the last event.
    fn look_at_inputs(&mut self, timers: usize, coarse_ns: u64) -> Option<Event> {
        let count = self.inputs.len() + timers;
        for step in 0..count {
            let place = (self.next + step) % count;
            let event = match place.checked_sub(self.inputs.len()) {
                None => self.look_at_edge(place, coarse_ns),
                Some(place) => self.look_at_timer(place),
            };
            if event.is_some() {
                self.next = place + 1;
                return event;
            }
        }
        None
    }

    fn look_at_edge(&mut self, place: usize, coarse_ns: u64) -> Option<Event> {
        let input = &mut self.inputs[place];
        match input.look(&self.shared.segments, coarse_ns) {
            Look::Nothing => None,
            Look::Message {
                input,
                in_hand,
                warning,
            } => {
                self.in_hand = Some((place, in_hand));
                if let Some(text) = warning {
                    self.shared.note(&ToRuntime::Warning { text });
                }
                self.shared.say_running();
                Some(Event::Input(input))
            }
            Look::Closed => {
                self.open -= 1;
                Some(Event::InputClosed(input.id().clone()))
            }
            Look::Damaged { what } => {
                self.open -= 1;
                let (edge, id) = (input.edge(), input.id().clone());
                self.shared.note(&ToRuntime::EdgeDamaged { edge, what });
                Some(Event::InputClosed(id))
            }
        }
    }

    fn look_at_timer(&mut self, place: usize) -> Option<Event> {
        let (info, timer) = &mut self.timers[place];
        let Tick { sequence, missed } = timer.due(self.shared.time.now())?;
        let metadata = match missed {
            0 => Metadata::new(),
            missed => Metadata::from([("missed", i64::try_from(missed).unwrap_or(i64::MAX))]),
        };
        self.shared.say_running();
        Some(Event::Input(Input {
            info: info.clone(),
            sequence: Sequence(sequence),
            sent_at_ns: clock::monotonic_now_ns(),
            missed,
            metadata,
            payload: Payload::Empty,
        }))
    }

    /// Watches for a while before sleeping, as an input asks for, but not beyond the caller's time.
    fn spin(&mut self, caller_until: Option<Instant>) -> Option<Polled> {
        // The machine's time, whatever the caller's is: it bounds what the processor does.
        let until = Instant::now().checked_add(self.spin);
        while until.is_none_or(|until| Instant::now() < until) && !self.is_over(caller_until) {
            // On virtual cores a spin without this holds the core that the sender needs.
            std::thread::yield_now();
            let found = self.look();
            if !matches!(found, Polled::Nothing) {
                return Some(found);
            }
        }
        None
    }

    /// Sleeps until something may have come. Gives what the last look before sleep found, or `Nothing` when
    /// the caller's time is over.
    fn sleep(
        &mut self,
        until: Option<Instant>,
        on_signal: &mut SignalHook<'_>,
    ) -> Result<Option<Polled>, RecvError> {
        // Forgotten before the look, so that a wake-up after it is not.
        self.shared.receive_wake.drain();
        let found = self.look();
        if !matches!(found, Polled::Nothing) {
            return Ok(Some(found));
        }
        self.shared.may_receive()?;
        if !self.prepare_sleep() {
            return Ok(None);
        }
        let first = [until, self.next_tick()].into_iter().flatten().min();
        let woken = {
            let _inside = self.shared.activity.waiting(WaitsFor::Event);
            wait(
                &[self.shared.receive_wake.as_fd()],
                self.shared.time.alarm(first),
            )
        };
        self.finish_sleep();
        match woken {
            // A timer's tick may be due at the same moment.
            Ok(Woken::Readable | Woken::TimedOut) => Ok(self.is_over(until).then(|| self.look())),
            Ok(Woken::Signal) => match on_signal() {
                OnSignal::GoOn => Ok(None),
                OnSignal::GiveUp => Err(RecvError::Interrupted),
            },
            Err(Errno::BADF) => Err(RecvError::DescriptorsClosed),
            Err(errno) => Err(RecvError::Wait(errno)),
        }
    }

    /// Says on every edge that this node is about to sleep. `false`: something is there, look again.
    fn prepare_sleep(&mut self) -> bool {
        let quiet = self.inputs.iter_mut().all(EdgeInput::prepare_sleep);
        if !quiet {
            self.finish_sleep();
        }
        quiet
    }

    fn finish_sleep(&mut self) {
        for input in &mut self.inputs {
            input.finish_sleep();
        }
    }

    fn is_over(&self, until: Option<Instant>) -> bool {
        until.is_some_and(|until| self.shared.time.now() >= until)
    }

    fn next_tick(&self) -> Option<Instant> {
        self.timers
            .iter()
            .filter_map(|(_, timer)| timer.next())
            .min()
    }
}

impl Drop for Receiver {
    /// Who sends on learns of a stop by its sends from now on. The last message has been handled.
    fn drop(&mut self) {
        self.shared.stop.set_received(false);
        // A forked child has this value, but not the edge that is written.
        if self.shared.fork_guard.holds()
            && let Some((place, in_hand)) = self.in_hand.take()
        {
            let coarse_ns = self.shared.activity.touch();
            self.inputs[place].handled(in_hand, coarse_ns);
        }
    }
}
