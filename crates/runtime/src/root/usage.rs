//! What the processes of nodes use of the machine, for the statistics: asked of the thread of statistics while they run,
//! and of the process itself when it has ended.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dataflow_core::Time;
use dataflow_core::stats::ProcessFacts;
use dataflow_ids::{Epoch, NodeIndex};

use super::Root;
use super::table::Process;
use crate::process::Usage;
use crate::statistics::{AskedFor, Processes};

/// What is known of the processes.
#[derive(Debug, Default)]
pub(super) struct ProcessTable {
    /// Those that run are looked at elsewhere.
    pub(super) elsewhere: Processes,
    /// What was found last, of each node.
    known: RefCell<BTreeMap<NodeIndex, ProcessFacts>>,
}

impl Root {
    /// What the processes of nodes use, and the last ones have used; asks for what they use from now on.
    pub(super) fn processes_used(&self) -> Vec<(NodeIndex, ProcessFacts)> {
        let table = self.table.borrow();
        let of = |node: NodeIndex| &table.node(node).process;
        let running = self.dataflow.nodes.iter().filter_map(|spec| {
            let node = spec.index;
            let Process::Running(running) = of(node) else {
                return None;
            };
            Some(AskedFor {
                node,
                epoch: running.epoch,
                pid: running.pid,
                group: running.process.group()?,
            })
        });
        let found = self
            .statistics
            .processes
            .elsewhere
            .exchange(running.collect());
        let mut known = self.statistics.processes.known.borrow_mut();
        let found = found.into_iter().map(|found| {
            let read_at = self.moment(found.at_ns);
            let pid = Some(found.of.pid);
            (
                found.of.node,
                facts(found.of.epoch, pid, found.usage, read_at),
            )
        });
        // One that was reaped meanwhile has said itself what it has used.
        known.extend(found.filter(|(node, facts)| of(*node).running(facts.epoch).is_some()));
        known.iter().map(|(node, facts)| (*node, *facts)).collect()
    }

    /// A process has ended, and is about to be reaped: notes what it has used in all.
    pub(super) fn note_last_usage(&self, node: NodeIndex, epoch: Epoch, usage: Usage) {
        let mut known = self.statistics.processes.known.borrow_mut();
        known.insert(node, facts(epoch, None, usage, Some(self.env.now())));
    }
}

/// What the statistics are to know of a use.
pub(super) fn facts(
    epoch: Epoch,
    pid: Option<u32>,
    usage: Usage,
    read_at: Option<Time>,
) -> ProcessFacts {
    ProcessFacts {
        epoch,
        pid,
        cpu_ns: u64::try_from(usage.cpu.as_nanos()).unwrap_or(u64::MAX),
        // What has ended has none, also while it waits to be reaped.
        memory_bytes: pid.map_or(0, |_| usage.memory_bytes),
        read_at,
    }
}
