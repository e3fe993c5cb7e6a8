//! The suite that every launcher passes, whoever writes it: the real one, the one of this kit, yours.
//!
//! A [`Subject`] is a launcher and a program for each [`Script`]. [`check`] runs every case of [`CASES`] on a subject
//! of its own, and panics with the names of those that failed.

mod cases;
mod script;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use dataflow_runtime::process::{LaunchOrder, Launcher, LocalFuture};

pub use cases::CASES;
pub use script::{
    DEAF, HEARD, PRINTED_MUCH_BYTES, Script, TEXT, TOLD_MANY, hello, hello_of, ready, segment,
    segment_created, told, told_many,
};

/// How long a case may take. Only a fault is found by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A launcher under test, and its programs.
pub trait Subject {
    /// The launcher.
    fn launcher(&self) -> Rc<dyn Launcher>;

    /// An order for a program that follows the script.
    fn order(&self, script: Script) -> LaunchOrder;

    /// Whether a process with this number is there and has not ended.
    fn is_alive(&self, pid: u32) -> bool;
}

/// Something that every launcher must do.
#[derive(Clone, Copy)]
pub struct Case {
    /// What must be true.
    pub name: &'static str,
    /// Checks it, by panicking if it is not so.
    pub run: for<'a> fn(&'a dyn Subject) -> LocalFuture<'a, ()>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Runs every case, each in an event loop of its own.
///
/// # Panics
///
/// When a case fails, with the names of all that did.
pub fn check<S: Subject>(event_loop: impl Fn() -> actix_rt::SystemRunner, subject: impl Fn() -> S) {
    let fails = |case: &&Case| {
        let run = AssertUnwindSafe(|| {
            event_loop().block_on(async {
                let subject = subject();
                let ended = tokio::time::timeout(PATIENCE, (case.run)(&subject)).await;
                assert!(ended.is_ok(), "{case:?}: does not come to an end");
            });
        });
        // What is wrong has been said by the panic itself.
        catch_unwind(run).is_err()
    };
    let failed: Vec<&Case> = CASES.iter().filter(fails).collect();
    assert!(failed.is_empty(), "not so: {failed:?}");
}
