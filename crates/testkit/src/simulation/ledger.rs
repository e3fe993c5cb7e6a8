//! Every message of a run, as its ends have seen it: what must be true of an edge whatever happens.

use std::collections::BTreeSet;

use dataflow_descriptor::{Dataflow, Edge};
use dataflow_ids::{EdgeId, Epoch, NodeIndex, QueuePolicy, Sequence, StopMode};
use dataflow_shm::edge::EdgeReading;

use super::notes::Notes;
use crate::process::{Fate, Observation, Stamp};

/// One edge, as its ends have seen it.
#[derive(Debug, Default)]
struct EdgeLedger {
    /// By sequence, from 1.
    sent: Vec<(Stamp, Fate)>,
    last_taken: u64,
    taken: u64,
    held: BTreeSet<u64>,
    released: u64,
    /// Held by somebody who died.
    lost: u64,
    /// Taken by somebody who died before it could be looked at.
    lost_unseen: u64,
    is_seen_closed: bool,
    /// How far it was when the stop of the dataflow was asked for.
    at_stop: u64,
}

/// Every message of a run.
#[derive(Debug)]
pub(super) struct Ledger {
    run: usize,
    edges: Vec<EdgeLedger>,
    is_stopping: bool,
}

impl Ledger {
    pub(super) fn new(run: usize, dataflow: &Dataflow) -> Ledger {
        Ledger {
            run,
            edges: dataflow
                .edges
                .iter()
                .map(|_| EdgeLedger::default())
                .collect(),
            is_stopping: false,
        }
    }

    /// Whether a receiver has seen the end of an edge.
    pub(super) fn is_seen_closed(&self, edge: EdgeId) -> bool {
        self.edges[edge.0 as usize].is_seen_closed
    }

    /// The stop of the dataflow is asked for, or has begun by itself. Only the first time counts.
    pub(super) fn stop_begins(&mut self) {
        if std::mem::replace(&mut self.is_stopping, true) {
            return;
        }
        for edge in &mut self.edges {
            edge.at_stop = edge.sent.len() as u64;
        }
    }

    /// How many messages were sent on an edge before the stop was asked for.
    pub(super) fn sent_at_stop(&self, edge: EdgeId) -> u64 {
        self.edges[edge.0 as usize].at_stop
    }

    /// Takes what an incarnation of `node` has seen.
    pub(super) fn observe(
        &mut self,
        notes: &Notes,
        dataflow: &Dataflow,
        (node, epoch): (NodeIndex, Epoch),
        observation: &Observation,
    ) {
        let run = self.run;
        let edge_of = |edge: EdgeId| &dataflow.edges[edge.0 as usize];
        match *observation {
            Observation::Sent {
                edge,
                sequence,
                stamp,
                fate,
            } => {
                let described = edge_of(edge);
                notes.check(described.source.index == node, "edges", || {
                    format!("run {run}: {node:?} has sent on {edge}, which is not its own")
                });
                self.sent(notes, described, epoch, (sequence, stamp, fate));
            }
            Observation::Taken {
                edge,
                sequence,
                stamp,
                is_held,
            } => {
                let described = edge_of(edge);
                notes.check(described.target.index == node, "edges", || {
                    format!("run {run}: {node:?} has received on {edge}, which is not its own")
                });
                self.took(notes, described, (sequence, stamp, is_held));
            }
            Observation::Released { edge, sequence } => {
                let it = &mut self.edges[edge.0 as usize];
                it.held.remove(&sequence.0);
                it.released += 1;
            }
            Observation::Lost {
                edge,
                sequence,
                is_seen,
            } => {
                let it = &mut self.edges[edge.0 as usize];
                it.held.remove(&sequence.0);
                it.lost += 1;
                it.lost_unseen += u64::from(!is_seen);
                notes.count("messages lost with who held them");
            }
            Observation::InputClosed { edge } => {
                self.edges[edge.0 as usize].is_seen_closed = true;
                notes.count("inputs seen closed");
            }
            Observation::AllInputsClosed => notes.count("nodes that saw all inputs closed"),
            Observation::StopHeard { mode, .. } => notes.count(match mode {
                StopMode::Graceful => "stops told, graceful",
                StopMode::Now => "stops told, now",
            }),
            Observation::StopSeen { .. } => notes.count("stops seen by the user's code"),
            Observation::Acknowledged {
                is_empty,
                is_unasked,
                ..
            } => notes.count(match (is_empty, is_unasked) {
                (true, true) => "acknowledgements: unasked, nothing owed",
                (true, false) => "acknowledgements: nothing owed",
                (false, _) => "acknowledgements: something owed",
            }),
            Observation::MemoryFull => notes.count("sends that found no memory"),
            Observation::Wrong { ref what } => {
                notes.wrong("data plane", || format!("run {run}, {node:?}: {what}"));
            }
        }
    }

