//! A subscriber to the statistics of a dataflow for as long as it runs, to whom no number may ever lie: no counter
//! falls, all sums are those of their members, and all times in states are ages.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::{
    Counter, EdgeCounters, EdgeHistograms, Gauge, Level, NodeNumbers, Statistics,
};
use dataflow_runtime::client::Watcher;
use dataflow_runtime::registry::Registry;
use dataflow_tests::{PATIENCE, Project};

/// What has been seen so far.
#[derive(Debug, Default)]
struct Seen {
    last: Option<Statistics>,
    /// How often something was said.
    updates: usize,
}

/// One subscriber, in a thread of its own.
#[derive(Debug)]
pub(crate) struct Subscriber {
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

impl Subscriber {
    /// Looks at the one dataflow of this project, which runs, until it ends.
    pub(crate) fn of(project: &Project, every: Duration) -> Subscriber {
        let registry = Registry::at(project.folder().join("run/dataflow"));
        let runs = registry.find(project.folder(), None);
        let mut runs = runs.expect("the registry can be read").into_iter();
        let run = runs.next().expect("it runs");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let into = Arc::clone(&seen);
        let look = move || {
            let mut watcher =
                Watcher::of_run(&run, every, Box::new(|_| {})).expect("it can be watched");
            while let Some(now) = watcher.next().expect("it says how it stands") {
                check_sums(now);
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = &seen.last {
                    check_never_falls(before, now);
                }
                seen.last = Some(now.clone());
                seen.updates += 1;
            }
        };
        Subscriber {
            seen,
            thread: std::thread::spawn(look),
        }
    }

    /// How often something was said.
    pub(crate) fn updates(&self) -> usize {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .updates
    }

