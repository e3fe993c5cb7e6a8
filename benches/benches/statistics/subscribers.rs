//! What a transition costs while nobody watches, and while fifty do who want to be told ten times a second: with as many
//! as can be made, and with ten thousand a second. In turns, and in time of the processor as well as of the clock.
//!
//! As in the runtime, one thread makes the transitions and says which they were, whether anybody watches or nobody; a copy
//! of the statistics elsewhere follows them, and snapshots are published of it. Another thread tells all who watch what has
//! changed, each through a socket to a process of its own, and encodes once what goes to several. Who has not read the last
//! is told more at once.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use dataflow_benches::clock::{now_ns, sleep_until, thread_ns};
use dataflow_benches::figures::{interval_of_median, median};
use dataflow_benches::processors::{apart, stay_on};
use dataflow_core::Time;
use dataflow_core::stats::{Book, Changes, Snapshot};
use dataflow_wire::client::{ClientReply, in_parts};
use dataflow_wire::frame::encode_frame;
use rustix::thread::CpuSet;

use crate::Effort;
use crate::filled::{Filled, make};

/// How many nodes there are.
const NODES: usize = 100_000;
/// How many watch.
const SUBSCRIBERS: usize = 50;
/// Between two snapshots while somebody watches.
const WATCHED_NS: u64 = 100_000_000;
/// Between two snapshots while nobody does.
const UNWATCHED_NS: u64 = 1_000_000_000;
/// Transitions that are made at once when they come at a pace.
const PACED_TRANSITIONS: usize = 100;
/// Between two of those: ten thousand a second.
const PACE_NS: u64 = 10_000_000;
/// Transitions that are made at once when as many are made as can be.
const TRANSITIONS: usize = 4_000;

/// How many changes wait for the copy, as in the runtime.
const WAITING_MAX: usize = 64;
/// So much is told without being asked for, as in the runtime.
const UNTOLD_MAX: usize = 4096;

/// How fast transitions come.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// As fast as they are made.
    FlatOut,
    /// Ten thousand a second.
    Paced,
}

/// Who watches.
#[derive(Debug, Clone, Copy)]
struct Watching {
    subscribers: usize,
    /// Between two snapshots.
    every_ns: u64,
    name: &'static str,
}

/// The first is what the others are compared with. The second shows what it costs to publish more often, and the third what
/// telling costs beside that.
const WATCHING: [Watching; 3] = [
    Watching {
        subscribers: 0,
        every_ns: UNWATCHED_NS,
        name: "nobody",
    },
    Watching {
        subscribers: 0,
        every_ns: WATCHED_NS,
        name: "nobody, but at 10 Hz",
    },
    Watching {
        subscribers: SUBSCRIBERS,
        every_ns: WATCHED_NS,
        name: "50",
    },
];

/// What a transition costs in each round, in nanoseconds, with its part of the publishing.
#[derive(Debug, Default)]
struct Costs {
    processor_ns: Vec<f64>,
    clock_ns: Vec<f64>,
    /// How many times a second each of those who watch was told.
    told_hz: Vec<f64>,
}

/// How many rounds are made of each, and how long one is.
#[derive(Debug, Clone, Copy)]
struct Rounds {
    count: usize,
    span_ns: u64,
}

/// Where the threads run.
#[derive(Debug, Clone)]
struct Threads {
    /// That which makes the transitions, and all others, unless they run anywhere.
    apart: Option<(CpuSet, CpuSet)>,
    name: &'static str,
}

