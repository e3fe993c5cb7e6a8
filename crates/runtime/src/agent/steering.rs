//! Stopping a dataflow on the agent at any moment of its life: also before it has begun.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow_ids::{Forcer, StopMode};

use crate::controls::Controls;
use crate::interruption::Interruption;

/// Steers one dataflow, from any thread. What was asked before it has begun is done when it begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Steering {
    interruption: Interruption,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Once it has begun.
    controls: Option<Controls>,
    stops: Vec<Stop>,
    force: Option<Forcer>,
}

/// How it is to be stopped, and on whose word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    pub(super) mode: StopMode,
    pub(super) force_after: Option<Duration>,
    /// As the report says it: `stopped by …`.
    pub(super) by: &'static str,
}

impl Steering {
    /// Breaks off what is done before it begins.
    pub(super) fn interruption(&self) -> Interruption {
        self.interruption.clone()
    }

    /// It begins.
    pub(super) fn begins(&self, controls: Controls) {
        let mut state = self.lock();
        for stop in state.stops.drain(..) {
            controls.stop_by(stop.mode, stop.force_after, stop.by);
        }
        if let Some(by) = state.force {
            controls.force(by);
        }
        state.controls = Some(controls);
    }

    pub(super) fn stop(&self, stop: Stop) {
        let mut state = self.lock();
        match &state.controls {
            Some(controls) => controls.stop_by(stop.mode, stop.force_after, stop.by),
            None => {
                state.stops.push(stop);
                self.interruption.interrupt();
            }
        }
    }

    pub(super) fn force(&self, by: Forcer) {
        let mut state = self.lock();
        match &state.controls {
            Some(controls) => controls.force(by),
            None => {
                state.force = Some(by);
                self.interruption.interrupt();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
