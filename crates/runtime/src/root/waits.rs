//! What each node waits for, in the words of the conversation with commands.

use std::time::Duration;

use dataflow_core::waiting::why::{self, Chain, ChainEnd, EdgeFacts, Link, NodeFacts, Wait};
use dataflow_descriptor::Edge;
use dataflow_ids::{EdgeId, Lacks, NodeIndex};
use dataflow_shm::edge::EdgeReading;
use dataflow_wire::waits::{Blocker, NodeWait, Owed};

use super::Root;
use super::table::EdgeRow;
use crate::env::machine_now_ns;

impl Root {
    /// What each node waits for, by these readings of all edges: the list of each is empty while it works, or waits
    /// for its next message.
    pub(super) fn waits(&self, readings: &[EdgeReading]) -> Vec<Vec<NodeWait>> {
        let nodes: Vec<NodeFacts> = (self.dataflow.nodes.iter())
            .map(|spec| self.node_facts(spec.index))
            .collect();
        let edges = self.edge_facts(readings);
        (why::explain(&nodes, &edges).into_iter())
            .zip(&self.dataflow.nodes)
            .map(|(waits, spec)| {
                let in_words = |wait| self.wait_in_words(spec.index, wait, &nodes, &edges);
                waits.into_iter().filter_map(in_words).collect()
            })
            .collect()
    }

    fn node_facts(&self, node: NodeIndex) -> NodeFacts {
        let table = self.table.borrow();
        let process = &table.node(node).process;
        let running = process.running(process.epoch());
        NodeFacts {
            state: self.state_of(node).0,
            has_process: self.memory.node(node).read().has_process(),
            is_connected: running.is_some_and(|running| running.is_connected),
        }
    }

    fn edge_facts(&self, readings: &[EdgeReading]) -> Vec<EdgeFacts> {
        let table = self.table.borrow();
        let now_ns = machine_now_ns();
        (self.dataflow.edges.iter().zip(&table.edges).zip(readings))
            .map(|((edge, row), reading)| edge_facts(edge, row, reading, now_ns))
            .collect()
    }

    /// What the sender of an edge lacks there by this reading, if it waits because of it: what `top` shows, and `ps` explains.
    pub(super) fn lacks(&self, edge: &Edge, row: &EdgeRow, reading: &EdgeReading) -> Option<Lacks> {
        // Hardly anybody sleeps at a time: the others cost nothing.
        reading.sender_sleep?;
        let (state, _) = self.state_of(edge.source.index);
        edge_facts(edge, row, reading, machine_now_ns()).lacks(state)
    }

    /// `None` for what is over by now.
    fn wait_in_words(
        &self,
        node: NodeIndex,
        wait: Wait,
        nodes: &[NodeFacts],
        edges: &[EdgeFacts],
    ) -> Option<NodeWait> {
        Some(match wait {
            Wait::Place => NodeWait::Place {},
            Wait::Start => NodeWait::Start {},
            Wait::Models => NodeWait::Models {
                models: self.models_awaited(node),
            },
            Wait::Library => NodeWait::Library {},
            Wait::FirstCall => NodeWait::FirstCall {},
            Wait::Room(chain) => self.chain_in_words(&chain, nodes, edges)?,
            Wait::Exit => NodeWait::Exit {
                busy_for: self.busy_for(node),
            },
            Wait::Tokens(owed) => NodeWait::Tokens {
                owed: (owed.into_iter())
                    .filter_map(|edge| self.owed_in_words(edge, edges))
                    .collect(),
            },
            Wait::Backoff => {
                let again_at = self.memory.node(node).read().starts_again_at()?;
                NodeWait::Backoff {
                    starts_in: again_at.since(self.env.now()),
                }
            }
            Wait::Person => NodeWait::Person {},
            Wait::Peer => NodeWait::Peer {
                peer: self.spec(node).peer.clone(),
            },
        })
    }

    fn chain_in_words(
        &self,
        chain: &Chain,
        nodes: &[NodeFacts],
        edges: &[EdgeFacts],
    ) -> Option<NodeWait> {
        let last = self.dataflow.edge(chain.links.last()?.edge)?;
        let state = nodes.get(last.target.index.0 as usize)?.state;
        let links = chain.links.iter();
        Some(NodeWait::Room {
            chain: links
                .filter_map(|link| self.blocker_in_words(*link, edges))
                .collect(),
            left_out: chain.left_out as u64,
            state,
            is_circle: chain.end == ChainEnd::Circle,
        })
    }

    fn blocker_in_words(&self, link: Link, edges: &[EdgeFacts]) -> Option<Blocker> {
        let edge = self.dataflow.edge(link.edge)?;
        let facts = edges.get(link.edge.0 as usize)?;
        Some(Blocker {
            node: edge.target.node.clone(),
            input: edge.target.input.clone(),
            source: edge.source.node.clone(),
            output: edge.source.output.clone(),
            lacks: link.lacks,
            queued: facts.queued,
            held: facts.held,
            oldest: facts.oldest_ns.map(Duration::from_nanos),
        })
    }

    fn owed_in_words(&self, edge: EdgeId, edges: &[EdgeFacts]) -> Option<Owed> {
        let facts = edges.get(edge.0 as usize)?;
        let edge = self.dataflow.edge(edge)?;
        Some(Owed {
            node: edge.target.node.clone(),
            input: edge.target.input.clone(),
            output: edge.source.output.clone(),
            held: facts.held,
            queued: facts.queued,
        })
    }

    /// For how long a node's code has run without a call into its library, if that was said and is more than nothing.
    pub(super) fn busy_for(&self, node: NodeIndex) -> Option<Duration> {
        let table = self.table.borrow();
        let process = &table.node(node).process;
        let (busy_for, at) = process.running(process.epoch())?.busy?;
        (!busy_for.is_zero()).then(|| busy_for.saturating_add(self.env.now().since(at)))
    }

    /// The models that a node waits for, in one line, if there is any.
    pub(super) fn models_awaited_in_words(&self, node: NodeIndex) -> Option<String> {
        let models = self.models_awaited(node);
        (!models.is_empty()).then(|| NodeWait::Models { models }.to_string())
    }
}

/// An edge as this reading of it, at this moment of the machine's monotonic clock, and the table say.
fn edge_facts(edge: &Edge, row: &EdgeRow, reading: &EdgeReading, now_ns: u64) -> EdgeFacts {
    EdgeFacts {
        source: edge.source.index,
        target: edge.target.index,
        held_max: u64::from(edge.held_max),
        queued: reading.counts.queued,
        held: reading.counts.held,
        oldest_ns: (reading.oldest_sent_at_ns).map(|sent_at_ns| now_ns.saturating_sub(sent_at_ns)),
        sleeps_for: reading.sender_sleep,
        is_closed: row.is_closed,
        is_drained: row.is_drained,
        is_receiver_ready: row.is_receiver_ready,
        is_unread: row.is_unread,
    }
}
