//! What it costs to look at many edges for statistics: those at rest, those on which something has happened, and a
//! reading of everything, as statistics had to make each time without the look. Between two looks the caches are filled
//! with something else, as they are after a second of other work.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use dataflow_benches::figures::{Latencies, time};
use dataflow_ids::{EdgeId, QueuePolicy};
use dataflow_shm::EventFd;
use dataflow_shm::edge::{
    EdgeConfig, EdgeKeeper, EdgeMark, EdgeReceiver, EdgeSender, Outgoing, OutgoingBody, Span,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many edges are looked at. Each has a memfd, and two eventfds for each party: more than this do not fit into the
/// descriptors that a process may have on some machines.
const EDGES: usize = 2_000;

/// How often everything is looked at.
const ROUNDS: usize = 25;

/// More than the caches of a processor hold.
const OTHER_WORK_BYTES: usize = 64 << 20;

struct Edge {
    keeper: EdgeKeeper,
    sender: EdgeSender,
    receiver: EdgeReceiver,
    mark: EdgeMark,
}

impl Edge {
    fn new(number: usize) -> Result<Edge, Box<dyn Error>> {
        let config = EdgeConfig {
            edge: EdgeId(u32::try_from(number)?),
            policy: QueuePolicy::DropOldest,
            queue_size: 10,
            held_max: 64,
            held_bytes_max: 1 << 20,
        };
        let waiter = EventFd::new()?;
        let another = || waiter.try_clone();
        let keeper = EdgeKeeper::create("bench", &config, another()?, another()?)?;
        let sender = EdgeSender::attach(keeper.fd(), &config, another()?)?;
        let receiver = EdgeReceiver::attach(keeper.fd(), &config, another()?, another()?)?;
        let mut edge = Edge {
            keeper,
            sender,
            receiver,
            mark: EdgeMark::default(),
        };
        edge.message()?;
        Ok(edge)
    }

    /// A message comes, is handled, and the receiver sleeps again.
    fn message(&mut self) -> Result<(), Box<dyn Error>> {
        let message = Outgoing {
            sent_at_ns: 0,
            waited_ns: 0,
            body: OutgoingBody::Inline {
                payload: &[7; 64],
                metadata: b"",
            },
        };
        self.receiver.finish_sleep();
        self.sender.publish(&message, &mut Vec::new())?;
        black_box(self.receiver.take()?);
        for span in Span::ALL {
            self.receiver.observe(span, 1000, 1);
        }
        self.receiver.prepare_sleep();
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    let mut edges = (0..EDGES).map(Edge::new).collect::<Result<Vec<_>, _>>()?;
    let mut other = vec![1_u8; OTHER_WORK_BYTES];

    let mut rest = measured(&mut edges, &mut other, |_| Ok(()), look)?;
    // The first two looks bring the edges to rest.
    rest = rest.split_off(2);
    let changed = measured(&mut edges, &mut other, Edge::message, look)?;
    let whole = measured(
        &mut edges,
        &mut other,
        |_| Ok(()),
        |edge| {
            black_box(edge.keeper.read());
        },
    )?;
    println!("{EDGES} edges with a queue of 10, medians of {ROUNDS} rounds; cold caches");
    row("a look at an edge at rest", &rest);
    row("a look at an edge on which a message came", &changed);
    row("a reading of everything", &whole);
    Ok(())
}

fn look(edge: &mut Edge) {
    black_box(edge.keeper.read_if_changed(&mut edge.mark));
}

/// How long each round over all edges took.
fn measured(
    edges: &mut [Edge],
    other: &mut [u8],
    mut before: impl FnMut(&mut Edge) -> Result<(), Box<dyn Error>>,
    mut act: impl FnMut(&mut Edge),
) -> Result<Vec<u64>, Box<dyn Error>> {
    let mut rounds_ns = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        edges.iter_mut().try_for_each(&mut before)?;
        for byte in other.iter_mut().step_by(64) {
            *byte = byte.wrapping_add(1);
        }
        black_box(&other);
        let begun = Instant::now();
        edges.iter_mut().for_each(&mut act);
        rounds_ns.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(rounds_ns)
}

fn row(what: &str, rounds_ns: &[u64]) {
    let median_ns = Latencies::new(rounds_ns.to_vec()).median_ns();
    let each_ns = median_ns / EDGES as u64;
    let share = each_ns as f64 * 10_000.0 / 1e9 * 100.0;
    println!(
        "  {what:<44} {:>9} each; 10,000 of them once a second: {share:.2} % of a core",
        time(each_ns)
    );
}
