//! Medians and percentiles, and how people read them.

/// Latencies of one measurement, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    sorted_ns: Vec<u64>,
}

impl Latencies {
    /// Takes the samples of a measurement, in any order.
    pub fn new(mut samples_ns: Vec<u64>) -> Self {
        samples_ns.sort_unstable();
        Latencies {
            sorted_ns: samples_ns,
        }
    }

    /// The smallest sample that at least `percent` of all samples do not exceed (nearest rank); 0 without
    /// samples.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let rank = (percent / 100.0 * self.sorted_ns.len() as f64).ceil() as usize;
        let place = rank.clamp(1, self.sorted_ns.len().max(1)) - 1;
        self.sorted_ns.get(place).copied().unwrap_or(0)
    }

    /// The median.
    pub fn median_ns(&self) -> u64 {
        self.percentile_ns(50.0)
    }
}

/// The median of some figures (the lower one of two in the middle); 0 without any.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len().saturating_sub(1) / 2;
    figures.get(middle).copied().unwrap_or(0.0)
}

/// The interval in which the median of what the figures are drawn from lies 95 times in 100, whatever they look like:
/// how many of them are below the median is binomial, and so about the middle within 1.96 times half the square root of
/// how many there are. All of them when they are few; 0 without any.
pub fn interval_of_median(mut figures: Vec<f64>) -> [f64; 2] {
    figures.sort_by(f64::total_cmp);
    let count = figures.len() as f64;
    let aside = (count / 2.0 - 0.98 * count.sqrt()).floor().max(0.0) as usize;
    let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
    [at(aside), at(figures.len().saturating_sub(1 + aside))]
}

/// A time in the unit that fits a table: `1.3 µs`, `2.4 ms`.
pub fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        _ => format!("{:.2} ms", ns as f64 / 1e6),
    }
}

/// A size as the tables name it: `64 B`, `400 KB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latencies = Latencies::new((1..=100).rev().collect());
        assert_eq!(latencies.percentile_ns(50.0), 50);
        assert_eq!(latencies.percentile_ns(99.0), 99);
        assert_eq!(latencies.percentile_ns(100.0), 100);
        assert_eq!(Latencies::new(Vec::new()).median_ns(), 0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn of_forty_figures_the_median_lies_between_the_fourteenth_and_the_twenty_seventh() {
        let forty = (1..=40).rev().map(f64::from).collect();
        assert_eq!(interval_of_median(forty), [14.0, 27.0]);
        assert_eq!(interval_of_median(vec![3.0, 1.0, 2.0]), [1.0, 3.0]);
        assert_eq!(interval_of_median(Vec::new()), [0.0, 0.0]);
    }
}
