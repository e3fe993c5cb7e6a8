//! Keepers of statistics whose books change as the bytes say, and that tell them over a socket's frames.

use std::sync::Arc;

use dataflow_core::Time;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec, ProcessFacts, Snapshot, Transition};
use dataflow_ids::stats::{ActorRow, Counter, EdgeKey, Gauge, Keeper, NodeKey, PoolRow, RunNumber};
use dataflow_ids::{EdgeId, Epoch, Lacks, LifeCycle, NodeId, NodeIndex, QueuePolicy};
use dataflow_wire::client::{ClientReply, Parts, in_parts};
use dataflow_wire::frame::{FrameReader, encode_frame};

use super::collected::Collected;
use super::lies;
use super::subscriber::Subscriber;
use crate::bytes::Bytes;

/// How many keepers there are. The first one is honest.
pub(super) const KEEPERS: usize = 3;
/// How many names have a group of their own.
const GROUPS_MAX: usize = 2;
/// How many names, nodes of a run, and edges of a run there are.
const FEW: usize = 5;

/// A number as a process may write it: mostly small.
pub(super) fn number(bytes: &mut Bytes<'_>) -> u64 {
    match bytes.byte() {
        255 => u64::MAX,
        254 => bytes.word(),
        small => u64::from(small) * 37,
    }
}

/// A keeper, and what its subscriber knows.
#[derive(Debug)]
struct Keeping {
    book: Book,
    runs: Vec<RunNumber>,
    /// What was told last.
    told: Arc<Snapshot>,
    subscriber: Subscriber,
}

impl Keeping {
    /// A keeper of two nodes with an edge: few inputs would come so far by themselves.
    fn new(keeper: Keeper, at: Time) -> Keeping {
        let mut keeping = Keeping {
            told: Book::new(keeper, GROUPS_MAX).publish(at),
            book: Book::new(keeper, GROUPS_MAX),
            runs: Vec::new(),
            subscriber: Subscriber::default(),
        };
        let beginning: [&[u8]; 4] = [
            &[0, 0, 0],
            &[0, 0, 1, 0, 0],
            &[1, 0, 1, 0, 1],
            &[0, 0, 3, 0, 1],
        ];
        for change in beginning {
            keeping.changes(&mut Bytes::new(change), at);
        }
        keeping
    }

