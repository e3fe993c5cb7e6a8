//! The floors: what this machine does without us, measured in the same run.

use std::hint::black_box;
use std::io;
use std::process::{Command, Stdio};

use rustix::event::{EventfdFlags, eventfd};

use crate::clock::{now_ns, sleep_until};
use crate::figures::Latencies;

/// The time between two messages of a paced measurement: 250 a second.
pub const PACE_NS: u64 = 4_000_000;

/// A count that no time reaches, also not two added up: the other end of an eventfd has nothing more to do.
pub const STOP: u64 = 1 << 62;

/// What touching a payload means everywhere in the benches: one byte of each page.
pub fn touch_every_page(payload: &[u8]) -> u64 {
    black_box(payload)
        .iter()
        .step_by(4096)
        .map(|byte| u64::from(*byte))
        .sum()
}

/// Ping-pong between two processes over a pair of eventfds: half of the way there and back, `rounds` times,
/// `pace_ns` apart (0: back to back). The way back wakes a process that has only just fallen asleep. `echo` is
/// the program at the other end.
///
/// # Errors
///
/// When the other process or the eventfds cannot be made.
pub fn eventfd_half_round_trip(echo: &str, rounds: usize, pace_ns: u64) -> io::Result<Latencies> {
    let there = eventfd(0, EventfdFlags::CLOEXEC)?;
    let back = eventfd(0, EventfdFlags::CLOEXEC)?;
    let mut child = Command::new(echo)
        .arg("answers=yes")
        .stdin(Stdio::from(there.try_clone()?))
        .stdout(Stdio::from(back.try_clone()?))
        .spawn()?;
    let mut samples_ns = Vec::with_capacity(rounds);
    let mut next_ns = now_ns();
    let mut counter = [0; 8];
    for _ in 0..rounds {
        next_ns += pace_ns;
        sleep_until(next_ns);
        let begin_ns = now_ns();
        rustix::io::write(&there, &begin_ns.to_ne_bytes())?;
        rustix::io::read(&back, &mut counter)?;
        samples_ns.push((now_ns() - begin_ns) / 2);
    }
    rustix::io::write(&there, &STOP.to_ne_bytes())?;
    child.wait()?;
    Ok(Latencies::new(samples_ns))
}

/// One way through an eventfd, taken as a message's latency is: from before the write to after the read in the
/// other process, which sleeps in between and answers nothing. The counter carries the time.
///
/// # Errors
///
/// When the other process or the eventfd cannot be made.
pub fn eventfd_one_way(echo: &str, rounds: usize, pace_ns: u64) -> io::Result<Latencies> {
    let there = eventfd(0, EventfdFlags::CLOEXEC)?;
    let child = Command::new(echo)
        .arg("answers=no")
        .stdin(Stdio::from(there.try_clone()?))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut next_ns = now_ns();
    for _ in 0..rounds {
        next_ns += pace_ns;
        sleep_until(next_ns);
        rustix::io::write(&there, &now_ns().to_ne_bytes())?;
    }
    rustix::io::write(&there, &STOP.to_ne_bytes())?;
    let said = child.wait_with_output()?.stdout;
    let samples_ns = String::from_utf8_lossy(&said)
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    Ok(Latencies::new(samples_ns))
}

/// Copies `bytes` into a warm buffer and touches every page of it there, `rounds` times, `pace_ns` apart.
/// Three buffers take turns, as chunks of a segment do.
pub fn copy_and_read(bytes: usize, rounds: usize, pace_ns: u64) -> Latencies {
    let source = vec![7_u8; bytes];
    let mut buffers = vec![vec![1_u8; bytes]; 3];
    let mut samples_ns = Vec::with_capacity(rounds);
    let mut next_ns = now_ns();
    for round in 0..rounds {
        next_ns += pace_ns;
        sleep_until(next_ns);
        let buffer = &mut buffers[round % 3];
        let begin_ns = now_ns();
        buffer.copy_from_slice(black_box(&source));
        black_box(touch_every_page(buffer));
        samples_ns.push(now_ns() - begin_ns);
    }
    Latencies::new(samples_ns)
}
