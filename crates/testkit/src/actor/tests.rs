//! What the kit must find by itself, and what it must let pass.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use dataflow_core::lifecycle::Exit;
use dataflow_core::placement::Capabilities;
use dataflow_descriptor::{Environment, check_text};
use dataflow_runtime::RunOptions;
use dataflow_runtime::actor::{AskError, Behaviour, Fault, Handle, Reply, When};
use dataflow_runtime::embed::{Inspector, Surroundings, embed};
use dataflow_runtime::models::NoModels;
use dataflow_wire::status::Outcome;

use super::Kit;
use crate::launcher::{FakeLauncher, programs};

#[derive(Debug, Clone)]
enum Ball {
    Throw(u32),
    Count(Reply<u32>),
}
dataflow_runtime::message_kinds!(Ball { Throw, Count });

struct Juggler(Rc<Cell<u32>>);

impl Behaviour for Juggler {
    type Message = Ball;

    fn handle(&mut self, message: &Ball) {
        match message {
            Ball::Throw(balls) => self.0.set(self.0.get() + balls),
            Ball::Count(reply) => reply.send(self.0.get()),
        }
    }
}

fn juggler(kit: &Kit) -> Handle<Ball> {
    let balls = Rc::new(Cell::new(0));
    kit.supervise("juggler", 4, move |_| Juggler(Rc::clone(&balls)))
}

/// What a failing test says.
fn failure(test: impl AsyncFnOnce(Kit)) -> String {
    let result = catch_unwind(AssertUnwindSafe(|| Kit::run(7, test)));
    let panic = result.expect_err("the test fails");
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => panic!("it says something"),
    }
}

#[test]
fn a_dead_letter_fails_the_test_unless_it_was_declared() {
    let lose = |juggler: &Handle<Ball>| {
        juggler.inject(When::any(), Fault::Drop);
        juggler.tell(Ball::Throw(1)).unwrap();
    };
    let said = failure(async |kit| lose(&juggler(&kit)));
    assert_eq!(said, "juggler has 1 dead letters, 0 declared");
    Kit::run(7, async |kit| {
        lose(&juggler(&kit));
        kit.expect_dead_letters("juggler", 1);
    });
    let said = failure(async |kit| {
        juggler(&kit);
        kit.expect_dead_letters("juggler", 1);
    });
    assert_eq!(said, "juggler has 0 dead letters, 1 declared");
}

#[test]
fn a_message_that_waits_fails_the_test_unless_it_was_declared() {
    let hold = |juggler: &Handle<Ball>| {
        juggler.inject(When::any(), Fault::Reorder);
        juggler.tell(Ball::Throw(1)).unwrap();
    };
    let said = failure(async |kit| hold(&juggler(&kit)));
    assert_eq!(said, "juggler has 1 messages waiting, 0 declared");
    Kit::run(7, async |kit| {
        hold(&juggler(&kit));
        kit.expect_waiting("juggler", 1);
    });
}

#[test]
fn an_actor_that_panics_again_and_again_fails_the_test_unless_it_was_declared() {
    let ruin = |juggler: &Handle<Ball>| {
        let always = When::any().times(u64::MAX);
        juggler.inject(always, Fault::Kill);
        juggler.tell(Ball::Throw(1)).unwrap();
    };
    let said = failure(async |kit| ruin(&juggler(&kit)));
    assert!(said.contains("juggler was given up"), "{said}");
    Kit::run(7, async |kit| {
        let juggler = juggler(&kit);
        kit.expect_dead_letters("juggler", 1);
        kit.expect_given_up("juggler");
        let (answer, ()) = tokio::join!(juggler.ask(Ball::Count), async { ruin(&juggler) });
        assert!(matches!(answer, Err(AskError::Unanswered)), "{answer:?}");
        kit.expect_dead_letters("juggler", 1);
    });
}

#[test]
fn a_test_that_would_wait_for_ever_fails_at_once() {
    let said = failure(async |kit| {
        let probe = kit.probe("probe", |_: &Ball| {});
        probe.next().await;
    });
    assert!(said.contains("nothing can happen any more"), "{said}");
}

