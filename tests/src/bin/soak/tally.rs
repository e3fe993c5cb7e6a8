//! What cycles have counted and timed, and how it is shown.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use dataflow_tests::Accounts;
use serde_json::{Value, json};

/// The sums of some cycles of one kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Cycles.
    pub(crate) cycles: u64,
    /// What the kind counts: kills, stops, messages.
    pub(crate) done: u64,
    /// What else was counted, by name.
    pub(crate) counts: BTreeMap<String, u64>,
    /// What was timed, by name, in microseconds.
    times: BTreeMap<&'static str, Vec<u64>>,
    /// The messages.
    pub(crate) accounts: Accounts,
}

impl Tally {
    pub(crate) fn count(&mut self, what: &str, more: u64) {
        *self.counts.entry(what.to_owned()).or_default() += more;
    }

    pub(crate) fn time(&mut self, what: &'static str, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.times.entry(what).or_default().push(micros);
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.cycles += other.cycles;
        self.done += other.done;
        for (what, more) in other.counts {
            *self.counts.entry(what).or_default() += more;
        }
        for (what, times) in other.times {
            self.times.entry(what).or_default().extend(times);
        }
        self.accounts.add(&other.accounts);
    }

    /// Of each thing timed: how often, p50, p99, and the longest, in microseconds.
    fn percentiles(&self) -> Vec<(&'static str, usize, [u64; 3])> {
        let of = |(what, times): (&&'static str, &Vec<u64>)| {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part).round() as usize];
            (*what, sorted.len(), [at(0.5), at(0.99), at(1.0)])
        };
        self.times.iter().map(of).collect()
    }

    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, count: u64| {
            let _ = writeln!(text, "  {what:<44} {:>16}", grouped(count));
        };
        line("cycles", self.cycles);
        for (what, count) in &self.counts {
            line(what, *count);
        }
        let accounts = &self.accounts;
        if accounts.edges > 0 {
            line("edges, each with its sums checked", accounts.edges);
            line("messages sent, once an edge", accounts.sent);
            line("  consumed, whole and in order", accounts.consumed);
            line("  listed as dropped", accounts.dropped);
            line("    of those, left unread by who blocks", accounts.unread);
            line("  listed as lost", accounts.lost);
            line("  handed over and not written down", accounts.unwritten);
            line("tokens that came back", accounts.released);
            line("restarts and deaths", accounts.deaths);
        }
        for (point, count) in &accounts.points {
            line(&format!("  killed {}", point.name()), *count);
        }
        for (what, count, [p50, p99, max]) in self.percentiles() {
            let ms = |micros: u64| micros as f64 / 1e3;
            let _ = writeln!(
                text,
                "  {what:<44} {:>16}   p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
                grouped(count as u64),
                ms(p50),
                ms(p99),
                ms(max)
            );
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let accounts = &self.accounts;
        let points: BTreeMap<_, _> = accounts
            .points
            .iter()
            .map(|(point, count)| (point.name(), count))
            .collect();
        let times: BTreeMap<_, _> = self
            .percentiles()
            .into_iter()
            .map(|(what, count, [p50, p99, max])| {
                let of = json!({"count": count, "p50_us": p50, "p99_us": p99, "max_us": max});
                (what, of)
            })
            .collect();
        json!({
            "cycles": self.cycles, "done": self.done, "counts": self.counts, "times": times,
            "edges": accounts.edges, "sent": accounts.sent, "consumed": accounts.consumed,
            "dropped": accounts.dropped, "unread": accounts.unread, "lost": accounts.lost, "unwritten": accounts.unwritten,
            "released": accounts.released, "deaths": accounts.deaths, "killed_at": points,
        })
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
