//! The numbers of a level as lists of them, so that all of them are compared.

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{
    EdgeCounters, EdgeGauges, EdgeHistograms, EdgeRow, Level, NodeNumbers, Retired, StatesNs,
};

/// How long the members of a level were in each state at a moment, also those that have gone.
pub(super) fn times_at(level: &Level, at_ns: u64) -> [u128; LifeCycle::ALL.len()] {
    LifeCycle::ALL.map(|state| {
        let until_now = u128::from(level.states[state].get()) * u128::from(at_ns);
        level.time_in_state_ns[state] + until_now - level.since_ns[state]
    })
}

/// A level's numbers as a list of them, those that only grow apart from the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Flat {
    pub(super) counters: Vec<u128>,
    pub(super) gauges: Vec<u128>,
}

pub(super) fn add(sums: &mut Vec<u128>, more: &[u128]) {
    sums.resize(sums.len().max(more.len()), 0);
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

pub(super) fn counters(of: &EdgeCounters) -> [u64; 9] {
    of.each().map(|counter| counter.get())
}

pub(super) fn gauges(of: &EdgeGauges) -> [u64; 3] {
    of.each().map(|gauge| gauge.get())
}

pub(super) fn histograms(of: &EdgeHistograms) -> Vec<u64> {
    let mut all = Vec::new();
    for histogram in of.each() {
        all.extend(histogram.buckets);
        all.push(histogram.sum_ns);
    }
    all
}

fn wide(numbers: impl IntoIterator<Item = u64>) -> Vec<u128> {
    numbers.into_iter().map(u128::from).collect()
}

fn per_state<N: Copy>(of: &StatesNs<N>) -> [N; LifeCycle::ALL.len()] {
    LifeCycle::ALL.map(|state| of[state])
}

impl Flat {
    /// A level's numbers.
    pub(super) fn of(level: &Level) -> Flat {
        let mut counters = counted(
            level.transitions.get(),
            level.restarts.get(),
            level.cpu_ns.get(),
            &per_state(&level.time_in_state_ns),
            &[self::counters(&level.out), self::counters(&level.into)],
            &histograms(&level.histograms),
        );
        counters.extend(Flat::retired(&level.retired));
        let mut gauges = wide([level.nodes.get(), level.edges.get()]);
        gauges.extend(LifeCycle::ALL.map(|state| u128::from(level.states[state].get())));
        gauges.extend(per_state(&level.since_ns));
        gauges.extend(wide(self::gauges(&level.gauges)));
        gauges.push(level.memory_bytes.get().into());
        Flat { counters, gauges }
    }

    fn retired(retired: &Retired) -> Vec<u128> {
        let mut all = counted(
            retired.transitions.get(),
            retired.restarts.get(),
            retired.cpu_ns.get(),
            &per_state(&retired.time_in_state_ns),
            &[counters(&retired.out), counters(&retired.into)],
            &histograms(&retired.histograms),
        );
        all.push(retired.nodes.get().into());
        all
    }

    /// Whether no counter is below what it was before.
    pub(super) fn has_grown_from(&self, before: &Flat) -> bool {
        let mut pairs = before.counters.iter().zip(&self.counters);
        pairs.all(|(before, now)| before <= now)
    }

    /// Both together.
    pub(super) fn add(&mut self, more: &Flat) {
        add(&mut self.counters, &more.counters);
        add(&mut self.gauges, &more.gauges);
    }

    /// What is counted, but for the times in states: they depend on when somebody was heard.
    pub(super) fn untimed(&self) -> Vec<u128> {
        let states = LifeCycle::ALL.len();
        // Transitions, restarts and processors come first, then the times, then all else.
        let counted = counted(
            0,
            0,
            0,
            &[0; LifeCycle::ALL.len()],
            &[[0; 9]; 2],
            &no_histograms(),
        )
        .len();
        let all = &self.counters[..counted];
        all[..3].iter().chain(&all[3 + states..]).copied().collect()
    }

    /// What is kept of numbers that are too great: the greatest there is.
    pub(super) fn bounded(mut self) -> Flat {
        for number in self.counters.iter_mut().chain(&mut self.gauges) {
            *number = (*number).min(u128::from(u64::MAX));
        }
        self
    }
}

pub(super) fn counted(
    transitions: u64,
    restarts: u64,
    cpu_ns: u64,
    times: &[u128],
    traffic: &[[u64; 9]; 2],
    histograms: &[u64],
) -> Vec<u128> {
    let mut all = wide([transitions, restarts, cpu_ns]);
    all.extend(times);
    all.extend(wide(traffic.iter().flatten().copied()));
    all.extend(wide(histograms.iter().copied()));
    all
}

/// How many numbers all histograms of an edge have.
pub(super) fn no_histograms() -> Vec<u64> {
    histograms(&EdgeHistograms::default())
}

/// What a node has counted. The time that it is in its state is not in it, and that since it was is not either.
pub(super) fn counted_of_node(node: &NodeNumbers) -> Vec<u128> {
    counted(
        node.transitions.get(),
        node.restarts.get(),
        node.process.cpu_ns.get(),
        &per_state(&node.time_in_state_ns).map(u128::from),
        &[counters(&node.out), counters(&node.into)],
        &no_histograms(),
    )
}

/// What was counted on an edge.
pub(super) fn counted_on_edge(edge: &EdgeRow) -> Vec<u128> {
    let numbers = counters(&edge.counters).into_iter();
    wide(numbers.chain(histograms(&edge.histograms)))
}
