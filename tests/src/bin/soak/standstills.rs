//! SIGSTOP of many nodes for 10 s, then SIGCONT: nobody is taken for dead, and nothing is lost.

use std::fmt::Write;
use std::time::Duration;

use dataflow_ids::Epoch;
use dataflow_tests::{Project, Random};
use dataflow_wire::status::Outcome;
use rustix::process::{Pid, Signal, kill_process};

use crate::node_kills::{ended, up_and_running};
use crate::tally::Tally;

/// For how long they stand still.
const STANDSTILL: Duration = Duration::from_secs(10);
/// How many chains of a source, a relay and a sink.
const CHAINS: u64 = 25;
/// How many nodes that are.
pub(crate) const NODES: u64 = 3 * CHAINS;

pub(crate) fn cycle(random: &mut Random, left: u64) -> Tally {
    let mut tally = Tally::default();
    let project = Project::new("standstills");
    let mut text = String::from("nodes:\n");
    let restart = "restart: { policy: always, max: 100, backoff: 1ms..5ms }";
    for chain in 0..CHAINS.min(left.div_ceil(3)) {
        let bytes = random.choose(&["24", "3000", "50000"]);
        let policy = random.choose(&["block", "drop-oldest"]);
        let _ = write!(
            text,
            "
  - id: s{chain}
    path: LEDGER_NODE
    args: [source, bytes={bytes}, pause_us=10000..30000]
    {restart}
    outputs: [o0]
  - id: r{chain}
    path: LEDGER_NODE
    args: [relay, hold=0..3]
    {restart}
    inputs: {{ i0: {{ source: s{chain}/o0, queue_policy: {policy} }} }}
    outputs: [o0]
  - id: k{chain}
    path: LEDGER_NODE
    args: [sink, hold=0..3]
    {restart}
    inputs: {{ i0: {{ source: r{chain}/o0, queue_policy: {policy} }} }}
"
        );
    }
    project.flow(&text);
    let (up, mut talk) = up_and_running(&project);
    let status = talk.status().expect("it is up");
    let mut pids: Vec<_> = status.nodes.iter().filter_map(|node| node.pid).collect();
    while pids.len() as u64 > left {
        pids.swap_remove(random.below(pids.len() as u64) as usize);
    }
    let signal_all = |signal| {
        for pid in &pids {
            let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            kill_process(pid.expect("a process has a number"), signal).expect("it lives");
        }
    };
    signal_all(Signal::STOP);
    std::thread::sleep(STANDSTILL);
    let during = talk.status().expect("it is up");
    signal_all(Signal::CONT);
    let after = talk.status().expect("it is up");
    for (before, later) in std::iter::zip(&status.nodes, &during.nodes)
        .chain(std::iter::zip(&status.nodes, &after.nodes))
    {
        assert_eq!(
            (later.pid, later.epoch, later.restarts),
            (before.pid, Epoch(1), 0),
            "nobody died: {later:#?}"
        );
    }
    up.interrupt();
    assert_eq!(ended(up, &project), Outcome::Drained);
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
    tally.count("false deaths", accounts.deaths);
    tally.done = pids.len() as u64;
    tally.accounts = accounts;
    project.assert_back_to_baseline();
    tally
}
