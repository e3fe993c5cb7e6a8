//! What two readings of the machine say together: the figures that travel in a sample.

use crate::reading::{CoreTimes, Reading};

/// A figure of a sample: its key in the metadata, and how people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    /// The key in a sample's metadata.
    pub key: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Its unit, as written after the number.
    pub unit: &'static str,
}

/// Every figure of a sample, in the order in which they are shown.
pub const FIGURES: [Figure; 7] = [
    Figure {
        key: "cpu_percent",
        title: "cpu",
        unit: "%",
    },
    Figure {
        key: "memory_percent",
        title: "memory",
        unit: "%",
    },
    Figure {
        key: "load_1m",
        title: "load",
        unit: "",
    },
    Figure {
        key: "tasks_runnable",
        title: "runnable",
        unit: "tasks",
    },
    Figure {
        key: "context_switches_per_s",
        title: "switches",
        unit: "/s",
    },
    Figure {
        key: "net_in_kb_per_s",
        title: "net in",
        unit: "kB/s",
    },
    Figure {
        key: "net_out_kb_per_s",
        title: "net out",
        unit: "kB/s",
    },
];

impl Figure {
    /// The figure with its unit: `12.3 %`.
    pub fn show(&self, value: f64) -> String {
        let number = if value.abs() < 1000.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.0}")
        };
        if self.unit.is_empty() {
            number
        } else {
            format!("{number} {}", self.unit)
        }
    }
}

/// The figures between two readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// In the order of [`FIGURES`].
    pub values: [f64; FIGURES.len()],
    /// How busy each core was, in percent.
    pub core_percents: Vec<f32>,
}

impl Figures {
    /// What happened from `earlier` to `later`. Rates are zero when no time has passed.
    pub fn between(earlier: &Reading, later: &Reading) -> Figures {
        let seconds = later.at.saturating_sub(earlier.at).as_secs_f64();
        let rate = |earlier: u64, later: u64| {
            if seconds > 0.0 {
                later.saturating_sub(earlier) as f64 / seconds
            } else {
                0.0
            }
        };
        let mut all = (CoreTimes::default(), CoreTimes::default());
        let core_percents = earlier
            .cores
            .iter()
            .zip(&later.cores)
            .map(|(earlier, later)| {
                all.0.busy += earlier.busy;
                all.0.idle += earlier.idle;
                all.1.busy += later.busy;
                all.1.idle += later.idle;
                busy_percent(*earlier, *later) as f32
            })
            .collect();
        let memory_used_kb = later
            .memory_total_kb
            .saturating_sub(later.memory_available_kb);
        Figures {
            values: [
                busy_percent(all.0, all.1),
                100.0 * memory_used_kb as f64 / later.memory_total_kb.max(1) as f64,
                later.load_1m,
                later.tasks_runnable as f64,
                rate(earlier.context_switches, later.context_switches),
                rate(earlier.net_in_bytes, later.net_in_bytes) / 1000.0,
                rate(earlier.net_out_bytes, later.net_out_bytes) / 1000.0,
            ],
            core_percents,
        }
    }
}

fn busy_percent(earlier: CoreTimes, later: CoreTimes) -> f64 {
    let busy = later.busy.saturating_sub(earlier.busy);
    // The kernel lets `iowait` fall now and then.
    let idle = later.idle.saturating_sub(earlier.idle);
    if busy + idle == 0 {
        return 0.0;
    }
    100.0 * busy as f64 / (busy + idle) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reading(at_ms: u64, busy: u64, idle: u64, switches: u64) -> Reading {
        Reading {
            at: Duration::from_millis(at_ms),
            cores: vec![CoreTimes { busy, idle }, CoreTimes { busy: 0, idle }],
            context_switches: switches,
            memory_total_kb: 1000,
            memory_available_kb: 250,
            net_in_bytes: switches * 1000,
            ..Reading::default()
        }
    }

    #[test]
    fn rates_are_per_second_and_cores_are_told_apart() {
        let figures = Figures::between(&reading(0, 0, 0, 0), &reading(500, 30, 10, 50));
        assert_eq!(figures.core_percents, [75.0, 0.0]);
        let value = |key: &str| {
            let place = FIGURES.iter().position(|figure| figure.key == key);
            figures.values[place.unwrap()]
        };
        assert_eq!(value("cpu_percent"), 60.0);
        assert_eq!(value("memory_percent"), 75.0);
        assert_eq!(value("context_switches_per_s"), 100.0);
        assert_eq!(value("net_in_kb_per_s"), 100.0);
    }

    #[test]
    fn no_time_and_counters_that_fall_give_zeros() {
        let same = reading(500, 30, 10, 50);
        let figures = Figures::between(&same, &same);
        assert_eq!((figures.values[0], figures.values[4]), (0.0, 0.0));
        let figures = Figures::between(&same, &reading(600, 29, 9, 49));
        assert_eq!((figures.values[0], figures.values[4]), (0.0, 0.0));
    }

    #[test]
    fn a_figure_is_shown_with_its_unit() {
        assert_eq!(FIGURES[0].show(12.34), "12.3 %");
        assert_eq!(FIGURES[2].show(0.5), "0.5");
        assert_eq!(FIGURES[4].show(12345.6), "12346 /s");
    }
}
