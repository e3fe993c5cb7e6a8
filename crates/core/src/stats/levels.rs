//! What a change of a member does to the numbers of a level.

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{
    Counter, EdgeCounters, EdgeGauges, EdgeHistograms, Gauge, Level, Retired, StatesNs,
};

use super::rows::{Life, Traffic};
use crate::broken::{Rule, is_broken};

/// How long the members of a level were in a state until the moment `at_ns`, in nanoseconds, those that have gone too: what
/// has ended, and for each that is in it the time since it came there. Over all states it is the sum of their ages.
#[must_use]
pub fn time_in_state_ns(level: &Level, state: LifeCycle, at_ns: u64) -> u128 {
    let until_now = u128::from(level.states[state].get()) * u128::from(at_ns);
    let still = until_now.saturating_sub(level.since_ns[state]);
    level.time_in_state_ns[state].saturating_add(still)
}

/// How often a sum could not give what was to be taken from it: a fault in ours (I-13).
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) u64);

impl Faults {
    pub(super) fn take(&mut self, gauge: &mut Gauge, fewer: u64) {
        if gauge.take(fewer).is_err() {
            self.0 += 1;
        }
    }

    fn take_ns(&mut self, sum: &mut u128, fewer: u64) {
        match sum.checked_sub(u128::from(fewer)) {
            Some(left) => *sum = left,
            None => self.0 += 1,
        }
    }
}

pub(super) fn add_counters(sum: &mut EdgeCounters, grown: &EdgeCounters) {
    sum.zip(grown, u64::saturating_add);
}

pub(super) fn add_histograms(sum: &mut EdgeHistograms, grown: &EdgeHistograms) {
    sum.zip(grown, u64::saturating_add);
}

pub(super) fn add_gauges(sum: &mut EdgeGauges, more: &EdgeGauges) {
    sum.zip(more, Gauge::add);
}

pub(super) fn take_gauges(sum: &mut EdgeGauges, fewer: &EdgeGauges, faults: &mut Faults) {
    sum.zip(fewer, |gauge, fewer| faults.take(gauge, fewer));
}

/// Adds to a sum of spans or moments. A hostile keeper may have filled it: it stops at the greatest number there is.
fn add_ns(sum: &mut u128, more: u64) {
    *sum = sum.saturating_add(u128::from(more));
}

fn add_times(sum: &mut StatesNs<u128>, more: &StatesNs<u64>) {
    for state in LifeCycle::ALL {
        add_ns(&mut sum[state], more[state]);
    }
}

/// What a state change does to each level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) from: LifeCycle,
    pub(super) to: LifeCycle,
    /// Since when it was in the old state.
    pub(super) since_ns: u64,
    pub(super) at_ns: u64,
    /// How many changes it stands for: one, or more of which only the last was told.
    pub(super) changes: u64,
    /// How many starts again lie in it.
    pub(super) restarts: u64,
}

pub(super) fn transition(level: &mut Level, step: &Step, faults: &mut Faults) {
    if !is_broken(Rule::StatisticsKeepTheOldState) {
        faults.take(&mut level.states[step.from], 1);
    }
    level.states[step.to].add(1);
    let spent = step.at_ns.saturating_sub(step.since_ns);
    add_ns(&mut level.time_in_state_ns[step.from], spent);
    faults.take_ns(&mut level.since_ns[step.from], step.since_ns);
    add_ns(&mut level.since_ns[step.to], step.at_ns);
    level.transitions.add(step.changes);
    level.restarts.add(step.restarts);
}

/// A node comes in, with all that it has counted elsewhere.
pub(super) fn join(level: &mut Level, life: &Life, traffic: &Traffic) {
    level.nodes.add(1);
    level.states[life.state].add(1);
    add_ns(&mut level.since_ns[life.state], life.since_ns);
    add_times(&mut level.time_in_state_ns, &life.time_in_state_ns);
    level.transitions.add(life.transitions.get());
    level.restarts.add(life.restarts.get());
    add_counters(&mut level.out, &traffic.out);
    add_counters(&mut level.into, &traffic.into);
    level.cpu_ns.add(traffic.process.cpu_ns.get());
    level.memory_bytes.add(traffic.process.memory_bytes.get());
}

/// A node goes: what it has counted stays.
pub(super) fn leave(
    level: &mut Level,
    life: &Life,
    traffic: &Traffic,
    at_ns: u64,
    faults: &mut Faults,
) {
    faults.take(&mut level.nodes, 1);
    faults.take(&mut level.states[life.state], 1);
    faults.take_ns(&mut level.since_ns[life.state], life.since_ns);
    faults.take(&mut level.memory_bytes, traffic.process.memory_bytes.get());
    let last = at_ns.saturating_sub(life.since_ns);
    add_ns(&mut level.time_in_state_ns[life.state], last);
    if is_broken(Rule::CountersGoWithTheirMember) {
        return;
    }
    let retired = &mut level.retired;
    retired.nodes.add(1);
    retired.transitions.add(life.transitions.get());
    retired.restarts.add(life.restarts.get());
    add_times(&mut retired.time_in_state_ns, &life.time_in_state_ns);
    add_ns(&mut retired.time_in_state_ns[life.state], last);
    add_counters(&mut retired.out, &traffic.out);
    add_counters(&mut retired.into, &traffic.into);
    retired.cpu_ns.add(traffic.process.cpu_ns.get());
}

