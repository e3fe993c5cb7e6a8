//! Waits of the root and of the actors.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::flow::CycleIndex;
use dataflow_ids::NodeIndex;

use super::{Root, RootRef};
use crate::env::{Task, TaskName};
use crate::supervision::panic_text;

/// What there is one wait for at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Ask again for tokens.
    DrainTick,
    /// The time that a person has set for the stop.
    Force,
    /// Say whom the stop waits for.
    SayWaiting,
    /// Look whether a cycle is at rest.
    CycleLook(CycleIndex),
    /// Look whether a node's old segments are free.
    OldSegments(NodeIndex),
}

/// The waits that a later one of the same purpose replaces.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: RefCell<BTreeMap<Purpose, Task>>,
}

impl Root {
    /// Does something after a wait, unless the run has ended.
    pub(crate) fn later(self: &Rc<Self>, wait: Duration, act: impl Fn(&RootRef) + 'static) {
        self.timer(self.env.now().after(wait), act).detach();
    }

    /// Does something at a moment, unless the run has ended or another moment is chosen for this purpose.
    pub(crate) fn arm(
        self: &Rc<Self>,
        purpose: Purpose,
        at: Time,
        act: impl Fn(&RootRef) + 'static,
    ) {
        let timer = self.timer(at, act);
        self.timers.armed.borrow_mut().insert(purpose, timer);
    }

    fn timer(self: &Rc<Self>, at: Time, act: impl Fn(&RootRef) + 'static) -> Task {
        let env = self.env.clone();
        let root = Rc::downgrade(self);
        self.env.spawn(TaskName::Timer, async move {
            env.sleep_until(at).await;
            let Some(root) = root.upgrade() else {
                return;
            };
            // What waits is a message or a look, which may come twice, but not never. Whoever panics again
            // ends the run.
            let act = || {
                #[cfg(test)]
                crate::supervision::faults::task_step("timer");
                act(&root);
            };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(act)) {
                let what = panic_text(&*panic);
                tracing::error!(%what, "timer panicked");
                act();
            }
        })
    }
}
