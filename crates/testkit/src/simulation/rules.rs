//! What must be true at the moment at which something happens: a launch, a frame, an observation of a node.

use dataflow_core::flow::Role;
use dataflow_ids::{EdgeId, Epoch, NodeIndex, Sequence, StopMode};
use dataflow_shm::edge::EdgeReading;
use dataflow_wire::node::{ToNode, ToRuntime};

use super::world::{Entry, RunRecord, World};
use crate::process::{Fate, Observation};

/// A process is about to be started.
pub(super) fn at_launch(world: &World, run: usize, node: NodeIndex, epoch: Epoch) {
    let (record, notes) = (&world.runs[run], &world.notes);
    let before = record.last.borrow().get(&node).copied();
    let expected = before.map_or(Epoch(1), |(last, _)| last.next());
    notes.check(epoch == expected, "epochs", || {
        format!("run {run}, {node:?}: incarnation {epoch} follows {before:?}")
    });
    let is_there = (world.entries.borrow().iter()).any(|it| it.run == run && it.node == node);
    notes.check(!is_there, "one process a node", || {
        format!(
            "run {run}, {node:?}: incarnation {epoch} is started while {before:?} is not reaped"
        )
    });
    let stopping_since = record.stopping_since.get();
    notes.check(
        // An actor that is rebuilt hears of the stop later.
        !record.plan.faults.is_empty() || stopping_since.is_none_or(|since| notes.now() <= since),
        "stop wins over restart",
        || format!("run {run}, {node:?}: started as {epoch}, stopping since {stopping_since:?}"),
    );
    notes.check(!record.is_closed.get(), "launcher", || {
        format!("run {run}, {node:?}: started as {epoch} after the end of the run")
    });
    let ledger = record.ledger.borrow();
    for edge in record.plan.dataflow.edges_from(node) {
        notes.check(!ledger.is_seen_closed(edge.id), "closed", || {
            format!(
                "run {run}, {node:?}: started as {epoch}; {} was seen closed",
                edge.id
            )
        });
    }
}

/// The runtime hears a frame.
pub(super) fn heard(world: &World, entry: &Entry, frame: &ToRuntime) {
    if let ToRuntime::Ready = frame {
        entry.ready_at.set(Some(world.notes.now()));
        (world.runs[entry.run].was_ready.borrow_mut()).insert(entry.node);
    }
}

/// The runtime says a frame.
pub(super) fn told(world: &World, entry: &Entry, frame: &ToNode) {
    let notes = &world.notes;
    notes.trace(|| {
        let Entry {
            run, node, epoch, ..
        } = entry;
        format!("r{run}.n{}.{epoch} is told {frame:?}", node.0)
    });
    match frame {
        ToNode::ReleaseRequest { upto, .. } if *upto != Sequence::NONE => {
            notes.count("requests for tokens");
        }
        ToNode::Stop { .. } => told_to_stop(world, entry),
        ToNode::Segment { .. } => notes.count("segments handed over"),
        ToNode::SegmentRetire { .. } => notes.count("segments retired"),
        _ => {}
    }
}

/// A cycle that is stopped, and nobody stops the dataflow: it is at rest.
fn told_to_stop(world: &World, entry: &Entry) {
    let (run, record) = (entry.run, &world.runs[entry.run]);
    let Role::Member(cycle) = record.graph.roles()[entry.node.0 as usize] else {
        return;
    };
    let asked = record.asked.borrow();
    let members = &record.graph.cycles()[cycle.0].members;
    let is_asked = asked.stop_at.is_some()
        || asked.force_at.is_some()
        || members
            .iter()
            .any(|member| asked.by_hand.contains(&member.node));
    // A node that has failed stops the dataflow too, and an actor that is rebuilt says so later.
    let is_stopped = record.stopping_since.get().is_some() || record.may_have_failed();
    if is_asked || is_stopped || !record.plan.faults.is_empty() {
        return;
    }
    (world.notes).count("members of cycles stopped because it was at rest");
    for other in world.living(Some(run)) {
        let is_member = members.iter().any(|member| member.node == other.node);
        world.notes.check(
            !is_member || other.process.borrow().is_idle(),
            "a cycle ends at rest",
            || {
                format!(
                    "run {run}: {:?} is told to stop, {:?} is at work",
                    entry.node, other.node
                )
            },
        );
    }
}

/// A node has observed something.
pub(super) fn after(world: &World, entry: &Entry, observation: &Observation) {
    let record = &world.runs[entry.run];
    match observation {
        Observation::Sent {
            edge,
            fate: Fate::Queued,
            sequence,
            ..
        } => {
            let target = record.plan.dataflow.edges[edge.0 as usize].target.index;
            world.notes.check(
                record.was_ready.borrow().contains(&target),
                "nothing is sent before its receiver is ready",
                || {
                    format!(
                        "run {}, {edge}: {sequence} was sent before {target:?} was ready",
                        entry.run
                    )
                },
            );
        }
        Observation::InputClosed { edge } => input_closed(world, entry, *edge),
        Observation::AllInputsClosed => all_inputs_closed(world, entry),
        Observation::StopHeard { mode, upto } => stop_heard(world, entry, *mode, upto),
        Observation::StopSeen { is_received: true } => stop_received(world, entry),
        _ => {}
    }
}