    /// Waits until this holds of what is said.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Statistics) -> bool) -> Statistics {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .last
                .clone();
            if let Some(last) = last.as_ref().filter(|last| is_so(last)) {
                return last.clone();
            }
            assert!(!self.thread.is_finished(), "it has ended: {what}");
            assert!(Instant::now() < deadline, "never: {what}; {last:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the dataflow has ended, and gives what was said last, and how often something was.
    pub(crate) fn end(self) -> (Statistics, usize) {
        self.thread.join().expect("what it is told is right");
        let seen = Arc::into_inner(self.seen).expect("its thread has ended");
        let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
        (seen.last.expect("it was told something"), seen.updates)
    }
}

/// All counters of an edge, or of sums of edges.
pub(crate) fn counters(of: &EdgeCounters) -> [u64; 9] {
    of.each().map(Counter::get)
}

fn histograms(of: &EdgeHistograms) -> Vec<u64> {
    of.each()
        .into_iter()
        .flat_map(|it| it.buckets.into_iter().chain([it.sum_ns]))
        .collect()
}

/// Everything of a level that may only grow.
fn growing(level: &Level) -> Vec<u128> {
    let retired = &level.retired;
    let counts = [
        level.transitions,
        level.restarts,
        level.cpu_ns,
        retired.nodes,
        retired.transitions,
        retired.restarts,
        retired.cpu_ns,
    ];
    let mut all: Vec<u128> = counts.iter().map(|it| u128::from(it.get())).collect();
    for edges in [&level.out, &level.into, &retired.out, &retired.into] {
        all.extend(counters(edges).map(u128::from));
    }
    for of in [&level.histograms, &retired.histograms] {
        all.extend(histograms(of).into_iter().map(u128::from));
    }
    for state in LifeCycle::ALL {
        all.push(level.time_in_state_ns[state]);
        all.push(retired.time_in_state_ns[state]);
    }
    all
}

fn growing_of_node(numbers: &NodeNumbers) -> Vec<u128> {
    let counts = [
        numbers.transitions,
        numbers.restarts,
        numbers.process.cpu_ns,
    ]
    .map(Counter::get);
    let edges = [&numbers.out, &numbers.into].map(counters);
    let times = LifeCycle::ALL.map(|state| numbers.time_in_state_ns[state]);
    let all = counts.into_iter().chain(edges.into_iter().flatten());
    all.chain(times).map(u128::from).collect()
}

#[track_caller]
fn assert_grown(what: &str, before: &[u128], after: &[u128]) {
    let fallen = before
        .iter()
        .zip(after)
        .position(|(before, after)| after < before);
    assert_eq!(
        fallen, None,
        "a counter of {what} falls: {before:?} then {after:?}"
    );
}

/// I-14, from one moment to a later one. Members of a dataflow that runs do not go.
fn check_never_falls(before: &Statistics, after: &Statistics) {
    assert!(before.revision <= after.revision && before.at_ns <= after.at_ns);
    assert_grown(
        "everything",
        &growing(&before.total),
        &growing(&after.total),
    );
    for (before, after) in before.dataflows.iter().zip(&after.dataflows) {
        assert_eq!(before.number, after.number);
        assert_grown(
            "a dataflow",
            &growing(&before.level),
            &growing(&after.level),
        );
    }
    for before in &before.groups {
        let after = after.groups.iter().find(|after| after.name == before.name);
        let after = after.unwrap_or_else(|| panic!("group {:?} has gone", before.name));
        assert_grown("a group", &growing(&before.level), &growing(&after.level));
    }
    for (before, after) in before.nodes.iter().zip(&after.nodes) {
        assert_eq!(before.key, after.key);
        let grown = [before, after].map(|row| growing_of_node(&row.numbers));
        assert_grown("a node", &grown[0], &grown[1]);
    }
    for (before, after) in before.edges.iter().zip(&after.edges) {
        assert_eq!(before.key, after.key);
        let grown = [before, after].map(|row| {
            let all = counters(&row.counters).into_iter();
            let all = all.chain(histograms(&row.histograms));
            all.map(u128::from).collect::<Vec<_>>()
        });
        assert_grown("an edge", &grown[0], &grown[1]);
    }
    assert_eq!(after.audit.mismatches.get(), 0, "the auditor agrees");
    assert_eq!(after.audit.refused_transitions.get(), 0);
}

/// Adds to each of `sums` what stands at its place.
fn add<const N: usize>(sums: &mut [u64; N], more: [u64; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

/// I-13, of one dataflow that has lost no member, and of everything.
fn check_sums(now: &Statistics) {
    let mut nodes = [0; LifeCycle::ALL.len()];
    let (mut out, mut into, mut edges_into) = ([0; 9], [0; 9], [0; 9]);
    let (mut transitions, mut ages, mut queued) = (0, 0, 0);
    for row in &now.nodes {
        let numbers = &row.numbers;
        nodes[numbers.state as usize] += 1;
        add(&mut out, counters(&numbers.out));
        add(&mut into, counters(&numbers.into));
        transitions += numbers.transitions.get();
        ages += u128::from(now.at_ns.saturating_sub(numbers.added_ns));
        let spent: u64 = LifeCycle::ALL
            .map(|it| numbers.time_in_state_ns[it])
            .iter()
            .sum();
        let age = numbers.since_ns - numbers.added_ns;
        assert_eq!(spent, age, "the times in states are no age: {row:?}");
    }
    for row in &now.edges {
        add(&mut edges_into, counters(&row.counters));
        queued += row.gauges.queued.get();
    }
    assert_eq!(
        into, edges_into,
        "what comes to the nodes comes over the edges"
    );
    for level in now
        .dataflows
        .iter()
        .map(|row| &row.level)
        .chain([&now.total])
    {
        let states = LifeCycle::ALL.map(|state| level.states[state].get());
        assert_eq!(states, nodes, "{level:?}");
        assert_eq!(states.iter().sum::<u64>(), level.nodes.get());
        assert_eq!(level.edges, Gauge::new(now.edges.len() as u64));
        assert_eq!(counters(&level.out), out);
        assert_eq!(counters(&level.into), into);
        assert_eq!(level.transitions.get(), transitions);
        assert_eq!(level.gauges.queued.get(), queued);
        let time = LifeCycle::ALL.map(|state| {
            let members = u128::from(level.states[state].get());
            level.time_in_state_ns[state] + members * u128::from(now.at_ns) - level.since_ns[state]
        });
        assert_eq!(
            time.iter().sum::<u128>(),
            ages,
            "the times in states sum to the ages"
        );
    }
}
