//! Stops under load: by every way that a person has, and at any moment.

use std::time::Instant;

use dataflow_ids::StopMode;
use dataflow_tests::{Project, Random, Talk};
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::status::Outcome;
use rustix::process::Signal;

use crate::node_kills::{ended, pause, up_and_running};
use crate::shape::{self, Wish};
use crate::tally::Tally;

pub(crate) fn cycle(random: &mut Random) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("stops");
    project.flow(&shape::any(random, Wish::default()));
    let began = Instant::now();
    let (up, talk) = up_and_running(&project);
    tally.time("from the command to every node ready", began.elapsed());
    pause(random, 20_000);
    let began = Instant::now();
    // The runtime waits a second for those who talk to it to leave.
    let talk = random.one_in(4).then_some(talk);
    match (talk, random.below(3)) {
        (Some(talk), _) => {
            tally.count("by a request on the socket, made twice", 1);
            stop_twice(talk);
        }
        (None, 0) => {
            tally.count("by SIGINT", 1);
            up.interrupt();
        }
        (None, 1) => {
            tally.count("by SIGTERM", 1);
            up.signal(Signal::TERM);
        }
        (None, _) => {
            tally.count("by `down`", 1);
            project.down().expect_code(0);
        }
    }
    let outcome = ended(up, &project);
    tally.time("from the stop to the end", began.elapsed());
    assert_eq!(outcome, Outcome::Drained);
    let (_, accounts) = project.accounts();
    assert_eq!(
        (
            accounts.lost,
            accounts.unwritten,
            accounts.deaths,
            accounts.unread
        ),
        (0, 0, 0, 0),
        "nobody died, and everybody has read everything"
    );
    // Each token that was handed over came back, and each edge said `drained` (the accounts check that).
    assert_eq!(accounts.released, accounts.consumed);
    tally.count(
        "lost acknowledgements",
        accounts.consumed - accounts.released,
    );
    tally.done = 1;
    tally.accounts = accounts;
    project.assert_back_to_baseline();
    tally
}

fn stop_twice(mut talk: Talk) {
    let stop = ClientRequest::Stop {
        mode: StopMode::Graceful,
        force_after: None,
    };
    talk.say(&stop).expect("it is up");
    // It may have ended by now, however little time has passed here.
    let _: Option<()> = talk.say(&stop);
    loop {
        match talk.next().expect("it says how it ended") {
            ClientReply::Ended(_) => break,
            ClientReply::Waiting(_) => {}
            other => panic!("no answer to a stop: {other:?}"),
        }
    }
}
