//! How much memory there is, and how much is left: of the machine, and of the control groups around us.
//!
//! In a control group that is full, an allocation is answered by a kill and not by an error. So the limit is
//! looked at before shared memory grows. Growth is rare; a look reads a handful of small files.

use std::fs;
use std::path::{Path, PathBuf};

/// What bounds the memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemoryBound {
    /// The machine's memory.
    Machine,
    /// A control group's limit.
    ControlGroup(PathBuf),
}

impl std::fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MemoryBound::Machine => f.write_str("this machine"),
            MemoryBound::ControlGroup(path) => write!(f, "the control group {}", path.display()),
        }
    }
}

/// The tightest bound, and how much it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headroom {
    /// Bytes that can still be taken.
    pub available_bytes: u64,
    /// What bounds them.
    pub bound: MemoryBound,
}

/// How much memory this process could ever have: the machine's, or less if a control group says so.
///
/// `None` when nothing can be read, as in a sandbox without `/proc`.
pub fn memory_total_bytes() -> Option<u64> {
    System::real().total_bytes()
}

/// How much memory can still be taken before something is killed. `None` when nothing can be read.
pub fn memory_headroom() -> Option<Headroom> {
    System::real().headroom()
}

/// Where the kernel tells it; a test has its own tree.
struct System {
    meminfo: PathBuf,
    own_groups: PathBuf,
    groups_root: PathBuf,
}

/// What the files of a control group are called; the two versions differ.
struct Names {
    /// Below the root of all groups.
    hierarchy: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: what the kernel gives back before it kills.
    reclaimable: [&'static str; 2],
}

const FIRST_VERSION: Names = Names {
    hierarchy: "memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    // The names without `total_` leave out the group's children, which count towards its limit.
    reclaimable: ["total_inactive_file", "total_active_file"],
};

const SECOND_VERSION: Names = Names {
    hierarchy: "",
    limit: "memory.max",
    usage: "memory.current",
    reclaimable: ["inactive_file", "active_file"],
};

impl System {
    fn real() -> Self {
        System {
            meminfo: "/proc/meminfo".into(),
            own_groups: "/proc/self/cgroup".into(),
            groups_root: "/sys/fs/cgroup".into(),
        }
    }

    fn total_bytes(&self) -> Option<u64> {
        let machine = self.meminfo_bytes("MemTotal:");
        let groups = self
            .groups()
            .into_iter()
            .filter_map(|(path, names)| read_number(&path.join(names.limit)));
        machine.into_iter().chain(groups).min()
    }

    fn headroom(&self) -> Option<Headroom> {
        let machine = self
            .meminfo_bytes("MemAvailable:")
            .map(|available| Headroom {
                // Shared memory can be swapped out.
                available_bytes: available + self.meminfo_bytes("SwapFree:").unwrap_or(0),
                bound: MemoryBound::Machine,
            });
        let groups = self.groups().into_iter().filter_map(|(path, names)| {
            let limit = read_number(&path.join(names.limit))?;
            let usage = read_number(&path.join(names.usage))?;
            let reclaimable = reclaimable_bytes(&path.join("memory.stat"), names.reclaimable);
            Some(Headroom {
                available_bytes: limit.saturating_sub(usage.saturating_sub(reclaimable)),
                bound: MemoryBound::ControlGroup(path),
            })
        });
        machine
            .into_iter()
            .chain(groups)
            .min_by_key(|headroom| headroom.available_bytes)
    }

    fn meminfo_bytes(&self, key: &str) -> Option<u64> {
        let text = fs::read_to_string(&self.meminfo).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    }

