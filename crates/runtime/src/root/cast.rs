//! The actors of a run: their mailboxes, their factories, and what they know before anything has happened.

use std::cell::RefCell;
use std::rc::Rc;

use dataflow_core::drain::DrainLedger;
use dataflow_core::flow::{FlowEdge, FlowMachine, Graph};
use dataflow_core::lifecycle::{Needs, NodeMachine, NodeSettings, Program};
use dataflow_core::models;
use dataflow_core::placement::{Capabilities, Ledger};
use dataflow_core::stats::{Book, EdgeSpec, GROUPS_MAX};
use dataflow_descriptor::{Dataflow, Node, Program as Runs};
use dataflow_ids::stats::{EdgeKey, Keeper, NodeKey, RunNumber};
use dataflow_ids::{NodeIndex, PeerId};

use super::{Handles, Memory, RootRef};
use crate::actors::{
    ActorName, Committed, DataflowActor, DataflowMessage, Lead, NodeActor, NodeMessage,
    SchedulerActor, SchedulerMessage, StatsActor, StatsMessage,
};
use crate::env::Env;
use crate::supervision::{Handle, Mailbox, Supervisor};

/// How many messages may wait for one actor.
const MAILBOX_CAPACITY: usize = 256;

/// The mailboxes of all actors.
pub(super) struct Mailboxes {
    dataflow: Rc<Mailbox<DataflowMessage>>,
    nodes: Vec<Rc<Mailbox<NodeMessage>>>,
    scheduler: Rc<Mailbox<SchedulerMessage>>,
    stats: Rc<Mailbox<StatsMessage>>,
}

impl Mailboxes {
    /// Mailboxes for whoever this description needs.
    pub(super) fn new(dataflow: &Dataflow) -> Mailboxes {
        let nodes = dataflow.nodes.iter();
        Mailboxes {
            dataflow: Mailbox::new(ActorName::Dataflow, MAILBOX_CAPACITY),
            nodes: nodes
                .map(|node| Mailbox::new(ActorName::Node(node.index), MAILBOX_CAPACITY))
                .collect(),
            scheduler: Mailbox::new(ActorName::Scheduler, MAILBOX_CAPACITY),
            stats: Mailbox::new(ActorName::Stats, MAILBOX_CAPACITY),
        }
    }

    /// Where to tell them something.
    pub(super) fn handles(&self) -> Handles {
        Handles {
            dataflow: Handle::new(Rc::clone(&self.dataflow)),
            nodes: (self.nodes.iter())
                .map(|mailbox| Handle::new(Rc::clone(mailbox)))
                .collect(),
            scheduler: Handle::new(Rc::clone(&self.scheduler)),
            stats: Handle::new(Rc::clone(&self.stats)),
        }
    }

    /// Takes every actor into care, with the factory that builds it.
    pub(super) fn supervise(self, root: &RootRef, supervisor: &mut Supervisor<ActorName>) {
        let now = root.env.now();
        let held = || Rc::clone(root);
        let (a, b, c) = (held(), held(), held());
        supervisor.add(now, ActorName::Stats, self.stats, move || {
            StatsActor::new(Rc::clone(&a))
        });
        supervisor.add(now, ActorName::Scheduler, self.scheduler, move || {
            SchedulerActor::new(Rc::clone(&b))
        });
        for (index, mailbox) in (0..).map(NodeIndex).zip(self.nodes) {
            let root = held();
            supervisor.add(now, ActorName::Node(index), mailbox, move || {
                NodeActor::new(Rc::clone(&root), index)
            });
        }
        supervisor.add(now, ActorName::Dataflow, self.dataflow, move || {
            DataflowActor::new(Rc::clone(&c))
        });
    }
}

/// What the actors know before anything has happened.
///
/// `this_machine` is the only peer that the ledger knows.
pub(super) fn memory(
    env: &Env,
    dataflow: &Dataflow,
    run: &str,
    this_machine: PeerId,
    capabilities: Capabilities,
) -> Memory {
    let edges: Vec<FlowEdge> = (dataflow.edges.iter())
        .map(|edge| FlowEdge {
            edge: edge.id,
            source: edge.source.index,
            target: edge.target.index,
        })
        .collect();
    let count = u32::try_from(dataflow.nodes.len()).unwrap_or(u32::MAX);
    let graph = Graph::new(count, &edges).expect("the descriptor has resolved every edge");
    let machine = |node: &Node| {
        NodeMachine::new(NodeSettings {
            program: program(node),
            restart: node.restart,
            seed: env.random(),
            needs: match node.models.is_empty() {
                true => Needs::Nothing,
                false => Needs::Models,
            },
        })
    };
    let nodes = dataflow.nodes.iter();
    let needs = nodes.map(|node| (node.index, node.models.iter().copied()));
    let lead = Committed::new(Lead::new(
        FlowMachine::new(graph, dataflow.on_failure),
        DrainLedger::new(env.random()),
        models::Needs::new(needs),
    ));
    let nodes = (dataflow.nodes.iter())
        .map(|node| Committed::new(machine(node)))
        .collect();
    let (statistics, run_number) = book(env, dataflow, run, this_machine.clone());
    Memory {
        lead,
        nodes,
        scheduler: Committed::new(Ledger::new([(this_machine, capabilities)])),
        statistics: RefCell::new(statistics),
        run_number,
    }
}

/// The statistics of the run before anything has happened.
fn book(env: &Env, dataflow: &Dataflow, run: &str, this_machine: PeerId) -> (Book, RunNumber) {
    let now = env.now();
    let mut book = Book::new(Keeper(env.random()), GROUPS_MAX);
    let run = book.add_dataflow(now, this_machine, run.to_owned(), dataflow.name.clone());
    for node in &dataflow.nodes {
        let key = NodeKey {
            run,
            node: node.index,
        };
        book.add_node(now, key, &node.id)
            .expect("its run has just come in");
    }
    for edge in &dataflow.edges {
        let spec = EdgeSpec {
            key: EdgeKey { run, edge: edge.id },
            source: edge.source.index,
            output: edge.source.output.clone(),
            target: edge.target.index,
            input: edge.target.input.clone(),
            policy: edge.policy,
            queue_size: edge.queue_size,
        };
        book.add_edge(spec)
            .expect("the descriptor has resolved every edge");
    }
    (book, run)
}

/// Whether a node must speak to the runtime: with inputs or outputs it cannot do without, and a Python node is
/// written for us.
fn program(node: &Node) -> Program {
    if node.inputs.is_empty() && node.outputs.is_empty() && node.program == Runs::Executable {
        Program::MayLackLibrary
    } else {
        Program::UsesLibrary
    }
}
