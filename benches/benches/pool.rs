//! `make bench`: the pool beside those that one would take otherwise, in one run.
//!
//! Each figure is the median of several rounds in which the pools take turns, so that the machine's moods meet all
//! of them. With `cases=quick` there are fewer rounds.

use std::error::Error;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::now_ns;
use dataflow_benches::figures::{Latencies, median, time};
use dataflow_benches::pools::{CONTENDERS, Make, Runs};

/// A job that has not begun after this is stranded. Nothing else here takes a tenth of it.
const STRANDED_AFTER: Duration = Duration::from_millis(200);

/// After this many stranded jobs the rest is believed.
const STRANDED_ENOUGH: usize = 25;

/// Threads whose memory is measured together.
const MEMORY_THREADS: usize = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    if let Ok(name) = arguments.get::<String>("memory") {
        return memory_of(&name);
    }
    let rounds = match arguments.get::<String>("cases").as_deref() {
        Ok("quick") => 1,
        _ => 5,
    };

    println!(
        "a job that waits for the next one, 2 core threads, 4 at most: in how many trials the next one"
    );
    println!("has not begun after {} ms", STRANDED_AFTER.as_millis());
    println!("                         core threads busy   one busy, one idle");
    for (name, make) in CONTENDERS {
        let [busy, idle] = [Other::Busy, Other::Idle].map(|other| {
            let (stranded, of) = stranded(make, other, 1_000);
            format!("{stranded:>4} of {of:>5}")
        });
        println!("  {name:<22} {busy}        {idle}");
    }

    println!("\nfrom the call to the job's first instruction, medians of {rounds} rounds");
    println!("                         cold p50     p99          warm p50     p99");
    let mut starts: Vec<[Vec<f64>; 4]> = vec![Default::default(); CONTENDERS.len()];
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); CONTENDERS.len()];
    for _ in 0..rounds {
        for (place, (_, make)) in CONTENDERS.into_iter().enumerate() {
            let (cold, warm) = (cold(make, 300), warm(make, 1_000));
            let figures = [
                cold.median_ns(),
                cold.percentile_ns(99.0),
                warm.median_ns(),
                warm.percentile_ns(99.0),
            ];
            for (all, figure) in starts[place].iter_mut().zip(figures) {
                all.push(figure as f64);
            }
            rates[place].push(empty_jobs_a_second(make, 200_000));
        }
    }
    let in_words = |figures: &Vec<f64>| time(median(figures.clone()) as u64);
    for ((name, _), figures) in CONTENDERS.into_iter().zip(&starts) {
        let [cold, cold_99, warm, warm_99] = figures.each_ref().map(in_words);
        println!("  {name:<22} {cold:<12} {cold_99:<12} {warm:<12} {warm_99}");
    }

    println!("\nempty jobs a second, 2 threads, submitted by one, medians of {rounds} rounds");
    for ((name, _), rates) in CONTENDERS.into_iter().zip(rates) {
        println!("  {name:<22} {:>10.0}", median(rates));
    }

    println!("\nresident memory of a thread that waits for a job, of {MEMORY_THREADS}");
    for (name, _) in CONTENDERS {
        let program = std::env::current_exe()?;
        let output = Command::new(program)
            .arg(format!("memory={name}"))
            .output()?;
        let bytes = String::from_utf8(output.stdout)?.trim().parse::<f64>()?;
        println!("  {name:<22} {:>6.1} KB", bytes / 1e3);
    }
    Ok(())
}

/// A job that runs until the sender is dropped.
fn blocked(began: &Sender<()>) -> (Sender<()>, Box<dyn FnOnce() + Send>) {
    let began = began.clone();
    let (gate, hold) = channel::<()>();
    let job = move || {
        let _ = began.send(());
        let _ = hold.recv();
    };
    (gate, Box::new(job))
}

/// What the second core thread does when the job comes that waits for the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Other {
    /// It runs that job already.
    Busy,
    /// It has run a job, and both come at once.
    Idle,
}