/// An edge to one of the members comes in.
pub(super) fn join_edge(
    level: &mut Level,
    gauges: &EdgeGauges,
    histograms: Option<&EdgeHistograms>,
) {
    level.edges.add(1);
    add_gauges(&mut level.gauges, gauges);
    if let Some(histograms) = histograms {
        add_histograms(&mut level.histograms, histograms);
    }
}

/// An edge to one of the members goes. What was counted on it stays with its nodes; how long messages took, here.
pub(super) fn leave_edge(
    level: &mut Level,
    gauges: &EdgeGauges,
    histograms: Option<&EdgeHistograms>,
    faults: &mut Faults,
) {
    faults.take(&mut level.edges, 1);
    take_gauges(&mut level.gauges, gauges, faults);
    if let Some(histograms) = histograms {
        add_histograms(&mut level.retired.histograms, histograms);
    }
}

/// A node's numbers become others.
pub(super) fn replace(
    level: &mut Level,
    (old_life, old_traffic): (&Life, &Traffic),
    (life, traffic): (&Life, &Traffic),
    faults: &mut Faults,
) {
    faults.take(&mut level.states[old_life.state], 1);
    level.states[life.state].add(1);
    faults.take_ns(&mut level.since_ns[old_life.state], old_life.since_ns);
    add_ns(&mut level.since_ns[life.state], life.since_ns);
    for state in LifeCycle::ALL {
        let (old, new) = (
            old_life.time_in_state_ns[state],
            life.time_in_state_ns[state],
        );
        add_ns(&mut level.time_in_state_ns[state], new.saturating_sub(old));
    }
    let more = |sum: &mut Counter, old: Counter, new: Counter| sum.add(old.growth_to(new));
    more(
        &mut level.transitions,
        old_life.transitions,
        life.transitions,
    );
    more(&mut level.restarts, old_life.restarts, life.restarts);
    let (old, new) = (&old_traffic.process, &traffic.process);
    more(&mut level.cpu_ns, old.cpu_ns, new.cpu_ns);
    faults.take(&mut level.memory_bytes, old.memory_bytes.get());
    level.memory_bytes.add(new.memory_bytes.get());
    for (sum, old, new) in [
        (&mut level.out, &old_traffic.out, &traffic.out),
        (&mut level.into, &old_traffic.into, &traffic.into),
    ] {
        let mut grown = *new;
        grown.zip(old, u64::saturating_sub);
        add_counters(sum, &grown);
    }
}

/// What there is on an edge becomes something else, and so much more was timed.
pub(super) fn replace_edge(
    level: &mut Level,
    old: &EdgeGauges,
    new: &EdgeGauges,
    timed: Option<&EdgeHistograms>,
    faults: &mut Faults,
) {
    take_gauges(&mut level.gauges, old, faults);
    add_gauges(&mut level.gauges, new);
    if let Some(timed) = timed {
        add_histograms(&mut level.histograms, timed);
    }
}

/// Counts what members have counted that have gone unseen.
pub(super) fn retire(level: &mut Level, unseen: &Retired) {
    level.transitions.add(unseen.transitions.get());
    level.restarts.add(unseen.restarts.get());
    for state in LifeCycle::ALL {
        let sum = &mut level.time_in_state_ns[state];
        *sum = sum.saturating_add(unseen.time_in_state_ns[state]);
    }
    add_counters(&mut level.out, &unseen.out);
    add_counters(&mut level.into, &unseen.into);
    level.cpu_ns.add(unseen.cpu_ns.get());
    add_histograms(&mut level.histograms, &unseen.histograms);
    zip_retired(&mut level.retired, unseen, u128::saturating_add);
}

/// Each counter of those that have gone with that of others: `with` gives what the first becomes.
pub(super) fn zip_retired(
    one: &mut Retired,
    other: &Retired,
    mut with: impl FnMut(u128, u128) -> u128,
) {
    // One that is forgotten here does not compile.
    let Retired {
        nodes,
        transitions,
        restarts,
        time_in_state_ns,
        out,
        into,
        cpu_ns,
        histograms,
    } = one;
    for state in LifeCycle::ALL {
        let sum = &mut time_in_state_ns[state];
        *sum = with(*sum, other.time_in_state_ns[state]);
    }
    let mut with = |one: u64, other: u64| {
        let sum = with(u128::from(one), u128::from(other));
        u64::try_from(sum).unwrap_or(u64::MAX)
    };
    for (one, other) in [
        (nodes, other.nodes),
        (transitions, other.transitions),
        (restarts, other.restarts),
        (cpu_ns, other.cpu_ns),
    ] {
        *one = Counter::new(with(one.get(), other.get()));
    }
    out.zip(&other.out, &mut with);
    into.zip(&other.into, &mut with);
    histograms.zip(&other.histograms, &mut with);
}
