//! What persons and accidents do to the runs of a seed, and when.

use std::time::Duration;

use dataflow_ids::{Forcer, NodeIndex, StopMode};

use super::draw::Draw;
use super::plan::{RunPlan, Weather};

/// Something that is done to a run from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// A person stops it.
    Stop {
        mode: StopMode,
        force_after: Option<Duration>,
    },
    /// A person kills it.
    Force { by: Forcer },
    /// A person parks a node, and may have had enough of waiting for its process.
    Park {
        node: NodeIndex,
        kill: Option<Forcer>,
    },
    /// A person starts a node again.
    Restart {
        node: NodeIndex,
        kill: Option<Forcer>,
    },
    /// Somebody kills a process.
    Kill { node: NodeIndex },
    /// Somebody sends a process SIGTERM.
    Terminate { node: NodeIndex },
    /// Somebody stops a process for so long.
    StandStill { node: NodeIndex, time: Duration },
}

/// A deed, on which run, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Duration,
    pub(super) run: usize,
    pub(super) deed: Deed,
}

/// Something that happens to one node.
fn deed(node: NodeIndex, draw: &mut Draw) -> Deed {
    let kill = draw.percent(15).then_some(Forcer::DownForce);
    match draw.below(8) {
        0 | 1 => Deed::Park { node, kill },
        2 | 3 => Deed::Restart { node, kill },
        4 => Deed::Kill { node },
        5 => Deed::Terminate { node },
        _ => Deed::StandStill {
            node,
            time: draw.millis(10, 60_000),
        },
    }
}

/// The script of a seed, in the order of time. Every run is stopped in it.
pub(super) fn script(seed: u64, plans: &[RunPlan]) -> Vec<Entry> {
    let mut draw = Draw::new(seed, 4);
    let mut script = Vec::new();
    for (run, plan) in plans.iter().enumerate() {
        let mut add = |at, deed| script.push(Entry { at, run, deed });
        let longest_ms = draw.one_of(&[1, 50, 500, 1000, 1500, 2000, 3000, 5000, 30_000]);
        let stop_at = draw.millis(longest_ms / 2, longest_ms);
        if plan.weather != Weather::Calm {
            for _ in 0..draw.one_of(&[0, 1, 2, 4, 6]) {
                let at = draw.millis(0, longest_ms + 200);
                let node = NodeIndex(draw.below(plan.dataflow.nodes.len() as u64) as u32);
                add(at, deed(node, &mut draw));
            }
        }
        let mode = draw.one_of(&[
            StopMode::Graceful,
            StopMode::Graceful,
            StopMode::Graceful,
            StopMode::Graceful,
            StopMode::Now,
        ]);
        let force_after = draw.percent(4).then(|| draw.millis(1, 3_000));
        add(stop_at, Deed::Stop { mode, force_after });
        if draw.percent(10) {
            let mode = StopMode::Now;
            let at = stop_at + draw.millis(0, 500);
            let force_after = None;
            add(at, Deed::Stop { mode, force_after });
        }
        if draw.percent(8) {
            let by = draw.one_of(&[Forcer::DownForce, Forcer::SecondInterrupt]);
            add(stop_at + draw.millis(0, 1_000), Deed::Force { by });
        }
    }
    script.sort_by_key(|entry| entry.at);
    script
}