/// Prints the costs.
///
/// A machine is faster in one minute than in the next, by more than what is looked for. So rounds are short and take turns,
/// every second time the other way round; each is compared with that of its own turn in which nobody watches; and what is
/// printed is the median of those ratios, with the interval in which the true one lies 95 times in 100.
pub(crate) fn print(effort: Effort) -> Result<(), Box<dyn Error>> {
    let (paced, flat_out) = match effort.is_quick {
        true => (6, 3),
        false => (40, 11),
    };
    let rounds = |count| Rounds {
        count,
        span_ns: 2_000_000_000,
    };
    println!(
        "\na transition with {NODES} nodes, while nobody watches and while {SUBSCRIBERS} do at 10 Hz: medians, and of the \
         ratios to nobody in the same turn (goal: < 2 %)\n                    threads           watched by             processor   95 in 100         the clock   95 in 100         each is told"
    );
    let mut filled = Filled::new(NODES);
    let folder = tempfile::tempdir()?;
    let anywhere = Threads {
        apart: None,
        name: "anywhere",
    };
    let apart = apart()?.map(|apart| Threads {
        apart: Some(apart),
        name: "apart",
    });
    for (pace_name, pace, rounds) in [
        ("10,000 a second", Pace::Paced, rounds(paced)),
        ("flat out", Pace::FlatOut, rounds(flat_out)),
    ] {
        for threads in [Some(&anywhere), apart.as_ref()].into_iter().flatten() {
            let all = in_turns(&mut filled, folder.path(), (pace, threads), rounds)?;
            for (watching, costs) in WATCHING.iter().zip(&all) {
                let processor = Ratio::of(&costs.processor_ns, &all[0].processor_ns);
                let clock = Ratio::of(&costs.clock_ns, &all[0].clock_ns);
                println!(
                    "  {pace_name:<16}  {:<8}  {:<20}   {:>6.0} ns {processor}   {:>6.0} ns {clock}   {:>6.1} Hz",
                    threads.name,
                    watching.name,
                    median(costs.processor_ns.clone()),
                    median(costs.clock_ns.clone()),
                    median(costs.told_hz.clone()),
                );
            }
        }
    }
    Ok(())
}

/// So many rounds of each, in turns.
fn in_turns(
    filled: &mut Filled,
    folder: &Path,
    (pace, threads): (Pace, &Threads),
    rounds: Rounds,
) -> Result<[Costs; 3], Box<dyn Error>> {
    let mut all = WATCHING.map(|_| Costs::default());
    // What is warm at first is not at last.
    let warming = Watching {
        every_ns: WATCHED_NS,
        ..WATCHING[0]
    };
    one_round(filled, folder, (pace, warming, threads), rounds.span_ns)?;
    for turn in 0..rounds.count {
        for place in 0..WATCHING.len() {
            let place = match turn % 2 {
                0 => place,
                _ => WATCHING.len() - 1 - place,
            };
            let round = (pace, WATCHING[place], threads);
            all[place].take(one_round(filled, folder, round, rounds.span_ns)?);
        }
    }
    Ok(all)
}

impl Costs {
    fn take(&mut self, [processor_ns, clock_ns, told_hz]: [f64; 3]) {
        self.processor_ns.push(processor_ns);
        self.clock_ns.push(clock_ns);
        self.told_hz.push(told_hz);
    }
}

/// By how many per cent more something costs than something else in the same turn.
#[derive(Debug)]
struct Ratio {
    median: f64,
    /// In which the true median lies 95 times in 100.
    interval: [f64; 2],
}

impl Ratio {
    fn of(now: &[f64], before: &[f64]) -> Ratio {
        let more = |(now, before)| 100.0 * (now / before - 1.0);
        let ratios: Vec<f64> = now.iter().zip(before).map(more).collect();
        Ratio {
            interval: interval_of_median(ratios.clone()),
            median: median(ratios),
        }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [low, high] = self.interval;
        write!(f, "{:>+6.1} %   {low:>+5.1} to {high:>+5.1} %", self.median)
    }
}

/// What a transition costs of the processor and by the clock, and how often each was told.
fn one_round(
    filled: &mut Filled,
    folder: &Path,
    (pace, watching, threads): (Pace, Watching, &Threads),
    span_ns: u64,
) -> Result<[f64; 3], Box<dyn Error>> {
    let subscribers = watching.subscribers;
    // Threads and processes run where the one does that starts them.
    let others = threads.apart.as_ref().map(|(_, others)| stay_on(others));
    let others = others.transpose()?;
    let mut copy = filled.book.begin_copy();
    let published = Mutex::new(copy.publish(filled.now()));
    let (is_over, waiting) = (AtomicBool::new(false), AtomicUsize::new(0));
    let sockets = Sockets::connect(folder, subscribers)?;
    let (to_copy, received) = mpsc::channel::<Changes>();
    let (costs, told) = thread::scope(|scope| {
        scope.spawn(|| follow(copy, received, &waiting, &published));
        let telling = scope
            .spawn(|| tell(&sockets.here, &published, &is_over).map_err(|why| why.to_string()));
        let copying = Copying {
            to_copy,
            waiting: &waiting,
        };
        let mine = threads.apart.as_ref().map(|(mine, _)| stay_on(mine));
        part_with_copy(filled, &copying);
        let costs = transitions(filled, copying, pace, watching.every_ns, span_ns);
        drop(mine);
        is_over.store(true, Ordering::Relaxed);
        (costs, telling.join())
    });
    drop(others);
    let (processor_ns, clock_ns, made) = costs;
    let told = told.map_err(|_| "the thread that tells panicked")??;
    let each = told as f64 / subscribers.max(1) as f64;
    Ok([
        processor_ns as f64 / made as f64,
        clock_ns as f64 / made as f64,
        each / (span_ns as f64 / 1e9),
    ])
}

