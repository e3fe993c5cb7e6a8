//! Which messages of an input are timed, and how many each of them stands for, so that an edge's histograms stand for
//! all its messages and a small message still costs no reading of the exact clock.
//!
//! - A message that came after a look in vain, or that was long under way, is timed and stands for itself: so an edge
//!   on which little happens, or on which it takes long, is seen at once.
//! - Of the others, which stood in the queue when they were asked for, about each sixteenth is timed and stands for those
//!   since the one before. Which one, chance says: so what comes again and again in one place of a pattern, or of a burst,
//!   is seen as often as it comes. The exact clock costs as much as all else of a small message; the coarse one, which every call
//!   reads anyway, says what was long under way or in hand.

use dataflow_ids::EdgeId;
use dataflow_shm::edge::{EdgeReceiver, Span};

use crate::clock;

/// Of a queue that was not empty, one message is timed after at least so many.
const SAMPLE_MIN: u64 = 8;

/// And after at most so many.
const SAMPLE_MAX: u64 = 24;

/// What takes so long is counted for itself. Above two ticks of the coarse clock of any kernel (HZ = 100), so that what
/// it says is long is at least half as long.
const LONG_NS: u64 = 20_000_000;

/// What an input remembers between its messages.
#[derive(Debug)]
pub(crate) struct Observation {
    /// The last look at the edge found nothing.
    was_empty: bool,
    /// Messages given since the last that stands for others, and not long under way.
    given: u64,
    /// How many of them there are when the next one is timed.
    timed_at: u64,
    /// Where chance stands; never 0.
    chance: u64,
    /// Messages handled since the last that stands for others, and not for long.
    handled: u64,
}

/// A message that the program has: when it got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InHand {
    since_ns: u64,
    timing: Timing,
}

/// How a message is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timing {
    /// Exactly, and for itself.
    Alone,
    /// Exactly, and for those before it.
    ForOthers,
    /// By the coarse clock.
    Coarse,
}

/// What the sender wrote of a message's times, and when it left its queue if that was not just now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) sent_at_ns: u64,
    pub(crate) waited_ns: u64,
    pub(crate) taken_at_ns: Option<u64>,
}

