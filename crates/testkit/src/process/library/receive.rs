//! The receiving half: the next event, and the way to sleep.

use std::time::Duration;

use dataflow_ids::StopMode;
use dataflow_wire::node::ToRuntime;

use super::input::Look;
use super::{HeldMessage, Library, Phase};
use crate::process::observation::Observation;

/// What a look finds.
#[derive(Debug)]
pub(in crate::process) enum Polled {
    /// A message; with its memory, unless it was copied.
    Message(Option<HeldMessage>),
    /// A timer's tick.
    Tick,
    /// An edge has closed.
    InputClosed,
    /// All have.
    AllInputsClosed,
    /// The stop.
    Stop,
    /// Nothing at this moment.
    Nothing,
    /// The last event has been given.
    Ended,
}

impl Library {
    /// What every receive begins with.
    pub(in crate::process) fn begin_receive(&mut self, now: Duration) {
        self.last_call = Some(now);
        if self.phase == Phase::Fresh {
            self.phase = Phase::Receiving;
            self.stop.is_received = true;
            self.say_ready();
            for timer in &mut self.timers {
                timer.next = Some(now + timer.period);
            }
        }
    }

    /// The next event, if one is there.
    pub(in crate::process) fn look(&mut self, now: Duration) -> Polled {
        if self.phase == Phase::Ended {
            return Polled::Ended;
        }
        match self.stop.asked {
            None => {}
            Some(_) if self.stop.is_delivered => {
                self.phase = Phase::Ended;
                return Polled::Ended;
            }
            Some(StopMode::Now) => return self.stop(),
            Some(StopMode::Graceful) => {
                if self.inputs.is_empty() {
                    return self.stop();
                }
                if self.phase != Phase::Stopping {
                    self.phase = Phase::Stopping;
                    for input in &mut self.inputs {
                        let named = self.stop.upto.iter().find(|(edge, _)| *edge == input.edge);
                        if let Some((_, upto)) = named {
                            input.set_upto(*upto);
                        }
                    }
                }
            }
        }
        if let Some(event) = self.look_at_inputs(now) {
            return event;
        }
        if self.phase == Phase::Stopping && self.inputs.iter().all(super::Input::is_done) {
            return self.stop();
        }
        if self.open == 0 && !self.inputs.is_empty() {
            self.phase = Phase::Ended;
            self.stop.is_received = false;
            self.observed.push(Observation::AllInputsClosed);
            return Polled::AllInputsClosed;
        }
        Polled::Nothing
    }

    fn stop(&mut self) -> Polled {
        self.phase = Phase::Ended;
        self.say_stop_delivered(true);
        Polled::Stop
    }

    fn look_at_inputs(&mut self, now: Duration) -> Option<Polled> {
        let count = self.inputs.len() + self.timers.len();
        for step in 0..count {
            let place = (self.next + step) % count;
            let event = match place.checked_sub(self.inputs.len()) {
                None => self.look_at_edge(place),
                Some(place) => self.look_at_timer(place, now),
            };
            if event.is_some() {
                self.next = place + 1;
                return event;
            }
        }
        None
    }

    fn look_at_edge(&mut self, place: usize) -> Option<Polled> {
        let input = &mut self.inputs[place];
        let edge = input.edge;
        match input.look(&self.segments) {
            Look::Nothing => None,
            Look::Message {
                sequence,
                stamp,
                held,
            } => {
                self.observed.push(Observation::Taken {
                    edge,
                    sequence,
                    stamp,
                    is_held: held.is_some(),
                });
                self.say_running();
                Some(Polled::Message(held))
            }
            Look::Closed => {
                self.open -= 1;
                self.observed.push(Observation::InputClosed { edge });
                Some(Polled::InputClosed)
            }
            Look::Damaged(what) => {
                self.open -= 1;
                self.wrong(what.clone());
                self.note(ToRuntime::EdgeDamaged { edge, what });
                Some(Polled::InputClosed)
            }
        }
    }

    fn look_at_timer(&mut self, place: usize, now: Duration) -> Option<Polled> {
        let timer = &mut self.timers[place];
        let next = timer.next.get_or_insert(now + timer.period);
        if *next > now {
            return None;
        }
        // Missed ticks coalesce; the rhythm is kept.
        while *next <= now {
            *next += timer.period;
        }
        self.say_running();
        Some(Polled::Tick)
    }

    /// When a timer is due.
    pub(in crate::process) fn next_tick(&self) -> Option<Duration> {
        self.timers.iter().filter_map(|timer| timer.next).min()
    }

    /// Says on every edge that this node is about to sleep. `false`: look again.
    pub(in crate::process) fn prepare_sleep(&mut self) -> bool {
        let quiet = self.inputs.iter_mut().all(super::Input::prepare_sleep);
        if !quiet {
            self.finish_sleep();
        }
        quiet
    }

    /// Says that it is awake.
    pub(in crate::process) fn finish_sleep(&mut self) {
        for input in &mut self.inputs {
            input.finish_sleep();
        }
    }

    /// The user's code receives no more: it learns of a stop by its sends.
    pub(in crate::process) fn end_receiving(&mut self) {
        self.stop.is_received = false;
    }
}