/// Where the thread that makes transitions says which they were.
struct Copying<'b> {
    to_copy: mpsc::Sender<Changes>,
    waiting: &'b AtomicUsize,
}

impl Copying<'_> {
    /// Tells the copy what it does not know; when there is no room for it, the next time makes up for it.
    fn tell(&self, book: &mut Book, publish_at: Option<Time>) {
        if self.waiting.load(Ordering::Acquire) < WAITING_MAX {
            self.waiting.fetch_add(1, Ordering::AcqRel);
            // The copy stays until this is dropped.
            let _ = self.to_copy.send(book.changes(publish_at));
        }
    }
}

/// Goes through all rows, which the copy that was made just now shares: whoever is the first to change one copies it, and a
/// copy in the runtime is made only once.
fn part_with_copy(filled: &mut Filled, copying: &Copying<'_>) {
    for _ in 0..4 * NODES / TRANSITIONS {
        let transitions = filled.transitions(TRANSITIONS);
        make(&mut filled.book, &transitions);
        while copying.waiting.load(Ordering::Acquire) > 0 {
            thread::yield_now();
        }
        copying.tell(&mut filled.book, None);
    }
}

/// Follows until nothing more is told.
fn follow(
    mut copy: Book,
    received: mpsc::Receiver<Changes>,
    waiting: &AtomicUsize,
    published: &Mutex<Arc<Snapshot>>,
) {
    for changes in received {
        waiting.fetch_sub(1, Ordering::AcqRel);
        let published_at = changes.published_at();
        copy.follow(changes).expect("nothing is lost");
        if let Some(at) = published_at {
            let before = std::mem::replace(&mut *lock(published), copy.publish(at));
            drop(before);
        }
    }
}

/// Makes transitions for a while and tells the copy: what that took of the processor and of the clock, and how many they
/// were.
fn transitions(
    filled: &mut Filled,
    copying: Copying<'_>,
    pace: Pace,
    every_ns: u64,
    span_ns: u64,
) -> (u64, u64, u64) {
    let (mut processor, mut clock, mut made) = (0, 0, 0);
    let began_ns = now_ns();
    let (mut next_ns, mut publish_ns) = (began_ns, began_ns + every_ns);
    while now_ns() < began_ns + span_ns {
        let at_once = match pace {
            Pace::FlatOut => TRANSITIONS,
            Pace::Paced => PACED_TRANSITIONS,
        };
        let transitions = filled.transitions(at_once);
        if let Pace::Paced = pace {
            next_ns += PACE_NS;
            sleep_until(next_ns);
        }
        let now = filled.now();
        let (then_processor, then_clock) = (thread_ns(), now_ns());
        make(&mut filled.book, &transitions);
        if then_clock >= publish_ns {
            publish_ns += every_ns;
            copying.tell(&mut filled.book, Some(now));
        } else if filled.book.untold() >= UNTOLD_MAX {
            copying.tell(&mut filled.book, None);
        }
        clock += now_ns() - then_clock;
        processor += thread_ns() - then_processor;
        made += at_once as u64;
    }
    (processor, clock, made)
}

fn lock(published: &Mutex<Arc<Snapshot>>) -> std::sync::MutexGuard<'_, Arc<Snapshot>> {
    published.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sockets to a process that reads all of them.
struct Sockets {
    here: Vec<UnixStream>,
    reader: Option<Child>,
}

