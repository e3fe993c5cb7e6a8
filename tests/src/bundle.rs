//! What is kept when something did not hold: a folder with everything that a person needs to find out why.
//!
//! It is made by the panic itself, before anything unwinds: the processes still stand as they stood.

use std::cell::RefCell;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::baseline;

/// Where bundles go, once it is known.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

#[derive(Debug, Clone)]
struct Place {
    mark: String,
    folder: PathBuf,
}

thread_local! {
    /// The projects of this thread, oldest first.
    static PLACES: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
    /// How the cycle of this thread is repeated.
    static REPLAY: RefCell<String> = const { RefCell::new(String::new()) };
}

pub(crate) fn project_begins(mark: &str, folder: &Path) {
    let place = Place {
        mark: mark.to_owned(),
        folder: folder.to_owned(),
    };
    PLACES.with_borrow_mut(|places| places.push(place));
}

pub(crate) fn project_ends(mark: &str) {
    PLACES.with_borrow_mut(|places| places.retain(|place| place.mark != mark));
}

/// From now on every panic of a thread that has projects leaves a bundle in `folder`.
pub fn bundles_into(folder: PathBuf) {
    if FOLDER.set(folder).is_err() {
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        // A violation is one, also when a clean-up fails behind it.
        let places = PLACES.take();
        for place in places {
            match bundle(&place, &panic.to_string()) {
                Ok(bundle) => eprintln!("bundle: {}", bundle.display()),
                Err(error) => eprintln!("no bundle of {}: {error}", place.folder.display()),
            }
        }
    }));
}

/// Says with which command what this thread does now is repeated.
pub fn replayed_with(command: &str) {
    REPLAY.set(command.to_owned());
}

fn bundle(place: &Place, why: &str) -> std::io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = FOLDER.get().expect("the hook is set after the folder");
    let bundle = folder.join(format!("{}-{count}", std::process::id()));
    std::fs::create_dir_all(&bundle)?;
    let replay = REPLAY.with_borrow(Clone::clone);
    std::fs::write(
        bundle.join("violation.txt"),
        format!("{why}\n\nto repeat it:\n  {replay}\n"),
    )?;
    let processes = baseline::processes(&place.mark);
    std::fs::write(bundle.join("processes.txt"), facts_of(&processes))?;
    copy(&place.folder, &bundle.join("project"))?;
    Ok(bundle)
}

/// What the kernel says about these processes.
fn facts_of(processes: &[baseline::Process]) -> String {
    let mut facts = String::new();
    for process in processes {
        let _ = writeln!(facts, "==== pid {}: {}", process.pid, process.command);
        let of = PathBuf::from(format!("/proc/{}", process.pid));
        for file in ["status", "stack", "syscall", "maps"] {
            let text = std::fs::read_to_string(of.join(file)).unwrap_or_default();
            let _ = writeln!(facts, "-- {file}\n{}", text.trim_end());
        }
        for task in entries(&of.join("task")) {
            for file in ["comm", "wchan", "syscall", "stack"] {
                let text = std::fs::read_to_string(task.join(file)).unwrap_or_default();
                let _ = writeln!(facts, "-- {} {file}: {}", task.display(), text.trim_end());
            }
        }
        for descriptor in entries(&of.join("fd")) {
            let target = std::fs::read_link(&descriptor).unwrap_or_default();
            let _ = writeln!(facts, "{} -> {}", descriptor.display(), target.display());
        }
    }
    facts
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Copies folders and ordinary files; a pipe or a socket has no content to keep.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
