//! A run with models, and something that happens beside it.

use std::future::Future;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, UNIX_EPOCH};

use dataflow_core::models::ModelSpec;
use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{Dataflow, Environment, check_text};
use dataflow_ids::{LifeCycle, RepoKind};
use dataflow_runtime::embed::{Inspector, Surroundings, embed};
use dataflow_runtime::models::{LocalModels, ModelOrder, Wanted};
use dataflow_runtime::process::{LaunchError, LaunchOrder};
use dataflow_runtime::{Controls, RunEvent, RunOptions};
use dataflow_testkit::launcher::{FakeLauncher, Program};
use dataflow_testkit::models::{FakeFetcher, Script};
use dataflow_testkit::virtual_time;
use dataflow_wire::status::{ModelState, Report};

/// How often it is looked whether something is so, on the virtual clock.
const LOOK: Duration = Duration::from_secs(1);
/// How often at most: some hours.
const LOOKS_MAX: u32 = 20_000;

pub(crate) fn dataflow(yaml: &str) -> Dataflow {
    let checked = check_text(yaml, "flow.yml", "/", &Environment::default());
    checked
        .dataflow
        .unwrap_or_else(|| panic!("{:?}", checked.diagnostics))
}

pub(crate) fn order(repo: &str) -> ModelOrder {
    ModelOrder {
        spec: ModelSpec {
            kind: RepoKind::Model,
            repo: repo.to_owned(),
            revision: "main".to_owned(),
            files: Vec::new(),
        },
        pins: None,
        is_update: false,
    }
}

/// Waits, on virtual time, until a model is in this state.
pub(crate) async fn until_state(wanted: &mut Wanted, state: ModelState) {
    while wanted.view().state != state {
        let goes_on = wanted.changed().await;
        assert!(
            goes_on || wanted.view().state == state,
            "{:?}",
            wanted.view()
        );
    }
}

pub(crate) struct Stage {
    pub(crate) fetcher: FakeFetcher,
    pub(crate) controls: Controls,
    pub(crate) looks: Inspector,
}

impl Stage {
    pub(crate) async fn until(&self, is_so: impl Fn(&Inspector) -> bool) {
        for _ in 0..LOOKS_MAX {
            if is_so(&self.looks) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("it never comes to that: {:#?}", self.looks.status());
    }

    /// Waits, on virtual time, until the node of this place is in this state.
    pub(crate) async fn until_state(&self, node: usize, state: LifeCycle) {
        self.until(|looks| looks.status().nodes[node].state == state)
            .await;
    }
}

/// One run on virtual time, with something that happens beside it. Gives what its caller was told, too.
pub(crate) fn play<F: Future<Output = ()>>(
    yaml: &str,
    choose: impl Fn(&LaunchOrder) -> Result<Program, LaunchError> + 'static,
    script: impl Fn(&ModelOrder) -> Script + 'static,
    beside: impl FnOnce(Rc<Stage>) -> F,
) -> (Report, Vec<RunEvent>) {
    let dataflow = dataflow(yaml);
    virtual_time::run(async move {
        let launcher = FakeLauncher::new(choose);
        let fetcher = FakeFetcher::new(script);
        let models = LocalModels::new(Rc::new(fetcher.clone()));
        let surroundings = Surroundings {
            launcher: Rc::new(launcher.clone()),
            models: Rc::new(models),
            seed: 7,
            run: "run".to_owned(),
            pid: 1,
            capabilities: Capabilities::default(),
            output_memory_bytes: 1024 * 1024,
            options: RunOptions::default(),
            begins_at: UNIX_EPOCH,
        };
        let (to_test, events) = mpsc::channel();
        let run = embed(dataflow, surroundings, to_test).expect("the memory of its edges");
        let stage = Rc::new(Stage {
            fetcher,
            controls: run.controls(),
            looks: run.inspector(),
        });
        let (report, ()) = tokio::join!(run.run(), beside(Rc::clone(&stage)));
        assert!(launcher.processes().is_empty(), "all were reaped");
        let mailboxes = stage.looks.mailboxes();
        let balance = mailboxes.iter().all(|(_, it)| it.balances());
        assert!(balance, "{mailboxes:?}");
        stage.looks.audit().expect("sums equal members");
        (
            report.expect("the runtime goes on"),
            events.try_iter().collect(),
        )
    })
}