impl Sockets {
    fn connect(folder: &Path, subscribers: usize) -> Result<Sockets, Box<dyn Error>> {
        if subscribers == 0 {
            return Ok(Sockets {
                here: Vec::new(),
                reader: None,
            });
        }
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path)?;
        let reader = Command::new(std::env::current_exe()?)
            .args(["role=read", &format!("subscribers={subscribers}")])
            .arg(format!("socket={}", path.display()))
            .spawn()?;
        let mut sockets = Sockets {
            here: Vec::new(),
            reader: Some(reader),
        };
        for _ in 0..subscribers {
            let (socket, _) = listener.accept()?;
            socket.set_nonblocking(true)?;
            sockets.here.push(socket);
        }
        std::fs::remove_file(&path)?;
        Ok(sockets)
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // It ends when its sockets do.
        self.here.clear();
        if let Some(mut reader) = self.reader.take() {
            let _ = reader.wait();
        }
    }
}

/// Reads so many sockets to their ends, in a process of its own.
pub(crate) fn read(socket: &Path, subscribers: usize) -> Result<(), Box<dyn Error>> {
    let readers = (0..subscribers).map(|_| {
        let mut stream = UnixStream::connect(socket)?;
        Ok(thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(1..) = stream.read(&mut bytes) {}
        }))
    });
    for reader in readers.collect::<Result<Vec<_>, std::io::Error>>()? {
        reader.join().map_err(|_| "a reader panicked")?;
    }
    Ok(())
}

/// One who is told what changes.
struct Subscriber<'s> {
    socket: &'s UnixStream,
    knows: Arc<Snapshot>,
    /// What it is told, and how much of that has gone.
    told: Option<(Arc<Vec<u8>>, usize)>,
}

impl Subscriber<'_> {
    /// Sends as much as the socket takes.
    fn flush(&mut self) -> std::io::Result<()> {
        while let Some((bytes, sent)) = &mut self.told {
            match self.socket.write(&bytes[*sent..]) {
                Ok(more) => *sent += more,
                Err(full) if full.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            if *sent == bytes.len() {
                self.told = None;
            }
        }
        Ok(())
    }
}

/// Tells all subscribers what has changed, until it is over: how often somebody was told.
fn tell(
    sockets: &[UnixStream],
    published: &Mutex<Arc<Snapshot>>,
    is_over: &AtomicBool,
) -> Result<u64, Box<dyn Error>> {
    let mut told = 0;
    let first = Arc::clone(&lock(published));
    let subscriber = |socket| Subscriber {
        socket,
        knows: Arc::clone(&first),
        told: None,
    };
    let mut subscribers: Vec<Subscriber<'_>> = sockets.iter().map(subscriber).collect();
    drop(first);
    let mut next_ns = now_ns();
    while !is_over.load(Ordering::Relaxed) {
        if subscribers.iter().any(|it| it.told.is_some()) {
            // A slow one reads meanwhile.
            thread::sleep(Duration::from_millis(1));
        } else {
            next_ns = (next_ns + WATCHED_NS).max(now_ns());
            sleep_until(next_ns);
        }
        let now = Arc::clone(&lock(published));
        let mut encoded: BTreeMap<u64, Arc<Vec<u8>>> = BTreeMap::new();
        for subscriber in &mut subscribers {
            let knows = subscriber.knows.revision();
            if subscriber.told.is_none() && knows < now.revision() {
                let bytes = match encoded.get(&knows) {
                    Some(bytes) => Arc::clone(bytes),
                    None => Arc::new(delta(&now, &subscriber.knows)?),
                };
                encoded.insert(knows, Arc::clone(&bytes));
                subscriber.told = Some((bytes, 0));
                subscriber.knows = Arc::clone(&now);
                told += 1;
            }
            subscriber.flush()?;
        }
    }
    Ok(told)
}

/// What has changed, in frames.
fn delta(now: &Snapshot, earlier: &Snapshot) -> Result<Vec<u8>, Box<dyn Error>> {
    let reply = ClientReply::StatisticsDelta(Box::new(now.since(earlier)));
    let mut frames = Vec::new();
    for part in in_parts(&reply)? {
        frames.extend(encode_frame(&part)?);
    }
    Ok(frames)
}
