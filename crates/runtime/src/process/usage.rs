//! What the processes of nodes use of the machine: each node's process leads a group, and what it starts is in that group
//! unless it leaves it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use super::stat::Stat;

/// What a process, or a group of them, uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time of processors that it has used so far, also those of its children that have ended. It falls when a process
    /// ends that nobody of its group has waited for: the highest that was seen is what counts.
    pub cpu: Duration,
    /// Memory that is there, in bytes. What several of its processes share is in it several times.
    pub memory_bytes: u64,
}

impl Usage {
    /// What one process uses, without others of its group; also after its end, until it is reaped. `None` when there is
    /// no such process.
    pub(crate) fn of_process(pid: u32) -> Option<Usage> {
        Stat::of(pid).map(Usage::of)
    }

    /// What each of these groups uses. A group without a process is not among them.
    ///
    /// Asks for every process of the machine, about ten microseconds each, since no other way of the kernel finds a
    /// group's processes: not for a thread that others wait for.
    pub(crate) fn of_groups(groups: &[u32]) -> BTreeMap<u32, Usage> {
        let groups: BTreeSet<u32> = groups.iter().copied().collect();
        let mut used: BTreeMap<u32, Usage> = BTreeMap::new();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes {
            let name = process.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // One that ended meanwhile says nothing.
            let Some(stat) = Stat::of(pid).filter(|stat| groups.contains(&stat.group)) else {
                continue;
            };
            used.entry(stat.group).or_default().add(Usage::of(stat));
        }
        used
    }

    fn of(stat: Stat) -> Usage {
        Usage {
            cpu: stat.cpu,
            memory_bytes: stat.memory_bytes,
        }
    }

    fn add(&mut self, other: Usage) {
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

    use super::*;

    #[test]
    fn a_group_uses_what_all_of_its_processes_use_and_no_stranger_is_in_it() {
        let mut groups: Vec<_> = [1, 3]
            .map(|processes| {
                // Each of the others has a child that says so and waits for the end of its input.
                let script = format!(
                    "exec 3<&0; n=1; while [ $n -lt {processes} ]; do sh -c 'echo; read -r _ <&3' & n=$((n+1)); done; \
                     echo; read -r _; wait"
                );
                let mut leader = Command::new("sh")
                    .args(["-c", &script])
                    .process_group(0)
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let said = BufReader::new(leader.stdout.take().unwrap()).lines();
                assert_eq!(said.take(processes).count(), processes);
                leader
            })
            .into();
        let [one, three] = [0, 1].map(|place: usize| groups[place].id());
        // It does nothing between two looks at it.
        let stands = Pid::from_child(&groups[0]);
        kill_process(stands, Signal::STOP).unwrap();
        waitid(WaitId::Pid(stands), WaitIdOptions::STOPPED).unwrap();
        let used = Usage::of_groups(&[one, three, u32::MAX]);
        assert_eq!(used.keys().copied().collect::<Vec<_>>(), {
            let mut both = vec![one, three];
            both.sort_unstable();
            both
        });
        let leader = Usage::of_process(three).unwrap();
        assert_eq!(Some(used[&one]), Usage::of_process(one));
        assert!(
            used[&three].memory_bytes > leader.memory_bytes,
            "{used:?}, its leader alone {leader:?}"
        );
        kill_process(stands, Signal::CONT).unwrap();
        for leader in &mut groups {
            drop(leader.stdin.take());
            leader.wait().unwrap();
        }
        assert_eq!(Usage::of_process(three), None);
    }
}