    /// Our control groups and all of their parents, of both versions: each can have a limit.
    fn groups(&self) -> Vec<(PathBuf, &'static Names)> {
        let mut groups = Vec::new();
        let text = fs::read_to_string(&self.own_groups).unwrap_or_default();
        for line in text.lines() {
            // `0::/path`, or `4:memory,hugetlb:/path` in the first version.
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            let names = if controllers.is_empty() {
                &SECOND_VERSION
            } else if controllers.split(',').any(|name| name == "memory") {
                &FIRST_VERSION
            } else {
                continue;
            };
            let root = self.groups_root.join(names.hierarchy);
            let own = root.join(path.trim_start_matches('/'));
            // In a container the path can be one of the host that is not mounted here: the parents that
            // are, up to the root, hold the container's limit.
            groups.extend(
                own.ancestors()
                    .take_while(|ancestor| ancestor.starts_with(&root))
                    .map(|ancestor| (ancestor.to_owned(), names)),
            );
        }
        groups
    }
}

/// A number in a file of its own; `max`, or no file, is no limit.
fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn reclaimable_bytes(stat: &Path, keys: [&str; 2]) -> u64 {
    let text = fs::read_to_string(stat).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(key, _)| keys.contains(key))
        .filter_map(|(_, value)| value.trim().parse::<u64>().ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn system(own_groups: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, System) {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "meminfo",
            "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\nSwapFree: 1048576 kB\n",
        );
        write("cgroup", own_groups);
        for (path, text) in files {
            write(path, text);
        }
        let system = System {
            meminfo: folder.path().join("meminfo"),
            own_groups: folder.path().join("cgroup"),
            groups_root: folder.path().join("groups"),
        };
        (folder, system)
    }

    #[test]
    fn this_machine_says_how_much_it_has() {
        let total = memory_total_bytes().unwrap();
        let headroom = memory_headroom().unwrap();
        assert!(total > 16 << 20);
        assert!(headroom.available_bytes > 0);
    }

    #[test]
    fn without_groups_the_machine_is_the_bound() {
        let (_folder, system) = system("", &[]);
        assert_eq!(system.total_bytes(), Some(16 * GIB));
        let headroom = system.headroom().unwrap();
        assert_eq!(headroom.available_bytes, 9 * GIB);
        assert_eq!(headroom.bound, MemoryBound::Machine);
    }

    #[test]
    fn the_tightest_group_of_the_second_version_is_the_bound() {
        let (folder, system) = system(
            "0::/user/app\n",
            &[
                ("groups/user/app/memory.max", "max\n"),
                ("groups/user/app/memory.current", "1000\n"),
                ("groups/user/memory.max", "4294967296\n"),
                ("groups/user/memory.current", "3221225472\n"),
                (
                    "groups/user/memory.stat",
                    "anon 5\nfile 9\ninactive_file 1073741824\nactive_file 1073741824\n",
                ),
            ],
        );
        assert_eq!(system.total_bytes(), Some(4 * GIB));
        let headroom = system.headroom().unwrap();
        assert_eq!(headroom.available_bytes, 3 * GIB);
        assert_eq!(
            headroom.bound,
            MemoryBound::ControlGroup(folder.path().join("groups/user"))
        );
    }

    #[test]
    fn a_group_of_the_first_version_is_found_in_a_container_too() {
        // The path is the host's; only its root is mounted here, and it is the container's group.
        let (folder, system) = system(
            "5:cpu:/docker/1234\n4:memory,hugetlb:/docker/1234\n0::/\n",
            &[
                ("groups/memory/memory.limit_in_bytes", "2147483648\n"),
                ("groups/memory/memory.usage_in_bytes", "1073741824\n"),
                (
                    "groups/memory/memory.stat",
                    "inactive_file 7\ntotal_inactive_file 536870912\n",
                ),
            ],
        );
        assert_eq!(system.total_bytes(), Some(2 * GIB));
        let headroom = system.headroom().unwrap();
        assert_eq!(headroom.available_bytes, GIB + GIB / 2);
        assert_eq!(
            headroom.bound,
            MemoryBound::ControlGroup(folder.path().join("groups/memory"))
        );
    }

    #[test]
    fn a_group_above_its_limit_leaves_nothing() {
        let (_folder, system) = system(
            "0::/\n",
            &[
                ("groups/memory.max", "1000\n"),
                ("groups/memory.current", "5000\n"),
            ],
        );
        assert_eq!(system.headroom().unwrap().available_bytes, 0);
    }
}
