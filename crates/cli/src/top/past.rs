//! What was known of a runtime before, as far as rates and recent spans of time need it.

use std::sync::Arc;
use std::time::Duration;

use dataflow_ids::stats::Statistics;

/// Rates are over at least this time: with shorter ones, a row would show one message as many.
const RATE_OVER_MIN: Duration = Duration::from_millis(900);
/// What processes use is over at least this time: they are read once a second, and so once more in any such time.
const PROCESSES_OVER_MIN: Duration = Duration::from_millis(1_900);
/// What was read longer ago than this was read for somebody who looked before, and says nothing of this moment.
const PROCESSES_READ_WITHIN: Duration = Duration::from_secs(5);
/// Medians and the like are over at least this time, and at most twice as long.
const SPANS_OVER_MIN: Duration = Duration::from_secs(10);

/// The statistics of one runtime, now and before.
#[derive(Debug)]
pub(super) struct Past {
    now: Option<Arc<Statistics>>,
    every: Duration,
    rates: Base,
    processes: Base,
    spans: Base,
}

impl Past {
    /// Nothing is known of a runtime that is to say something once in `every`: rates are over that time. It says it now
    /// a little sooner, now a little later.
    pub(super) fn over(every: Duration) -> Past {
        let nearly = every.mul_f64(0.9);
        Past {
            now: None,
            every,
            rates: Base::at_least(nearly.max(RATE_OVER_MIN)),
            processes: Base::at_least(nearly.max(PROCESSES_OVER_MIN)),
            spans: Base::at_least(SPANS_OVER_MIN),
        }
    }

    /// These are the statistics now. Those of another keeper, or of an earlier moment than what is known, begin anew.
    pub(super) fn push(&mut self, now: Statistics) {
        let is_other = |known: &Statistics| now.keeper != known.keeper || now.at_ns < known.at_ns;
        if self.now().is_some_and(is_other) {
            *self = Past::over(self.every);
        }
        let now = Arc::new(now);
        self.rates.push(&now);
        let mut known = self.processes.base.iter();
        if known.any(|base| !are_processes_read(base)) {
            self.processes = Base::at_least(self.processes.over_min);
        }
        self.processes.push(&now);
        self.spans.push(&now);
        self.now = Some(now);
    }

    /// The newest statistics.
    pub(super) fn now(&self) -> Option<&Statistics> {
        self.now.as_deref()
    }

    /// Those that rates are counted from.
    pub(super) fn for_rates(&self) -> Option<&Statistics> {
        self.before(&self.rates)
    }

    /// Those that what processes use is counted from.
    pub(super) fn for_processes(&self) -> Option<&Statistics> {
        self.before(&self.processes)
    }

    /// Whether there is enough for rates over the whole interval, also for those of processes, if there are any.
    pub(super) fn has_rates(&self) -> bool {
        let Some(now) = self.now() else { return false };
        let has_processes = now.nodes.iter().any(|row| row.pid.is_some());
        let read_last = |statistics: &Statistics| {
            let nodes = statistics.nodes.iter();
            nodes.filter_map(|row| row.numbers.process.read_at_ns).max()
        };
        let is_read_again = || {
            let before = self.for_processes().and_then(read_last);
            before.is_some() && read_last(now) > before
        };
        let over_ns = |base: &Statistics| u128::from(now.at_ns.saturating_sub(base.at_ns));
        let is_over_all = |base| over_ns(base) >= self.every.mul_f64(0.9).as_nanos();
        self.for_rates().is_some_and(is_over_all) && (!has_processes || is_read_again())
    }

    /// Those that recent spans of time are counted from.
    pub(super) fn for_spans(&self) -> Option<&Statistics> {
        self.before(&self.spans)
    }

    fn before<'a>(&self, base: &'a Base) -> Option<&'a Statistics> {
        let base = base.base.as_deref()?;
        (base.at_ns < self.now()?.at_ns).then_some(base)
    }
}

/// Whether the processes of some node were read a moment before.
fn are_processes_read(statistics: &Statistics) -> bool {
    let within_ns = u64::try_from(PROCESSES_READ_WITHIN.as_nanos()).unwrap_or(u64::MAX);
    let since_ns = statistics.at_ns.saturating_sub(within_ns);
    let nodes = statistics.nodes.iter();
    let mut read = nodes.filter_map(|row| row.numbers.process.read_at_ns);
    read.any(|at_ns| at_ns >= since_ns)
}

/// Statistics of a moment that moves along: at least so long ago once there are any, and at most twice as long.
#[derive(Debug)]
struct Base {
    over_min: Duration,
    base: Option<Arc<Statistics>>,
    /// The base from when it is so long ago.
    next: Option<Arc<Statistics>>,
}

impl Base {
    fn at_least(over_min: Duration) -> Base {
        Base {
            over_min,
            base: None,
            next: None,
        }
    }

    fn push(&mut self, now: &Arc<Statistics>) {
        let is_due = self.next.as_ref().is_none_or(|next| {
            u128::from(now.at_ns.saturating_sub(next.at_ns)) >= self.over_min.as_nanos()
        });
        if is_due {
            self.base = self.next.replace(Arc::clone(now));
        }
        if self.base.is_none() {
            self.base = self.next.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use dataflow_ids::stats::Keeper;

    use super::super::example::statistics_at;
    use super::*;

    #[test]
    fn rates_are_over_the_last_interval_and_never_over_less_than_a_good_part_of_a_second() {
        let mut past = Past::over(Duration::from_millis(100));
        let mut bases = Vec::new();
        for tenth in 0..40 {
            past.push(statistics_at(Duration::from_millis(100 * tenth)));
            let over = past
                .for_rates()
                .map(|base| tenth * 100 - base.at_ns / 1_000_000);
            bases.push(over);
        }
        assert_eq!(bases[0], None);
        assert_eq!(bases[1], Some(100));
        assert!(
            bases[10..]
                .iter()
                .all(|over| over.is_some_and(|over| (900..1_900).contains(&over))),
            "{bases:?}"
        );
        let mut past = Past::over(Duration::from_millis(100));
        past.push(statistics_at(Duration::from_secs(1)));
        past.push(statistics_at(Duration::from_secs(2)));
        past.push(statistics_at(Duration::from_secs(3)));
        assert_eq!(past.for_rates().unwrap().at_ns, 2_000_000_000);
        assert_eq!(past.for_spans().unwrap().at_ns, 1_000_000_000);
    }

    #[test]
    fn rates_are_over_the_whole_interval_however_soon_something_was_said_after_the_first() {
        let mut past = Past::over(Duration::from_secs(3));
        let mut has_rates = Vec::new();
        for second in [10, 11, 14] {
            let mut statistics = statistics_at(Duration::from_secs(second));
            for row in &mut statistics.nodes {
                row.pid = None;
            }
            past.push(statistics);
            has_rates.push(past.has_rates());
        }
        assert_eq!(has_rates, [false, false, true]);
        assert_eq!(past.for_rates().unwrap().at_ns, 10_000_000_000);
    }

    #[test]
    fn the_same_moment_twice_keeps_the_rates_and_an_earlier_one_begins_anew() {
        let mut past = Past::over(Duration::from_millis(100));
        for second in [1, 2, 2] {
            past.push(statistics_at(Duration::from_secs(second)));
        }
        assert_eq!(past.for_rates().unwrap().at_ns, 1_000_000_000);
        past.push(statistics_at(Duration::from_secs(1)));
        assert!(past.for_rates().is_none());
        past.push(Statistics {
            keeper: Keeper(99),
            ..statistics_at(Duration::from_secs(2))
        });
        assert!(past.for_rates().is_none());
    }
}
