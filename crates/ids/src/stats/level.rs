//! The numbers of a level: of a group, a dataflow, or everything.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use super::edge::{EdgeCounters, EdgeGauges, EdgeHistograms};
use super::number::{Counter, Gauge};
use crate::LifeCycle;

/// How many members are in each state. Their sum is the number of members (I-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct States([Gauge; LifeCycle::ALL.len()]);

impl Index<LifeCycle> for States {
    type Output = Gauge;
    fn index(&self, state: LifeCycle) -> &Gauge {
        &self.0[state as usize]
    }
}

impl IndexMut<LifeCycle> for States {
    fn index_mut(&mut self, state: LifeCycle) -> &mut Gauge {
        &mut self.0[state as usize]
    }
}

/// Some number of nanoseconds for each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatesNs<N>([N; LifeCycle::ALL.len()]);

impl<N> Index<LifeCycle> for StatesNs<N> {
    type Output = N;
    fn index(&self, state: LifeCycle) -> &N {
        &self.0[state as usize]
    }
}

impl<N> IndexMut<LifeCycle> for StatesNs<N> {
    fn index_mut(&mut self, state: LifeCycle) -> &mut N {
        &mut self.0[state as usize]
    }
}

/// What the members of a level have counted together, also those that have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Retired {
    /// How many members there were.
    pub nodes: Counter,
    /// How often the state of one has changed.
    pub transitions: Counter,
    /// How often one was started again.
    pub restarts: Counter,
    /// How long they were in each state.
    pub time_in_state_ns: StatesNs<u128>,
    /// What was counted on the edges from them.
    pub out: EdgeCounters,
    /// What was counted on the edges to them.
    pub into: EdgeCounters,
    /// Time of processors that they have used.
    pub cpu_ns: Counter,
    /// How long messages to them took.
    pub histograms: EdgeHistograms,
}

/// The numbers of a level: sums over its members, and over those that have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Level {
    /// How many nodes there are.
    pub nodes: Gauge,
    /// How many edges end in them.
    pub edges: Gauge,
    /// How many of them are in each state.
    pub states: States,
    /// How often the state of one has changed.
    pub transitions: Counter,
    /// How often one was started again.
    pub restarts: Counter,
    /// How long they were in states that they have left.
    pub time_in_state_ns: StatesNs<u128>,
    /// The sum of the moments since when those of each state are in it: what is missing to the time in each state at a
    /// moment `now` is the number of members in it times `now`, less this.
    pub since_ns: StatesNs<u128>,
    /// What was counted on the edges from them.
    pub out: EdgeCounters,
    /// What was counted on the edges to them.
    pub into: EdgeCounters,
    /// What there is on the edges to them.
    pub gauges: EdgeGauges,
    /// Time of processors that they have used.
    pub cpu_ns: Counter,
    /// Memory that their processes have.
    pub memory_bytes: Gauge,
    /// How long messages to them took.
    pub histograms: EdgeHistograms,
    /// The part of all this that is of members that have gone.
    pub retired: Retired,
}
