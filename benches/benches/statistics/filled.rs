//! Statistics with so many nodes, and a walk of allowed transitions over them: what the other parts measure with.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Book, GROUPS_MAX, Transition};
use dataflow_ids::stats::{Keeper, NodeKey, RunNumber};
use dataflow_ids::{Epoch, LifeCycle, NodeId, NodeIndex};

use crate::naive::GROUPS;

/// There is one keeper in a process here.
pub(crate) const KEEPER: Keeper = Keeper(1);
/// How many nodes a dataflow has at most.
const NODES_IN_A_DATAFLOW: usize = 1_000;

/// Statistics, and where their nodes stand.
pub(crate) struct Filled {
    pub(crate) book: Book,
    runs: Vec<RunNumber>,
    /// The state of each, its incarnation, and how often it has changed.
    nodes: Vec<(LifeCycle, u32, u64)>,
    names: Vec<NodeId>,
    at_ns: u64,
    /// The state of the numbers by which nodes are chosen.
    chance: u64,
}

impl Filled {
    /// So many nodes in dataflows of a thousand, each with one of ten names.
    pub(crate) fn new(nodes: usize) -> Self {
        let mut book = Book::new(KEEPER, GROUPS_MAX);
        let names: Vec<NodeId> = (0..GROUPS)
            .map(|group| name(&format!("node-{group}")))
            .collect();
        let mut runs = Vec::new();
        for node in 0..nodes {
            let place = node % NODES_IN_A_DATAFLOW;
            if place == 0 {
                runs.push(add_dataflow(&mut book, Time::START, runs.len()));
            }
            let run = runs[runs.len() - 1];
            book.add_node(Time::START, key(run, place), &names[node % GROUPS])
                .expect("its run is there");
        }
        Filled {
            book,
            runs,
            nodes: vec![(LifeCycle::Declared, 0, 0); nodes],
            names,
            at_ns: 0,
            chance: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The names of the groups.
    pub(crate) fn names(&self) -> &[NodeId] {
        &self.names
    }

    /// The next so many transitions, each of a node that chance has chosen, so that nothing is left of their making
    /// when they are timed.
    pub(crate) fn transitions(&mut self, count: usize) -> Vec<(RunNumber, Transition)> {
        let next = |_| {
            let node = self.chance(self.nodes.len());
            self.next(node)
        };
        (0..count).map(next).collect()
    }

    /// So many transitions, each of one of `nodes` that chance has chosen.
    pub(crate) fn transitions_of(
        &mut self,
        nodes: &[usize],
        count: usize,
    ) -> Vec<(RunNumber, Transition)> {
        let next = |_| {
            let node = nodes[self.chance(nodes.len())];
            self.next(node)
        };
        (0..count).map(next).collect()
    }

    /// A number below this one, by chance.
    pub(crate) fn chance(&mut self, below: usize) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance % below as u64) as usize
    }

    /// The next transition of a node.
    fn next(&mut self, node: usize) -> (RunNumber, Transition) {
        self.at_ns += 100;
        let (state, epoch, changes) = &mut self.nodes[node];
        *changes += 1;
        *state = match state {
            LifeCycle::Declared => LifeCycle::Placed,
            LifeCycle::Starting => LifeCycle::Ready,
            LifeCycle::Ready => LifeCycle::Running,
            LifeCycle::Running => LifeCycle::Backoff,
            _ => LifeCycle::Starting,
        };
        if *state == LifeCycle::Starting {
            *epoch += 1;
        }
        let transition = Transition {
            node: index(node % NODES_IN_A_DATAFLOW),
            to: *state,
            epoch: Epoch(*epoch),
            sequence: *changes,
            at: Time(Duration::from_nanos(self.at_ns)),
        };
        (self.runs[node / NODES_IN_A_DATAFLOW], transition)
    }

    /// The key of some node.
    pub(crate) fn key(&self, node: usize) -> NodeKey {
        key(
            self.runs[node / NODES_IN_A_DATAFLOW],
            node % NODES_IN_A_DATAFLOW,
        )
    }

    /// Where that node of that run is among all.
    pub(crate) fn place(&self, run: RunNumber, node: NodeIndex) -> usize {
        let run = self.runs.binary_search(&run).expect("a run of ours");
        run * NODES_IN_A_DATAFLOW + node.0 as usize
    }

    /// Some run.
    pub(crate) fn run(&self) -> RunNumber {
        self.runs[self.runs.len() / 2]
    }

    /// A moment after all that has happened.
    pub(crate) fn now(&self) -> Time {
        Time(Duration::from_nanos(self.at_ns))
    }
}

/// Makes these transitions.
pub(crate) fn make(book: &mut Book, transitions: &[(RunNumber, Transition)]) {
    for (run, transition) in transitions {
        book.transition(*run, *transition)
            .expect("the walk is one of allowed transitions");
    }
}

fn key(run: RunNumber, place: usize) -> NodeKey {
    NodeKey {
        run,
        node: index(place),
    }
}

fn index(place: usize) -> NodeIndex {
    NodeIndex(u32::try_from(place).expect("fewer than a thousand"))
}

/// A name for a node.
pub(crate) fn name(text: &str) -> NodeId {
    text.parse().expect("a name")
}

/// One more dataflow.
pub(crate) fn add_dataflow(book: &mut Book, at: Time, number: usize) -> RunNumber {
    let peer = "here".parse().expect("a name");
    let dataflow = "flow".parse().expect("a name");
    book.add_dataflow(at, peer, format!("flow-{number}"), dataflow)
}