impl Observation {
    /// Edges with different numbers time different messages.
    pub(crate) fn new(edge: EdgeId) -> Observation {
        let mut observation = Observation {
            was_empty: true,
            given: 0,
            timed_at: 0,
            // Odd times not 0 is not 0.
            chance: (u64::from(edge.0) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            handled: 0,
        };
        observation.draw();
        observation
    }

    /// Chooses the message that is timed next.
    fn draw(&mut self) {
        // Marsaglia's xorshift with 13, 7 and 17: all numbers but 0, each once in its period.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.timed_at = SAMPLE_MIN + self.chance % (SAMPLE_MAX - SAMPLE_MIN + 1);
    }

    /// A look at the edge has found nothing.
    #[inline]
    pub(crate) fn found_nothing(&mut self) {
        self.was_empty = true;
    }

    /// The program gets a message now. `coarse_ns` is this moment by the coarse clock.
    #[inline]
    pub(crate) fn give(
        &mut self,
        edge: Option<&mut EdgeReceiver>,
        times: Times,
        coarse_ns: u64,
    ) -> InHand {
        let was_empty = std::mem::take(&mut self.was_empty);
        let is_alone = was_empty || coarse_ns.saturating_sub(times.sent_at_ns) >= LONG_NS;
        if !is_alone {
            self.given += 1;
            if self.given < self.timed_at {
                return InHand {
                    since_ns: coarse_ns,
                    timing: Timing::Coarse,
                };
            }
        }
        let (timing, messages) = if is_alone {
            (Timing::Alone, 1)
        } else {
            self.draw();
            (Timing::ForOthers, std::mem::take(&mut self.given))
        };
        let now_ns = clock::monotonic_now_ns();
        if let Some(edge) = edge {
            let since_sent = |at_ns: u64| at_ns.saturating_sub(times.sent_at_ns);
            edge.observe(Span::Latency, since_sent(now_ns), messages);
            let taken_at_ns = times.taken_at_ns.unwrap_or(now_ns);
            let queue_wait_ns = since_sent(taken_at_ns).saturating_sub(times.waited_ns);
            edge.observe(Span::QueueWait, queue_wait_ns, messages);
        }
        InHand {
            since_ns: now_ns,
            timing,
        }
    }

    /// The program asks for the next event.
    #[inline]
    pub(crate) fn handled(
        &mut self,
        edge: Option<&mut EdgeReceiver>,
        in_hand: InHand,
        coarse_ns: u64,
    ) {
        let now_ns = match in_hand.timing {
            Timing::Coarse => coarse_ns,
            Timing::Alone | Timing::ForOthers => clock::monotonic_now_ns(),
        };
        let handling_ns = now_ns.saturating_sub(in_hand.since_ns);
        let messages = match in_hand.timing {
            _ if handling_ns >= LONG_NS => 1,
            Timing::Alone => 1,
            Timing::ForOthers => std::mem::take(&mut self.handled) + 1,
            Timing::Coarse => {
                self.handled += 1;
                return;
            }
        };
        if let Some(edge) = edge {
            edge.observe(Span::Handling, handling_ns, messages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(sent_at_ns: u64) -> Times {
        Times {
            sent_at_ns,
            waited_ns: 0,
            taken_at_ns: None,
        }
    }

    /// Gives messages of a queue that is never empty, and says of each whether it is timed for others.
    fn timed(observation: &mut Observation) -> impl Iterator<Item = bool> {
        observation.give(None, times(1000), 1000);
        std::iter::from_fn(|| {
            let in_hand = observation.give(None, times(1000), 1000);
            observation.handled(None, in_hand, 1000);
            Some(in_hand.timing == Timing::ForOthers)
        })
    }

    #[test]
    fn about_one_message_in_sixteen_of_a_full_queue_is_timed_and_the_first_of_each() {
        let mut observation = Observation::new(EdgeId(1));
        let first = observation.give(None, times(1000), 1000);
        assert_eq!(first.timing, Timing::Alone);
        let mut since = 0;
        let mut lengths = std::collections::BTreeSet::new();
        for is_timed in timed(&mut observation).take(100_000) {
            since += 1;
            if is_timed {
                lengths.insert(std::mem::take(&mut since));
            }
        }
        assert!(lengths.into_iter().eq(SAMPLE_MIN..=SAMPLE_MAX));
        observation.found_nothing();
        let after_a_look_in_vain = observation.give(None, times(1000), 1000);
        assert_eq!(after_a_look_in_vain.timing, Timing::Alone);
    }

    #[test]
    fn what_comes_again_in_one_place_of_a_pattern_is_timed_as_often_as_it_comes() {
        for period in [2, 4, 8, 16, 17] {
            let mut observation = Observation::new(EdgeId(1));
            let mut by_place = vec![0; period];
            let given = timed(&mut observation).take(160_000);
            for (number, _) in given.enumerate().filter(|(_, is_timed)| *is_timed) {
                by_place[number % period] += 1;
            }
            // Each place has its share of the 10,000 that are timed, within four parts in ten.
            let share = 10_000 / period;
            let is_near = |timed: &usize| (share * 6 / 10..=share * 14 / 10).contains(timed);
            assert!(by_place.iter().all(is_near), "{period}: {by_place:?}");
        }
    }

    #[test]
    fn each_place_of_a_burst_is_timed() {
        let mut observation = Observation::new(EdgeId(1));
        let mut by_place = [0; 17];
        for _ in 0..10_000 {
            observation.found_nothing();
            for timed in &mut by_place {
                let in_hand = observation.give(None, times(1000), 1000);
                *timed += usize::from(in_hand.timing == Timing::ForOthers);
            }
        }
        assert_eq!(by_place[0], 0, "it is timed for itself");
        let is_near = |timed: &usize| (400..=900).contains(timed);
        assert!(by_place[1..].iter().all(is_near), "{by_place:?}");
    }

    #[test]
    fn what_was_long_under_way_counts_for_itself_and_a_time_in_the_future_is_short() {
        let mut observation = Observation::new(EdgeId(1));
        observation.give(None, times(0), 0);
        let timing = |observation: &mut Observation, sent_at_ns, coarse_ns| {
            (observation.give(None, times(sent_at_ns), coarse_ns)).timing
        };
        assert_eq!(timing(&mut observation, 0, LONG_NS), Timing::Alone);
        assert_eq!(timing(&mut observation, 1, LONG_NS), Timing::Coarse);
        assert_eq!(timing(&mut observation, u64::MAX, 5), Timing::Coarse);
        assert_eq!(timing(&mut observation, 0, u64::MAX), Timing::Alone);
    }
}
