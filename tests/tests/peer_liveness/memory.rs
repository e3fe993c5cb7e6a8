//! Memory at nine tenths of what a cgroup allows, for this process and all that it starts meanwhile. Where no cgroup can
//! be made, nothing is done, and that is said loudly.

use std::fs;
use std::io::{self, Write};
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
    /// Where the processes were, and go back to.
    home: PathBuf,
    group: PathBuf,
    ballast: Vec<Vec<u8>>,
}

/// Fills nine tenths of a new cgroup; `None` where there can be none.
pub(crate) fn fill() -> Option<Filled> {
    for version in VERSIONS {
        match Filled::new(&version) {
            Ok(filled) => return Some(filled),
            Err(error) => say(&format!("no cgroup in {}: {error}", version.root)),
        }
    }
    say("**** SKIPPED: memory at nine tenths of a cgroup's limit: none can be made here");
    None
}

/// The cgroup that this process is in, below `root`; `root` itself where that cannot be seen from here.
fn home(root: &Path) -> PathBuf {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let controller = if root.ends_with("memory") {
        "memory"
    } else {
        ""
    };
    let mut homes = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let is_it = controllers.split(',').any(|it| it == controller);
        is_it.then(|| root.join(path.trim_start_matches('/')))
    });
    let home = homes.find(|home| home.join("cgroup.procs").is_file());
    home.unwrap_or_else(|| root.to_owned())
}

/// Not through `eprintln!`, which is shown for tests that fail alone.
pub(crate) fn say(what: &str) {
    let _ = writeln!(io::stderr(), "{what}");
}

impl Filled {
    fn new(version: &Version) -> io::Result<Filled> {
        let root = Path::new(version.root);
        let group = root.join(format!("dataflow-test-{}", std::process::id()));
        fs::create_dir(&group)?;
        let mut filled = Filled {
            home: home(root),
            group: group.clone(),
            ballast: Vec::new(),
        };
        fs::write(group.join(version.limit), LIMIT_BYTES.to_string())?;
        fs::write(group.join("cgroup.procs"), std::process::id().to_string())?;
        let usage = || -> io::Result<usize> {
            let text = fs::read_to_string(group.join(version.usage))?;
            text.trim().parse().map_err(io::Error::other)
        };
        // What was read from files counts too. It gives way when there is need, and so takes nothing from the others.
        while usage()? < LIMIT_BYTES / 10 * 9 {
            filled.ballast.push(vec![1; STEP_BYTES]);
        }
        say(&format!(
            "memory: {} MB of the {} MB that the cgroup allows, {} MB of it cannot give way",
            usage()? >> 20,
            LIMIT_BYTES >> 20,
            (filled.ballast.len() * STEP_BYTES) >> 20
        ));
        Ok(filled)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.ballast.clear();
        let processes = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            // One that has ended meanwhile is not there any more.
            let _ = fs::write(self.home.join("cgroup.procs"), process);
        }
        if let Err(error) = fs::remove_dir(&self.group) {
            eprintln!("{} stays: {error}", self.group.display());
        }
    }
}
