//! What the processes of a run use, read once a second while somebody reads them: on the thread of statistics, since the kernel
//! is asked for every process of the machine (see [`Usage`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow_ids::{Epoch, NodeIndex};

use super::source::Source;
use crate::env::machine_now_ns;
use crate::process::Usage;

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// A process whose use is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskedFor {
    pub(crate) node: NodeIndex,
    pub(crate) epoch: Epoch,
    pub(crate) pid: u32,
    /// The group that it leads.
    pub(crate) group: u32,
}

/// What a process was found to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) of: AskedFor,
    pub(crate) usage: Usage,
    /// When, on the machine's monotonic clock.
    pub(crate) at_ns: u64,
}

/// What the control thread asks for, and the thread of statistics has found. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processes {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    asked_for: Vec<AskedFor>,
    found: Vec<Found>,
}

impl Processes {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Every change is one statement, and held for no longer.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on asks for these, and gives what was found of those before, once.
    pub(crate) fn exchange(&self, asked_for: Vec<AskedFor>) -> Vec<Found> {
        let mut shared = self.shared();
        shared.asked_for = asked_for;
        std::mem::take(&mut shared.found)
    }

    /// Looks at once what those asked for use.
    pub(super) fn look(&self) {
        let asked_for = self.shared().asked_for.clone();
        let groups: Vec<u32> = asked_for.iter().map(|asked| asked.group).collect();
        let used = Usage::of_groups(&groups);
        let at_ns = machine_now_ns();
        let found = asked_for.into_iter().filter_map(|of| {
            let usage = *used.get(&of.group)?;
            Some(Found { of, usage, at_ns })
        });
        let found = found.collect();
        self.shared().found = found;
    }
}

/// Looks again and again while somebody reads the source, until nothing follows there.
pub(crate) async fn read_processes(source: Source, processes: Processes) {
    while source.snapshots.has_changed().is_ok() {
        let is_read = tokio::time::timeout(EVERY, source.readers.come()).await;
        if is_read.is_ok() || source.readers.now_and_then().is_some() {
            processes.look();
        }
        if is_read.is_ok() {
            tokio::time::sleep(EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_is_found_is_given_once_and_of_those_alone_that_are_there() {
        let mut child = Command::new("cat")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let asked = |node, group| AskedFor {
            node: NodeIndex(node),
            epoch: Epoch(3),
            pid: group,
            group,
        };
        let processes = Processes::default();
        let both = vec![asked(0, child.id()), asked(1, u32::MAX)];
        assert_eq!(processes.exchange(both.clone()), []);
        let began_ns = machine_now_ns();
        processes.look();
        let found = processes.exchange(both.clone());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].of, both[0]);
        assert!((began_ns..=machine_now_ns()).contains(&found[0].at_ns));
        assert_eq!(processes.exchange(both), []);
        drop(child.stdin.take());
        child.wait().unwrap();
        processes.look();
        assert_eq!(processes.exchange(Vec::new()), []);
    }
}
