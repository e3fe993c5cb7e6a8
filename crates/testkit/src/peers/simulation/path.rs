//! The way of packets from one machine to another.

use std::time::Duration;

use crate::simulation::Draw;

/// No more packets in a row are lost by chance: so what a look holds against a machine is never mere bad luck.
const LOST_IN_A_ROW_MAX: u32 = 3;

/// One direction between two machines.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// The shortest time that a packet takes.
    pub(super) delay: Duration,
    /// Up to so much comes on top, for each packet anew: packets overtake each other.
    pub(super) jitter: Duration,
    /// So many of a hundred are lost.
    pub(super) lost_percent: u64,
    /// How many things cut it.
    pub(super) cuts: u32,
    /// How many things make it slow, and by how much.
    pub(super) slowed_by: Vec<Duration>,
    /// How many things make it lose most of its packets.
    pub(super) storms: u32,
    lost_in_a_row: u32,
}

impl Path {
    pub(super) fn new(delay: Duration, jitter: Duration, lost_percent: u64) -> Path {
        Path {
            delay,
            jitter,
            lost_percent,
            cuts: 0,
            slowed_by: Vec::new(),
            storms: 0,
            lost_in_a_row: 0,
        }
    }

    /// Nothing is wrong with it, beside the loss and the delay that it always has.
    pub(super) fn is_good(&self) -> bool {
        self.cuts == 0 && self.slowed_by.is_empty() && self.storms == 0
    }

    /// How long a packet takes that is sent now; `None` when it is lost.
    pub(super) fn carry(&mut self, draw: &mut Draw) -> Option<Duration> {
        if self.cuts > 0 {
            return None;
        }
        if self.storms > 0 {
            // Most are lost, and as many in a row as it comes.
            if draw.percent(70) {
                return None;
            }
        } else if draw.percent(self.lost_percent) && self.lost_in_a_row < LOST_IN_A_ROW_MAX {
            self.lost_in_a_row += 1;
            return None;
        } else {
            self.lost_in_a_row = 0;
        }
        let jitter_us = self.jitter.as_micros() as u64;
        let slow: Duration = self.slowed_by.iter().sum();
        Some(self.delay + slow + Duration::from_micros(draw.between(0, jitter_us)))
    }
}
