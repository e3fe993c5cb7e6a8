//! What becomes of a datagram: decided from the weather, the time and a random source alone.

use std::time::{Duration, Instant};

use dataflow_core::random::Random;

/// All datagrams: the whole that a part of a million is a part of.
const MILLION: u32 = 1_000_000;

/// How much later a datagram comes that others overtake, besides a whole delay of its own.
const HELD_BACK: Duration = Duration::from_millis(10);

/// What a network does to datagrams, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// How long each is on its way.
    pub delay: Duration,
    /// How much longer at most; any length up to it is as likely. The order stays.
    pub jitter: Duration,
    /// How many of a million are lost. From 1,000,000 on, all are.
    pub loss_ppm: u32,
    /// How many of a million arrive twice.
    pub double_ppm: u32,
    /// How many of a million are held back, so that later ones overtake them.
    pub reorder_ppm: u32,
}

impl Weather {
    /// Everything arrives, at once, in its order.
    pub const GOOD: Weather = Weather {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_ppm: 0,
        double_ppm: 0,
        reorder_ppm: 0,
    };

    /// Nothing arrives.
    pub const CUT: Weather = Weather {
        loss_ppm: MILLION,
        ..Weather::GOOD
    };
}

impl Default for Weather {
    fn default() -> Weather {
        Weather::GOOD
    }
}

/// What becomes of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    Arrives {
        at: Instant,
        /// The moment at which it arrives once more.
        again_at: Option<Instant>,
        is_held_back: bool,
    },
}

/// One direction: its weather, and when the last datagram that keeps the order arrives.
#[derive(Debug)]
pub(super) struct Sky {
    pub(super) weather: Weather,
    random: Random,
    last: Option<Instant>,
}

impl Sky {
    pub(super) fn new(seed: u64) -> Sky {
        Sky {
            weather: Weather::GOOD,
            random: Random::new(seed),
            last: None,
        }
    }

    /// What becomes of a datagram that is sent `now`.
    pub(super) fn fate(&mut self, now: Instant) -> Fate {
        let weather = self.weather;
        // Always the same number of draws, so that a seed gives each datagram the same luck in any weather.
        let [lost, doubled, held_back, jitter] = std::array::from_fn(|_| self.random.draw());
        if is_hit(lost, weather.loss_ppm) {
            return Fate::Lost;
        }
        let on_its_way = weather.delay + part(jitter, weather.jitter);
        let in_order = self
            .last
            .map_or(now + on_its_way, |last| last.max(now + on_its_way));
        let is_held_back = is_hit(held_back, weather.reorder_ppm);
        let at = if is_held_back {
            in_order + on_its_way + HELD_BACK
        } else {
            self.last = Some(in_order);
            in_order
        };
        let again_at = is_hit(doubled, weather.double_ppm).then_some(at + on_its_way);
        Fate::Arrives {
            at,
            again_at,
            is_held_back,
        }
    }
}

/// Whether one of a million is among these.
fn is_hit(random: u64, of_million: u32) -> bool {
    scaled(random, u64::from(MILLION)) < u64::from(of_million)
}

/// A length between nothing and `longest`.
fn part(random: u64, longest: Duration) -> Duration {
    let longest_ns = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX - 1);
    Duration::from_nanos(scaled(random, longest_ns.saturating_add(1)))
}

/// `random` as a number below `end`.
fn scaled(random: u64, end: u64) -> u64 {
    let scaled = (u128::from(random) * u128::from(end)) >> 64;
    u64::try_from(scaled).expect("less than `end`, which is a u64")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(weather: Weather, count: usize) -> (Instant, Vec<Fate>) {
        let now = Instant::now();
        let mut sky = Sky::new(7);
        sky.weather = weather;
        (now, (0..count).map(|_| sky.fate(now)).collect())
    }

    #[test]
    fn in_good_weather_everything_arrives_at_once() {
        let (now, fates) = fates(Weather::GOOD, 1000);
        let at_once = Fate::Arrives {
            at: now,
            again_at: None,
            is_held_back: false,
        };
        assert!(fates.iter().all(|fate| *fate == at_once));
    }

    #[test]
    fn through_a_cut_nothing_arrives() {
        let (_, fates) = fates(Weather::CUT, 1000);
        assert!(fates.iter().all(|fate| *fate == Fate::Lost));
    }

    #[test]
    fn as_many_are_lost_doubled_and_held_back_as_was_said() {
        let weather = Weather {
            loss_ppm: 50_000,
            double_ppm: 100_000,
            reorder_ppm: 200_000,
            ..Weather::GOOD
        };
        let (_, fates) = fates(weather, 100_000);
        let (mut lost, mut doubled, mut held_back) = (0, 0, 0);
        for fate in fates {
            match fate {
                Fate::Lost => lost += 1,
                Fate::Arrives {
                    again_at,
                    is_held_back,
                    ..
                } => {
                    doubled += i32::from(again_at.is_some());
                    held_back += i32::from(is_held_back);
                }
            }
        }
        assert!((4_500..5_500).contains(&lost), "{lost}");
        assert!((9_000..10_000).contains(&doubled), "{doubled}");
        assert!((18_500..19_500).contains(&held_back), "{held_back}");
    }

    #[test]
    fn jitter_keeps_the_order_and_never_passes_its_bound() {
        let (delay, jitter) = (Duration::from_millis(100), Duration::from_millis(20));
        let weather = Weather {
            delay,
            jitter,
            ..Weather::GOOD
        };
        let (now, fates) = fates(weather, 1000);
        let moments: Vec<_> = fates
            .iter()
            .map(|fate| match fate {
                Fate::Arrives { at, .. } => *at - now,
                Fate::Lost => panic!("lost"),
            })
            .collect();
        assert!(moments.is_sorted());
        assert!(moments.first().is_some_and(|first| *first >= delay));
        assert!(moments.last().is_some_and(|last| *last <= delay + jitter));
    }

    #[test]
    fn who_is_held_back_is_overtaken() {
        let weather = Weather {
            delay: Duration::from_millis(5),
            reorder_ppm: 500_000,
            ..Weather::GOOD
        };
        let (now, fates) = fates(weather, 100);
        for fate in fates {
            match fate {
                Fate::Arrives {
                    at,
                    is_held_back: true,
                    ..
                } => assert!(at > now + Duration::from_millis(15)),
                Fate::Arrives { at, .. } => assert_eq!(at, now + Duration::from_millis(5)),
                Fate::Lost => panic!("lost"),
            }
        }
    }
}