/// Of `trials`, in how many the job that another waits for does not begin. Fewer are tried when it is clear.
fn stranded(make: Make, other: Other, trials: usize) -> (usize, usize) {
    let mut stranded = 0;
    for trial in 0..trials {
        if stranded == STRANDED_ENOUGH {
            return (stranded, trial);
        }
        let pool = make(2, 4, 10);
        let (began, begun) = channel();
        let (_busy, job) = blocked(&began);
        pool.run(job);
        begun.recv().expect("it is the first");
        if other == Other::Idle {
            begin(pool.as_ref());
            // It has said that it runs; a moment later it is idle.
            thread::sleep(Duration::from_millis(1));
        }
        let (gate, first) = blocked(&began);
        pool.run(first);
        if other == Other::Busy {
            begun.recv().expect("a thread that stays takes it");
        }
        let (second_began, second_begun) = channel();
        pool.run(Box::new(move || {
            let _ = second_began.send(());
        }));
        let is_stranded = second_begun.recv_timeout(STRANDED_AFTER).is_err();
        stranded += usize::from(is_stranded);
        // Now the first may end, and what was stranded is run.
        drop(gate);
        if is_stranded {
            let _ = second_begun.recv();
        }
    }
    (stranded, trials)
}

/// The time until a job begins, in nanoseconds.
fn begin(pool: &dyn Runs) -> u64 {
    let (began, begun) = channel();
    let called_ns = now_ns();
    pool.run(Box::new(move || {
        let _ = began.send(now_ns());
    }));
    begun.recv().expect("the job is run") - called_ns
}

/// The first job of a pool that has run none.
fn cold(make: Make, count: usize) -> Latencies {
    let one = |_| {
        let pool = make(2, 4, 10);
        begin(pool.as_ref())
    };
    Latencies::new((0..count).map(one).collect())
}

/// A job for a thread that sleeps.
fn warm(make: Make, count: usize) -> Latencies {
    let pool = make(1, 1, 10);
    begin(pool.as_ref());
    let one = |_| {
        thread::sleep(Duration::from_millis(1));
        begin(pool.as_ref())
    };
    Latencies::new((0..count).map(one).collect())
}

fn empty_jobs_a_second(make: Make, count: usize) -> f64 {
    let pool = make(2, 2, count);
    begin(pool.as_ref());
    let (done, all_done) = channel();
    let left = Arc::new(AtomicUsize::new(count));
    let began_ns = now_ns();
    for _ in 0..count {
        let (left, done) = (Arc::clone(&left), done.clone());
        pool.run(Box::new(move || {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                let _ = done.send(());
            }
        }));
    }
    all_done.recv().expect("all jobs are run");
    count as f64 / ((now_ns() - began_ns) as f64 / 1e9)
}

/// Prints what a thread of the pool of this name costs, in bytes. In a process of its own.
fn memory_of(name: &str) -> Result<(), Box<dyn Error>> {
    let (_, make) = CONTENDERS
        .into_iter()
        .find(|(other, _)| *other == name)
        .ok_or_else(|| format!("no pool is called {name}"))?;
    let before = resident_bytes()?;
    let pool = make(MEMORY_THREADS, MEMORY_THREADS, 0);
    let (began, begun) = channel();
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..MEMORY_THREADS {
        let (began, gate) = (began.clone(), Arc::clone(&gate));
        pool.run(Box::new(move || {
            let _ = began.send(());
            drop(gate.lock());
            let _ = began.send(());
        }));
    }
    let all = |what: &str| {
        (0..MEMORY_THREADS).try_for_each(|_| begun.recv().map_err(|_| what.to_owned()))
    };
    all("a job was not begun")?;
    drop(closed);
    all("a job was not ended")?;
    println!(
        "{}",
        resident_bytes()?.saturating_sub(before) / MEMORY_THREADS as u64
    );
    Ok(())
}

/// Memory of this process that no file stands behind.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no RssAnon")?.parse::<u64>()? * 1_024)
}
