//! Memory at nine tenths of what a cgroup allows, for this process and all that it starts meanwhile. Where no cgroup can
//! be made, nothing is done, and that is said loudly.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the cgroup may have.
const LIMIT_BYTES: usize = 768 << 20;
/// What is filled at once.
const STEP_BYTES: usize = 4 << 20;

/// The names of one version of cgroups.
struct Version {
    /// Where cgroups are made.
    root: &'static str,
    limit: &'static str,
    usage: &'static str,
}

const VERSIONS: [Version; 2] = [
    Version {
        root: "/sys/fs/cgroup/memory",
        limit: "memory.limit_in_bytes",
        usage: "memory.usage_in_bytes",
    },
    Version {
        root: "/sys/fs/cgroup",
        limit: "memory.max",
        usage: "memory.current",
    },
];

/// A cgroup that is nearly full, with this process in it. Dropping it empties and removes it.
pub(crate) struct Filled {
    root: &'static Path,
    group: PathBuf,
    ballast: Vec<Vec<u8>>,
}

/// Fills nine tenths of a new cgroup; `None` where there can be none.
pub(crate) fn fill() -> Option<Filled> {
    for version in VERSIONS {
        match Filled::new(&version) {
            Ok(filled) => return Some(filled),
            Err(error) => eprintln!("no cgroup in {}: {error}", version.root),
        }
    }
    eprintln!("SKIPPED: memory at nine tenths of a cgroup's limit: none can be made here");
    None
}

impl Filled {
    fn new(version: &Version) -> io::Result<Filled> {
        let root = Path::new(version.root);
        let group = root.join(format!("dataflow-test-{}", std::process::id()));
        fs::create_dir(&group)?;
        let mut filled = Filled {
            root,
            group: group.clone(),
            ballast: Vec::new(),
        };
        fs::write(group.join(version.limit), LIMIT_BYTES.to_string())?;
        fs::write(group.join("cgroup.procs"), std::process::id().to_string())?;
        let usage = || -> io::Result<usize> {
            let text = fs::read_to_string(group.join(version.usage))?;
            text.trim().parse().map_err(io::Error::other)
        };
        // What was read from files counts too, and gives way: so what is kept is counted here, and not only there.
        while usage()? < LIMIT_BYTES / 10 * 9 {
            filled.ballast.push(vec![1; STEP_BYTES]);
        }
        println!(
            "memory: {} MB of the {} MB that the cgroup allows",
            usage()? >> 20,
            LIMIT_BYTES >> 20
        );
        Ok(filled)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.ballast.clear();
        let processes = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            // One that has ended meanwhile is not there any more.
            let _ = fs::write(self.root.join("cgroup.procs"), process);
        }
        if let Err(error) = fs::remove_dir(&self.group) {
            eprintln!("{} stays: {error}", self.group.display());
        }
    }
}