    fn sent(
        &mut self,
        notes: &Notes,
        described: &Edge,
        epoch: Epoch,
        (sequence, stamp, fate): (Sequence, Stamp, Fate),
    ) {
        let (run, id) = (self.run, described.id);
        let it = &mut self.edges[id.0 as usize];
        notes.check(sequence.0 == it.sent.len() as u64 + 1, "sequences", || {
            format!(
                "run {run}, {id}: {sequence} was sent after {} messages",
                it.sent.len()
            )
        });
        notes.check(!it.is_seen_closed, "closed", || {
            format!("run {run}, {id}: {sequence} was sent after its receiver had seen the end")
        });
        notes.check(stamp.epoch == epoch.0, "epochs", || {
            format!("run {run}, {id}: {sequence} was sent by incarnation {epoch} as {stamp:?}")
        });
        if let Some((before, _)) = it.sent.last() {
            notes.check(
                (before.epoch, before.number) < (stamp.epoch, stamp.number),
                "epochs",
                || format!("run {run}, {id}: {stamp:?} follows {before:?}"),
            );
        }
        it.sent.push((stamp, fate));
        notes.count(match (described.policy, fate) {
            (_, Fate::Dropped) => "messages sent to nobody, or to a full edge",
            (QueuePolicy::Block, Fate::Queued) => "messages sent, block",
            (QueuePolicy::DropOldest, Fate::Queued) => "messages sent, drop-oldest",
            (QueuePolicy::Latest, Fate::Queued) => "messages sent, latest",
        });
    }

    fn took(
        &mut self,
        notes: &Notes,
        described: &Edge,
        (sequence, stamp, is_held): (Sequence, Stamp, bool),
    ) {
        let (run, id) = (self.run, described.id);
        let it = &mut self.edges[id.0 as usize];
        notes.check(sequence.0 > it.last_taken, "order", || {
            format!(
                "run {run}, {id}: {sequence} was taken after #{}",
                it.last_taken
            )
        });
        if described.policy == QueuePolicy::Block {
            let before = it.taken + it.lost_unseen;
            notes.check(sequence.0 == before + 1, "block loses nothing", || {
                format!("run {run}, {id}: {sequence} was taken after {before} messages")
            });
        }
        match it.sent.get(sequence.0 as usize - 1) {
            Some((sent, Fate::Queued)) => notes.check(*sent == stamp, "I-1", || {
                format!("run {run}, {id}: {sequence} was sent as {sent:?} and came as {stamp:?}")
            }),
            other => notes.wrong("order", || {
                format!("run {run}, {id}: {sequence} was taken; its sender says {other:?}")
            }),
        }
        it.last_taken = sequence.0;
        it.taken += 1;
        if is_held {
            it.held.insert(sequence.0);
        } else {
            it.released += 1;
        }
        notes.count(if is_held {
            "messages taken, in shared memory"
        } else {
            "messages taken, copied"
        });
    }

    /// Compares with what an edge's header says, when nothing moves.
    pub(super) fn compare(&self, notes: &Notes, edge: EdgeId, reading: &EdgeReading) {
        let (run, it, counts) = (self.run, &self.edges[edge.0 as usize], &reading.counts);
        notes.check(counts.balances(), "I-2", || {
            format!("run {run}, {edge}: {counts:?}")
        });
        notes.check(counts.sent == it.sent.len() as u64, "I-2", || {
            format!(
                "run {run}, {edge}: {} were sent, it says {counts:?}",
                it.sent.len()
            )
        });
    }

    /// Compares when nobody is left who could hold anything.
    pub(super) fn compare_at_end(
        &self,
        notes: &Notes,
        edge: EdgeId,
        counts: &dataflow_wire::status::EdgeCounts,
    ) {
        let (run, it) = (self.run, &self.edges[edge.0 as usize]);
        let says = (
            counts.sent,
            counts.delivered,
            counts.lost,
            counts.queued,
            counts.held,
        );
        let delivered = it.taken + it.lost_unseen;
        let is = (it.sent.len() as u64, delivered, it.lost, 0, 0);
        notes.check(says == is && counts.balances(), "I-8", || {
            format!("run {run}, {edge}: (sent, delivered, lost, queued, held) is {is:?}, the report says {counts:?}")
        });
        notes.check(it.held.is_empty(), "I-8", || {
            format!("run {run}, {edge}: {:?} are held by nobody", it.held)
        });
    }
}