#[test]
fn an_actor_that_is_being_rebuilt_at_the_end_is_waited_for() {
    let balls = Kit::run(7, async |kit| {
        let balls = Rc::new(Cell::new(0));
        let kept = Rc::clone(&balls);
        let juggler = kit.supervise("juggler", 4, move |_| Juggler(Rc::clone(&kept)));
        juggler.inject(When::any(), Fault::PanicBefore);
        juggler.tell(Ball::Throw(3)).unwrap();
        balls
    });
    assert_eq!(balls.get(), 3);
}

#[test]
fn backoff_takes_virtual_time_and_nothing_else_does() {
    Kit::run(7, async |kit| {
        let juggler = juggler(&kit);
        juggler.tell(Ball::Throw(1)).unwrap();
        assert_eq!(juggler.ask(Ball::Count).await.unwrap(), 1);
        assert_eq!(kit.now(), Duration::ZERO);
        juggler.kill();
        assert_eq!(juggler.ask(Ball::Count).await.unwrap(), 1);
        assert!(kit.now() > Duration::ZERO, "it was rebuilt after a wait");
    });
}

#[test]
fn a_kept_reply_is_answered_by_the_test() {
    Kit::run(7, async |kit| {
        let probe = kit.probe("probe", |_: &Ball| {});
        let asker = probe.handle();
        let (answer, ()) = tokio::join!(asker.ask(Ball::Count), async {
            let Ball::Count(reply) = probe.next().await else {
                panic!("a question");
            };
            kit.advance(Duration::from_secs(3600)).await;
            reply.send(9);
        });
        assert_eq!(answer.unwrap(), 9);
    });
}

/// A run of one node that crashes, is restarted and returns, shown to the kit.
async fn run(kit: &Kit, strike: impl FnOnce(&Inspector)) {
    let node = "restart: { policy: on-failure, max: 2, window: 60s, backoff: 100ms..200ms }";
    let text = format!("name: one\nnodes:\n  - {{ id: one, path: /bin/true, {node} }}\n");
    let environment = Environment::of_this_process();
    let dataflow = check_text(&text, "one.yml", "/", &environment).dataflow;
    let launcher = FakeLauncher::new(|order| {
        let exit = Exit::Code(i32::from(order.epoch.0 == 1));
        Ok(programs::exits_after(Duration::from_secs(1), exit))
    });
    let surroundings = Surroundings {
        launcher: Rc::new(launcher),
        models: Rc::new(NoModels),
        seed: kit.random(),
        run: "one".to_owned(),
        pid: 1,
        capabilities: Capabilities::default(),
        output_memory_bytes: 1 << 20,
        options: RunOptions::default(),
        begins_at: UNIX_EPOCH,
    };
    let (to_test, _events) = std::sync::mpsc::channel();
    let run = embed(dataflow.unwrap(), surroundings, to_test).unwrap();
    kit.inspect("one", run.inspector());
    strike(&run.inspector());
    assert_eq!(run.run().await.unwrap().outcome, Outcome::Drained);
}

#[test]
fn a_run_that_is_shown_to_the_kit_is_traced_and_checked() {
    let trace = |seed| {
        Kit::run(seed, async |kit| {
            run(&kit, |_| {}).await;
            kit.trace()
        })
    };
    let ours = trace(7);
    assert!(
        ours.contains("one/node 0 has handled BackoffElapsed"),
        "{ours}"
    );
    assert_eq!(ours, trace(7));
    assert_ne!(
        ours,
        trace(8),
        "the wait before a restart comes from the seed"
    );
    let said = failure(async |kit| {
        run(&kit, |inspector| {
            let actors = inspector.actors();
            let stats = actors.iter().find(|actor| actor.name() == "stats").unwrap();
            stats.inject(When::any(), Fault::Drop);
        })
        .await;
    });
    assert!(
        said.contains("one/stats has 1 dead letters, 0 declared"),
        "{said}"
    );
}

const FAILS: &str = "actor::tests::this_fails";

#[test]
#[ignore = "the next test runs it, in a process of its own"]
fn this_fails() {
    Kit::run(4711, async |kit| {
        juggler(&kit).tell(Ball::Throw(1)).unwrap();
        kit.settle().await;
        panic!("the test does not like it");
    });
}

#[test]
fn a_failing_test_writes_its_seed_and_its_trace() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", FAILS, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    for wanted in [
        "does not like it",
        "seed 4711",
        "0.000000 juggler has handled Throw",
    ] {
        assert!(said.contains(wanted), "{wanted} in:\n{said}");
    }
}