fn reading(record: &RunRecord, edge: EdgeId) -> Option<EdgeReading> {
    let inspector = record.inspector.borrow();
    let readings = inspector.as_ref()?.readings();
    Some(readings.into_iter().nth(edge.0 as usize)?.1)
}

/// Whoever sees the end of an edge: its sender has ended, and nothing is left on it.
fn input_closed(world: &World, entry: &Entry, edge: EdgeId) {
    let record = &world.runs[entry.run];
    let source = record.plan.dataflow.edges[edge.0 as usize].source.index;
    let last = record.last.borrow().get(&source).copied();
    world.notes.check(
        last.is_none_or(|(_, exit)| exit.is_some()),
        "closed",
        || {
            format!(
                "run {}, {edge}: seen closed while {source:?} lives as {last:?}",
                entry.run
            )
        },
    );
    if let Some(reading) = reading(record, edge) {
        world.notes.check(
            reading.counts.queued == 0,
            "a stop never overtakes data",
            || {
                format!(
                    "run {}, {edge}: seen closed with {:?}",
                    entry.run, reading.counts
                )
            },
        );
    }
}

/// Whoever sees the end of all of its inputs has been given everything.
fn all_inputs_closed(world: &World, entry: &Entry) {
    let record = &world.runs[entry.run];
    for edge in record.plan.dataflow.edges_into(entry.node) {
        let Some(reading) = reading(record, edge.id) else {
            continue;
        };
        let counts = reading.counts;
        world.notes.check(
            counts.queued == 0 && counts.dropped_receiver_closed == 0,
            "a stop never overtakes data",
            || {
                format!(
                    "run {}, {:?} has seen all ends; {}: {counts:?}",
                    entry.run, entry.node, edge.id
                )
            },
        );
    }
}

/// Whoever is told to stop: a source, or a cycle, and not before everything that was sent to it.
fn stop_heard(world: &World, entry: &Entry, mode: StopMode, upto: &[(EdgeId, Sequence)]) {
    let (record, notes) = (&world.runs[entry.run], &world.notes);
    let asked = record.asked.borrow();
    if mode == StopMode::Now {
        notes.check(
            asked.now_at.is_some()
                || asked.force_at.is_some()
                || asked.by_hand.contains(&entry.node),
            "a stop never overtakes data",
            || {
                format!(
                    "run {}, {:?}: told to stop now, and nobody asked",
                    entry.run, entry.node
                )
            },
        );
        return;
    }
    // Whom a person parks or starts again leaves its queue for later.
    if asked.by_hand.contains(&entry.node) {
        return;
    }
    match record.graph.roles()[entry.node.0 as usize] {
        Role::Source => {}
        Role::Chain => notes.wrong("order of the stop", || {
            format!(
                "run {}, {:?} is told to stop; its inputs should close",
                entry.run, entry.node
            )
        }),
        Role::Member(cycle) => {
            let members = &record.graph.cycles()[cycle.0].members;
            let inner = members.iter().find(|member| member.node == entry.node);
            let ledger = record.ledger.borrow();
            for edge in inner.map(|member| member.inner.clone()).unwrap_or_default() {
                let named = upto.iter().find(|(named, _)| *named == edge);
                let sent = ledger.sent_at_stop(edge);
                notes.check(
                    named.is_some_and(|(_, upto)| upto.0 >= sent),
                    "a stop never overtakes data",
                    || {
                        format!(
                            "run {}, {edge}: {sent} were sent before the stop, told {named:?}",
                            entry.run
                        )
                    },
                );
            }
        }
    }
}

/// Whoever receives a graceful stop has been given everything that comes before it.
fn stop_received(world: &World, entry: &Entry) {
    let (record, notes) = (&world.runs[entry.run], &world.notes);
    let asked = record.asked.borrow();
    if asked.now_at.is_some() || asked.force_at.is_some() || asked.by_hand.contains(&entry.node) {
        return;
    }
    let ledger = record.ledger.borrow();
    for edge in record.plan.dataflow.edges_into(entry.node) {
        let Some(reading) = reading(record, edge.id) else {
            continue;
        };
        let is_inner = record.plan.dataflow.edges[edge.id.0 as usize].source.index;
        let roles = record.graph.roles();
        let is_inner = roles[is_inner.0 as usize] == roles[entry.node.0 as usize]
            && matches!(roles[entry.node.0 as usize], Role::Member(_));
        let must_have = if is_inner {
            ledger.sent_at_stop(edge.id)
        } else {
            reading.tail
        };
        notes.check(reading.head >= must_have, "a stop never overtakes data", || {
            format!(
                "run {}, {:?} has received the stop; {}: {must_have} were sent before it, {} are taken or dropped",
                entry.run, entry.node, edge.id, reading.head
            )
        });
    }
}
