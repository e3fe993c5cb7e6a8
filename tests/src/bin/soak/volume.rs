//! Messages on a `block` edge, as fast as they go, each with its number and a checksum.

use std::time::{Duration, Instant};

use dataflow_tests::{Fact, PATIENCE, Project, Random, ledger_path, read_ledger};
use dataflow_wire::status::Outcome;

use crate::tally::Tally;

/// How many in a cycle whose count nobody says.
const MESSAGES: u64 = 5_000_000;
/// How many in any cycle.
pub(crate) const MESSAGES_MAX: u64 = 50_000_000;

pub(crate) fn cycle(random: &mut Random, left: u64) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("messages");
    let count = if left == u64::MAX { MESSAGES } else { left };
    let queue_size = random.choose(&[100, 1000, 10_000]);
    project.flow(&format!(
        "
nodes:
  - id: sender
    path: LEDGER_NODE
    args: [stream, count={count}]
    outputs: [o0]
  - id: receiver
    path: LEDGER_NODE
    args: [verify]
    inputs: {{ i0: {{ source: sender/o0, queue_policy: block, queue_size: {queue_size} }} }}
"
    ));
    let began = Instant::now();
    // On a machine with other work, too.
    let patience = PATIENCE + Duration::from_micros(20 * count);
    project.up().wait_for(patience).expect_code(0);
    let took = began.elapsed();
    let report = project.report();
    assert_eq!(report.outcome, Outcome::Drained);
    let counts = report.edges[0].counts;
    assert_eq!(
        (counts.sent, counts.released, counts.lost),
        (count, count, 0),
        "{counts:?}"
    );
    // It ends at once when a number or a checksum is not the next.
    let verified = read_ledger(&ledger_path(&project.records(), "receiver"))
        .into_iter()
        .find_map(|fact| match fact {
            Fact::Verified { count } => Some(count),
            _ => None,
        });
    assert_eq!(verified, Some(count), "what the receiver has verified");
    tally.time("a cycle", took);
    tally.count("verified: whole, in order, none twice", count);
    tally.count("sent", counts.sent);
    tally.count("came back", counts.released);
    tally.done = count;
    project.assert_back_to_baseline();
    tally
}
