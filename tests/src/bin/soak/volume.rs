//! Messages on a `block` edge, as fast as they go, each with its number and a checksum.

use std::time::Instant;

use dataflow_tests::{Fact, Project, Random, ledger_path, read_ledger};
use dataflow_wire::status::Outcome;

use crate::node_kills::ended;
use crate::tally::Tally;

/// How many in a cycle whose count nobody says.
const MESSAGES: u64 = 5_000_000;

pub(crate) fn cycle(random: &mut Random, left: u64) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("messages");
    let count = if left == u64::MAX { MESSAGES } else { left };
    let queue_size = random.choose(&[10, 100, 1000]);
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
    let up = project.up();
    assert_eq!(ended(up, &project), Outcome::Drained);
    let took = began.elapsed();
    let report = project.report();
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
