//! How often what a run counts is folded in, on virtual time, and what stands in its statistics when it breaks off.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix_rt::System;
use dataflow_core::placement::Capabilities;
use tokio::time::sleep;

use super::models::{FLOW, at_once};
use super::support::Project;
use crate::embed::{Embedded, Surroundings, embed};
use crate::process::ProcessLauncher;
use crate::statistics::EVERY_WHILE_READ;
use crate::supervision::faults;
use crate::{RunError, RunOptions};

/// Over so many seconds it is counted.
const SECONDS: u64 = 10;

fn embedded(project: &Project) -> Embedded {
    let surroundings = Surroundings {
        launcher: Rc::new(ProcessLauncher::new(None).unwrap()),
        models: at_once(),
        seed: 7,
        run: "flow".to_owned(),
        pid: 4711,
        capabilities: Capabilities::default(),
        output_memory_bytes: 1024 * 1024,
        options: RunOptions::default(),
        begins_at: UNIX_EPOCH,
    };
    let (to_test, _events) = std::sync::mpsc::channel();
    embed(project.dataflow(FLOW), surroundings, to_test).unwrap()
}

fn project() -> Project {
    let project = Project::new();
    project.script("reader.sh", "exit 0");
    project
}

/// Runs on a thread whose clock moves when nothing else can.
fn on_virtual_time(test: impl Future<Output = ()>) {
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    });
    system.block_on(test);
}

#[test]
fn everything_is_folded_in_once_a_second_while_nobody_reads_and_ten_times_while_somebody_does() {
    on_virtual_time(async {
        let run = embedded(&project());
        run.fold_statistics();
        let root = run.inspector().root_weak().upgrade().unwrap();
        let readers = Arc::clone(&root.statistics_source().readers);
        let _folding = root.fold_now_and_then(Duration::ZERO).unwrap();
        let folds = async || {
            // Between two of them.
            sleep(EVERY_WHILE_READ / 2).await;
            let before = root.folds();
            sleep(Duration::from_secs(SECONDS)).await;
            root.folds() - before
        };
        assert_eq!(folds().await, SECONDS, "nobody reads");
        let often = readers.read_every(EVERY_WHILE_READ);
        assert_eq!(folds().await, 10 * SECONDS, "somebody reads");
        // Nobody is faster than that.
        let faster = readers.read_every(Duration::from_millis(1));
        assert_eq!(folds().await, 10 * SECONDS);
        drop((often, faster));
        let half = readers.read_every(Duration::from_millis(500));
        assert_eq!(folds().await, 2 * SECONDS);
        drop(half);
        let rarely = readers.read_every(Duration::from_secs(60));
        assert_eq!(folds().await, SECONDS);
        drop(rarely);
        readers.read_now_and_then();
        assert_eq!(folds().await, SECONDS, "who scrapes makes nothing faster");
    });
}

#[test]
fn whoever_reads_sees_how_a_run_stood_when_it_broke_off_and_that_nothing_follows() {
    System::new().block_on(async {
        let run = embedded(&project());
        run.fold_statistics();
        let root = run.inspector().root_weak().upgrade().unwrap();
        let source = root.statistics_source().clone();
        faults::arm_task("model", u32::MAX);
        let result = run.run().await;
        faults::arm_task("model", 0);
        assert!(matches!(result, Err(RunError::Task { .. })), "{result:?}");
        assert!(source.snapshots.has_changed().is_err(), "it goes on");
        let last = source.snapshots.borrow().statistics();
        let now = root.memory().statistics_mut().publish(root.env().now());
        assert_eq!(last.revision, now.revision(), "the last is not shown");
        assert_eq!(last.total.nodes.get(), 1);
        assert!(last.total.transitions.get() > 0);
    });
}
