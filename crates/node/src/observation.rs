//! Which messages of an input are timed, and how many each of them stands for, so that an edge's histograms stand for
//! all its messages and a small message still costs no reading of the exact clock.
//!
//! - A message that came after a look in vain, or that was long under way, is timed and stands for itself: so an edge
//!   on which little happens, or on which it takes long, is seen at once.
//! - Of the others, which stood in the queue when they were asked for, each sixteenth is timed and stands for those since
//!   the one before. The exact clock costs as much as all else of a small message; the coarse one, which every call
//!   reads anyway, says what was long under way or in hand.

use dataflow_shm::edge::{EdgeReceiver, Span};

use crate::clock;

/// Each so many messages of a queue that was not empty, one is timed.
const SAMPLE: u64 = 16;

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
    pub(crate) fn new() -> Observation {
        Observation {
            was_empty: true,
            given: 0,
            handled: 0,
        }
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
            if self.given < SAMPLE {
                return InHand {
                    since_ns: coarse_ns,
                    timing: Timing::Coarse,
                };
            }
        }
        let (timing, messages) = if is_alone {
            (Timing::Alone, 1)
        } else {
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

    #[test]
    fn one_message_in_sixteen_of_a_full_queue_is_timed_and_the_first_of_each() {
        let mut observation = Observation::new();
        let mut timed = Vec::new();
        for number in 0..65 {
            let in_hand = observation.give(None, times(1000), 1000);
            observation.handled(None, in_hand, 1000);
            if in_hand.timing != Timing::Coarse {
                timed.push((number, in_hand.timing));
            }
        }
        let others = [16, 32, 48, 64].map(|number| (number, Timing::ForOthers));
        assert_eq!(timed[0], (0, Timing::Alone));
        assert_eq!(timed[1..], others);
        observation.found_nothing();
        let after_a_look_in_vain = observation.give(None, times(1000), 1000);
        assert_eq!(after_a_look_in_vain.timing, Timing::Alone);
    }

    #[test]
    fn what_was_long_under_way_counts_for_itself_and_a_time_in_the_future_is_short() {
        let mut observation = Observation::new();
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
