//! The process that writes what it likes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use dataflow_shm::edge::{Layout, header};

use crate::random::Random;
use crate::{Part, SEGMENT_BYTES};

impl Part {
    /// A faulty process: how many words it wrote.
    pub(crate) fn scribble(mut self) -> (u64, u64) {
        let layout = Layout::new(&self.config).unwrap();
        let edge = File::from(self.edge.try_clone().unwrap());
        let words = layout.words() as u64;
        let mut written = 0;
        let mut as_it_began = vec![0; layout.bytes()];
        edge.read_exact_at(&mut as_it_began, 0).unwrap();
        while !self.is_over(written, 1) {
            let random = &mut self.random;
            if random.below(100) == 0 {
                // Nobody attaches to what is damaged for good: all of it once more from the beginning.
                edge.write_all_at(&as_it_began, 0).unwrap();
            }
            if random.below(20) == 0 {
                // One slot over another.
                let mut slot = [0; 128];
                let mut at = || layout.slot(random.below(layout.slots().into()) as u32) as u64 * 8;
                edge.read_exact_at(&mut slot, at()).unwrap();
                edge.write_all_at(&slot, at()).unwrap();
            }
            let word = match random.below(4) {
                0 => random.below(words),
                1 => layout.ring(random.below(layout.ring_size())) as u64,
                2 => {
                    let slot = random.below(layout.slots().into()) as u32;
                    layout.slot(slot) as u64 + random.below(8)
                }
                _ => HOT[random.below(HOT.len() as u64) as usize] as u64,
            };
            let mut bytes = [0; 8];
            edge.read_exact_at(&mut bytes, word * 8).unwrap();
            let value = plausible(random, u64::from_le_bytes(bytes), &edge);
            edge.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
            written += 1;
            match random.below(32) {
                0 => self.send_waiter.notify(),
                1 => self.receive_waiter.notify(),
                // Lets the others get somewhere before the next one.
                2..=7 => thread::sleep(Duration::from_micros(random.below(300))),
                _ => {}
            }
        }
        (written, 0)
    }
}

/// The words of the header on which something depends.
const HOT: [usize; 16] = [
    header::CLOSED_AT,
    header::RECEIVER_GONE,
    header::RECEIVER_READY,
    header::LOST,
    header::DROPPED_AT_CLOSE,
    header::TAIL,
    header::TAIL,
    header::DROPPED_FULL,
    header::DROP_INTENT,
    header::HEAD,
    header::HEAD,
    header::DELIVERED,
    header::RELEASED,
    header::RECEIVER_WAKE,
    header::SENDER_WAKE,
    header::WATCH,
];

/// Numbers that are nearly right are worse than random ones.
fn plausible(random: &mut Random, found: u64, edge: &File) -> u64 {
    let mut tail = [0; 8];
    edge.read_exact_at(&mut tail, header::TAIL as u64 * 8)
        .unwrap();
    let near = u64::from_le_bytes(tail)
        .wrapping_add(random.below(12))
        .wrapping_sub(8);
    match random.below(9) {
        0 => random.next(),
        1 => found ^ 1 << random.below(64),
        2 => found.wrapping_add(random.below(9)).wrapping_sub(4),
        3 => near << 3 | random.below(8),
        4 => near << 16 | random.below(14),
        5 => near << 1 | random.below(2),
        6 => (random.below(5) << 17) | random.below(128),
        7 => SEGMENT_BYTES.wrapping_add(random.below(9)).wrapping_sub(4),
        _ => u64::MAX - random.below(4),
    }
}
