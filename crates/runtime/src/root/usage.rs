//! What the processes of nodes use of the machine, for the statistics: asked of the thread of statistics while they run,
//! and of the process itself when it has ended.

use std::cell::RefCell;
use std::collections::BTreeMap;

use dataflow_core::stats::ProcessFacts;
use dataflow_ids::{Epoch, NodeIndex};

use super::Root;
use super::table::Process;
use crate::process::Usage;
use crate::statistics::{AskedFor, Processes, facts};

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
        // One that was reaped meanwhile has said itself what it has used.
        let found = found.into_iter();
        known.extend(found.filter(|(node, facts)| of(*node).running(facts.epoch).is_some()));
        known.iter().map(|(node, facts)| (*node, *facts)).collect()
    }

    /// A process has ended, and is about to be reaped: notes what it has used in all.
    pub(super) fn note_last_usage(&self, node: NodeIndex, epoch: Epoch, usage: Usage) {
        let mut known = self.statistics.processes.known.borrow_mut();
        known.insert(node, facts(epoch, None, usage));
    }
}
