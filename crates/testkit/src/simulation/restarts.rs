//! Whether a node is started again as its restart policy says: when it should be, not otherwise, and not too often.

use std::time::Duration;

use dataflow_core::flow::Role;
use dataflow_ids::{Epoch, LifeCycle, NodeIndex, RestartOn, RestartPolicy};

use super::drive::LOOK_AT_LEAST_EVERY;
use super::world::World;

/// A change of a node's state, as the run has told it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transition {
    pub(super) from: LifeCycle,
    pub(super) to: LifeCycle,
    pub(super) epoch: Epoch,
}

/// The restarts of one node that its policy has granted.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts {
    /// When each was heard of.
    granted: Vec<Duration>,
}

impl Restarts {
    /// A node of a run has changed its state.
    pub(super) fn saw(
        &mut self,
        world: &World,
        (run, node): (usize, NodeIndex),
        change: Transition,
        because: Option<&str>,
    ) {
        let (record, notes) = (&world.runs[run], &world.notes);
        let policy = record.plan.dataflow.nodes[node.0 as usize].restart;
        let has_worked = matches!(change.from, LifeCycle::Ready | LifeCycle::Running);
        // Of this incarnation; a later one may live by now.
        let last = record.last.borrow().get(&node).copied();
        let exit = last
            .filter(|(epoch, _)| *epoch == change.epoch)
            .and_then(|(_, exit)| exit);
        let was_well = has_worked && exit.is_some_and(|exit| exit.is_success());
        let was_bad = has_worked && exit.is_some_and(|exit| !exit.is_success());
        let says =
            |what: &str| format!("run {run}, {node:?}: {what}: {change:?}, {exit:?}, {policy:?}");
        if change.to == LifeCycle::Backoff {
            let allows = match policy.on {
                RestartOn::Never => false,
                RestartOn::OnFailure => !was_well,
                RestartOn::Always => true,
            };
            notes.check(allows, "restarts", || says("it is to be started again"));
            self.granted.push(notes.now());
            notes.check(self.are_few(&policy), "restarts", || {
                says(&format!("granted at {:?}", self.granted))
            });
        }
        let restarts_max = policy.restarts_max as usize;
        let was_exhausted = because.is_some_and(|because| because.contains(" restarts within "));
        if was_exhausted {
            notes.count("restart policies that were exhausted");
        }
        let is_used_up = self.granted.len() >= restarts_max;
        notes.check(!was_exhausted || is_used_up, "restarts", || {
            says(&format!("it was given up after {}", self.granted.len()))
        });
        let has_ended = change.to == LifeCycle::Draining || change.to.is_final();
        // Everybody else may have been asked to end, or see the end of its inputs, at this very moment.
        let is_left_alone = record.graph.roles()[node.0 as usize] == Role::Source
            && record.asked.borrow().stop_at.is_none()
            && record.asked.borrow().force_at.is_none()
            && record.stopping_since.get().is_none()
            && !record.asked.borrow().by_hand.contains(&node)
            && record.plan.faults.is_empty();
        if has_ended && was_bad && is_left_alone && !is_used_up {
            notes.count("sources that crashed for good by their policy");
            notes.check(policy.on == RestartOn::Never, "restarts", || {
                says("it is not started again")
            });
        }
    }

    /// Whether no stretch of time as long as the window has more restarts than there may be. What was granted was
    /// heard of a little later.
    fn are_few(&self, policy: &RestartPolicy) -> bool {
        let after_max = self.granted.iter().skip(policy.restarts_max as usize);
        std::iter::zip(&self.granted, after_max)
            .all(|(first, later)| *later - *first + LOOK_AT_LEAST_EVERY >= policy.window)
    }
}