    /// Something happens here.
    fn changes(&mut self, bytes: &mut Bytes<'_>, at: Time) {
        let Keeping { book, runs, .. } = self;
        let node = NodeIndex(bytes.below(FEW) as u32);
        let edge = EdgeId(bytes.below(FEW) as u32);
        let what = bytes.below(12);
        if what == 0 && runs.len() < 2 {
            let name = "vision".parse().expect("this is a name");
            let peer = "here".parse().expect("this is a name");
            runs.push(book.add_dataflow(at, peer, "a run".to_owned(), name));
            return;
        }
        let Some(run) = runs.get(bytes.below(2)).or(runs.first()).copied() else {
            return;
        };
        let key = NodeKey { run, node };
        let edge = EdgeKey { run, edge };
        // What is not there is refused, and that is as good.
        match what {
            0 => {
                let _ = book.remove_dataflow(at, run);
                runs.retain(|there| *there != run);
            }
            1 => {
                let name: NodeId = format!("name-{}", bytes.below(FEW))
                    .parse()
                    .expect("this is a name");
                let _ = book.add_node(at, key, &name);
            }
            2 => {
                let _ = book.remove_node(at, key);
            }
            3 => {
                let _ = book.add_edge(EdgeSpec {
                    key: edge,
                    source: node,
                    output: "out".parse().expect("this is a name"),
                    target: NodeIndex(bytes.below(FEW) as u32),
                    input: "in".parse().expect("this is a name"),
                    policy: QueuePolicy::Block,
                    queue_size: 4,
                });
            }
            4 => {
                let _ = book.remove_edge(edge);
            }
            5 | 6 => {
                let _ = book.edge_read(edge, &edge_facts(bytes, at));
            }
            7 => {
                let facts = ProcessFacts {
                    epoch: Epoch(u32::from(bytes.byte() % 4)),
                    pid: Some(7),
                    cpu_ns: number(bytes),
                    memory_bytes: number(bytes),
                    read_at: Some(at),
                };
                let _ = book.process_read(key, &facts);
            }
            8 => services(book, bytes),
            _ => {
                let to = LifeCycle::ALL[bytes.below(LifeCycle::ALL.len())];
                let epoch = Epoch(u32::from(bytes.byte() % 4));
                let known = book.node(key).map_or(0, |known| known.transitions.get());
                // Mostly the next one, and otherwise one that is late, or that comes too early.
                let how = bytes.byte();
                let sequence = match how % 8 {
                    0 => known.saturating_sub(u64::from(how / 16)),
                    1 | 2 => known + u64::from(how / 16),
                    _ => known + 1,
                };
                let transition = Transition {
                    node,
                    to,
                    epoch,
                    sequence,
                    at,
                };
                let _ = match how % 8 {
                    2 => book.catch_up(run, transition),
                    _ => book.transition(run, transition),
                };
            }
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Keepers {
    all: Vec<Keeping>,
    begun: u64,
}

impl Keepers {
    pub(super) fn new() -> Keepers {
        let mut keepers = Keepers {
            all: Vec::new(),
            begun: 0,
        };
        for _ in 0..KEEPERS {
            let next = keepers.next(Time::START);
            keepers.all.push(next);
        }
        keepers
    }

    fn next(&mut self, at: Time) -> Keeping {
        self.begun += 1;
        Keeping::new(Keeper(self.begun), at)
    }

    /// A keeper has died, and another one is there.
    pub(super) fn begins_anew(&mut self, place: usize, at: Time) {
        self.all[place] = self.next(at);
    }

    /// Something happens at a keeper.
    pub(super) fn changes(&mut self, place: usize, bytes: &mut Bytes<'_>, at: Time) {
        self.all[place].changes(bytes, at);
    }

    /// A keeper tells its subscriber and the collector how it stands. All but the first may lie.
    ///
    /// # Panics
    ///
    /// When an honest word does not arrive as it was said.
    pub(super) fn tells(
        &mut self,
        place: usize,
        bytes: &mut Bytes<'_>,
        at: Time,
        collected: &mut Collected,
    ) {
        let this = &mut self.all[place];
        let now = this.book.publish(at);
        let how = bytes.byte();
        let is_whole = how.is_multiple_of(3);
        let honest = match is_whole {
            true => ClientReply::Statistics(Box::new(now.statistics())),
            false => ClientReply::StatisticsDelta(Box::new(now.since(&this.told))),
        };
        let mut said = honest.clone();
        if place > 0 && how & 64 != 0 {
            for _ in 0..=bytes.below(3) {
                lies::tell(&mut said, bytes);
            }
        }
        let is_honest = said == honest;
        let Some(heard) = sent(&said, how & 128 != 0) else {
            assert!(!is_honest, "what is true is not too long");
            return;
        };
        assert_eq!(heard, said);
        if how & 32 == 0 {
            this.subscriber.take(&heard);
            if let Some(known) = this.subscriber.known.as_ref().filter(|_| place == 0)
                && known.revision == now.revision()
                && known.at_ns == now.at_ns()
            {
                assert_eq!(*known, now.statistics(), "it knows what its keeper knows");
            }
        }
        let is_taken = collected.take(place, heard);
        if place == 0 && is_whole && is_taken {
            let (kept, all) = (now.total(), collected.total());
            assert!(all.transitions >= kept.transitions);
            assert!(all.restarts >= kept.restarts);
            assert!(all.out.sent >= kept.out.sent);
        }
        // One in a while is lost.
        if how & 16 == 0 {
            this.told = now;
        }
    }
}

/// What a reply is at the other end of a socket, in one piece or in parts. `None`: it is too long to be sent.
fn sent(reply: &ClientReply, in_pieces: bool) -> Option<ClientReply> {
    let replies = match in_pieces {
        true => in_parts(reply).ok()?.collect(),
        false => vec![reply.clone()],
    };
    let mut reader = FrameReader::new();
    for reply in &replies {
        reader.feed(&encode_frame(reply).ok()?);
    }
    reader.feed_end();
    let mut parts = Parts::default();
    while let Some((reply, _)) = reader.next::<ClientReply>().ok()? {
        if let Some(whole) = parts.take(reply).ok()? {
            return Some(whole);
        }
    }
    None
}

fn edge_facts(bytes: &mut Bytes<'_>, at: Time) -> EdgeFacts {
    let mut facts = EdgeFacts::default();
    let counters = &mut facts.counters;
    for counter in [
        &mut counters.sent,
        &mut counters.delivered,
        &mut counters.dropped_full,
        &mut counters.blocked_ns,
    ] {
        *counter = Counter::new(number(bytes));
    }
    facts.gauges.queued = Gauge::new(number(bytes));
    facts.gauges.blocked = Gauge::new(u64::from(bytes.byte() % 3));
    facts.histograms.latency.buckets[bytes.below(48)] = number(bytes);
    facts.oldest = Some(at);
    facts.lacks = Lacks::ALL.get(bytes.below(9)).copied();
    facts
}

/// Actors and the pool count something.
fn services(book: &mut Book, bytes: &mut Bytes<'_>) {
    let rows = (0..bytes.below(3)).map(|kind| ActorRow {
        actor: format!("actor-{kind}"),
        actors: Gauge::new(1),
        sent: Counter::new(number(bytes)),
        handled: Counter::new(number(bytes)),
        returned: Counter::default(),
        dead_lettered: Counter::default(),
        waiting: Gauge::new(number(bytes)),
        rebuilt: Counter::default(),
    });
    let rows = rows.collect();
    book.actors(rows);
    book.pool(PoolRow {
        running: Gauge::new(number(bytes)),
        completed: Counter::new(number(bytes)),
        ..PoolRow::default()
    });
}
