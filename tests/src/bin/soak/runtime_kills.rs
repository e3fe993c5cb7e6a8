//! SIGKILL of the runtime: everything that it has started goes with it, whatever it was doing.

use std::time::Instant;

use dataflow_tests::{Project, Random, check_ledgers};
use rustix::process::Signal;

use crate::node_kills::{ended, pause, up_and_running};
use crate::shape::{self, Wish};
use crate::tally::Tally;

/// How often in one project, one after the other.
pub(crate) const KILLS: u64 = 10;

pub(crate) fn cycle(random: &mut Random, left: u64) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("runtime-kills");
    for _ in 0..left.min(KILLS) {
        let wish = Wish {
            restarts: random.one_in(2),
            die: None,
        };
        project.flow(&shape::any(random, wish));
        let mut up = project.up();
        match random.below(3) {
            0 => {
                // At any moment of its start.
                pause(random, 20_000);
                tally.count("killed while it started", 1);
            }
            1 => {
                let _ = project.talk(&mut up);
                pause(random, 5000);
                tally.count("killed when it could be talked to", 1);
            }
            _ => {
                let _ = project.talk(&mut up).and_then(|mut talk| {
                    talk.wait_until("every node was ready", |status| {
                        status.phase == dataflow_wire::status::Phase::Running
                    })
                });
                pause(random, 20_000);
                if random.one_in(3) {
                    up.interrupt();
                    pause(random, 10_000);
                    tally.count("killed while it stopped", 1);
                } else {
                    tally.count("killed while messages flowed", 1);
                }
            }
        }
        if up.has_ended() {
            // The stop was faster.
            tally.count("ended before it was killed", 1);
        } else {
            let began = Instant::now();
            up.signal(Signal::KILL);
            project.wait_until_no_process();
            tally.time("until the last process was gone", began.elapsed());
            tally.done += 1;
        }
        drop(up);
        // Whoever looks next clears up what a killed runtime could not.
        assert_eq!(project.ps(), [], "a dead dataflow is not shown");
        project.assert_back_to_baseline();
        let seen = check_ledgers(&project.records());
        tally.count("messages seen, whole and in order", seen);
        project.forget_records();
    }
    // The place is clean: the next `up` works.
    project.flow(&shape::any(random, Wish::default()));
    let (up, _) = up_and_running(&project);
    up.interrupt();
    ended(up, &project);
    tally.accounts = project.accounts().1;
    project.assert_back_to_baseline();
    tally
}
