//! The datagrams that are on their way, the one that arrives next first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// How many may be on their way at once; what comes besides is lost, as in a router whose memory is full.
const IN_FLIGHT_MAX: usize = 20_000;

/// A datagram on its way.
#[derive(Debug)]
struct Flight<T> {
    at: Instant,
    /// Its number: two that arrive at one moment keep their order.
    number: u64,
    cargo: T,
}

/// All datagrams on their way.
#[derive(Debug)]
pub(super) struct Flights<T> {
    flights: BinaryHeap<Flight<T>>,
    begun: u64,
}

impl<T> Flights<T> {
    pub(super) fn new() -> Flights<T> {
        Flights {
            flights: BinaryHeap::new(),
            begun: 0,
        }
    }

    /// Takes one up, if there is room.
    pub(super) fn begin(&mut self, at: Instant, cargo: T) -> Result<(), T> {
        if self.flights.len() >= IN_FLIGHT_MAX {
            return Err(cargo);
        }
        self.begun += 1;
        self.flights.push(Flight {
            at,
            number: self.begun,
            cargo,
        });
        Ok(())
    }

    /// The next one that has arrived by `now`.
    pub(super) fn arrived(&mut self, now: Instant) -> Option<T> {
        let is_there = self.next_at().is_some_and(|at| at <= now);
        is_there
            .then(|| self.flights.pop())
            .flatten()
            .map(|flight| flight.cargo)
    }

    /// When the next one arrives.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.flights.peek().map(|flight| flight.at)
    }
}

/// The greatest is the one that arrives first, as the heap wants it.
impl<T> Ord for Flight<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Flight<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Flight<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Flight<T> {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn they_arrive_by_time_and_then_in_their_order() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut flights = Flights::new();
        for (ms, cargo) in [(5, "c"), (1, "a"), (5, "d"), (2, "b")] {
            flights.begin(at(ms), cargo).unwrap();
        }
        assert_eq!(flights.next_at(), Some(at(1)));
        assert_eq!(flights.arrived(now), None);
        let arrived: Vec<_> = std::iter::from_fn(|| flights.arrived(at(5))).collect();
        assert_eq!(arrived, ["a", "b", "c", "d"]);
        assert_eq!(flights.next_at(), None);
    }

    #[test]
    fn there_is_a_limit() {
        let now = Instant::now();
        let mut flights = Flights::new();
        for number in 0..IN_FLIGHT_MAX {
            flights.begin(now, number).unwrap();
        }
        assert_eq!(flights.begin(now, 0), Err(0));
        assert_eq!(flights.arrived(now), Some(0));
        flights.begin(now, 1).unwrap();
    }
}
