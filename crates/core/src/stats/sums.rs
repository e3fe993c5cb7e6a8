//! What the members of a level add up to, as the auditor counts it: by what each number means, and apart from `levels`,
//! which says what a change does to it. So what is forgotten there is found by who counts again, and what is forgotten
//! here does not compile: each level is taken apart without a rest.

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{EdgeGauges, EdgeHistograms, Gauge, Level, Retired, States, StatesNs};

use super::rows::{Life, Traffic};

/// A level without members: what those have counted that have gone. It is taken as given, since nothing is left of them that
/// could be counted again.
pub(super) fn of_retired(retired: &Retired) -> Level {
    let Retired {
        // No other number of a level says how many have gone.
        nodes: _,
        transitions,
        restarts,
        time_in_state_ns,
        out,
        into,
        cpu_ns,
        histograms,
    } = *retired;
    Level {
        nodes: Gauge::default(),
        edges: Gauge::default(),
        states: States::default(),
        transitions,
        restarts,
        time_in_state_ns,
        since_ns: StatesNs::default(),
        out,
        into,
        gauges: EdgeGauges::default(),
        cpu_ns,
        memory_bytes: Gauge::default(),
        histograms,
        retired: *retired,
    }
}

/// Counts a member.
pub(super) fn count_node(sum: &mut Level, life: &Life, traffic: &Traffic) {
    let Level {
        nodes,
        states,
        transitions,
        restarts,
        time_in_state_ns,
        since_ns,
        out,
        into,
        cpu_ns,
        memory_bytes,
        // Edges bring these.
        edges: _,
        gauges: _,
        histograms: _,
        // It has not gone.
        retired: _,
    } = sum;
    nodes.add(1);
    states[life.state].add(1);
    since_ns[life.state] = since_ns[life.state].saturating_add(life.since_ns.into());
    for state in LifeCycle::ALL {
        let spent_ns = u128::from(life.time_in_state_ns[state]);
        time_in_state_ns[state] = time_in_state_ns[state].saturating_add(spent_ns);
    }
    transitions.add(life.transitions.get());
    restarts.add(life.restarts.get());
    out.zip(&traffic.out, u64::saturating_add);
    into.zip(&traffic.into, u64::saturating_add);
    cpu_ns.add(traffic.process.cpu_ns.get());
    memory_bytes.add(traffic.process.memory_bytes.get());
}

/// Counts an edge to a member.
pub(super) fn count_edge(sum: &mut Level, there: &EdgeGauges, timed: Option<&EdgeHistograms>) {
    let Level {
        edges,
        gauges,
        histograms,
        // Nodes bring these, also what was counted on their edges.
        nodes: _,
        states: _,
        transitions: _,
        restarts: _,
        time_in_state_ns: _,
        since_ns: _,
        out: _,
        into: _,
        cpu_ns: _,
        memory_bytes: _,
        // It has not gone.
        retired: _,
    } = sum;
    edges.add(1);
    gauges.zip(there, Gauge::add);
    if let Some(timed) = timed {
        histograms.zip(timed, u64::saturating_add);
    }
}

/// How long a node was in its states, less how long it was there, until it came into the state that it is in: 0, for a node
/// that was seen all its life.
pub(super) fn off_its_age_ns(life: &Life) -> i128 {
    let times_ns = LifeCycle::ALL.map(|state| i128::from(life.time_in_state_ns[state]));
    let age_ns = i128::from(life.since_ns) - i128::from(life.added_ns);
    times_ns.iter().sum::<i128>() - age_ns
}
